//! The leak scanner finds an identifying string in every form it can take, and nothing where there is nothing.
//!
//! Method: one string planted at a time into bytes of no meaning, across the borders of reads; real clinical formats in
//! small; packets built by hand. Replay: `cargo test -p hospes-tests scan::`.

use std::path::Path;
use std::process::Command;

use hospes_protocol::entry::{FORMAT, Header, HeaderFields, Kind as EntryKind};
use hospes_protocol::ids::{ContentId, NetworkId, NodeId, OrganizationId, Subject, sha256};
use hospes_protocol::keys::{Signer, SoftwareSigner};
use hospes_tests::scan::encode::{Form, forms};
use hospes_tests::scan::search::{Found, Scanner};
use hospes_tests::scan::{Kind, Needle, Needles, capture, extract};

/// A name with a letter that has a composed and a decomposed spelling, so that no two forms coincide.
const NAME: &str = "Zoë Brönnimann";

fn scanner(kind: Kind, text: &str) -> Scanner {
    Scanner::new(&Needles::from_iter(Needle::new(kind, text))).unwrap()
}

fn search(scanner: &Scanner, text: &[u8]) -> Found {
    scanner.search(text).unwrap()
}

/// Bytes without meaning, the same in every run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

fn planted(at: usize, leak: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = noise(length);
    bytes[at..at + leak.len()].copy_from_slice(leak);
    bytes
}

#[test]
fn each_form_of_a_planted_name_is_found_where_it_stands() {
    let scanner = scanner(Kind::Name, NAME);
    for (form, leak) in forms(NAME) {
        let length = (1 << 20) + 5_000;
        for at in [0, (1 << 20) - 3, length - leak.len()] {
            let found = search(&scanner, &planted(at, &leak, length));
            assert_eq!(found.count, 1, "{form} at {at} is found, and once");
            assert_eq!(
                (found.hits[0].form, found.hits[0].offset),
                (form, at as u64),
                "{form} is named and placed"
            );
            assert_eq!(found.bytes, length as u64, "all bytes were searched");
        }
    }
}

#[test]
fn every_form_is_looked_for() {
    let present: Vec<Form> = forms(NAME).into_iter().map(|(form, _)| form).collect();
    for form in Form::ALL {
        assert!(present.contains(&form), "{form} is among the forms of a name with an accent");
    }
}

#[test]
fn forms_written_by_other_means_are_found() {
    let scanner = scanner(Kind::Identifier, "999-35-2812");
    let leaks: [(&str, &[u8]); 8] = [
        ("base64 of a longer text", b"eyJzc24iOiI5OTktMzUtMjgxMiJ9"),
        ("base64, one byte later", b"IHsic3NuIjoiOTk5LTM1LTI4MTIifQ=="),
        ("base64, two bytes later", b"ICB7InNzbiI6Ijk5OS0zNS0yODEyIn0="),
        ("hex", b"7b3939392d33352d323831327d"),
        ("sha-256 hex", b"id:f3cde3b18a13ff533c17649a927585b98998b2038555a4c3d4946826c501246c"),
        ("sha-256 base64", b"id:883jsYoT/1M8F2SaknWFuYmYsgOFVaTD1JRoJsUBJGw="),
        ("utf-16", b"\xff\xfe9\x009\x009\x00-\x003\x005\x00-\x002\x008\x001\x002\x00"),
        ("in a log line", b"patient 999-35-2812 not found"),
    ];
    for (what, leak) in leaks {
        assert_eq!(search(&scanner, leak).count, 1, "{what}");
    }
}

#[test]
fn noise_and_other_peoples_names_are_no_hits() {
    let scanner = scanner(Kind::Name, NAME);
    assert_eq!(search(&scanner, &noise(1 << 20)).count, 0, "noise holds nothing");
    assert_eq!(
        search(&scanner, "Zoe Bronnimann, Zoë Brönn".as_bytes()).count,
        0,
        "another spelling is another name"
    );
}

