//! `doctor`: looks at all that stands between the agent and its server, one thing after the other, each bounded in time,
//! and tells what is wrong with what to do about it. It changes nothing and needs no running agent.

mod machine;
mod network;
mod tls;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use crate::config::Config;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, and should be looked at.
    Warn,
    /// It does not work.
    Fail,
    /// Nobody looked: what it needs is missing.
    Skipped,
}

/// What one look has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word.
    pub check: &'static str,
    /// How it is.
    pub outcome: Outcome,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            outcome: Outcome::Ok,
            message: message.into(),
            fix: None,
        }
    }

    fn warn(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Warn,
            fix: Some(fix.into()),
            ..Self::ok(check, message)
        }
    }

    fn fail(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Fail,
            ..Self::warn(check, message, fix)
        }
    }

    fn skipped(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Skipped,
            ..Self::ok(check, message)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Warn => "WARN",
            Outcome::Fail => "FAIL",
            Outcome::Skipped => "-",
        };
        write!(f, "{outcome:<5} {:<10} {}", self.check, self.message)?;
        if let Some(fix) = &self.fix {
            write!(f, "\n{:17}fix: {fix}", "")?;
        }
        Ok(())
    }
}

/// All that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether nothing has failed.
    pub healthy: bool,
    /// In the order of looking.
    pub findings: Vec<Finding>,
}

/// Looks at everything.
pub async fn examine(path: &Path) -> Report {
    let mut findings = Vec::new();
    let config = match Config::load(path) {
        Ok(config) => {
            findings.push(machine::config(path));
            Some(config)
        }
        Err(error) => {
            let last_good = Config::load_or_last_good(path).ok();
            let fix = match last_good {
                Some(_) => {
                    "mend that line; the agent runs with the last good configuration until it is started again with this one"
                }
                None => "mend that line; `config check` says whether it can be used",
            };
            findings.push(Finding::fail("config", error.to_string(), fix));
            last_good
        }
    };
    if let Some(config) = &config {
        let folder = config.state_dir().to_owned();
        findings.push(blocking("state", move || machine::state(&folder)).await);
        let folder = config.state_dir().to_owned();
        findings.push(blocking("identity", move || machine::identity(&folder)).await);
        findings.push(blocking("service", machine::service).await);
        findings.extend(network::examine(config).await);
    }
    Report {
        healthy: findings
            .iter()
            .all(|finding| finding.outcome != Outcome::Fail),
        findings,
    }
}

async fn blocking(check: &'static str, look: impl FnOnce() -> Finding + Send + 'static) -> Finding {
    let look = tokio::task::spawn_blocking(look);
    match timeout(PATIENCE, look).await {
        Ok(Ok(finding)) => finding,
        Ok(Err(error)) => Finding::fail(check, error.to_string(), "run it again"),
        Err(_) => Finding::fail(
            check,
            format!("no answer within {} s", PATIENCE.as_secs()),
            "look whether the disk, or the service manager, hangs",
        ),
    }
}
