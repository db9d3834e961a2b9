//! The languages that patients read: messages by key from the Fluent files in `assets/texts`, which are built in.
//!
//! What is shown is what is signed, so what is returned is the whole text, byte by byte. Dates stay ISO 8601
//! (2026-03-01): nobody in any of the six languages can take day for month. A name keeps its own direction: where
//! it could turn what stands around it (an Arabic text, or an Arabic name in another), it stands between FSI and PDI
//! (UAX 9), which are part of the text and of its hash; marks that it brings along are dropped. Fluent's own isolation
//! is off, because it would put the marks around every word of every language. Nothing here knows what is signed.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

type Bundle = FluentBundle<FluentResource>;

/// Shown until this day where a time has no day.
const NO_END: &str = "no-end";

/// A language that is spoken at taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// en
    English,
    /// de
    German,
    /// fr
    French,
    /// es
    Spanish,
    /// ar, from right to left
    Arabic,
    /// zh-Hant
    TraditionalChinese,
}

/// A value in a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// From outside: a name, a title, a date.
    Name(&'a str),
    /// Words of the same language, made here.
    Words(&'a str),
    /// What a message chooses a form by.
    Form(&'static str),
    /// A number.
    Count(u8),
}

static BUNDLES: LazyLock<Vec<Bundle>> = LazyLock::new(|| Language::ALL.map(bundle).into());

/// The messages of a language. A message that can't be read is missing; a test reads them all.
fn bundle(language: Language) -> Bundle {
    let tag = language.tag().parse::<LanguageIdentifier>().unwrap_or_default();
    let mut bundle = Bundle::new_concurrent(vec![tag]);
    bundle.set_use_isolating(false);
    let resource = FluentResource::try_new(language.source().to_owned());
    let resource = resource.unwrap_or_else(|(readable, _errors)| readable);
    bundle.add_resource_overriding(resource);
    bundle
}

impl Language {
    /// All of them, English first.
    pub(crate) const ALL: [Self; 6] =
        [Self::English, Self::German, Self::French, Self::Spanish, Self::Arabic, Self::TraditionalChinese];

    /// The BCP 47 tag, which is signed beside the text.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Arabic => "ar",
            Self::TraditionalChinese => "zh-Hant",
        }
    }

    /// The language that is spoken to someone with this tag: English where theirs is not spoken.
    pub(crate) fn of(tag: &str) -> Self {
        let Ok(asked) = tag.parse::<LanguageIdentifier>() else { return Self::English };
        let script = asked.script.map(|script| script.as_str().to_owned());
        let region = asked.region.map(|region| region.as_str().to_owned());
        match asked.language.as_str() {
            "de" => Self::German,
            "fr" => Self::French,
            "es" => Self::Spanish,
            "ar" => Self::Arabic,
            "zh" if is_traditional(script.as_deref(), region.as_deref()) => Self::TraditionalChinese,
            _ => Self::English,
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("../../assets/texts/en.ftl"),
            Self::German => include_str!("../../assets/texts/de.ftl"),
            Self::French => include_str!("../../assets/texts/fr.ftl"),
            Self::Spanish => include_str!("../../assets/texts/es.ftl"),
            Self::Arabic => include_str!("../../assets/texts/ar.ftl"),
            Self::TraditionalChinese => include_str!("../../assets/texts/zh-Hant.ftl"),
        }
    }

    fn bundle(self) -> Option<&'static Bundle> {
        let place = Self::ALL.iter().position(|language| *language == self)?;
        BUNDLES.get(place)
    }

    /// Whether there is such a message.
    pub(super) fn has(self, key: &str) -> bool {
        self.bundle().is_some_and(|bundle| bundle.has_message(key))
    }

    /// A message with its values.
    pub(super) fn say(self, key: &str, values: &[(&'static str, Value<'_>)]) -> String {
        let args: FluentArgs<'_> = values.iter().map(|(name, value)| (*name, self.value(*value))).collect();
        let Some(bundle) = self.bundle() else { return String::new() };
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            return String::new();
        };
        // A value that is missing shows as its name in braces; a test fills every message.
        let mut errors = Vec::new();
        bundle.format_pattern(pattern, Some(&args), &mut errors).into_owned()
    }

    fn value<'a>(self, value: Value<'a>) -> FluentValue<'a> {
        match value {
            Value::Name(name) => self.name(name).into(),
            Value::Words(words) => words.into(),
            Value::Form(form) => form.into(),
            Value::Count(count) => count.into(),
        }
    }

    /// A name from outside as it may stand in a text: it can neither break lines nor turn what stands around it.
    pub(super) fn name(self, name: &str) -> String {
        let clean: String = name.chars().map(|c| if is_harmful(c) { ' ' } else { c }).collect();
        if self == Self::Arabic || clean.chars().any(is_right_to_left) {
            format!("\u{2068}{clean}\u{2069}")
        } else {
            clean
        }
    }

    /// Words one after another, as the language lists them.
    pub(super) fn list(self, items: &[String]) -> String {
        let Some((last, before)) = items.split_last() else { return String::new() };
        if before.is_empty() {
            return last.clone();
        }
        format!("{}{}{last}", before.join(&self.say("list-between", &[])), self.say("list-last", &[]))
    }

    /// Sentences one after another.
    pub(super) fn sentences(self, sentences: &[String]) -> String {
        // Chinese sentences end in a full-width stop, which brings its own space.
        sentences.join(if self == Self::TraditionalChinese { "" } else { " " })
    }

    /// The day of a time in milliseconds since 1970 UTC, `YYYY-MM-DD`.
    pub(super) fn day(self, at_ms: u64) -> String {
        let day = super::text::day(at_ms);
        day.map_or_else(|| self.say(NO_END, &[]), |day| self.name(&day))
    }
}

/// Whether Chinese is written in the traditional script (Unicode's likely subtags: Taiwan, Hong Kong, Macao).
fn is_traditional(script: Option<&str>, region: Option<&str>) -> bool {
    match script {
        Some(script) => script == "Hant",
        None => matches!(region, Some("TW" | "HK" | "MO")),
    }
}

/// What could break a line or turn the direction of what follows.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The blocks of scripts that run from right to left (Unicode: Hebrew to Arabic Extended-A, presentation forms, and
/// those of the supplementary plane).
fn is_right_to_left(c: char) -> bool {
    matches!(c,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests;
