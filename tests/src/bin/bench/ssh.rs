//! OpenSSH on this machine, beside which the product is measured: a server of its own on a free port, with
//! keys of its own; the system's server, if there is one, is not touched.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gururmm_tests::process::Process;
use gururmm_tests::wait::eventually;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::stats::Latencies;

const SERVER: &str = "/usr/sbin/sshd";

/// A running server.
pub struct Ssh {
    process: Process,
    directory: TempDir,
    port: u16,
    user: String,
}

impl Ssh {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        ensure!(
            Path::new(SERVER).exists(),
            "{SERVER} is missing: install the package openssh-server"
        );
        let directory = tempfile::Builder::new().prefix("gururmm-ssh-").tempdir()?;
        let at = |name: &str| directory.path().join(name);
        for name in ["host", "client"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(name))
                .status()
                .await?;
            ensure!(made.success(), "ssh-keygen failed");
        }
        std::fs::copy(at("client.pub"), at("authorized"))?;
        // For the separation of privileges; a package makes it where a service starts the server.
        std::fs::create_dir_all("/run/sshd").context("/run/sshd is needed; run as root")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPidFile none\nMaxSessions 100\nMaxStartups 100\nSubsystem sftp internal-sftp\n",
            at("host").display(),
            at("authorized").display()
        );
        std::fs::write(at("config"), config)?;
        let mut command = std::process::Command::new(SERVER);
        command.arg("-D").arg("-e").arg("-f").arg(at("config"));
        let process = Process::start("sshd", command);
        let ssh = Self {
            process,
            directory,
            port,
            user: whoami()?,
        };
        eventually("sshd lets us in", Duration::from_secs(20), || async {
            ssh.run("true").await.ok()
        })
        .await;
        Ok(ssh)
    }

    /// Its processes' parent.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A client's command line, up to what it is to run.
    pub fn client(&self, options: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.args(self.options()).args(options);
        command.arg(format!("{}@127.0.0.1", self.user));
        command.kill_on_drop(true);
        command
    }

    fn options(&self) -> Vec<String> {
        let key = self.directory.path().join("client");
        [
            "-F",
            "none",
            "-q",
            "-p",
            &self.port.to_string(),
            "-i",
            &key.display().to_string(),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "BatchMode=yes",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// Connects, runs a command and waits for its end.
    pub async fn run(&self, command: &str) -> Result<()> {
        let status = self
            .client(&[])
            .arg(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await?;
        ensure!(status.success(), "ssh failed");
        Ok(())
    }

    /// Connects and runs a command `count` times.
    pub async fn runs(&self, command: &str, count: usize) -> Result<Latencies> {
        let mut latencies = Latencies::default();
        for _ in 0..count {
            let start = Instant::now();
            self.run(command).await?;
            latencies.push(start.elapsed());
        }
        Ok(latencies)
    }

    /// A command under a terminal.
    pub fn terminal(&self, command: &str) -> Result<Terminal> {
        let mut child = self
            .client(&["-tt"])
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Terminal {
            input: child.stdin.take().context("piped")?,
            output: child.stdout.take().context("piped")?,
            _child: child,
        })
    }

    /// How long it takes to read all that a command prints.
    pub async fn read(&self, options: &[&str], command: &str, bytes: u64) -> Result<Duration> {
        let start = Instant::now();
        let mut child = self
            .client(options)
            .arg(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = child.stdout.take().context("piped")?;
        let read = tokio::io::copy(&mut output, &mut tokio::io::sink()).await?;
        ensure!(read == bytes, "ssh lost bytes: {read} of {bytes}");
        child.wait().await?;
        Ok(start.elapsed())
    }

    /// How long it takes to copy a file by sftp: `get` or `put`.
    pub async fn sftp(&self, what: &str, from: &Path, to: &Path) -> Result<Duration> {
        let batch = self.directory.path().join("batch");
        std::fs::write(
            &batch,
            format!("{what} {} {}\n", from.display(), to.display()),
        )?;
        let mut options = self.options();
        // `-P` is the port there.
        for option in &mut options {
            if option == "-p" {
                "-P".clone_into(option);
            }
        }
        let start = Instant::now();
        let status = Command::new("sftp")
            .args(&options)
            .arg("-b")
            .arg(&batch)
            .arg(format!("{}@127.0.0.1", self.user))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .await?;
        ensure!(status.success(), "sftp failed");
        Ok(start.elapsed())
    }

    /// A file name in its directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A terminal over ssh.
pub struct Terminal {
    input: ChildStdin,
    output: ChildStdout,
    _child: Child,
}

impl Terminal {
    /// Types.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.input.write_all(bytes).await?;
        self.input.flush().await?;
        Ok(())
    }

    /// Reads what there is.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        Ok(self.output.read(buffer).await?)
    }
}

fn whoami() -> Result<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())?;
    Ok(user.context("a user without a name")?.name)
}
