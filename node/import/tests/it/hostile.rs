//! Damaged and hostile files are refused or read, and never bring the program down.
//!
//! Method: every sample cut at many places, bytes changed at random, and files made to explode a careless reader.
//! Replay a random failure with the seed that proptest prints and keeps beside this file.

use crate::{CCD, CT, IPS, PDF, RT_DOSE, RT_STRUCT, SYNTHEA, UNSTRUCTURED, sample};
use hospes_import::{ImportError, embedded_documents, emergency_summary, inspect};
use proptest::prelude::*;

const ALL: [&str; 8] = [SYNTHEA, IPS, CT, RT_DOSE, RT_STRUCT, CCD, UNSTRUCTURED, PDF];

/// Everything that takes bytes.
fn feed(bytes: &[u8]) {
    let _ = inspect(bytes, None);
    let _ = emergency_summary(bytes);
    let _ = embedded_documents(bytes);
}

#[test]
fn cut_files_are_refused_as_cut() {
    for path in [SYNTHEA, IPS, CCD, UNSTRUCTURED, PDF] {
        let whole = sample(path);
        assert!(inspect(&whole, Some(path)).is_ok(), "{path} is whole");
        for part in 1..20 {
            let cut = &whole[..whole.len() * part / 20];
            assert!(inspect(cut, Some(path)).is_err(), "{path} cut at {part}/20 is refused");
            feed(cut);
        }
    }
    let json = inspect(&sample(SYNTHEA)[..1000], None);
    assert!(matches!(json, Err(ImportError::JsonTruncated { .. })), "JSON says that it is cut: {json:?}");
    let pdf = inspect(&sample(PDF)[..100_000], None);
    assert_eq!(pdf, Err(ImportError::PdfTruncated), "and so does PDF");
}

#[test]
fn cut_images_are_refused_even_inside_the_pixels() {
    for path in [CT, RT_DOSE] {
        let whole = sample(path);
        assert!(inspect(&whole, Some(path)).is_ok(), "{path} is whole");
        let cut = inspect(&whole[..whole.len() - 200], Some(path));
        assert!(matches!(cut, Err(ImportError::Dicom { .. })), "{path} without its last bytes: {cut:?}");
        for part in 1..60 {
            feed(&whole[..whole.len() * part / 60]);
        }
    }
}

