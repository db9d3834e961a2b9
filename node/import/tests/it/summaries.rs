//! The emergency summary lists what is current, tells absence from ignorance, and names nobody else.
//!
//! Method: small charts made for one rule each, and the shipped Synthea chart.

use crate::{CCD, CT, IPS, PDF, SYNTHEA, sample};
use hospes_import::{Category, ImportError, Label, emergency_summary, inspect};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SNOMED: &str = "http://snomed.info/sct";
const LOINC: &str = "http://loinc.org";
const ALLERGIES: &str = "48765-2";
const MEDICATIONS: &str = "10160-0";
const PROBLEMS: &str = "11450-4";

fn concept(system: &str, code: &str, text: &str) -> Value {
    json!({"coding": [{"system": system, "code": code}], "text": text})
}

fn condition(code: &str, text: &str, status: &str) -> Value {
    json!({"resourceType": "Condition", "clinicalStatus": concept("", status, ""), "code": concept(SNOMED, code, text),
        "subject": {"reference": "urn:uuid:ada"}, "onsetDateTime": "2020-05-01"})
}

fn allergy(code: &str, text: &str) -> Value {
    json!({"resourceType": "AllergyIntolerance", "code": concept(SNOMED, code, text),
        "patient": {"reference": "urn:uuid:ada"}, "recordedDate": "2021-02-03"})
}

/// A chart of Ada with the given resources.
fn chart(resources: &[Value]) -> Vec<u8> {
    let ada = json!({"resourceType": "Patient", "name": [{"family": "Byron", "given": ["Ada"]}],
        "birthDate": "1815-12-10", "gender": "female"});
    let mut entries = vec![json!({"fullUrl": "urn:uuid:ada", "resource": ada})];
    entries.extend(resources.iter().enumerate().map(
        |(position, resource)| json!({"fullUrl": format!("urn:uuid:entry-{position}"), "resource": resource}),
    ));
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string().into_bytes()
}

fn summary(resources: &[Value]) -> Value {
    let bytes = emergency_summary(&chart(resources)).unwrap().expect("a chart gives a summary");
    check_document(&bytes);
    serde_json::from_slice(&bytes).unwrap()
}

fn section<'a>(summary: &'a Value, code: &str) -> Option<&'a Value> {
    let sections = summary.pointer("/entry/0/resource/section").and_then(Value::as_array).unwrap();
    sections
        .iter()
        .find(|section| section.pointer("/code/coding/0/code").and_then(Value::as_str) == Some(code))
}

fn empty_code(summary: &Value, code: &str) -> Option<String> {
    let reason = section(summary, code)?.pointer("/emptyReason/coding/0/code")?;
    reason.as_str().map(str::to_owned)
}

fn narrative(summary: &Value, code: &str) -> String {
    section(summary, code).unwrap().pointer("/text/div").and_then(Value::as_str).unwrap().to_owned()
}

fn listed(summary: &Value, code: &str) -> usize {
    section(summary, code).and_then(|section| section["entry"].as_array()).map_or(0, Vec::len)
}

/// Every reference below a value.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(fields) => {
            found.extend(fields.get("reference").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        _ => {}
    }
}

/// What holds for every derived document: it is an IPS, closed in itself, and each section is filled or says why not.
pub(crate) fn check_document(bytes: &[u8]) {
    let document: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(document["type"], "document", "a document bundle");
    let composition = &document["entry"][0]["resource"];
    assert_eq!(composition["resourceType"], "Composition", "which begins with its composition");
    assert_eq!(composition["type"]["coding"][0]["code"], "60591-5", "of a patient summary");
    let entries = document["entry"].as_array().unwrap();
    let urls: BTreeSet<&str> = entries.iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
    assert_eq!(urls.len(), entries.len(), "each entry has an address of its own");
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in found.iter().filter(|reference| !reference.starts_with('#')) {
        assert!(urls.contains(reference.as_str()), "{reference} points into the document");
    }
    for required in [ALLERGIES, MEDICATIONS, PROBLEMS] {
        assert!(section(&document, required).is_some(), "section {required} is required");
    }
    for section in composition["section"].as_array().unwrap() {
        let filled = section.get("entry").is_some();
        assert_ne!(
            filled,
            section.get("emptyReason").is_some(),
            "a section has entries or a reason, never both"
        );
        let div = section["text"]["div"].as_str().unwrap();
        assert!(div.starts_with("<div xmlns=\"http://www.w3.org/1999/xhtml\">"), "narratives are XHTML");
        check_markup(div);
    }
}

