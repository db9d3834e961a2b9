//! What each language says: whole, short, plain, and different where what is signed differs.

use std::collections::BTreeSet;

use hospes_card::PadError;

use super::super::taps::of_keypad;
use super::*;

/// 2026-02-03 and 2026-02-21, the first instant after the period.
const FROM: u64 = 1_770_076_800_000;
const UNTIL: u64 = 1_771_632_000_000;
/// Of a consent to some categories.
const WORDS_MAX: usize = 60;
/// Of the longest text that there is.
const LONGEST_WORDS_MAX: usize = 85;
/// Of one sentence, which may list six categories.
const SENTENCE_WORDS_MAX: usize = 28;
/// Of a Chinese one.
const SENTENCE_CHARACTERS_MAX: usize = 64;

fn consent(language: Language) -> ConsentText {
    ConsentText {
        language,
        grantee: language.name("Green Hill Clinic"),
        categories: vec![Category::Laboratory, Category::Letters],
        titles: Vec::new(),
        label: Label::Normal,
        rights: 1,
        from: FROM,
        until: UNTIL,
        purpose: Purpose::Treatment,
        study: None,
        one_time: false,
        two_signatures: false,
    }
}

fn widest(language: Language) -> ConsentText {
    ConsentText {
        categories: Category::ALL[..6].to_vec(),
        label: Label::VeryRestricted,
        rights: 7,
        purpose: Purpose::PatientRequest,
        study: Some((StudyId([1; 32]), Anonymity::Pseudonymised)),
        one_time: true,
        two_signatures: true,
        ..consent(language)
    }
}

fn change(language: Language, alone: bool) -> Shown {
    let asked = AmendRecord {
        title: Some("Diary".into()),
        category: Some(Category::Laboratory),
        label: Some(Label::Restricted),
    };
    amend_record(language, "City Hospital", ("My diary", Category::Letters), &asked, alone)
}

fn failures() -> Vec<DeskError> {
    let keys = [
        KeyError::Absent,
        KeyError::Removed,
        KeyError::PinNeeded,
        KeyError::WrongPin { tries_left: 5 },
        KeyError::WrongPin { tries_left: 2 },
        KeyError::WrongPin { tries_left: 1 },
        KeyError::PinBlocked,
        KeyError::PukBlocked,
        KeyError::Busy("close it"),
        KeyError::Unsupported("Ed25519"),
        KeyError::Failed("6f00".into()),
    ];
    let mut all: Vec<_> = keys.into_iter().map(DeskError::Key).collect();
    all.extend([DeskError::UnknownCard, DeskError::CardSuspended, DeskError::CardInUse]);
    all.extend([DeskError::TapExpired, DeskError::TapCancelled]);
    all
}

fn emergencies(language: Language) -> Vec<String> {
    let requester = PersonId([1; 32]);
    let usual = || EmergencyNotice {
        requester: &requester,
        state: "over",
        tier: Tier::Full,
        reason: Reason::Unconscious,
        text: "found in the street.",
        review: Some(Outcome::Justified),
    };
    let mut all: Vec<EmergencyNotice<'_>> = Vec::new();
    all.extend(["asked", "lapsed", "open", "over"].map(|state| EmergencyNotice { state, ..usual() }));
    all.extend(REASONS.iter().skip(1).map(|(_, reason)| EmergencyNotice { reason: *reason, ..usual() }));
    all.extend(OUTCOMES.iter().skip(1).map(|(_, found)| EmergencyNotice { review: Some(*found), ..usual() }));
    all.push(EmergencyNotice { review: None, ..usual() });
    all.push(EmergencyNotice { tier: Tier::Summary, text: "", ..usual() });
    let grantee = language.say(
        "grantee-person",
        &[("number", Value::Name("R-1")), ("organization", Value::Name("City Hospital"))],
    );
    all.iter().map(|notice| emergency_of(&grantee, notice, language)).collect()
}

