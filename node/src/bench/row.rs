//! One line of the result, and why there may be none.

use serde::Serialize;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// A stable name.
    pub(crate) id: String,
    /// Our figure.
    pub(crate) ours: f64,
    /// The other side's figure, or the limit.
    pub(crate) other: f64,
    /// The unit of both.
    pub(crate) unit: String,
    /// Ours by the other's.
    pub(crate) ratio: f64,
    /// What the ratio must reach: at least, or at most.
    pub(crate) goal: String,
    /// Whether it does.
    pub(crate) met: bool,
    /// Why nothing was measured, where the other side is not on this machine; the figures are null then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) absent: Option<String>,
}

/// Which way a ratio is good.
pub(crate) enum Goal {
    /// The ratio reaches this.
    AtLeast(f64),
    /// The ratio stays at or below this.
    AtMost(f64),
}

impl Row {
    /// A row; `other` is what was measured beside it in the same run, or a limit.
    pub(crate) fn new(id: &str, ours: f64, other: f64, unit: &str, goal: &Goal) -> Self {
        let ratio = ours / other;
        let (goal, met) = match goal {
            Goal::AtLeast(limit) => (format!(">= {limit}"), ratio >= *limit),
            Goal::AtMost(limit) => (format!("<= {limit}"), ratio <= *limit),
        };
        Self { id: id.into(), ours, other, unit: unit.into(), ratio, goal, met, absent: None }
    }

    /// A row whose other side is not on this machine: no miss, and no success either.
    pub(super) fn absent(id: &str, why: impl Into<String>) -> Self {
        let (id, unit, goal) = (id.into(), String::new(), String::new());
        let nothing = f64::NAN;
        Self {
            id,
            ours: nothing,
            other: nothing,
            unit,
            ratio: nothing,
            goal,
            met: false,
            absent: Some(why.into()),
        }
    }

    /// Whether its goal was missed.
    pub(crate) fn is_missed(&self) -> bool {
        !self.met && self.absent.is_none()
    }
}

/// A bench could not run.
#[derive(Debug, thiserror::Error)]
#[error("bench {bench}: {why}")]
pub(crate) struct Failed {
    bench: &'static str,
    why: String,
}

impl Failed {
    pub(super) fn in_bench(self, bench: &'static str) -> Self {
        Self { bench, ..self }
    }
}

/// Any error ends a bench; it says why.
pub(crate) fn failed(why: impl std::fmt::Display) -> Failed {
    Failed { bench: "", why: why.to_string() }
}

/// The value below which a share of the sorted values lies; zero for none.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a short list")]
    #[allow(clippy::cast_precision_loss, reason = "a place in a short list")]
    let at = ((values.len().saturating_sub(1)) as f64 * share).round() as usize;
    values.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_met_on_the_right_side_of_its_goal() {
        assert!(Row::new("a", 5.0, 10.0, "MB/s", &Goal::AtLeast(0.45)).met, "half is at least 0.45");
        assert!(!Row::new("a", 4.0, 10.0, "MB/s", &Goal::AtLeast(0.45)).met, "0.4 is not");
        assert!(!Row::new("a", 11.0, 10.0, "us", &Goal::AtMost(1.0)).met, "above a limit");
    }

    #[test]
    fn a_row_without_another_side_is_neither_missed_nor_met() {
        let row = Row::absent("a", "rsync is not here");
        assert!(!row.is_missed() && !row.met, "nothing was measured");
        let said = serde_json::to_value(&row).unwrap();
        assert!(said["ours"].is_null() && said["absent"] == "rsync is not here", "and it says why: {said}");
        let measured = Row::new("a", 11.0, 10.0, "us", &Goal::AtMost(1.0));
        assert!(measured.is_missed(), "what was measured can be missed");
        assert!(
            serde_json::to_value(&measured).unwrap().get("absent").is_none(),
            "and doesn't say that it is absent"
        );
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let mut values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert!((quantile(&mut values, 0.5) - 3.0).abs() < f64::EPSILON, "the median");
        assert!((quantile(&mut values, 1.0) - 5.0).abs() < f64::EPSILON, "the greatest");
        assert!(quantile(&mut [], 0.5).abs() < f64::EPSILON, "nothing was seen");
    }
}
