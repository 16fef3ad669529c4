//! Waiting for a condition with a deadline: the only place of the tests that sleeps.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a test waits for what should come soon; generous, as builders share their machines.
pub const SOON: Duration = Duration::from_secs(20);

/// How long the product may take at most to notice a loss.
pub const CLEAN_UP: Duration = Duration::from_secs(45);

/// Polls `condition` until it answers `Some`, and panics with `what` when it has not by `deadline`.
pub async fn eventually<T, F, Fut>(what: &str, deadline: Duration, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let start = Instant::now();
    let mut pause = Duration::from_millis(10);
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            start.elapsed() < deadline,
            "not within {deadline:?}: {what}"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// As [`eventually`], for an attempt that needs what only one may have, as an agent's connection.
pub async fn eventually_trying<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        assert!(
            start.elapsed() < deadline,
            "not within {deadline:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Polls `condition` for the whole of `period` and panics with `what` as soon as it is false.
pub async fn hold<F, Fut>(what: &str, period: Duration, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let start = Instant::now();
    while start.elapsed() < period {
        assert!(condition().await, "after {:?}: {what}", start.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Polls without a runtime: for start-up code outside of one.
pub fn eventually_blocking<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        anyhow::ensure!(
            start.elapsed() < deadline,
            "not within {deadline:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
