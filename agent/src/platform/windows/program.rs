//! The agent's program as a file that is replaced while it runs, and how the agent is started again.

use std::ffi::OsString;
use std::io;
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use windows_sys::Win32::Storage::FileSystem::{
    MOVEFILE_DELAY_UNTIL_REBOOT, MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW,
};
use windows_sys::Win32::System::Threading::CREATE_NO_WINDOW;

use super::text::wide;
use crate::platform::{ENTERING, beside_program};

/// How long the process may take that puts a program in place, and how often it is looked after.
const HELPER_LIMIT: Duration = Duration::from_secs(10);
const HELPER_LOOKS: Duration = Duration::from_millis(10);

/// Nothing: [`put_program`] renames a program that runs to where it is kept.
///
/// # Errors
/// None.
pub fn keep_program(_program: &Path, _kept: &Path) -> io::Result<()> {
    Ok(())
}

/// Gives `from` the name `program`; what had it is at `away` then. A program that runs can be renamed, not replaced, so
/// that takes two steps, and between them nothing has that name. So that nothing stays like that, they are another
/// process's: whichever of the two ends, the other one goes on. Should the machine itself end there, Windows takes the
/// second step before it starts anything.
///
/// # Errors
/// What the operating system said; nothing has changed then.
pub fn put_program(from: &Path, program: &Path, away: &Path) -> io::Result<()> {
    // A name of its own: what has it is whole and tested, whenever Windows may move it.
    let entering = beside_program(program, ENTERING);
    rename(from, &entering)?;
    let delayed = MOVEFILE_REPLACE_EXISTING | MOVEFILE_DELAY_UNTIL_REBOOT;
    if let Err(error) = move_file(&entering, program, delayed) {
        // Only administrators may, and it is only for a loss of power in the next moment.
        tracing::debug!(%error, "the rename is not repeated by the next start of the machine");
    }
    if let Err(error) = have_put(&entering, program, away) {
        tracing::debug!(%error, "no other process has put the program in place");
    }
    finish_put(&entering, program, away).inspect_err(|_| {
        // Where that fails too it lies under a name that means nothing.
        let _ = rename(&entering, from);
    })
}

/// Has another process do it, and waits for that, but not for ever.
fn have_put(entering: &Path, program: &Path, away: &Path) -> io::Result<()> {
    let mut helper = Command::new(super::own_program()?)
        .arg("put-program")
        .args([entering, program, away])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .creation_flags(CREATE_NO_WINDOW)
        .spawn()?;
    let since = Instant::now();
    while helper.try_wait()?.is_none() {
        if since.elapsed() > HELPER_LIMIT {
            helper.kill()?;
            helper.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        sleep(HELPER_LOOKS);
    }
    Ok(())
}

/// Takes those of the two steps of [`put_program`] that are still to be taken.
///
/// # Errors
/// What the operating system said; nothing has changed then.
pub fn finish_put(entering: &Path, program: &Path, away: &Path) -> io::Result<()> {
    if !entering.exists() && program.exists() {
        return Ok(());
    }
    if program.exists() {
        rename(program, away)?;
    }
    rename(entering, program).inspect_err(|_| {
        // There is nothing else that could be done.
        let _ = rename(away, program);
    })
}

/// Nothing: a new program inherits the rights of its folder, as the old one did.
///
/// # Errors
/// None.
pub fn give_rights_of(_program: &Path, _new: &Path) -> io::Result<()> {
    Ok(())
}

/// Sees to it that `program` is started with the same arguments when this process ends: by the service manager, which
/// starts a service again that has failed, or at once.
///
/// # Errors
/// A text: this process has to end with a failure.
pub fn restart(program: &Path, as_service: bool) -> Result<(), String> {
    if as_service {
        return Err("the service manager starts the agent again".to_owned());
    }
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let started = Command::new(program).args(arguments).spawn();
    started
        .map(drop)
        .map_err(|error| format!("{} cannot be started: {error}", program.display()))
}

/// Ends this process at once.
#[cfg(debug_assertions)]
pub fn die() {
    std::process::abort();
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    move_file(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)
}

fn move_file(from: &Path, to: &Path, how: u32) -> io::Result<()> {
    let (from, to) = (wide(from), wide(to));
    // SAFETY: both names end with a NUL and live until the call returns.
    #[allow(unsafe_code)]
    let done = unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), how) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_program_that_runs_gives_its_name_to_another_one_and_gets_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (program, new) = (path("agent.exe"), path("agent.new.exe"));
        let (previous, failed) = (path("agent.previous.exe"), path("agent.failed.exe"));
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::write(&new, "new").unwrap();
        // It waits for its standard input to end.
        let mut running = Command::new(&program)
            .args([
                "--exact",
                "platform::windows::program::tests::a_program_that_waits",
                "--ignored",
            ])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        put_program(&new, &program, &previous).unwrap();
        assert_eq!(fs::read_to_string(&program).unwrap(), "new");
        assert!(previous.is_file());
        assert!(running.try_wait().unwrap().is_none(), "it goes on running");
        put_program(&previous, &program, &failed).unwrap();
        assert!(fs::metadata(&program).unwrap().len() > 3);
        assert_eq!(fs::read_to_string(&failed).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        drop(running.stdin.take());
        running.wait().unwrap();
    }

    #[test]
    fn what_another_process_has_begun_is_finished_and_what_it_has_done_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (entering, program, away) = (path("a.1.exe"), path("a.exe"), path("a.previous.exe"));
        let text = |path: &Path| fs::read_to_string(path).unwrap();
        fs::write(&entering, "new").unwrap();
        fs::write(&away, "old").unwrap();
        for _ in 0..2 {
            finish_put(&entering, &program, &away).unwrap();
            assert_eq!((text(&program), text(&away)), ("new".into(), "old".into()));
        }
        fs::remove_file(&program).unwrap();
        assert!(
            finish_put(&entering, &program, &path("b.exe")).is_err(),
            "there is nothing"
        );
    }

    #[test]
    #[ignore = "a part of the test above, run by it"]
    fn a_program_that_waits() {
        let mut line = String::new();
        io::stdin().read_line(&mut line).unwrap();
    }
}
