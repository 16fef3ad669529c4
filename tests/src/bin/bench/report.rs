//! The table: one row a figure, with its baseline, their ratio and the aim.

use crate::stats::Figure;

/// The head of the table.
pub const HEAD: &str = "\
| figure | GuruRMM | baseline of the same run | ratio | aim | met |
| --- | --- | --- | --- | --- | --- |";

/// What the numbers are.
pub const FOOT: &str = "Each number is the median of the rounds with their minimum and maximum; \
    a ratio is the median of the rounds' ratios.";

/// What a figure is to reach.
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    /// Nothing: the row is there to explain another.
    None,
    /// A ratio of at most this.
    RatioAtMost(f64),
    /// A ratio of at least this.
    RatioAtLeast(f64),
    /// A value of at most this.
    AtMost(f64),
    /// A value of at least this.
    AtLeast(f64),
}

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    what: String,
    unit: &'static str,
    own: Figure,
    baseline: Option<(String, Figure)>,
    aim: Aim,
}

impl Row {
    /// A figure without a baseline.
    pub fn new(what: impl Into<String>, unit: &'static str, own: &Figure) -> Self {
        Self {
            what: what.into(),
            unit,
            own: own.clone(),
            baseline: None,
            aim: Aim::None,
        }
    }

    /// The same beside a baseline.
    pub fn beside(mut self, name: impl Into<String>, baseline: &Figure) -> Self {
        self.baseline = Some((name.into(), baseline.clone()));
        self
    }

    /// The same with an aim.
    pub fn aim(mut self, aim: Aim) -> Self {
        self.aim = aim;
        self
    }

    /// The row as markdown.
    pub fn show(&self) -> String {
        let ratio = self
            .baseline
            .as_ref()
            .map(|(_, baseline)| self.own.ratio_to(baseline));
        let baseline = self
            .baseline
            .as_ref()
            .map_or_else(String::new, |(name, figure)| {
                format!("{name}: {}", figure.show())
            });
        let shown = ratio.as_ref().map_or_else(String::new, Figure::show);
        let (aim, met) = self.judge(ratio.map(|ratio| ratio.median()));
        format!(
            "| {}, {} | {} | {baseline} | {shown} | {aim} | {met} |",
            self.what,
            self.unit,
            self.own.show()
        )
    }

    fn judge(&self, ratio: Option<f64>) -> (String, &'static str) {
        let word = |met| if met { "yes" } else { "**no**" };
        match (self.aim, ratio) {
            (Aim::RatioAtMost(aim), Some(ratio)) => (format!("≤ {aim} ×"), word(ratio <= aim)),
            (Aim::RatioAtLeast(aim), Some(ratio)) => (format!("≥ {aim} ×"), word(ratio >= aim)),
            (Aim::AtMost(aim), _) => (
                format!("≤ {aim} {}", self.unit),
                word(self.own.median() <= aim),
            ),
            (Aim::AtLeast(aim), _) => (
                format!("≥ {aim} {}", self.unit),
                word(self.own.median() >= aim),
            ),
            _ => (String::new(), ""),
        }
    }
}
