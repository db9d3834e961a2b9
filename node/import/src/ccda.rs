//! CDA release 2 documents: C-CDA and other profiles, structured or with a document inside.
//!
//! The XML reader is given no document type declaration to expand, so no entity bomb and no external entity. Only
//! the header is interpreted; of the body, only codes (for the label) and embedded documents. Called by `inspect`
//! and, for embedded documents, by the node.

use crate::category::{of_loinc, title_of};
use crate::content::{check_size, xml_text};
use crate::date;
use crate::error::ImportError;
use crate::identity::{Identifier, PatientIdentity};
use crate::sensitivity;
use crate::{Format, Imported};
use data_encoding::BASE64;
use hospes_protocol::personal::{Category, Label};
use roxmltree::{Document, Node, ParsingOptions};
use std::fmt;

const HL7_V3: &str = "urn:hl7-org:v3";
const LOINC: &str = "2.16.840.1.113883.6.1";
/// A long transfer summary has 20,000 nodes; this bounds memory to a few hundred megabytes.
const NODES_MAX: u32 = 2_000_000;

/// A document carried inside a C-CDA document.
#[derive(Clone, PartialEq, Eq)]
pub struct EmbeddedDocument {
    /// Media type as the carrier declares it, `application/pdf` for instance; empty if it declares none.
    pub media_type: String,
    /// The document itself.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for EmbeddedDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddedDocument({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

/// Looks at an XML file; none if it is well formed but no CDA document.
///
/// # Errors
/// Of size, encoding and form of XML.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Option<Imported>, ImportError> {
    let text = document_text(bytes)?;
    let document = parse(&text)?;
    let root = document.root_element();
    Ok(is_cda(root).then(|| describe(root)))
}

/// The documents that a C-CDA document carries as base64, in document order; empty for a structured document.
///
/// # Errors
/// Of size, encoding and form of XML, and `Embedded` if one isn't valid base64 or is compressed.
pub fn embedded_documents(ccda: &[u8]) -> Result<Vec<EmbeddedDocument>, ImportError> {
    let text = document_text(ccda)?;
    let document = parse(&text)?;
    let root = document.root_element();
    if !is_cda(root) {
        return Ok(Vec::new());
    }
    root.descendants().filter(|node| node.attribute("representation") == Some("B64")).map(embedded).collect()
}

fn embedded(node: Node<'_, '_>) -> Result<EmbeddedDocument, ImportError> {
    if node.attribute("compression").is_some() {
        return Err(ImportError::Embedded { what: "it is compressed" });
    }
    let base64: Vec<u8> = node
        .children()
        .filter_map(|child| child.text().filter(|_| child.is_text()))
        .flat_map(str::bytes)
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let bytes =
        BASE64.decode(&base64).map_err(|_| ImportError::Embedded { what: "it is not valid base64" })?;
    Ok(EmbeddedDocument { media_type: node.attribute("mediaType").unwrap_or_default().to_owned(), bytes })
}

fn document_text(bytes: &[u8]) -> Result<std::borrow::Cow<'_, str>, ImportError> {
    check_size(bytes)?;
    xml_text(bytes)
}

fn parse(text: &str) -> Result<Document<'_>, ImportError> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => ImportError::XmlDoctype,
        roxmltree::Error::UnclosedRootNode | roxmltree::Error::UnexpectedEndOfStream => {
            ImportError::XmlTruncated
        }
        roxmltree::Error::NodesLimitReached => ImportError::XmlTooManyNodes { limit: NODES_MAX },
        other => ImportError::Xml { line: other.pos().row, column: other.pos().col },
    })
}

fn is_cda(root: Node<'_, '_>) -> bool {
    root.has_tag_name((HL7_V3, "ClinicalDocument"))
}