/// Every text that a patient can be shown, with all that can stand in it.
fn everything(language: Language) -> Vec<String> {
    let titles = ["Blood".to_owned(), "X-ray".to_owned()];
    let names = ["City Hospital".to_owned(), "Green Hill Clinic".to_owned()];
    let papers = vec![Some("Blood".to_owned()), None];
    let mut shown: Vec<Shown> =
        (1..=7).map(|rights| ConsentText { rights, ..consent(language) }.shown()).collect();
    shown.extend([
        widest(language).shown(),
        ConsentText { categories: Vec::new(), titles: papers, ..consent(language) }.shown(),
        ConsentText { categories: Category::ALL[..7].to_vec(), ..consent(language) }.shown(),
        ConsentText { until: u64::MAX, ..consent(language) }.shown(),
        sign_in(language, "City Hospital"),
        create_patient(language, "City Hospital"),
        add_records(language, "City Hospital", &[(Category::Imaging, "X-ray".into())]),
        change(language, true),
        change(language, false),
        revoke(language, &names),
        revoke(language, &[]),
        erase(language, &titles, UNTIL, &names),
        erase(language, &[], UNTIL, &names[..1]),
        take_back(language),
        recovery_notice(language, &names, 86_400_000),
        recovery_notice(language, &names[..1], 86_400_000),
        recovery_contest(language),
        recovery_request(language, "City Hospital", UNTIL),
        recovery_finish(language, "City Hospital"),
        named_hospitals(language, &names),
        named_hospitals(language, &[]),
    ]);
    shown.extend(PURPOSES.map(|(_, purpose)| access(language, purpose)));
    shown.extend(
        ANONYMITY.map(|(_, how)| {
            ConsentText { study: Some((StudyId([1; 32]), how)), ..consent(language) }.shown()
        }),
    );
    let mut all: Vec<_> = shown.into_iter().map(|shown| shown.text).collect();
    all.extend(emergencies(language));
    all.extend(failures().iter().map(|error| not_done(language, error)));
    all.push(not_done(language, &DeskError::Random));
    all
}

/// Words; two for three Chinese characters, as translators count.
fn words(language: Language, text: &str) -> usize {
    let is_han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let spaced = text
        .split(|c: char| c.is_whitespace() || (language == Language::TraditionalChinese && !c.is_ascii()));
    let han = text.chars().filter(|c| is_han(*c)).count() * 2 / 3;
    han + spaced.filter(|word| word.chars().any(char::is_alphanumeric)).count()
}

fn sentences(text: &str) -> Vec<&str> {
    let spaced = text.split_inclusive(". ").flat_map(|part| part.split_inclusive(['。', '؟']));
    spaced.map(str::trim).filter(|sentence| !sentence.is_empty()).collect()
}

/// Björnsson's LIX (1968): words per sentence and the share of words over six letters. Newspapers have 45 to 55.
fn lix(text: &str) -> usize {
    let words: Vec<_> = text.split_whitespace().filter(|w| w.chars().any(char::is_alphanumeric)).collect();
    let letters = |word: &&&str| word.chars().filter(|c| c.is_alphabetic()).count() > 6;
    words.len() / sentences(text).len() + 100 * words.iter().filter(letters).count() / words.len()
}

#[test]
fn a_consent_says_who_what_why_how_long_and_how_to_stop() {
    let shown = consent(Language::English).shown();
    assert_eq!(
        shown.text,
        "Green Hill Clinic may read your lab results and letters. Why: treatment. From 2026-02-03 until 2026-02-20. \
         You can stop this any day, at any desk. If you say no, your care goes on.",
        "the whole text"
    );
    let shown = consent(Language::German).shown();
    assert_eq!(
        shown.text,
        "Green Hill Clinic darf Ihre Laborwerte und Briefe lesen. Wofür: Behandlung. Von 2026-02-03 bis 2026-02-20. \
         Sie können das jeden Tag an jedem Schalter beenden. Auch wenn Sie Nein sagen, werden Sie weiter behandelt.",
        "the whole text in German"
    );
    assert_eq!(shown.language, Language::German, "and its language");
}