#[test]
fn a_code_inside_a_hash_is_chance_and_in_a_text_a_leak() {
    let scanner = scanner(Kind::Code, "313782");
    let hash = b"9f313782ab0cd4e5f60718293a4b5c6d";
    assert_eq!(search(&scanner, hash).count, 0, "six digits inside a hash");
    assert_eq!(search(&scanner, b"t=1773137829123").count, 0, "six digits inside a time in milliseconds");
    assert_eq!(search(&scanner, br#"{"code":"313782"}"#).count, 1, "the code in JSON");
    assert_eq!(search(&scanner, b"\xa1\x64code\x66313782\x64unit\x61g").count, 1, "the code as a CBOR text");
    assert_eq!(search(&scanner, b"333133373832").count, 1, "the code in hexadecimal digits");
}

/// A node's header whose content id is not a hash.
fn header_with(content: [u8; 32]) -> Header {
    let mut node = SoftwareSigner::from_seed(&[1; 32]);
    let fields = HeaderFields {
        format: FORMAT,
        network: NetworkId([2; 32]),
        organization: OrganizationId([3; 32]),
        node: NodeId(node.verifying_key().id().0),
        sequence: 1,
        previous: None,
        kind: EntryKind::Record.code(),
        subject: Some(Subject([4; 32])),
        content: ContentId(content),
        lock: None,
        reveal: Vec::new(),
        signed_at: 1_795_000_000_000,
    };
    Header::sign(fields, &mut node).unwrap()
}

#[test]
fn a_leak_in_a_header_field_is_found() {
    let scanner = scanner(Kind::Name, NAME);
    let mut named = [0; 32];
    named[..NAME.len()].copy_from_slice(NAME.as_bytes());
    for (what, content) in [("the name", named), ("its unsalted hash", sha256(&[NAME.as_bytes()]))] {
        let header = header_with(content);
        assert_eq!(search(&scanner, header.as_bytes()).count, 1, "{what} as a content id");
        let export = data_encoding::HEXLOWER.encode(header.as_bytes());
        assert_eq!(
            search(&scanner, export.as_bytes()).count,
            1,
            "{what} as a content id, exported as digits"
        );
    }
    let salted = header_with(sha256(&[&[5; 32], NAME.as_bytes()]));
    assert_eq!(search(&scanner, salted.as_bytes()).count, 0, "a salted commitment says nothing");
}

/// Runs the program on a folder of input and a folder to search.
fn run_program(input: &Path, searched: &Path, options: &[&str]) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_hospes-scan"))
        .arg("--input")
        .arg(input)
        .args(options)
        .arg("--")
        .arg(searched)
        .output()
        .unwrap();
    (done.status.code(), String::from_utf8(done.stdout).unwrap())
}

#[test]
fn the_program_tells_a_planted_leak_by_its_exit_and_shows_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let (input, searched) = (folder.path().join("input"), folder.path().join("searched/logs"));
    std::fs::create_dir_all(&input).unwrap();
    std::fs::create_dir_all(&searched).unwrap();
    let resource = r#"{"resourceType":"Patient","birthDate":"1951-07-02","name":[{"family":"Betterhalf"}],
                       "maritalStatus":{"coding":[{"code":"87915002"}]}}"#;
    std::fs::write(input.join("patient.json"), resource).unwrap();
    std::fs::write(searched.join("node.log"), "height 7 committed\n").unwrap();

    let (exit, text) = run_program(&input, &searched, &[]);
    assert_eq!(exit, Some(0), "nothing leaked: {text}");
    std::fs::write(searched.join("node.log"), "cannot find Betterhalf, 87915002\n").unwrap();
    let (exit, text) = run_program(&input, &searched, &[]);
    assert_eq!(exit, Some(1), "a planted leak is told by the exit: {text}");
    assert!(text.contains("name ") && text.contains("code "), "kinds are named: {text}");
    assert!(text.contains("at 12 of") && text.contains("node.log"), "so is the place: {text}");
    assert!(
        !text.contains("Betterhalf") && !text.contains("87915002"),
        "what was found is not shown: {text}"
    );
    std::fs::write(searched.join("node.log"), "code 87915002\n").unwrap();
    assert_eq!(run_program(&input, &searched, &[]).0, Some(1), "a code alone is a leak");
    assert_eq!(run_program(&input, &searched, &["--skip-code-list"]).0, Some(0), "unless codes are left out");
    assert_eq!(run_program(&searched, &searched, &[]).0, Some(2), "an input without strings is no scan");
}