fn describe(root: Node<'_, '_>) -> Imported {
    let code = child(root, "code");
    let loinc = code
        .filter(|code| code.attribute("codeSystem") == Some(LOINC))
        .and_then(|code| code.attribute("code"));
    // A document that doesn't say what it is was written to be read by somebody: a letter.
    let category = loinc.and_then(of_loinc).unwrap_or(Category::Letters);
    let title = child(root, "title").map(text_of).filter(|title| !title.is_empty());
    let display = code.and_then(|code| code.attribute("displayName")).map(str::to_owned);
    let mut imported = Imported {
        media_type: "text/xml".to_owned(),
        format: Format::Ccda,
        patients: children(root, "recordTarget")
            .filter_map(|target| child(target, "patientRole"))
            .map(patient)
            .collect(),
        category,
        label: label(root),
        title: title.or(display).unwrap_or_else(|| title_of(category).to_owned()),
        date: child(root, "effectiveTime").and_then(|time| date::from_compact(time.attribute("value")?)),
        modality: None,
        source_system: source_system(root),
        warnings: Vec::new(),
    };
    imported.patients.retain(|patient| !patient.is_empty());
    if imported.patients.is_empty() {
        imported.warn("the document names no patient");
    }
    if loinc.and_then(of_loinc).is_none() {
        imported.warn("the document's type is unknown: choose its category yourself");
    }
    imported
}

fn source_system(root: Node<'_, '_>) -> Option<String> {
    let custodian =
        path(root, &["custodian", "assignedCustodian", "representedCustodianOrganization", "name"])?;
    Some(text_of(custodian)).filter(|name| !name.is_empty())
}

/// The confidentiality of document and sections, and what the coded entries of the body propose.
///
/// Entries that deny something (`negationInd`) and organizers about somebody else (`subject`, as in family history)
/// are stepped over, in one pass over the document.
fn label(root: Node<'_, '_>) -> Label {
    let mut greatest = Label::Normal;
    let mut skipped_until = 0;
    for node in root.descendants().filter(Node::is_element) {
        if node.range().start < skipped_until {
            continue;
        }
        let about_another = node
            .parent_element()
            .filter(|parent| node.tag_name().name() == "subject" && parent.tag_name().name() == "organizer");
        if node.attribute("negationInd") == Some("true") {
            skipped_until = node.range().end;
        } else if let Some(organizer) = about_another {
            skipped_until = organizer.range().end;
        } else {
            greatest = greatest.max(label_of_node(node));
        }
    }
    greatest
}

fn label_of_node(node: Node<'_, '_>) -> Label {
    match (node.attribute("code"), node.attribute("codeSystem")) {
        (Some(code), _) if node.tag_name().name() == "confidentialityCode" => {
            sensitivity::confidentiality(code)
        }
        (Some(code), Some(system)) => sensitivity::of_code(system, code),
        _ => Label::Normal,
    }
}

fn patient(role: Node<'_, '_>) -> PatientIdentity {
    let person = child(role, "patient");
    let name = person.and_then(|person| {
        let legal = children(person, "name")
            .find(|name| name.attribute("use").is_some_and(|uses| uses.contains('L')));
        legal.or_else(|| child(person, "name"))
    });
    let given = name.into_iter().flat_map(|name| children(name, "given")).map(text_of);
    let attribute = |tag, name| person.and_then(|person| child(person, tag)?.attribute(name));
    PatientIdentity {
        given: given.filter(|given| !given.is_empty()).collect(),
        family: name.and_then(|name| child(name, "family")).map(text_of).unwrap_or_default(),
        birth_date: attribute("birthTime", "value")
            .and_then(date::from_compact)
            .filter(|date| date.len() == 10),
        identifiers: children(role, "id").filter_map(identifier).collect(),
        postal_code: children(role, "addr")
            .find_map(|address| child(address, "postalCode"))
            .map(text_of)
            .filter(|code| !code.is_empty()),
        gender: attribute("administrativeGenderCode", "code").and_then(gender),
    }
}

/// An II: a root alone is itself the identifier. The US social security number gets FHIR's URI, so that it compares.
fn identifier(id: Node<'_, '_>) -> Option<Identifier> {
    let root = id.attribute("root")?;
    Some(match id.attribute("extension") {
        Some(extension) if root == "2.16.840.1.113883.4.1" => {
            Identifier { system: "http://hl7.org/fhir/sid/us-ssn".to_owned(), value: extension.to_owned() }
        }
        Some(extension) => Identifier { system: format!("urn:oid:{root}"), value: extension.to_owned() },
        None => Identifier { system: "urn:ietf:rfc:3986".to_owned(), value: format!("urn:oid:{root}") },
    })
}