#[test]
fn no_text_has_an_open_place_or_is_missing_in_any_language() {
    for language in Language::ALL {
        for text in everything(language) {
            assert!(!text.is_empty() && !text.contains(['{', '}', '$']), "{}: {text}", language.tag());
        }
    }
    let unfilled = Language::German.say("sign-in", &[]);
    assert!(unfilled.contains('{'), "a place that is not filled would be seen: {unfilled}");
}

#[test]
fn texts_stay_short_and_plain_in_every_language() {
    for language in Language::ALL {
        let (tag, usual) = (language.tag(), consent(language).shown().text);
        let count = words(language, &usual);
        assert!((20..=WORDS_MAX).contains(&count), "{tag}: {count} words in {usual}");
        for text in everything(language) {
            let count = words(language, &text);
            assert!(count <= LONGEST_WORDS_MAX, "{tag}: {count} words in {text}");
            for sentence in sentences(&text) {
                let (words, characters) = (words(language, sentence), sentence.chars().count());
                let short = match language {
                    Language::TraditionalChinese => characters <= SENTENCE_CHARACTERS_MAX,
                    _ => words <= SENTENCE_WORDS_MAX,
                };
                assert!(short, "{tag}: {words} words, {characters} characters: {sentence}");
            }
        }
    }
    assert_eq!(sentences("One two. Three four.").len(), 2, "sentences are told apart");
    assert_eq!(sentences("一。二。").len(), 2, "in Chinese too");
}

#[test]
fn a_consent_reads_no_harder_than_its_language_allows() {
    // German writes compounds, French and Spanish longer words: what is plain has another number in each.
    for (language, most) in
        [(Language::English, 30), (Language::German, 40), (Language::French, 40), (Language::Spanish, 40)]
    {
        let text = consent(language).shown().text;
        let found = lix(&text);
        assert!(found <= most, "{}: LIX {found} of {text}", language.tag());
    }
    let hard = "The authorisation hereinafter granted encompasses laboratory documentation, correspondence and \
                administrative particulars notwithstanding contradictory stipulations previously communicated.";
    assert!(lix(hard) > 60, "what a lawyer writes is seen as hard");
}

#[test]
fn what_differs_in_a_consent_differs_in_its_text_in_every_language() {
    let changes: [fn(&mut ConsentText); 12] = [
        |c| c.rights = 2,
        |c| c.rights = 3,
        |c| c.rights = 4,
        |c| c.categories = vec![Category::Imaging],
        |c| c.categories = Category::ALL[..7].to_vec(),
        |c| (c.categories, c.titles) = (Vec::new(), vec![Some("Blood".into())]),
        |c| c.label = Label::Restricted,
        |c| c.until += 86_400_000,
        |c| c.purpose = Purpose::Research,
        |c| c.study = Some((StudyId([1; 32]), Anonymity::AsIs)),
        |c| c.one_time = true,
        |c| c.two_signatures = true,
    ];
    for language in Language::ALL {
        let mut seen = std::collections::BTreeSet::from([consent(language).shown().text]);
        for (i, change) in changes.iter().enumerate() {
            let mut other = consent(language);
            change(&mut other);
            assert!(seen.insert(other.shown().text), "{}: change {i} shows", language.tag());
        }
        let study = |how| ConsentText { study: Some((StudyId([1; 32]), how)), ..consent(language) }.shown();
        let anonymity: std::collections::BTreeSet<_> =
            ANONYMITY.iter().map(|(_, a)| study(*a).text).collect();
        assert_eq!(anonymity.len(), 3, "{}: anonymity shows", language.tag());
        let named: std::collections::BTreeSet<_> =
            Category::ALL.iter().map(|c| category(language, *c)).collect();
        assert_eq!(named.len(), 8, "{}: each category has its own name", language.tag());
    }
}

