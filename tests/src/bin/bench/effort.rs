//! How much is measured: all of it, or just enough to see that everything works.

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds of every measurement.
    pub rounds: usize,
    /// By how much the samples of a round are divided.
    divisor: usize,
}

impl Effort {
    /// For figures that are to be quoted.
    pub const FULL: Self = Self {
        rounds: 5,
        divisor: 1,
    };

    /// For a look whether everything works.
    pub const QUICK: Self = Self {
        rounds: 2,
        divisor: 10,
    };

    /// Samples of a round.
    pub fn samples(self, full: usize) -> usize {
        full / self.divisor
    }
}
