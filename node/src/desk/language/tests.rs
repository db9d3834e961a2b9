//! Files that are whole in every language, tags, names that keep to themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Plural categories (Unicode CLDR), which each language has its own of.
const PLURALS: [&str; 6] = ["zero", "one", "two", "few", "many", "other"];

/// The arguments and the forms to choose from of each message of a file.
fn arguments(source: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut key = "";
    for line in source.lines().filter(|line| !line.starts_with('#')) {
        if let Some((begun, _)) = line.split_once(" = ").filter(|_| !line.starts_with([' ', '}'])) {
            key = begun;
            all.entry(key).or_default();
        }
        let found = all.entry(key).or_default();
        let names = line.split('$').skip(1).filter_map(|rest| rest.split([' ', '}']).next());
        found.extend(names);
        let form =
            line.trim_start().trim_start_matches('*').strip_prefix('[').and_then(|f| f.split_once(']'));
        found.extend(form.map(|(form, _)| form).filter(|form| !PLURALS.contains(form)));
    }
    all.retain(|key, _| !key.is_empty());
    all
}

/// What a file lacks, or has beyond the English one.
fn differences(source: &str) -> Vec<String> {
    let (english, other) = (arguments(Language::English.source()), arguments(source));
    let keys: BTreeSet<_> = english.keys().chain(other.keys()).collect();
    keys.into_iter()
        .filter(|key| english.get(**key) != other.get(**key))
        .map(|key| format!("{key}: {:?}, in English {:?}", other.get(*key), english.get(*key)))
        .collect()
}

#[test]
fn every_language_has_every_message_with_the_same_arguments_and_forms() {
    assert!(arguments(Language::English.source()).len() > 50, "the messages are found");
    for language in Language::ALL {
        assert_eq!(differences(language.source()), Vec::<String>::new(), "{}", language.tag());
    }
    // The check sees what it is for: a message that went, an argument that went, a form that went.
    let german = Language::German.source();
    for (whole, broken) in
        [("take-back = ", "take-bock = "), ("{ $until }", "{ $from }"), ("    [write] ", "    [wrote] ")]
    {
        let damaged = german.replacen(whole, broken, 1);
        assert!(!differences(&damaged).is_empty(), "{whole} is missed");
    }
}

#[test]
fn every_file_reads_without_an_error() {
    for language in Language::ALL {
        let read = FluentResource::try_new(language.source().to_owned());
        let errors = read.as_ref().err().map(|(_, errors)| errors);
        assert_eq!(errors, None, "{} reads", language.tag());
        let mut bundle = Bundle::new_concurrent(Vec::new());
        assert_eq!(bundle.add_resource(read.unwrap()), Ok(()), "{} has no message twice", language.tag());
    }
    let broken = FluentResource::try_new("sign-in = { $organization".to_owned());
    assert!(broken.is_err(), "a broken one is seen");
}

#[test]
fn someone_whose_language_is_not_spoken_reads_english() {
    let spoken = [
        ("de", "de"),
        ("de-AT", "de"),
        ("fr-CA", "fr"),
        ("es-419", "es"),
        ("ar-EG", "ar"),
        ("zh-Hant", "zh-Hant"),
        ("zh-TW", "zh-Hant"),
        ("zh-Hant-HK", "zh-Hant"),
        ("en-GB", "en"),
        ("zh-Hans", "en"),
        ("zh", "en"),
        ("tlh", "en"),
        ("", "en"),
        ("not a tag", "en"),
    ];
    for (asked, given) in spoken {
        assert_eq!(Language::of(asked).tag(), given, "for {asked}");
    }
    assert!(Language::ALL.iter().all(|l| Language::of(l.tag()) == *l), "each is found by its own tag");
}

#[test]
fn a_name_can_neither_break_a_line_nor_turn_what_stands_around_it() {
    let (english, arabic) = (Language::English, Language::Arabic);
    assert_eq!(english.name("Green Hill"), "Green Hill", "as it is");
    assert_eq!(english.name("A\u{202e}B\nC\u{2069}"), "A B C ", "marks and lines are dropped");
    assert_eq!(english.name("مستشفى"), "\u{2068}مستشفى\u{2069}", "an Arabic name keeps to itself");
    assert_eq!(arabic.name("Green Hill"), "\u{2068}Green Hill\u{2069}", "and so does a Latin one in Arabic");
    // 2026-03-01 alone would be turned into 01-03-2026 behind Arabic letters (UAX 9, W2 and W4).
    assert_eq!(arabic.day(1_772_323_200_000), "\u{2068}2026-03-01\u{2069}", "a day in Arabic");
    assert_eq!(english.day(1_772_323_200_000), "2026-03-01", "and elsewhere");
    assert_eq!(english.day(u64::MAX), "further notice", "a time without a day");
    let said = english.say("sign-in", &[("organization", Value::Name("{ $pin } -x"))]);
    assert!(said.starts_with("Sign in at { $pin } -x."), "braces of a name are no argument: {said}");
}

#[test]
fn words_are_listed_as_each_language_does() {
    let items = ["1".to_owned(), "2".to_owned(), "3".to_owned()];
    let lists = Language::ALL.map(|language| language.list(&items));
    assert_eq!(lists, ["1, 2 and 3", "1, 2 und 3", "1, 2 et 3", "1, 2 y 3", "1، 2 و3", "1、2和3"], "three");
    assert_eq!(Language::German.list(&items[..1]), "1", "one");
    assert_eq!(Language::German.list(&[]), "", "none");
}
