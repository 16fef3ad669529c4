//! Real programs: their output, their ends, and that nobody of their group stays behind.

use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::*;
use crate::commands::interpreter::Invocation;
use crate::config::CommandSettings;

fn shell(line: &str, timeout: Duration) -> Job {
    let settings = CommandSettings::default();
    Job {
        invocation: Invocation::new(&gururmm_shared::CommandType::Shell, line, &settings).unwrap(),
        environment: vec![("GURURMM_TEST".to_owned(), "here".to_owned())],
        directory: None,
        timeout,
    }
}

const LONG: Duration = Duration::from_secs(60);

async fn finish(execution: &mut Execution) -> (String, String, Ending) {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    loop {
        match execution.next(true).await {
            Progress::Output(Stream::Stdout, text) => stdout += &text,
            Progress::Output(Stream::Stderr, text) => stderr += &text,
            Progress::Ended(ending) => return (stdout, stderr, ending),
        }
    }
}

async fn start(job: Job) -> Execution {
    Execution::start(job, &Launcher::Agent).await.unwrap()
}

async fn run(line: &str) -> (String, String, Ending) {
    finish(&mut start(shell(line, LONG)).await).await
}

async fn first_line(execution: &mut Execution) -> String {
    let mut line = String::new();
    while !line.ends_with('\n') {
        match execution.next(true).await {
            Progress::Output(_, text) => line += &text,
            Progress::Ended(ending) => panic!("ended before its first line: {ending:?}"),
        }
    }
    line.trim().to_owned()
}

async fn is_gone(pid: &str) -> bool {
    let pid = Pid::from_raw(pid.parse().unwrap());
    for _ in 0..500 {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if kill(pid, None).is_err() || state.contains(") Z ") {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn both_streams_the_exit_code_and_the_environment_come_back() {
    let (stdout, stderr, ending) = run("echo out $GURURMM_TEST; echo err >&2; exit 3").await;
    assert_eq!((stdout.as_str(), stderr.as_str()), ("out here\n", "err\n"));
    assert_eq!((ending.exit_code, ending.reason), (3, None));
}

#[tokio::test]
async fn a_program_that_a_signal_ends_tells_which() {
    let (_, _, ending) = run("kill -9 $$").await;
    assert_eq!(
        (ending.exit_code, ending.reason),
        (137, Some(EndReason::Signalled))
    );
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_an_error() {
    let mut job = shell("true", LONG);
    job.invocation.program = "/nowhere/program".to_owned();
    assert_eq!(
        Execution::start(job, &Launcher::Agent)
            .await
            .unwrap_err()
            .kind(),
        io::ErrorKind::NotFound
    );
}

#[tokio::test]
async fn output_comes_while_the_program_runs() {
    let directory = tempfile::tempdir().unwrap();
    let gate = directory.path().join("gate");
    let line = format!(
        "echo one; while [ ! -e {} ]; do sleep 0.01; done; echo two",
        gate.display()
    );
    let mut execution = start(shell(&line, LONG)).await;
    assert_eq!(first_line(&mut execution).await, "one");
    std::fs::write(gate, "").unwrap();
    let (rest, _, ending) = finish(&mut execution).await;
    assert_eq!((rest.as_str(), ending.exit_code), ("two\n", 0));
}

#[tokio::test]
async fn a_character_cut_between_two_writes_is_whole() {
    let (stdout, _, _) = run(r"printf 'a\303'; sleep 0.05; printf '\251z'; printf '\377'").await;
    assert_eq!(stdout, "aéz\u{fffd}");
}

#[tokio::test]
async fn a_time_out_kills_the_whole_group_with_the_grandchild() {
    let line = "sleep 1000 & echo $!; (trap '' TERM; sleep 1000 & echo $!; wait) & wait";
    let mut execution = start(shell(line, Duration::from_millis(400))).await;
    let (stdout, _, ending) = finish(&mut execution).await;
    assert_eq!(
        (ending.exit_code, ending.reason),
        (124, Some(EndReason::TimedOut))
    );
    assert_eq!(stdout.lines().count(), 2);
    for pid in stdout.lines() {
        assert!(is_gone(pid).await, "{pid} lives");
    }
}

#[tokio::test]
async fn a_program_that_ignores_the_request_is_ended_by_force() {
    let started = Instant::now();
    let line = "trap '' TERM; echo $$; while :; do sleep 0.05; done";
    let mut execution = start(shell(line, LONG)).await;
    let pid = first_line(&mut execution).await;
    execution.cancel();
    let (_, _, ending) = finish(&mut execution).await;
    assert_eq!(
        (ending.exit_code, ending.reason),
        (137, Some(EndReason::Cancelled))
    );
    assert!(started.elapsed() >= GRACE);
    assert!(is_gone(&pid).await);
}

#[tokio::test]
async fn a_blocked_program_times_out_without_anybody_reading() {
    let mut execution = start(shell("yes", Duration::from_millis(100))).await;
    let Progress::Ended(ending) = execution.next(false).await else {
        panic!("read though told not to")
    };
    assert_eq!(
        (ending.exit_code, ending.reason),
        (124, Some(EndReason::TimedOut))
    );
}

#[tokio::test]
async fn a_background_process_that_holds_the_pipes_does_not_hold_up_the_end() {
    let started = Instant::now();
    let (stdout, _, ending) = run("sleep 1000 & echo $!").await;
    assert_eq!((ending.exit_code, ending.reason), (0, None));
    assert!((QUIET..Duration::from_secs(20)).contains(&started.elapsed()));
    assert!(is_gone(stdout.trim()).await, "what held the pipes lives");
}

#[tokio::test]
async fn dropping_a_running_program_kills_its_group() {
    let mut execution = start(shell("sleep 1000 & echo $!; wait", LONG)).await;
    let pid = first_line(&mut execution).await;
    drop(execution);
    assert!(is_gone(&pid).await);
}
