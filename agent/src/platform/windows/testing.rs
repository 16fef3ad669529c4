//! What the tests share: a program that does nothing for a long time, and whether a process is there.

use std::time::Duration;

use windows_sys::Win32::System::Threading::PROCESS_QUERY_LIMITED_INFORMATION;

use super::processes::{is_running, open_process};

/// The test that is that program, by its name.
const SLEEPS: &str = "platform::windows::testing::sleeps";

/// The command line of a program that tells its number, as `pid N`, and sleeps.
pub fn sleeper() -> String {
    let program = std::env::current_exe().expect("a running program has a path");
    format!(
        "\"{}\" --ignored --exact {SLEEPS} --nocapture",
        program.display()
    )
}

/// Waits until a process is gone; false when it is not.
pub async fn is_gone(pid: u32) -> bool {
    for _ in 0..500 {
        let there = open_process(pid, PROCESS_QUERY_LIMITED_INFORMATION)
            .is_ok_and(|process| is_running(&process));
        if !there {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

/// The number in what a sleeper has told.
pub fn pid_in(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("pid ")?;
    let (number, _) = rest.split_once(['\r', '\n'])?;
    number.parse().ok()
}

#[test]
#[ignore = "a program that other tests start: it does nothing for a long time"]
fn sleeps() {
    println!("pid {}", std::process::id());
    std::thread::sleep(Duration::from_secs(1000));
}