#[test]
fn short_and_blank_strings_are_not_searched_for() {
    assert!(Needle::new(Kind::Name, "Ada").is_none(), "three letters occur by chance");
    assert!(Needle::new(Kind::Name, " Ada  ").is_none(), "spaces don't make a name longer");
    assert!(Needle::new(Kind::Name, "李慧").is_some(), "two Chinese characters are a full name");
    for blank in ["Unknown", "PATIENT", "1234567890123", "99999999999"] {
        assert!(Needle::new(Kind::Identifier, blank).is_none(), "{blank} stands for nobody");
        assert!(Needle::new(Kind::Given, blank).is_some(), "unless the caller asks for {blank}");
    }
    assert!(
        Needle::new(Kind::Identifier, "1234568").is_some(),
        "a number that does not just count up is one's own"
    );
}

#[test]
fn a_needle_is_never_shown() {
    let needle = Needle::new(Kind::Name, NAME).unwrap();
    assert!(!format!("{needle:?}").contains("Zo"), "Debug shows kind and hash prefix");
    assert_eq!(needle.tag().len(), 8, "eight hexadecimal digits");
}

fn texts(needles: &Needles) -> Vec<(Kind, &str)> {
    needles.iter().map(|needle| (needle.kind, needle.text())).collect()
}

fn assert_taken(needles: &Needles, expected: &[(Kind, &str)]) {
    for one in expected {
        assert!(
            texts(needles).contains(one),
            "{one:?} is taken out of the file; taken: {:?}",
            texts(needles)
        );
    }
}

#[test]
fn fhir_gives_names_dates_addresses_telecoms_identifiers_and_codes() {
    let needles = extract::needles_of(
        br#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient",
          "identifier":[{"value":"999-35-2812"}],"birthDate":"1951-07-02","telecom":[{"value":"555-118-2201"}],
          "name":[{"family":"Mertz","given":["Val","Ignacio"]}],
          "address":[{"line":["1009 Kling Walk"],"city":"Taunton","postalCode":"02718"}]}},
          {"resource":{"resourceType":"Condition","subject":{"display":"Mx. Mertz"},"code":{"coding":
          [{"code":"363406005","display":"Malignant tumor of colon"},{"code":"laboratory"}]}}}]}"#,
    )
    .unwrap();
    assert_taken(
        &needles,
        &[
            (Kind::Name, "Val Mertz"),
            (Kind::Name, "Ignacio"),
            (Kind::Name, "Mx. Mertz"),
            (Kind::BirthDate, "1951-07-02"),
            (Kind::BirthDate, "19510702"),
            (Kind::Address, "1009 Kling Walk"),
            (Kind::Address, "Taunton"),
            (Kind::Telecom, "555-118-2201"),
            (Kind::Identifier, "999-35-2812"),
            (Kind::Code, "363406005"),
        ],
    );
    let words = texts(&needles);
    assert!(
        !words.iter().any(|(_, text)| text.contains("laboratory") || text.contains("tumor")),
        "no ordinary words"
    );
}

#[test]
fn ccda_gives_the_same_kinds() {
    let needles = extract::needles_of(
        br#"<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><code code="34133-9"/><recordTarget>
          <patientRole><id root="2.16.840.1.113883.19.5" extension="444-33-3333"/><addr><streetAddressLine>2222 Home
          Street</streetAddressLine><city>Beaverton</city></addr><telecom value="tel:+1(555)555-2003"/><patient>
          <name><given>Eve</given><family>Betterhalf</family></name><birthTime value="19750501"/></patient>
          </patientRole></recordTarget></ClinicalDocument>"#,
    )
    .unwrap();
    assert_taken(
        &needles,
        &[
            (Kind::Name, "Eve Betterhalf"),
            (Kind::BirthDate, "1975-05-01"),
            (Kind::Address, "Beaverton"),
            (Kind::Telecom, "+1(555)555-2003"),
            (Kind::Identifier, "444-33-3333"),
            (Kind::Code, "34133-9"),
        ],
    );
    assert!(!texts(&needles).iter().any(|(_, text)| text.starts_with("2.16.840")), "roots are everybody's");
}

