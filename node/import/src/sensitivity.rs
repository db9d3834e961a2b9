//! Which codes make a record restricted or very restricted.
//!
//! Three sources, the greatest label wins: the confidentiality that the author set (HL7 v3 Confidentiality), the
//! sensitivity that a privacy service marked (HL7 v3 ActCode, as DS4P uses it), and short lists of diagnoses, tests
//! and treatments. The lists hold the commonest codes of psychiatry, HIV, sexual health and substance use, after
//! HL7's description of the level "restricted"; they are not complete and can't be, so what comes out is a proposal
//! that a person confirms, and a record without a listed code isn't thereby shown to be harmless. Screening
//! questionnaires are left out on purpose: nearly every adult chart has them. Called by the FHIR and C-CDA modules.

use hospes_protocol::personal::Label;
use serde_json::Value;

/// Code systems that this file knows, under their FHIR URI or their HL7 OID.
enum System {
    Confidentiality,
    Sensitivity,
    Snomed,
    Loinc,
    Icd10,
}

fn system(uri: &str) -> Option<System> {
    let uri = uri.strip_prefix("urn:oid:").unwrap_or(uri);
    Some(match uri {
        "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
        | "http://hl7.org/fhir/v3/Confidentiality"
        | "2.16.840.1.113883.5.25" => System::Confidentiality,
        "http://terminology.hl7.org/CodeSystem/v3-ActCode"
        | "http://hl7.org/fhir/v3/ActCode"
        | "2.16.840.1.113883.5.4" => System::Sensitivity,
        "http://snomed.info/sct" | "2.16.840.1.113883.6.96" => System::Snomed,
        "http://loinc.org" | "2.16.840.1.113883.6.1" => System::Loinc,
        "http://hl7.org/fhir/sid/icd-10"
        | "http://hl7.org/fhir/sid/icd-10-cm"
        | "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
        | "2.16.840.1.113883.6.3"
        | "2.16.840.1.113883.6.90" => System::Icd10,
        _ => return None,
    })
}

/// The label that one coded value proposes.
pub(crate) fn of_code(system_uri: &str, code: &str) -> Label {
    match system(system_uri) {
        Some(System::Confidentiality) => confidentiality(code),
        Some(System::Sensitivity) => sensitivity(code),
        Some(System::Snomed) if SNOMED.contains(&code) => Label::Restricted,
        Some(System::Loinc) if LOINC.contains(&code) => Label::Restricted,
        Some(System::Icd10) => icd10(code),
        _ => Label::Normal,
    }
}

/// The level that an author set (v3 Confidentiality): U, L, M and N are normal here.
pub(crate) fn confidentiality(code: &str) -> Label {
    match code {
        "R" => Label::Restricted,
        "V" => Label::VeryRestricted,
        _ => Label::Normal,
    }
}

/// Sensitivity marks (v3 ActCode, value set InformationSensitivityPolicy).
fn sensitivity(code: &str) -> Label {
    match code {
        // Psychotherapy notes; sexual assault, abuse and domestic violence; violence; taboo; celebrity.
        "PSYTHPN" | "SDV" | "VIO" | "TBOO" | "CEL" | "VIP" => Label::VeryRestricted,
        // Behavioural and mental health, substance use, HIV, sexuality, infections, genetic disease, by law.
        "BH" | "MH" | "PSY" | "EMOTDIS" | "ETH" | "ETHUD" | "ALC" | "OPIOIDUD" | "SUD" | "HIV" | "SEX"
        | "STD" | "GDIS" | "42CFRPart2" => Label::Restricted,
        _ => Label::Normal,
    }
}

/// SNOMED CT concepts.
const SNOMED: [&str; 55] = [
    // HIV: infection, AIDS, positive test, acute and asymptomatic infection.
    "86406008",
    "62479008",
    "165816005",
    "111880001",
    "91947003",
    "91948008",
    // Psychiatry: mental disorder, depressive disorders, bipolar, schizophrenia, psychosis, anxiety, panic, PTSD,
    // obsessive-compulsive, eating disorders, personality disorder, suicide attempt and ideation, self-harm.
    "74732009",
    "35489007",
    "370143000",
    "36923009",
    "66344007",
    "310496002",
    "13746004",
    "58214004",
    "69322001",
    "197480006",
    "21897009",
    "80583007",
    "371631005",
    "47505003",
    "191736004",
    "1376001",
    "72366004",
    "56882008",
    "78004001",
    "33449004",
    "20010003",
    "82313006",
    "6471006",
    "248062006",
    // Substance use: alcohol, opioid, cocaine, cannabis and other dependence and abuse, overdose, treatment.
    "7200002",
    "66590003",
    "15167005",
    "5602001",
    "75544000",
    "31956009",
    "85005007",
    "191816009",
    "26416006",
    "6525002",
    "66214007",
    "55680006",
    "1149222004",
    "56876005",
    "266707007",
    // Sexual health: sexually transmitted infection, syphilis, gonorrhoea, chlamydia; induced abortion, the
    // counselling before and the care after it.
    "8098009",
    "76272004",
    "15628003",
    "240589008",
    "18391007",
    "57797005",
    "714812005",
    "10383002",
    "386394001",
    "5880005",
];