/// Tags in a narrative are only those that it is made of; everything else is escaped.
fn check_markup(div: &str) {
    for tag in div.split('<').skip(1) {
        let known = [
            "div xmlns=\"http://www.w3.org/1999/xhtml\">",
            "/div>",
            "ul>",
            "/ul>",
            "li>",
            "/li>",
            "p>",
            "/p>",
        ];
        assert!(known.iter().any(|known| tag.starts_with(known)), "unexpected markup in a narrative");
    }
}

#[test]
fn the_synthea_chart_gives_the_same_summary_every_time() {
    let chart = sample(SYNTHEA);
    let first = emergency_summary(&chart).unwrap().expect("a chart gives a summary");
    check_document(&first);
    assert_eq!(emergency_summary(&chart), Ok(Some(first.clone())), "no clock and no chance goes in");
    let document: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!(document["timestamp"], "2020-09-01T04:38:40Z", "dated by the newest date of care");
    assert_eq!(listed(&document, PROBLEMS), 4, "four problems are active, two are resolved");
    assert_eq!(empty_code(&document, ALLERGIES).as_deref(), Some("unavailable"), "no allergies are recorded");
    let filed = inspect(&first, None).unwrap();
    assert_eq!(filed.category, Category::EmergencySummary, "it is filed as a summary");
    let text = String::from_utf8(first).unwrap();
    assert!(!text.contains("999-35-5867"), "the social security number stays behind");
    assert!(!text.contains("Generated by"), "narratives of the source stay behind");
}

#[test]
fn a_single_changed_byte_gives_other_ids() {
    let chart = chart(&[allergy("1", "Penicillin")]);
    let ids = |bytes: &[u8]| {
        let summary: Value = serde_json::from_slice(&emergency_summary(bytes).unwrap().unwrap()).unwrap();
        summary["id"].as_str().unwrap().to_owned()
    };
    let mut spaced = chart.clone();
    spaced.push(b' ');
    assert_ne!(ids(&chart), ids(&spaced), "ids follow from the bytes");
}

#[test]
fn an_existing_summary_comes_back_byte_for_byte() {
    for path in [IPS, "ips/IPS_IG_bundle-minimal.json", "ips/DE_no_info_with_Advance_Directive.json"] {
        let bytes = sample(path);
        assert_eq!(emergency_summary(&bytes), Ok(Some(bytes.clone())), "{path} is one already");
    }
}

#[test]
fn what_is_no_chart_gives_no_summary() {
    for path in [CCD, CT, PDF] {
        assert_eq!(emergency_summary(&sample(path)), Ok(None), "{path} is not FHIR");
    }
    assert_eq!(emergency_summary(b"{\"a\": 1}"), Ok(None), "JSON that isn't FHIR");
    assert_eq!(
        emergency_summary(b"{\"resourceType\": \"Patient\"}"),
        Ok(None),
        "a single resource is no chart"
    );
    let nothing = chart(&[]);
    assert_eq!(emergency_summary(&nothing), Ok(None), "a patient alone has nothing to summarise");
}