/// One element with an explicit VR of two letters and a short length.
fn explicit(tag: [u16; 2], vr: &str, value: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = tag.iter().flat_map(|half| half.to_le_bytes()).collect();
    bytes.extend_from_slice(vr.as_bytes());
    bytes.extend_from_slice(&u16::try_from(value.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(value.as_bytes());
    bytes
}

/// The same with an implicit VR.
fn implicit(tag: [u16; 2], value: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = tag.iter().flat_map(|half| half.to_le_bytes()).collect();
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(value);
    bytes
}

#[test]
fn dicom_gives_the_patient_with_and_without_preamble() {
    let expected = [
        (Kind::Name, "Doe Peter"),
        (Kind::BirthDate, "1960-01-31"),
        (Kind::Identifier, "id00001"),
        (Kind::Identifier, "1.2.826.0.1.3680043.8"),
    ];
    let mut file = vec![0; 128];
    file.extend_from_slice(b"DICM");
    file.extend(explicit([0x0008, 0x0018], "UI", "1.2.826.0.1.3680043.8"));
    file.extend(explicit([0x0010, 0x0010], "PN", "Doe^Peter"));
    file.extend(explicit([0x0010, 0x0020], "LO", "id00001 "));
    file.extend(explicit([0x0010, 0x0030], "DA", "19600131"));
    assert_taken(&extract::needles_of(&file).unwrap(), &expected);

    let nested = implicit([0xfffe, 0xe000], &implicit([0x0010, 0x0020], b"id00001 "));
    let mut bare = implicit([0x0008, 0x0018], b"1.2.826.0.1.3680043.8\0");
    bare.extend(implicit([0x0008, 0x1110], &nested));
    bare.extend(implicit([0x0010, 0x0010], b"Doe^Peter"));
    bare.extend(implicit([0x0010, 0x0030], b"19600131"));
    assert_taken(&extract::needles_of(&bare).unwrap(), &expected);
}

#[test]
fn other_and_damaged_files_are_reported_as_unread() {
    for bytes in [b"%PDF-1.4 Ada Lovelace".as_slice(), b"{\"name\":", b"<a><b></a>", b"", b"DICM"] {
        assert!(extract::needles_of(bytes).is_none(), "{} gives nothing", String::from_utf8_lossy(bytes));
    }
}

/// A packet of TCP over IPv4 over Ethernet as libpcap stores it.
fn packet(from: u16, to: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut tcp = [from.to_be_bytes(), to.to_be_bytes()].concat();
    tcp.extend_from_slice(&sequence.to_be_bytes());
    tcp.extend_from_slice(&[0, 0, 0, 0, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
    tcp.extend_from_slice(payload);
    let total = u16::try_from(20 + tcp.len()).unwrap();
    let mut frame = vec![0; 12];
    frame.extend_from_slice(&[8, 0, 0x45, 0]);
    frame.extend_from_slice(&total.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
    frame.extend_from_slice(&tcp);
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    [[0; 8].as_slice(), &length, &length, &frame].concat()
}

fn recording(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend(packets.concat());
    bytes
}

#[test]
fn a_name_across_two_packets_between_nodes_is_found_and_the_local_api_is_set_apart() {
    let capture = capture::read(&recording(&[
        packet(4001, 4002, 1, b"\x13/multistream/1.0.0\n"),
        packet(4001, 4002, 24, b" Betterhalf"),
        packet(4001, 4002, 21, b"Eve"),
        packet(4001, 4002, 1, b"\x13/multistream/1.0.0\n"),
        packet(5000, 7171, 1, b"GET /api/v1/patients?name=Betterhalf HTTP/1.1\r\n\r\n"),
        packet(7171, 5000, 1, b"HTTP/1.1 200 OK\r\n\r\nEve Betterhalf"),
    ]))
    .unwrap();
    assert_eq!(
        (capture.packets, capture.libp2p, capture.http),
        (6, 1, 2),
        "one direction of libp2p, two of HTTP"
    );
    let scanner = scanner(Kind::Name, "Eve Betterhalf");
    let hits: u64 = capture.between_nodes.iter().map(|payload| search(&scanner, payload).count).sum();
    assert_eq!(hits, 1, "the name in two packets that came out of order is found");
    assert!(capture::read(b"\x0a\x0d\x0d\x0a").is_err(), "another format of capture is refused");
}
