//! What a Claude task may ask for. That it runs so is shown by the tests of the whole agent.

use super::*;

struct Place {
    directory: tempfile::TempDir,
    settings: CommandSettings,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        std::fs::create_dir_all(root.join("work")).unwrap();
        std::fs::write(root.join("notes"), "").unwrap();
        std::fs::write(directory.path().join("secret"), "").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        let settings = CommandSettings {
            claude_task_root: Some(root),
            ..CommandSettings::default()
        };
        Self {
            directory,
            settings,
        }
    }

    fn prepare(&self, task: &str, place: Option<&str>, files: &[&str]) -> Result<Job, String> {
        prepare(&command(task, place, files, None), &self.settings)
    }
}

fn command(task: &str, place: Option<&str>, files: &[&str], timeout: Option<u64>) -> Command {
    Command {
        id: CommandId::generate(),
        command_type: CommandType::ClaudeTask {
            task: task.to_owned(),
            working_directory: place.map(str::to_owned),
            context_files: files.iter().map(|file| (*file).to_owned()).collect(),
        },
        command: String::new(),
        timeout_seconds: timeout,
        elevated: false,
        environment: Default::default(),
    }
}

#[test]
fn a_task_is_one_argument_and_works_under_the_root() {
    let place = Place::new();
    let job = place.prepare("tidy \"up\" 'here'", None, &[]).unwrap();
    assert_eq!(job.invocation.program, "claude");
    assert_eq!(job.invocation.arguments, ["--print", "tidy \"up\" 'here'"]);
    let root = place.directory.path().canonicalize().unwrap().join("root");
    assert_eq!(job.directory, Some(root.clone()));
    let job = place.prepare("tidy", Some("work"), &["../notes"]).unwrap();
    assert_eq!(job.directory, Some(root.join("work")));
    let prompt = format!(
        "tidy\n\nRead these files first:\n- {}",
        root.join("notes").display()
    );
    assert_eq!(job.invocation.arguments[1], prompt);
}

#[test]
fn what_a_shell_or_the_program_would_take_for_something_else_is_refused() {
    let place = Place::new();
    for one in FORBIDDEN {
        let error = place.prepare(&format!("a{one}b"), None, &[]).unwrap_err();
        assert!(error.contains(&format!("{one:?}")), "{error}");
    }
    for task in ["", " ", "--dangerously-skip-permissions", " -p"] {
        assert!(place.prepare(task, None, &[]).is_err(), "{task:?}");
    }
}

#[test]
fn nothing_outside_of_the_root_may_be_named_not_even_by_a_link() {
    let place = Place::new();
    for wanted in ["..", "/", "work/../..", "nowhere", "notes"] {
        assert!(place.prepare("x", Some(wanted), &[]).is_err(), "{wanted}");
    }
    for file in ["../secret", "link", "/etc/passwd"] {
        let error = place.prepare("x", None, &[file]).unwrap_err();
        assert!(error.contains("outside"), "{error}");
    }
    assert!(place.prepare("x", None, &["notes"; 33]).is_err());
}

#[test]
fn without_a_root_tasks_are_refused() {
    let error = prepare(&command("x", None, &[], None), &CommandSettings::default());
    assert_eq!(error.unwrap_err(), CLAUDE_TASK_REFUSAL);
}

#[test]
fn a_task_runs_300_seconds_unless_it_says_so_and_600_at_most() {
    let place = Place::new();
    for (asked, given) in [
        (None, 300),
        (Some(0), 1),
        (Some(500), 500),
        (Some(9000), 600),
    ] {
        let job = prepare(&command("x", None, &[], asked), &place.settings).unwrap();
        assert_eq!(job.timeout, Duration::from_secs(given));
    }
}

#[test]
fn two_at_once_and_ten_within_any_hour_are_allowed() {
    let mut allowance = Allowance::default();
    let start = Instant::now();
    let minutes = |minutes: u64| start + Duration::from_secs(60 * minutes);
    let [first, second, third] = std::array::from_fn(|_| CommandId::generate());
    allowance.begin(first, start).unwrap();
    allowance.begin(second, start).unwrap();
    let full = allowance.begin(third, start).unwrap_err();
    assert!(full.starts_with("2 Claude tasks are running"), "{full}");
    allowance.end(first);
    allowance.end(second);
    for minute in 1..=8 {
        allowance.begin(third, minutes(minute)).unwrap();
        allowance.end(third);
    }
    let full = allowance.begin(third, minutes(59)).unwrap_err();
    assert!(full.starts_with("10 Claude tasks have begun"), "{full}");
    allowance.begin(first, minutes(60)).unwrap();
    allowance.begin(second, minutes(60)).unwrap();
    allowance.end(first);
    assert!(allowance.begin(third, minutes(60)).is_err(), "it slides");
    allowance.begin(third, minutes(61)).unwrap();
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    let code = |exit_code, reason| {
        translate(CommandResult {
            id: CommandId::generate(),
            exit_code: Some(exit_code),
            stdout: String::new(),
            stderr: String::new(),
            duration_ms: 0,
            reason,
        })
        .exit_code
    };
    assert_eq!(code(0, None), Some(0));
    assert_eq!(code(7, None), Some(1));
    assert_eq!(code(137, Some(EndReason::Signalled)), Some(1));
    assert_eq!(code(124, Some(EndReason::TimedOut)), Some(124));
    assert_eq!(code(143, Some(EndReason::Cancelled)), Some(-1));
    assert_eq!(code(-1, Some(EndReason::Refused)), Some(-1));
}