#[test]
fn known_absence_and_ignorance_are_told_apart() {
    let ignorant = summary(&[condition("38341003", "Hypertension", "active")]);
    assert_eq!(empty_code(&ignorant, ALLERGIES).as_deref(), Some("unavailable"), "nothing was recorded");
    assert!(
        narrative(&ignorant, ALLERGIES).contains("not a statement that there are none"),
        "and it says so"
    );

    let negative = summary(&[allergy("716186003", "No known allergy")]);
    assert_eq!(listed(&negative, ALLERGIES), 1, "a recorded absence is an entry");
    assert!(narrative(&negative, ALLERGIES).contains("No known allergy"), "and is readable");

    let reason = |code: &str| {
        json!({"resourceType": "List", "code": concept(LOINC, ALLERGIES, ""),
            "emptyReason": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": code}]}})
    };
    let problem = condition("38341003", "Hypertension", "active");
    let known = summary(&[problem.clone(), reason("nilknown")]);
    assert_eq!(
        empty_code(&known, ALLERGIES).as_deref(),
        Some("nilknown"),
        "somebody asked and there are none"
    );
    assert!(narrative(&known, ALLERGIES).contains("None known"), "and it says so");
    let withheld = summary(&[problem, reason("withheld")]);
    assert_eq!(
        empty_code(&withheld, ALLERGIES).as_deref(),
        Some("withheld"),
        "the source's word is passed on"
    );
}

#[test]
fn resolved_problems_are_not_listed_but_not_denied_either() {
    let resolved = summary(&[condition("10509002", "Bronchitis", "resolved")]);
    assert_eq!(listed(&resolved, PROBLEMS), 0, "a resolved problem isn't listed");
    assert!(
        narrative(&resolved, PROBLEMS).contains("No current entries"),
        "the reader learns that there was one"
    );
    let active = summary(&[condition("10509002", "Bronchitis", "active")]);
    assert_eq!(listed(&active, PROBLEMS), 1, "the same problem, active, is listed");
}

#[test]
fn mistakes_and_refuted_diagnoses_are_left_out() {
    let mut refuted = condition("22298006", "Heart attack", "active");
    refuted["verificationStatus"] = concept("", "refuted", "");
    let mut mistaken = allergy("1", "Penicillin");
    mistaken["verificationStatus"] = concept("", "entered-in-error", "");
    let summary = summary(&[refuted, mistaken, condition("38341003", "Hypertension", "active")]);
    assert_eq!(listed(&summary, PROBLEMS), 1, "what was ruled out is no problem");
    assert_eq!(listed(&summary, ALLERGIES), 0, "what was a mistake is no allergy");
}

#[test]
fn restricted_entries_are_withheld_and_allergies_never() {
    let depression = condition("35489007", "Depression", "active");
    let mut lithium = json!({"resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "medicationCodeableConcept": {"text": "Lithium"}, "subject": {"reference": "urn:uuid:ada"}});
    lithium["reasonReference"] = json!([{"reference": "urn:uuid:entry-0"}]);
    let mut marked = allergy("1", "Latex");
    marked["meta"] = json!({"security": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]});
    marked["extension"] =
        json!([{"valueReference": {"reference": "urn:uuid:entry-0", "display": "Depression"}}]);
    let resources = [depression, lithium, marked];
    let summary = summary(&resources);
    assert_eq!(empty_code(&summary, PROBLEMS).as_deref(), Some("withheld"), "the problem is withheld");
    assert_eq!(
        empty_code(&summary, MEDICATIONS).as_deref(),
        Some("withheld"),
        "and its treatment, which names it"
    );
    assert!(!summary.to_string().contains("Depression"), "its name is nowhere in the document");
    assert!(!summary.to_string().contains("Lithium"), "nor is the treatment's");
    let detail = &summary["entry"].as_array().unwrap().last().unwrap()["resource"];
    assert_eq!(detail["resourceType"], "AllergyIntolerance", "the allergy comes last");
    assert!(detail.get("extension").is_none(), "a pointer to what is withheld is gone, words and all");
    assert_eq!(listed(&summary, ALLERGIES), 1, "an allergy kills faster than it embarrasses");
    let whole = inspect(&chart(&resources), None).unwrap();
    assert_eq!(whole.label, Label::Restricted, "the chart itself is proposed as restricted");
}

#[test]
fn entries_of_another_patient_are_left_out_and_counted() {
    let mut stranger = allergy("1", "Penicillin");
    stranger["patient"] = json!({"reference": "urn:uuid:eve"});
    let mixed = summary(&[stranger.clone(), condition("38341003", "Hypertension", "active")]);
    assert_eq!(listed(&mixed, ALLERGIES), 0, "somebody else's allergy isn't Ada's");
    assert!(narrative(&mixed, ALLERGIES).contains("name another patient or none: 1"), "but it is mentioned");
    let found = inspect(&chart(&[stranger]), None).unwrap();
    assert!(
        found.warnings.iter().any(|warning| warning.contains("doesn't describe")),
        "and warned of at import"
    );
    let own = summary(&[allergy("1", "Penicillin")]);
    assert_eq!(listed(&own, ALLERGIES), 1, "her own is listed");
}

#[test]
fn several_patients_or_no_date_are_refused() {
    let two = json!({"resourceType": "Bundle", "type": "collection", "entry": [
        {"resource": {"resourceType": "Patient", "id": "a", "name": [{"family": "A"}]}},
        {"resource": {"resourceType": "Patient", "id": "b", "name": [{"family": "B"}]}}]});
    let two = two.to_string().into_bytes();
    assert_eq!(emergency_summary(&two), Err(ImportError::SeveralPatients { count: 2 }), "whose would it be?");
    let named = inspect(&two, None).unwrap();
    assert_eq!(named.patient().err(), Some(ImportError::SeveralPatients { count: 2 }), "nor can it be filed");
    let mut undated = allergy("1", "Penicillin");
    undated.as_object_mut().unwrap().remove("recordedDate");
    assert_eq!(emergency_summary(&chart(&[undated])), Err(ImportError::Undated), "a summary must be dated");
}

#[test]
fn text_of_the_source_stays_text() {
    let summary = summary(&[allergy("1", "<script>alert('x')</script> & \"co\"\u{1}")]);
    let narrative = narrative(&summary, ALLERGIES);
    assert!(narrative.contains("&lt;script&gt;"), "markup is shown, not obeyed");
    assert!(!narrative.contains('\u{1}'), "control characters are gone");
}

#[test]
fn medication_and_persons_come_along_and_bills_do_not() {
    let request = json!({"resourceType": "MedicationRequest", "status": "active", "intent": "order",
        "subject": {"reference": "urn:uuid:ada"}, "authoredOn": "2022-03-04",
        "medicationReference": {"reference": "urn:uuid:entry-1"}, "requester": {"reference": "urn:uuid:entry-2"},
        "encounter": {"reference": "urn:uuid:entry-3"},
        "supportingInformation": [{"reference": "urn:uuid:entry-4"}, {"reference": "urn:uuid:nowhere"}],
        "dosageInstruction": [{"text": "1 tablet at night"}]});
    let medication = json!({"resourceType": "Medication", "code": {"text": "Simvastatin 20 mg"}});
    let doctor = json!({"resourceType": "Practitioner", "name": [{"family": "Menabrea"}]});
    let encounter = json!({"resourceType": "Encounter", "status": "finished"});
    let claim = json!({"resourceType": "Claim", "type": {"text": "Invoice"}});
    let summary = summary(&[request, medication, doctor, encounter, claim]);
    let kinds: Vec<&str> = summary["entry"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["resource"]["resourceType"].as_str())
        .collect();
    let expected = ["Composition", "Device", "Patient", "MedicationRequest", "Practitioner", "Medication"];
    assert_eq!(kinds, expected, "medication and prescriber come along, encounter and claim do not");
    let copied = &summary["entry"][3]["resource"];
    assert_eq!(
        copied["supportingInformation"],
        json!([{"display": "Invoice"}]),
        "what stays behind becomes words"
    );
    let narrative = narrative(&summary, MEDICATIONS);
    assert!(narrative.contains("Simvastatin 20 mg (1 tablet at night; 2022-03-04)"), "readable: {narrative}");
}

#[test]
fn devices_directives_pregnancy_and_results_have_their_sections() {
    let subject = json!({"reference": "urn:uuid:ada"});
    let pacemaker = json!({"resourceType": "Device", "status": "active", "patient": subject,
        "type": concept(SNOMED, "14106009", "Cardiac pacemaker")});
    let directive = json!({"resourceType": "Consent", "status": "active", "patient": subject, "dateTime": "2021-09-01",
        "category": [concept("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "dnr", "Do Not Resuscitate")]});
    let observation = |code: &str, text: &str, category: &str, date: &str, value: Value| {
        json!({"resourceType": "Observation", "status": "final", "subject": subject, "effectiveDateTime": date,
            "code": concept(LOINC, code, text), "category": [concept("", category, "")], "valueQuantity": value})
    };
    let glucose = |date: &str, value: f64| {
        observation("2339-0", "Glucose", "laboratory", date, json!({"value": value, "unit": "mg/dL"}))
    };
    let pregnant = json!({"resourceType": "Observation", "status": "final", "subject": subject,
        "effectiveDateTime": "2022-01-01", "code": concept(LOINC, "82810-3", "Pregnancy status"),
        "valueCodeableConcept": {"text": "Pregnant"}});
    let summary = summary(&[
        pacemaker,
        directive,
        pregnant,
        glucose("2020-01-01", 90.0),
        glucose("2021-01-01", 181.937_599_948_740_63),
    ]);
    assert!(narrative(&summary, "46264-8").contains("Cardiac pacemaker"), "the implant is listed");
    let used = summary["entry"]
        .as_array()
        .unwrap()
        .iter()
        .any(|e| e["resource"]["resourceType"] == "DeviceUseStatement");
    assert!(used, "by a statement of use, as the guide demands");
    assert!(narrative(&summary, "42348-3").contains("Do Not Resuscitate"), "the directive is listed");
    assert!(narrative(&summary, "10162-6").contains("Pregnancy status: Pregnant"), "the pregnancy is listed");
    assert_eq!(listed(&summary, "30954-2"), 1, "only the newest of a test");
    assert!(narrative(&summary, "30954-2").contains("181.94 mg/dL"), "rounded for the eye");
    assert!(summary.to_string().contains("181.93759994874063"), "and exact in the entry");
}
