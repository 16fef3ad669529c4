//! Real programs: their output, their ends, and that nothing of their tree stays behind.

use super::*;
use crate::commands::interpreter::Invocation;
use crate::config::CommandSettings;
use crate::platform::testing::{is_gone, pid_in, sleeper};

const LONG: Duration = Duration::from_secs(60);

fn shell(line: &str, timeout: Duration) -> Job {
    let settings = CommandSettings::default();
    Job {
        invocation: Invocation::new(&gururmm_shared::CommandType::Shell, line, &settings).unwrap(),
        environment: vec![("GURURMM_TEST".to_owned(), "here".to_owned())],
        directory: None,
        timeout,
    }
}

async fn start(job: Job) -> Execution {
    Execution::start(job, &Launcher::Agent).await.unwrap()
}

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

async fn run(line: &str) -> (String, String, Ending) {
    finish(&mut start(shell(line, LONG)).await).await
}

/// Reads until a sleeper has told its number.
async fn pid(execution: &mut Execution) -> u32 {
    let mut told = String::new();
    loop {
        match execution.next(true).await {
            Progress::Output(_, text) => told += &text,
            Progress::Ended(ending) => panic!("ended too early: {ending:?}, {told:?}"),
        }
        if let Some(pid) = pid_in(&told) {
            return pid;
        }
    }
}

#[tokio::test]
async fn both_streams_the_exit_code_and_the_environment_come_back() {
    let (stdout, stderr, ending) = run("echo out %GURURMM_TEST%& echo err>&2& exit 3").await;
    assert_eq!(
        (stdout.as_str(), stderr.as_str()),
        ("out here\r\n", "err\r\n")
    );
    assert_eq!((ending.exit_code, ending.reason), (3, None));
}

#[tokio::test]
async fn quotes_in_a_line_are_the_interpreters() {
    let (stdout, _, ending) = run(r#"echo "a b" 'c' \"d\"& if "x"=="x" echo yes"#).await;
    assert_eq!(stdout, "\"a b\" 'c' \\\"d\\\"\r\nyes\r\n");
    assert_eq!(ending.exit_code, 0);
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_an_error() {
    let mut job = shell("rem", LONG);
    job.invocation.program = r"C:\nowhere\program.exe".to_owned();
    let error = Execution::start(job, &Launcher::Agent).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_time_out_ends_the_whole_tree() {
    // Two levels below the interpreter that is told to end.
    let line = format!("cmd.exe /d /c \"{}\"", sleeper());
    let mut execution = start(shell(&line, Duration::from_secs(5))).await;
    let pid = pid(&mut execution).await;
    let (_, _, ending) = finish(&mut execution).await;
    assert_eq!(
        (ending.exit_code, ending.reason),
        (124, Some(EndReason::TimedOut))
    );
    assert!(is_gone(pid).await, "{pid} lives");
}

#[tokio::test]
async fn a_cancelled_program_and_one_that_is_dropped_leave_nothing() {
    let mut execution = start(shell(&sleeper(), LONG)).await;
    let cancelled = pid(&mut execution).await;
    execution.cancel();
    let (_, _, ending) = finish(&mut execution).await;
    assert_eq!(ending.reason, Some(EndReason::Cancelled));
    assert!(is_gone(cancelled).await);
    let mut execution = start(shell(&sleeper(), LONG)).await;
    let dropped = pid(&mut execution).await;
    drop(execution);
    assert!(is_gone(dropped).await);
}

#[tokio::test]
async fn a_blocked_program_times_out_without_anybody_reading() {
    let line = "for /L %i in (1,0,2) do @echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    let mut execution = start(shell(line, Duration::from_millis(500))).await;
    let Progress::Ended(ending) = execution.next(false).await else {
        panic!("read though told not to")
    };
    assert_eq!(
        (ending.exit_code, ending.reason),
        (124, Some(EndReason::TimedOut))
    );
}

#[tokio::test]
async fn output_comes_while_the_program_runs() {
    let line = format!("echo one& {}", sleeper());
    let mut execution = start(shell(&line, LONG)).await;
    let mut told = String::new();
    while !told.ends_with('\n') {
        match execution.next(true).await {
            Progress::Output(_, text) => told += &text,
            Progress::Ended(ending) => panic!("ended too early: {ending:?}"),
        }
    }
    assert!(told.starts_with("one\r\n"), "{told:?}");
}
