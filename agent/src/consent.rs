//! Asks or tells who sits at the machine before a technician works there: by a program that the configuration names, or
//! by what the desktops of those who are logged in have.
//!
//! | the program's exit | means |
//! | --- | --- |
//! | 0 | yes; of a notice: they were told |
//! | 1 | no |
//! | 3 | nobody is there |
//! | others, or too late | no answer |

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use gururmm_shared::{ConsentMode, ConsentOutcome, ConsentRequest};
use tokio::process::Command;
use tokio::time::timeout;

use crate::platform;

/// What the person reads above the question.
const TITLE: &str = "Remote support";
/// How long a notice may take to be shown.
const NOTICE_PATIENCE: Duration = Duration::from_secs(10);
/// Exit code of a program that found nobody.
const NOBODY: i32 = 3;
/// Characters of a technician's name.
const NAME_CHARS: usize = 100;

/// Asks, or tells.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// A program in place of what the desktops have.
    program: Option<PathBuf>,
}

impl Asker {
    /// One that asks by this program, or by what the desktops have.
    #[must_use]
    pub fn new(program: Option<PathBuf>) -> Self {
        Self { program }
    }

    /// Asks, or tells, and waits for the answer as long as the request says.
    pub async fn ask(&self, request: &ConsentRequest) -> ConsentOutcome {
        let (text, patience) = words(request);
        let asking = async {
            match &self.program {
                Some(program) => by_program(program, request, &text).await,
                None if request.mode == ConsentMode::Notice => platform::notify(TITLE, &text).await,
                None => platform::ask(TITLE, &text, patience).await,
            }
        };
        timeout(patience, asking)
            .await
            .unwrap_or(ConsentOutcome::NoAnswer)
    }
}

/// What the person reads, and how long it may take.
fn words(request: &ConsentRequest) -> (String, Duration) {
    let name: String = request
        .technician
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS)
        .collect();
    match request.mode {
        ConsentMode::Required => (
            format!("{name} wants to work on this computer. Do you agree?"),
            Duration::from_secs(request.timeout_seconds.into()),
        ),
        _ => (
            format!("{name} works on this computer now."),
            NOTICE_PATIENCE,
        ),
    }
}

async fn by_program(program: &Path, request: &ConsentRequest, text: &str) -> ConsentOutcome {
    let task = match request.mode {
        ConsentMode::Required => "question",
        _ => "notice",
    };
    let status = Command::new(program)
        .args([task, "--title", TITLE, "--text", text, "--timeout"])
        .arg(request.timeout_seconds.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    match status {
        Ok(status) => outcome(request.mode, status),
        Err(error) => {
            tracing::error!(%error, program = %program.display(), "the program that asks who sits at the machine cannot be run");
            ConsentOutcome::CannotAsk
        }
    }
}

fn outcome(mode: ConsentMode, status: ExitStatus) -> ConsentOutcome {
    match (mode, status.code()) {
        (ConsentMode::Required, Some(0)) => ConsentOutcome::Granted,
        (ConsentMode::Required, Some(1)) => ConsentOutcome::Refused,
        (_, Some(0)) => ConsentOutcome::Told,
        (_, Some(NOBODY)) => ConsentOutcome::NobodyThere,
        _ => ConsentOutcome::NoAnswer,
    }
}

// The programs that ask here are scripts.
#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use gururmm_shared::ConsentDefault;

    use super::*;

    fn request(mode: ConsentMode, timeout_seconds: u32) -> ConsentRequest {
        ConsentRequest {
            mode,
            technician: "ada\u{1b}[2J@example.com".to_owned(),
            timeout_seconds,
            on_no_answer: ConsentDefault::Refuse,
            when_nobody_is_there: ConsentDefault::Refuse,
        }
    }

    fn script(folder: &Path, text: &str) -> Asker {
        let path = folder.join("ask");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Asker::new(Some(path))
    }

    #[tokio::test]
    async fn the_programs_exit_is_the_answer_and_its_arguments_the_question() {
        let folder = tempfile::tempdir().unwrap();
        for (exit, answer) in [
            (0, ConsentOutcome::Granted),
            (1, ConsentOutcome::Refused),
            (3, ConsentOutcome::NobodyThere),
            (5, ConsentOutcome::NoAnswer),
        ] {
            let asked = folder.path().join("asked");
            let text = format!("printf '%s|' \"$@\" > {}; exit {exit}", asked.display());
            let asker = script(folder.path(), &text);
            assert_eq!(asker.ask(&request(ConsentMode::Required, 30)).await, answer);
            let text = std::fs::read_to_string(asked).unwrap();
            assert!(text.starts_with("question|--title|"), "{text}");
            assert!(text.contains("ada[2J@example.com wants"), "{text}");
            assert!(text.ends_with("--timeout|30|"), "{text}");
        }
        let asker = script(folder.path(), "test \"$1\" = notice");
        let told = asker.ask(&request(ConsentMode::Notice, 30)).await;
        assert_eq!(told, ConsentOutcome::Told);
    }

    #[tokio::test]
    async fn who_does_not_answer_in_time_is_not_waited_for_and_a_missing_program_cannot_ask() {
        let folder = tempfile::tempdir().unwrap();
        let asker = script(folder.path(), "exec sleep 1000");
        let answer = asker.ask(&request(ConsentMode::Required, 1)).await;
        assert_eq!(answer, ConsentOutcome::NoAnswer);
        let asker = Asker::new(Some(PathBuf::from("/nowhere/ask")));
        let answer = asker.ask(&request(ConsentMode::Required, 1)).await;
        assert_eq!(answer, ConsentOutcome::CannotAsk);
    }
}