#[test]
fn everything_that_goes_wrong_with_a_card_is_said_in_the_language_of_the_tap() {
    for language in Language::ALL {
        let otherwise = not_done(language, &DeskError::Random);
        let said: std::collections::BTreeSet<_> = failures().iter().map(|e| not_done(language, e)).collect();
        assert_eq!(said.len(), failures().len(), "{}: each has its own words", language.tag());
        assert!(!said.contains(&otherwise), "{}: none is told by the general ones", language.tag());
        if language != Language::English {
            let english = failures().iter().map(|e| not_done(Language::English, e)).collect();
            assert!(said.is_disjoint(&english), "{}: none is English", language.tag());
        }
        let wrong = |tries_left| not_done(language, &KeyError::WrongPin { tries_left }.into());
        assert!(wrong(5).contains('5'), "{}: tries left are told", language.tag());
        assert_eq!(wrong(0), not_done(language, &KeyError::PinBlocked.into()), "none left: it is blocked");
    }
    let arabic = |tries_left| not_done(Language::Arabic, &KeyError::WrongPin { tries_left }.into());
    assert!(arabic(2).contains("محاولتان"), "the dual has no number: {}", arabic(2));
    assert!(arabic(3).contains("3 محاولات") && arabic(11).contains("11 محاولة"), "few and many");
}

#[test]
fn a_patient_reads_of_an_emergency_who_what_why_and_what_a_review_found() {
    let english = emergencies(Language::English);
    assert_eq!(
        english[3],
        "Emergency: The practitioner with register number R-1 of City Hospital could see your whole record, but for \
         private notes. That is over. Why: you were unconscious. In their words: found in the street. A review found: \
         there was an emergency.",
        "all of it"
    );
    for language in Language::ALL {
        let all: std::collections::BTreeSet<_> = emergencies(language).into_iter().collect();
        assert_eq!(all.len(), english.len(), "{}: what differs reads differently", language.tag());
        let foreign = language == Language::English || all.is_disjoint(&english.iter().cloned().collect());
        assert!(foreign, "{}: none is English", language.tag());
    }
}

#[test]
fn a_lost_cards_way_back_is_read_in_each_language() {
    let names = ["City Hospital".to_owned(), "Green Hill Clinic".to_owned()];
    let said = |language| {
        let notice = recovery_notice(language, &names, 86_400_000);
        assert!(names.iter().all(|name| notice.text.contains(name)), "who gives it: {}", notice.text);
        assert!(notice.text.contains("24"), "how long it can be contested: {}", notice.text);
        let request = recovery_request(language, &names[0], UNTIL);
        assert!(request.text.contains("2026-02-21 00:00 UTC"), "until when: {}", request.text);
        [notice, recovery_contest(language), request, recovery_finish(language, &names[0])].map(|shown| {
            assert_eq!(shown.language, language, "what is signed says its language");
            shown.text
        })
    };
    let all: BTreeSet<String> = Language::ALL.into_iter().flat_map(said).collect();
    assert_eq!(all.len(), 4 * Language::ALL.len(), "no two languages and no two acts say the same");
    let english = said(Language::English);
    assert!(
        english[0].starts_with("Notice by City Hospital and Green Hill Clinic, who looked"),
        "{}",
        english[0]
    );
}

#[test]
fn who_cancels_at_a_keypad_or_never_comes_is_told_in_each_language() {
    let mut all = BTreeSet::new();
    for language in Language::ALL {
        for at_pad in [PadError::Cancelled, PadError::TimedOut] {
            let said = not_done(language, &of_keypad(at_pad));
            assert_ne!(said, not_done(language, &DeskError::Random), "it has words of its own: {said}");
            assert!(all.insert(said.clone()), "{}: {said}", language.tag());
        }
        let wrong = PadError::Key(KeyError::WrongPin { tries_left: 2 });
        let typed = not_done(language, &DeskError::Key(KeyError::WrongPin { tries_left: 2 }));
        assert_eq!(
            not_done(language, &of_keypad(wrong)),
            typed,
            "a wrong PIN reads as one that was typed here"
        );
    }
    let english = not_done(Language::English, &of_keypad(PadError::Cancelled));
    assert_eq!(english, "This was cancelled. Nothing has changed.", "what is said");
}