/// HL7 AdministrativeGender in FHIR's terms.
fn gender(code: &str) -> Option<String> {
    let gender = match code {
        "M" => "male",
        "F" => "female",
        "UN" => "other",
        _ => return None,
    };
    Some(gender.to_owned())
}

fn children<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.has_tag_name((HL7_V3, name)))
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

fn path<'a, 'i>(node: Node<'a, 'i>, names: &[&'static str]) -> Option<Node<'a, 'i>> {
    names.iter().try_fold(node, |node, name| child(node, name))
}

/// All text below a node, with single spaces.
fn text_of(node: Node<'_, '_>) -> String {
    let text: String = node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(inside: &str) -> Vec<u8> {
        format!("<ClinicalDocument xmlns=\"urn:hl7-org:v3\">{inside}</ClinicalDocument>").into_bytes()
    }

    #[test]
    fn an_entity_bomb_is_refused_and_the_same_document_without_it_read() {
        let bomb = b"<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><x>&b;</x>";
        assert_eq!(inspect(bomb), Err(ImportError::XmlDoctype), "no declaration is ever read");
        assert_eq!(inspect(b"<x>text</x>"), Ok(None), "well formed, but no CDA");
        assert!(inspect(&document("")).unwrap().is_some(), "an empty CDA document is one");
    }

    #[test]
    fn cut_off_xml_and_malformed_xml_are_told_apart() {
        let cut = inspect(b"<ClinicalDocument xmlns=\"urn:hl7-org:v3\">\n<title>x</titl");
        assert_eq!(cut, Err(ImportError::XmlTruncated), "the end is missing");
        let malformed =
            inspect(b"<ClinicalDocument xmlns=\"urn:hl7-org:v3\">\n<title>x</name></ClinicalDocument>");
        assert!(matches!(malformed, Err(ImportError::Xml { line: 2, .. })), "with its place: {malformed:?}");
    }

    #[test]
    fn the_label_follows_confidentiality_and_codes_but_not_what_is_negated() {
        let label = |inside: &str| inspect(&document(inside)).unwrap().unwrap().label;
        assert_eq!(label("<confidentialityCode code=\"N\"/>"), Label::Normal, "normal");
        assert_eq!(label("<confidentialityCode code=\"R\"/>"), Label::Restricted, "restricted");
        assert_eq!(label("<confidentialityCode code=\"V\"/>"), Label::VeryRestricted, "very restricted");
        let value = "<value code=\"86406008\" codeSystem=\"2.16.840.1.113883.6.96\"/>";
        assert_eq!(label(&format!("<observation>{value}</observation>")), Label::Restricted, "HIV is stated");
        let negated = format!("<observation negationInd=\"true\">{value}</observation>");
        assert_eq!(label(&negated), Label::Normal, "HIV is denied");
    }

    #[test]
    fn embedded_documents_are_decoded_or_refused() {
        let body = |attributes: &str, text: &str| {
            document(&format!(
                "<component><nonXMLBody><text {attributes}>{text}</text></nonXMLBody></component>"
            ))
        };
        let b64 = "representation=\"B64\" mediaType=\"application/pdf\"";
        let found = embedded_documents(&body(b64, "JVBE\n  Ri0=")).unwrap();
        assert_eq!(found[0].bytes, b"%PDF-", "white space inside base64 doesn't matter");
        assert_eq!(found[0].media_type, "application/pdf", "the declared type");
        let invalid = embedded_documents(&body(b64, "JVBE!"));
        assert_eq!(
            invalid,
            Err(ImportError::Embedded { what: "it is not valid base64" }),
            "garbage is refused"
        );
        let compressed = embedded_documents(&body(&format!("{b64} compression=\"DF\""), "JVBERi0="));
        assert_eq!(
            compressed,
            Err(ImportError::Embedded { what: "it is compressed" }),
            "nothing is inflated"
        );
        assert_eq!(embedded_documents(&document("")), Ok(vec![]), "a structured document carries none");
    }
}
