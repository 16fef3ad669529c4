//! Releases of the agent, made with the server's command line as a person makes them.

use std::path::{Path, PathBuf};
use std::process::Output;

use sha2::{Digest, Sha256};

use crate::database::Database;
use crate::server::run_server;

/// The key that debug builds trust.
#[must_use]
pub fn test_key() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/release/keys/test.key")
}

/// A program that was signed.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is made of.
    pub program: Vec<u8>,
}

/// The head of a program for Linux on x86-64, and something of its own behind it.
#[must_use]
pub fn program(word: &str) -> Vec<u8> {
    let mut program = b"\x7fELF".to_vec();
    program.resize(64, 0);
    program[18] = 62;
    program.extend(word.as_bytes());
    program
}

impl Signed {
    /// Its manifest, as it was signed.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn manifest(&self) -> String {
        std::fs::read_to_string(self.beside(".manifest.json")).expect("it was signed")
    }

    /// The manifest's signature.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn signature(&self) -> String {
        std::fs::read_to_string(self.beside(".manifest.json.minisig")).expect("it was signed")
    }

    /// A file beside it.
    #[must_use]
    pub fn beside(&self, end: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(end);
        name.into()
    }

    /// Its SHA-256 in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        let digest = Sha256::digest(&self.program);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a run of the command line said.
///
/// # Panics
/// When it did not end well.
#[must_use]
pub fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Why a run of the command line failed.
///
/// # Panics
/// When it did not, or said more than a line.
#[must_use]
pub fn refused(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

/// Where a server's data and its database are.
#[derive(Debug, Clone)]
pub struct Place {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The database.
    pub database: Database,
}

impl Place {
    /// Runs `gururmm-server release` with these arguments.
    #[must_use]
    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        let arguments: Vec<&str> = ["release"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        run_server(&self.data_dir, &self.database, &[], &arguments, input)
    }

    /// Signs a program with the key of the tests.
    ///
    /// # Panics
    /// When it cannot.
    #[must_use]
    pub fn sign(&self, version: &str, program: Vec<u8>, more: &[&str]) -> Signed {
        let path = self.data_dir.join(format!("agent-{version}"));
        std::fs::write(&path, &program).unwrap();
        let key = test_key();
        let mut arguments = vec!["sign", "--key", key.to_str().unwrap(), "--version", version];
        if !more.contains(&"--platform") {
            arguments.extend(["--platform", "linux-x86_64"]);
        }
        arguments.extend(more);
        arguments.push(path.to_str().unwrap());
        let _ = said(&self.run(&arguments, ""));
        Signed { path, program }
    }

    /// Adds a program that was signed.
    #[must_use]
    pub fn add(&self, signed: &Signed, channel: &str) -> Output {
        self.run(
            &["add", "--channel", channel, signed.path.to_str().unwrap()],
            "",
        )
    }

    /// Signs a program and adds it to the channel stable.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn release(&self, version: &str) -> Signed {
        let signed = self.sign(version, program(version), &[]);
        let _ = said(&self.add(&signed, "stable"));
        signed
    }
}