#[test]
fn garbage_called_dicom_is_refused_as_such() {
    let garbage: Vec<u8> = (0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let refused = inspect(&garbage, Some("scan.dcm"));
    assert_eq!(
        refused,
        Err(ImportError::WrongExtension { extension: "dcm", expected: "DICOM" }),
        "it isn't DICOM"
    );
    let mut headed = vec![0; 128];
    headed.extend(b"DICM");
    assert_eq!(inspect(&headed, Some("scan.dcm")), Err(ImportError::NotDicom), "a header alone is no image");
    headed.extend(garbage);
    assert!(inspect(&headed, Some("scan.dcm")).is_err(), "garbage behind a header is refused");
}

#[test]
fn deflated_data_sets_are_refused_by_name() {
    let mut deflated = sample(RT_DOSE);
    let implicit = b"1.2.840.10008.1.2\0";
    let place = deflated.windows(implicit.len()).position(|window| window == implicit).unwrap();
    deflated[place - 2] = 22;
    deflated.splice(place..place + implicit.len(), *b"1.2.840.10008.1.2.1.99");
    assert_eq!(inspect(&deflated, None), Err(ImportError::DicomDeflated), "nothing is inflated");
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        format!("{{\"resourceType\":\"Basic\",\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
    };
    assert!(inspect(nested(100).as_bytes(), None).is_ok(), "a hundred levels are read");
    let deep = inspect(nested(100_000).as_bytes(), None);
    assert!(matches!(deep, Err(ImportError::JsonTooDeep { .. })), "a hundred thousand are not: {deep:?}");
    let xml = format!(
        "<ClinicalDocument xmlns=\"urn:hl7-org:v3\">{}{}</ClinicalDocument>",
        "<a>".repeat(200_000),
        "</a>".repeat(200_000)
    );
    assert!(inspect(xml.as_bytes(), None).is_ok(), "deep XML is read without recursion");
}

#[test]
fn numbers_beyond_a_double_are_refused() {
    let number = |digits: &str| format!("{{\"resourceType\":\"Observation\",\"valueInteger\":{digits}}}");
    assert!(inspect(number("12").as_bytes(), None).is_ok(), "a number is read");
    let huge = inspect(number("1e999999").as_bytes(), None);
    assert!(
        matches!(huge, Err(ImportError::Json { line: 1, .. })),
        "a number without a value is refused: {huge:?}"
    );
    assert!(
        inspect(number(&"9".repeat(300)).as_bytes(), None).is_ok(),
        "three hundred digits still have one"
    );
}

#[test]
fn structured_files_have_a_limit() {
    let mut large = b"{\"resourceType\":\"Basic\"}".to_vec();
    large.resize(64 * 1024 * 1024 + 1, b' ');
    let refused = inspect(&large, None);
    assert!(matches!(refused, Err(ImportError::TooLarge { .. })), "64 MiB and a byte: {refused:?}");
    large.truncate(1024 * 1024);
    assert!(inspect(&large, None).is_ok(), "a megabyte is read");
}

#[test]
fn one_long_name_does_not_multiply() {
    let name = "n".repeat(100_000);
    let claim = format!(
        "{{\"fullUrl\":\"urn:uuid:c\",\"resource\":{{\"resourceType\":\"Claim\",\"type\":{{\"text\":\"{name}\"}}}}}}"
    );
    let patient = "{\"fullUrl\":\"urn:uuid:p\",\"resource\":{\"resourceType\":\"Patient\",\"id\":\"p\"}}";
    let evidence = vec!["{\"reference\":\"urn:uuid:c\"}"; 5_000].join(",");
    let condition = format!(
        "{{\"resource\":{{\"resourceType\":\"Condition\",\"subject\":{{\"reference\":\"urn:uuid:p\"}},\"recordedDate\":\"2020\",\"evidence\":[{{\"detail\":[{evidence}]}}]}}}}"
    );
    let bundle = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{patient},{claim},{condition}]}}"
    );
    let summary = emergency_summary(bundle.as_bytes()).unwrap().unwrap();
    assert!(summary.len() < 12 * bundle.len(), "{} bytes became {}", bundle.len(), summary.len());
}

#[test]
fn files_made_of_one_thing_only_do_not_stall() {
    let reference = "{\"fullUrl\":\"urn:uuid:a\",\"resource\":{\"resourceType\":\"Condition\",\"subject\":{\"reference\":\"Patient?identifier=a|b\"}}}";
    let entries = vec![reference; 20_000].join(",");
    feed(
        format!("{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{entries}]}}").as_bytes(),
    );
    let patients: Vec<String> = (0..20_000)
        .map(|n| {
            format!("{{\"resource\":{{\"resourceType\":\"Patient\",\"name\":[{{\"family\":\"{n}\"}}]}}}}")
        })
        .collect();
    let crowd =
        format!("{{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{}]}}", patients.join(","));
    let found = inspect(crowd.as_bytes(), None).unwrap();
    assert!(found.patient().is_err(), "a crowd is no patient");
    let negated = "<value code=\"86406008\" codeSystem=\"2.16.840.1.113883.6.96\" negationInd=\"true\"/>"
        .repeat(20_000);
    feed(format!("<ClinicalDocument xmlns=\"urn:hl7-org:v3\">{negated}</ClinicalDocument>").as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn changed_bytes_never_bring_the_program_down(
        file in 1..ALL.len(),
        header in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut bytes = sample(ALL[file]);
        // Headers decide most, so half of the cases change the first kilobyte only.
        let reach = if header { bytes.len().min(1024) } else { bytes.len() };
        for (place, value) in changes {
            bytes[place.index(reach)] = value;
        }
        feed(&bytes);
    }

    #[test]
    fn arbitrary_bytes_never_bring_the_program_down(
        start in prop::sample::select(vec![&b""[..], b"{", b"<", b"%PDF-", b"\x08\0\x05\0CS", b"\x08\0\x05\0\x04\0\0\0"]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        feed(&[start, &rest].concat());
    }
}
