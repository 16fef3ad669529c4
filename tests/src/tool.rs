//! The technician's command-line tool, as a person or a script runs it.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::pty::{OpenptyResult, Winsize, openpty};
use tempfile::TempDir;

use crate::binaries::binary;
use crate::process::{Process, die_with_parent};
use crate::wait::{SOON, eventually};

/// The tool with a home directory of its own.
pub struct Tool {
    home: TempDir,
}

/// How a run of it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Default for Tool {
    fn default() -> Self {
        Self::new()
    }
}

impl Tool {
    /// One that has never been used.
    ///
    /// # Panics
    /// When it gets no home directory.
    #[must_use]
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("gururmm-home-").tempdir();
        Self {
            home: home.unwrap(),
        }
    }

    /// One that is logged in.
    pub async fn logged_in(server: &str, (email, password): (&str, &str)) -> Self {
        let tool = Self::new();
        let ended = tool.log_in(server, (email, password)).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        tool
    }

    /// Logs in.
    pub async fn log_in(&self, server: &str, (email, password): (&str, &str)) -> Ended {
        let arguments = [
            "--server",
            server,
            "login",
            "--email",
            email,
            "--password-stdin",
        ];
        self.run_with(&arguments, password).await
    }

    /// Where it keeps its tokens.
    #[must_use]
    pub fn credentials(&self) -> PathBuf {
        self.home.path().join(".config/gururmm/credentials.toml")
    }

    /// A path in its home directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs it to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "").await
    }

    /// Runs it to its end with this standard input.
    ///
    /// # Panics
    /// When it does not end for long.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        die_with_parent(&mut command);
        let input = input.to_owned();
        let running = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().expect("the tool starts");
            // One that fails early closes its input; that is no fault of the test.
            let _ = child
                .stdin
                .take()
                .expect("piped")
                .write_all(input.as_bytes());
            child.wait_with_output().expect("a child of ours")
        });
        let output = tokio::time::timeout(SOON * 6, running).await;
        let output = output.expect("the tool ends in time").expect("no panic");
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts it in the background.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Process {
        Process::start("gururmm", self.command(arguments))
    }

    /// Starts it in a terminal of 80 by 24.
    #[must_use]
    pub fn start_in_terminal(&self, arguments: &[&str]) -> Typist {
        Typist::start(self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("gururmm"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("TERM", "xterm")
            .current_dir(self.home.path());
        command
    }
}

/// Somebody at a terminal in which the tool runs.
pub struct Typist {
    keys: std::fs::File,
    screen: Arc<Mutex<Vec<u8>>>,
    child: std::process::Child,
}

impl Typist {
    #[allow(unsafe_code, reason = "async-signal-safe calls between fork and exec")]
    fn start(mut command: Command) -> Self {
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let OpenptyResult { master, slave } = openpty(&size, None).expect("a terminal");
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor more"));
        command
            .stdin(end(&slave))
            .stdout(end(&slave))
            .stderr(end(&slave));
        // SAFETY: setsid and ioctl are async-signal-safe and touch no memory of the parent.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() == -1 || libc::ioctl(0, libc::TIOCSCTTY, 0) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        die_with_parent(&mut command);
        let child = command.spawn().expect("the tool starts");
        // The terminal ends with its last user, which is not to be this process.
        drop(command);
        drop(slave);
        let keys = std::fs::File::from(master);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, shown) = (keys.try_clone().expect("a descriptor more"), screen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                shown.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            keys,
            screen,
            child,
        }
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).expect("a terminal");
    }

    /// What the terminal has been sent so far.
    #[must_use]
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until the terminal has been sent this.
    pub async fn sees(&self, text: &str) {
        let what = format!("the terminal shows {text:?}");
        eventually(&what, SOON, || async {
            self.screen().contains(text).then_some(())
        })
        .await;
    }

    /// Waits until a shell asks for a command, root's or anybody's.
    pub async fn sees_prompt(&self) {
        eventually("the shell asks for a command", SOON, || async {
            let screen = self.screen();
            (screen.ends_with("# ") || screen.ends_with("$ ")).then_some(())
        })
        .await;
    }

    /// Waits until the tool has ended; answers its exit code.
    pub async fn exit_code(&mut self) -> i32 {
        let child = &mut self.child;
        let status = eventually("the tool ends", SOON, || {
            let status = child.try_wait().expect("a child of ours");
            async move { status }
        })
        .await;
        status.code().unwrap_or(-1)
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the terminal ---\n{}\n---", self.screen());
        }
    }
}
