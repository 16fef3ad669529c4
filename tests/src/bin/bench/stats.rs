//! Figures: one value a round, told as median with minimum and maximum.

use std::time::Duration;

/// One value a round.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    rounds: Vec<f64>,
}

impl Figure {
    /// Adds a round's value.
    pub fn push(&mut self, value: f64) {
        self.rounds.push(value);
    }

    /// The median of the rounds.
    pub fn median(&self) -> f64 {
        percentile(&self.rounds, 50.0)
    }

    /// The ratio to another figure, round by round.
    pub fn ratio_to(&self, other: &Self) -> Self {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Self {
            rounds: pairs.map(|(own, other)| own / other).collect(),
        }
    }

    /// As `median (min to max)`.
    pub fn show(&self) -> String {
        let min = percentile(&self.rounds, 0.0);
        let max = percentile(&self.rounds, 100.0);
        let median = self.median();
        format!("{} ({} to {})", digits(median), digits(min), digits(max))
    }
}

/// What took how long in one round.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<f64>);

impl Latencies {
    /// Adds a sample.
    pub fn push(&mut self, elapsed: Duration) {
        self.0.push(elapsed.as_secs_f64() * 1e6);
    }

    /// Adds those of another.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// A percentile in microseconds.
    pub fn micros(&self, percent: f64) -> f64 {
        percentile(&self.0, percent)
    }
}

/// The p50 and p99 of every round, in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    /// Medians.
    pub p50: Figure,
    /// 99th percentiles.
    pub p99: Figure,
}

impl Spread {
    /// Adds a round.
    pub fn push(&mut self, round: &Latencies) {
        self.p50.push(round.micros(50.0));
        self.p99.push(round.micros(99.0));
    }
}

/// By linear interpolation between the two nearest values.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index of a short list"
)]
fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = last as f64 * percent / 100.0;
    let (low, high) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    low + (high - low) * place.fract()
}

/// A number with three or more significant digits, thousands apart.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => {
            let whole = format!("{value:.0}");
            let mut text = String::new();
            for (index, digit) in whole.chars().enumerate() {
                if index > 0 && (whole.len() - index) % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
    }
}
