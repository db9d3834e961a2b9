//! Identifying strings of C-CDA documents (HL7 CDA R2).
//!
//! Deliberately ignores the roots of identifiers and templates: they are the same in everybody's documents. Called by
//! `scan::extract`.

use roxmltree::{Document, Node};

use super::{Kind, Taken};

pub(super) fn take(bytes: &[u8], taken: &mut Taken) -> Option<()> {
    let text = String::from_utf8_lossy(bytes);
    let document = Document::parse(text.trim_start_matches('\u{feff}')).ok()?;
    for node in document.descendants().filter(Node::is_element) {
        element(node, taken);
    }
    Some(())
}

fn element(node: Node<'_, '_>, taken: &mut Taken) {
    match node.tag_name().name() {
        "name" => name(node, taken),
        "birthTime" => taken.birth_date(attribute(node, "value")),
        "addr" => parts(node, &[]).iter().for_each(|part| taken.add(Kind::Address, part)),
        "telecom" => telecom(attribute(node, "value"), taken),
        "id" => taken.add(Kind::Identifier, attribute(node, "extension")),
        "code" | "value" | "translation" => taken.code(attribute(node, "code")),
        _ => {}
    }
}

/// A person's name has parts, an institution's is plain text.
fn name(node: Node<'_, '_>, taken: &mut Taken) {
    let given = parts(node, &["given"]);
    let family = parts(node, &["family"]).into_iter().next().unwrap_or_default();
    if given.is_empty() && family.is_empty() {
        taken.add(Kind::Name, node.text().unwrap_or_default());
    } else {
        taken.person(&given, family);
    }
}

/// The number behind `tel:` or the address behind `mailto:` may leak without its scheme.
fn telecom(value: &str, taken: &mut Taken) {
    taken.add(Kind::Telecom, value.split_once(':').map_or(value, |(_, number)| number));
}

/// The texts of the child elements with one of these names, or of all.
fn parts<'a>(node: Node<'a, '_>, names: &[&str]) -> Vec<&'a str> {
    node.children()
        .filter(|child| child.is_element() && (names.is_empty() || names.contains(&child.tag_name().name())))
        .filter_map(|child| child.text().map(str::trim))
        .collect()
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    node.attribute(name).unwrap_or_default()
}