/// LOINC tests and document types.
const LOINC: [&str; 18] = [
    // HIV 1 and 2: antibodies, antigen and antibodies, confirmation, RNA, status.
    "75622-1", "7917-8", "7918-6", "29893-5", "5221-7", "20447-9", "25836-8", "56888-1", "48345-3", "31201-7",
    "55277-8", // Syphilis, gonorrhoea, chlamydia.
    "5292-8", "20507-0", "24111-7", "21613-7",
    // Psychiatry consult, progress and plain notes.
    "34788-0", "28627-0", "34790-6",
];

/// ICD-10 and its national forms, by chapter: HIV B20-B24, Z21, R75; substance use F10-F19 without tobacco F17;
/// psychiatry F20-F69 and F90-F99; sexually transmitted A50-A64; induced abortion O04, Z33.2; intentional self-harm
/// X60-X84. Organic disorders and disorders of development, F00-F09 and F70-F89, are left out: who treats in an
/// emergency must know of them, and they show.
fn icd10(code: &str) -> Label {
    let number = |range: std::ops::Range<usize>| code.get(range).and_then(|digits| digits.parse::<u8>().ok());
    let restricted = match (code.chars().next(), number(1..3)) {
        (Some('B'), Some(20..=24)) | (Some('Z'), Some(21)) | (Some('R'), Some(75)) => true,
        (Some('F'), Some(category)) => matches!(category, 10..=16 | 18..=69 | 90..=99),
        (Some('A'), Some(50..=64)) | (Some('X'), Some(60..=84)) | (Some('O'), Some(4)) => true,
        _ => code.starts_with("Z33.2"),
    };
    if restricted { Label::Restricted } else { Label::Normal }
}

/// Resources whose codes say nothing of the patient's own health, or say it a second time.
const UNREAD: [&str; 6] =
    ["Claim", "ExplanationOfBenefit", "Coverage", "FamilyMemberHistory", "Practitioner", "Organization"];

/// The greatest label that any coded value of a FHIR resource, or of all entries of a bundle, proposes.
///
/// The nesting of the value is bounded by its parser.
pub(crate) fn of_resource(value: &Value) -> Label {
    match value {
        Value::Array(items) => items.iter().map(of_resource).max().unwrap_or(Label::Normal),
        Value::Object(fields) => {
            let kind = fields.get("resourceType").and_then(Value::as_str).unwrap_or_default();
            if UNREAD.contains(&kind) || is_void(value) {
                return Label::Normal;
            }
            let text = |key: &str| fields.get(key).and_then(Value::as_str);
            let own = match (text("system"), text("code")) {
                (Some(system), Some(code)) => of_code(system, code),
                _ => Label::Normal,
            };
            let marked = text("confidentiality").map_or(Label::Normal, confidentiality);
            fields.values().map(of_resource).max().unwrap_or(Label::Normal).max(own).max(marked)
        }
        _ => Label::Normal,
    }
}

/// Whether a resource was withdrawn by its author, or states that the condition was ruled out.
pub(crate) fn is_void(resource: &Value) -> bool {
    let void = |code: &str| matches!(code, "entered-in-error" | "refuted" | "not-done" | "cancelled");
    if resource.get("status").and_then(Value::as_str).is_some_and(void) {
        return true;
    }
    let verification = resource.pointer("/verificationStatus/coding").and_then(Value::as_array);
    verification.is_some_and(|codings| {
        codings.iter().any(|coding| coding.get("code").and_then(Value::as_str).is_some_and(void))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_greatest_label_of_a_bundle_wins() {
        let condition = |code: &str| {
            json!({"resourceType": "Condition", "code": {"coding": [
            {"system": "http://snomed.info/sct", "code": code}]}})
        };
        let plain = json!({"entry": [{"resource": condition("38341003")}]});
        assert_eq!(of_resource(&plain), Label::Normal, "hypertension is nothing special");
        let hiv =
            json!({"entry": [{"resource": condition("38341003")}, {"resource": condition("86406008")}]});
        assert_eq!(of_resource(&hiv), Label::Restricted, "one restricted diagnosis restricts the chart");
        let marked = json!({"meta": {"security": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}});
        assert_eq!(of_resource(&marked), Label::VeryRestricted, "what the author marked counts most");
    }

    #[test]
    fn ruled_out_diagnoses_and_bills_restrict_nothing() {
        let code = json!({"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "F33.1"}]});
        let confirmed = json!({"resourceType": "Condition", "code": code});
        assert_eq!(of_resource(&confirmed), Label::Restricted, "a depression is restricted");
        let refuted = json!({"resourceType": "Condition", "code": code,
            "verificationStatus": {"coding": [{"code": "refuted"}]}});
        assert_eq!(of_resource(&refuted), Label::Normal, "the same diagnosis ruled out is not");
        let relative = json!({"resourceType": "FamilyMemberHistory", "condition": [{"code": code}]});
        assert_eq!(of_resource(&relative), Label::Normal, "a relative's disease is not the patient's");
    }

    #[test]
    fn icd_chapters_are_told_apart() {
        let label = |code| of_code("http://hl7.org/fhir/sid/icd-10", code);
        for code in ["B20", "F32.9", "A51.0", "F11.1", "X64", "Z21", "O04.1", "Z33.2"] {
            assert_eq!(label(code), Label::Restricted, "{code}");
        }
        for code in ["F17.2", "F03", "F84.0", "B25", "J18.9", "I10", "F", "\u{e9}\u{e9}\u{e9}"] {
            assert_eq!(label(code), Label::Normal, "{code}");
        }
    }
}
