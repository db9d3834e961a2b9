//! `hospes status` and `hospes version`.

use serde_json::{Value, json};

use super::Global;
use super::answer::{Done, Outcome};
use super::show::text;

fn number(value: &Value, path: [&str; 2]) -> u64 {
    value.get(path[0]).and_then(|v| v.get(path[1])).and_then(Value::as_u64).unwrap_or(0)
}

/// `hospes status`.
pub(crate) fn status(global: &Global) -> Outcome<Done> {
    let status = global.client()?.get("/status")?;
    let peers = status.get("peers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let here = peers.iter().filter(|p| p.get("connected") == Some(&Value::Bool(true))).count();
    let mut lines = vec![
        format!("state         {}", text(&status, "state")),
        format!("node          {}", text(&status, "node")),
        format!("organization  {} {}", text(&status, "organization"), text(&status, "organization_name")),
        format!("network       {}", text(&status, "network")),
        format!("height        {} of {}", status["height"], text(&status, "block_time")),
        format!("not final     {} entries of this node", number(&status, ["finality", "pending_own"])),
        format!("peers         {here} of {} connected", peers.len()),
        format!(
            "validators    {}, of which {} must agree and {} may fail",
            number(&status, ["validators", "count"]),
            number(&status, ["validators", "quorum"]),
            number(&status, ["validators", "faults_tolerated"]),
        ),
        format!(
            "objects       {}, {} bytes",
            number(&status, ["objects", "count"]),
            number(&status, ["objects", "bytes"])
        ),
    ];
    let committees = status.get("committees").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if !committees.is_empty() {
        let one = |c: &Value| format!("{} {}", text(c, "name"), text(c, "stage"));
        lines.push(format!("committees    {}", committees.iter().map(one).collect::<Vec<_>>().join(", ")));
    }
    lines.push(format!(
        "emergencies   {} of {} patients without escrow, {} reviews due",
        number(&status, ["emergencies", "without_escrow"]),
        number(&status, ["emergencies", "patients"]),
        number(&status, ["emergencies", "reviews_due"]),
    ));
    let warnings = status.get("warnings").and_then(Value::as_array).cloned().unwrap_or_default();
    lines.extend(warnings.iter().filter_map(Value::as_str).map(|w| format!("warning: {w}")));
    Ok(Done::new(status, lines.join("\n")))
}

/// `hospes version`.
pub(crate) fn version(global: &Global) -> Outcome<Done> {
    let mine = env!("CARGO_PKG_VERSION");
    let node = global.client().and_then(|c| c.get("/status")).ok();
    let theirs = node.as_ref().map(|s| text(s, "version").to_owned());
    let mut shown = format!("hospes {mine}");
    if let Some(theirs) = &theirs {
        shown.push_str(&format!("\nnode {theirs}"));
    }
    Ok(Done::new(json!({"program": mine, "node": theirs, "format": hospes_protocol::entry::FORMAT}), shown))
}
