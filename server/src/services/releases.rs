//! Releases of the agent: checked as an agent will check them, their programs kept as files that are named by
//! their SHA-256.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use gururmm_release::{MAX_MANIFEST_BYTES, Manifest, Refusal, TrustedKeys};
use semver::Version;
use sha2::{Digest, Sha256};

use crate::db::releases::{Added, NewRelease, Release};

/// Releases that there may be.
pub const MOST: i64 = 1000;
/// What agents run on.
pub const PLATFORMS: [&str; 3] = ["linux-x86_64", "linux-aarch64", "windows-x86_64"];
/// The longest version that a row holds.
const VERSION_CHARS: usize = 64;
/// The longest signature.
pub const SIGNATURE_BYTES: usize = 2048;
const FOLDER: &str = "releases";

/// Why a release is not added.
#[derive(Debug, thiserror::Error)]
pub enum NotAdded {
    /// An agent would refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing runs on it.
    #[error(
        "there is no agent for {0}; a platform is linux-x86_64, linux-aarch64 or windows-x86_64"
    )]
    Platform(String),
    /// A version that no row holds.
    #[error("the version {0} is longer than 64 characters")]
    Version(Version),
    /// A signature that is none.
    #[error("a signature has at most {SIGNATURE_BYTES} bytes")]
    Signature,
    /// The program is not the one that was signed.
    #[error(
        "the program has {is} bytes and the manifest says {wanted}; sign the program that you add"
    )]
    Size {
        /// The program's.
        is: u64,
        /// The manifest's.
        wanted: u64,
    },
    /// The program is not the one that was signed.
    #[error(
        "the program's SHA-256 is {is} and the manifest says {wanted}; sign the program that you add"
    )]
    Checksum {
        /// The program's.
        is: String,
        /// The manifest's.
        wanted: String,
    },
    /// The program runs on something else.
    #[error("the program is for {is} and the manifest says {wanted}")]
    OtherProgram {
        /// The program's.
        is: &'static str,
        /// The manifest's.
        wanted: String,
    },
    /// Another program has its version.
    #[error(
        "another program is version {version} for {platform} already; give this one a new version"
    )]
    Taken {
        /// The version.
        version: String,
        /// The platform.
        platform: String,
    },
    /// There are too many.
    #[error("there are {MOST} releases, as many as there may be; remove some")]
    Full,
    /// A file cannot be read or written.
    #[error("{0}")]
    Disk(String),
}

/// The text of a manifest that was signed, with its signature.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What it says.
    pub manifest: Manifest,
    /// As it was signed.
    pub text: String,
    /// The text of the `.minisig` file.
    pub signature: String,
}

impl Signed {
    /// Checks a manifest as the agents of its platform will, but for their version.
    ///
    /// # Errors
    /// [`NotAdded`].
    pub fn check(
        text: String,
        signature: String,
        keys: &TrustedKeys,
        now: DateTime<Utc>,
    ) -> Result<Self, NotAdded> {
        if signature.len() > SIGNATURE_BYTES {
            return Err(NotAdded::Signature);
        }
        let manifest = Manifest::verified(&text, &signature, keys)?;
        if !PLATFORMS.contains(&manifest.platform.as_str()) {
            return Err(NotAdded::Platform(manifest.platform));
        }
        if now >= manifest.expires_at {
            return Err(Refusal::Expired(manifest.expires_at).into());
        }
        if manifest.version.to_string().len() > VERSION_CHARS {
            return Err(NotAdded::Version(manifest.version));
        }
        Ok(Self {
            manifest,
            text,
            signature,
        })
    }

    /// The row of it in a channel.
    #[must_use]
    pub fn row(self, channel: &str) -> NewRelease {
        let manifest = self.manifest;
        NewRelease {
            version: manifest.version.to_string(),
            platform: manifest.platform,
            channel: channel.to_owned(),
            sha256: manifest.sha256,
            size_bytes: i64::try_from(manifest.size).unwrap_or(i64::MAX),
            downgrade: manifest.downgrade,
            manifest: self.text,
            signature: self.signature,
            released_at: manifest.released_at,
            expires_at: manifest.expires_at,
            added_by: None,
        }
    }
}

/// What became of a row, or why there is none.
///
/// # Errors
/// [`NotAdded::Taken`] and [`NotAdded::Full`].
pub fn added(added: Added) -> Result<Release, NotAdded> {
    match added {
        Added::New(release) | Added::SignedAnew(release) => Ok(release),
        Added::Taken(other) => Err(NotAdded::Taken {
            version: other.version,
            platform: other.platform,
        }),
        Added::Full => Err(NotAdded::Full),
    }
}

/// Reads a text that may have at most `most` bytes.
///
/// # Errors
/// It cannot be read, is longer or is no text.
pub fn read_text(path: &Path, most: usize) -> Result<String, NotAdded> {
    let fault = |error: &dyn std::fmt::Display| {
        NotAdded::Disk(format!("cannot read {}: {error}", path.display()))
    };
    let file = File::open(path).map_err(|error| fault(&error))?;
    let mut text = String::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit)
        .read_to_string(&mut text)
        .map_err(|error| fault(&error))?;
    if text.len() > most {
        return Err(fault(&format!("it is longer than {most} bytes")));
    }
    Ok(text)
}

/// The manifest and the signature that lie beside a program: `PROGRAM.manifest.json` and the same with `.minisig`.
#[must_use]
pub fn beside(program: &Path) -> (PathBuf, PathBuf) {
    let name = |end: &str| {
        let mut name = program.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    (name(".manifest.json"), name(".manifest.json.minisig"))
}

/// Reads and checks what lies beside a program.
///
/// # Errors
/// [`NotAdded`].
pub fn read_signed(
    program: &Path,
    keys: &TrustedKeys,
    now: DateTime<Utc>,
) -> Result<Signed, NotAdded> {
    let (manifest, signature) = beside(program);
    let text = read_text(&manifest, MAX_MANIFEST_BYTES)?;
    let signature = read_text(&signature, SIGNATURE_BYTES)?;
    Signed::check(text, signature, keys, now)
}

/// Where the programs of releases lie.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Those of this data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            folder: data_dir.join(FOLDER),
        }
    }

    /// Where the program of this SHA-256 lies, if it is there.
    #[must_use]
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(sha256)
    }

    /// Copies a program that is the manifest's; it is there whole and for good, or not at all. Blocks.
    ///
    /// # Errors
    /// [`NotAdded`].
    pub fn keep(&self, program: &Path, manifest: &Manifest) -> Result<(), NotAdded> {
        let disk = |what: &str, path: &Path, error: &io::Error| {
            NotAdded::Disk(format!("cannot {what} {}: {error}", path.display()))
        };
        make_private(&self.folder).map_err(|error| disk("make", &self.folder, &error))?;
        let source = File::open(program).map_err(|error| disk("read", program, &error))?;
        let part = self.folder.join(format!(
            "{}.{}.part",
            manifest.sha256,
            uuid::Uuid::now_v7().simple()
        ));
        let copied = copy(source, &part, manifest)
            .map_err(|error| disk("copy to", &part, &error))
            .and_then(|copied| copied);
        let kept = copied.and_then(|()| {
            let whole = self.path(&manifest.sha256);
            fs::rename(&part, &whole)
                .and_then(|()| File::open(&self.folder)?.sync_all())
                .map_err(|error| disk("keep", &whole, &error))
        });
        if kept.is_err() {
            // It may not even be there.
            let _ = fs::remove_file(&part);
        }
        kept
    }

    /// Removes a program that no release has any more. Blocks.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, sha256: &str) -> io::Result<()> {
        match fs::remove_file(self.path(sha256)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Copies and measures; what is no fault of the disk is in the inner result.
fn copy(mut source: File, part: &Path, manifest: &Manifest) -> io::Result<Result<(), NotAdded>> {
    let mut target = File::create_new(part)?;
    let mut hash = Sha256::new();
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let mut size = 0_u64;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = source.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        size += chunk.len() as u64;
        if size > manifest.size {
            let is = source.metadata().map_or(size, |metadata| metadata.len());
            return Ok(Err(NotAdded::Size {
                is,
                wanted: manifest.size,
            }));
        }
        let room = HEAD_BYTES.saturating_sub(head.len());
        head.extend(chunk.iter().take(room));
        hash.update(chunk);
        target.write_all(chunk)?;
    }
    target.sync_all()?;
    if size != manifest.size {
        return Ok(Err(NotAdded::Size {
            is: size,
            wanted: manifest.size,
        }));
    }
    let is = hexadecimal(&hash.finalize());
    if is != manifest.sha256 {
        let wanted = manifest.sha256.clone();
        return Ok(Err(NotAdded::Checksum { is, wanted }));
    }
    if let Some(is) = platform_of(&head).filter(|is| *is != manifest.platform) {
        let wanted = manifest.platform.clone();
        return Ok(Err(NotAdded::OtherProgram { is, wanted }));
    }
    Ok(Ok(()))
}

/// Bytes of a program that tell what it runs on.
const HEAD_BYTES: usize = 4096;

/// What a program runs on, as its head says; nothing where that is not known.
fn platform_of(head: &[u8]) -> Option<&'static str> {
    let word = |at: usize| Some(u16::from_le_bytes([*head.get(at)?, *head.get(at + 1)?]));
    if head.starts_with(b"\x7fELF") {
        return match word(18)? {
            62 => Some("linux-x86_64"),
            183 => Some("linux-aarch64"),
            _ => Some("another machine"),
        };
    }
    if head.starts_with(b"MZ") {
        let at = usize::from(word(0x3c)?);
        return (head.get(at..at + 4)? == b"PE\0\0").then(|| match word(at + 4) {
            Some(0x8664) => "windows-x86_64",
            _ => "another machine",
        });
    }
    None
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The newest of these that has not expired.
#[must_use]
pub fn newest(releases: Vec<Release>, now: DateTime<Utc>) -> Option<Release> {
    let alive = releases
        .into_iter()
        .filter(|release| now < release.expires_at);
    let versioned =
        alive.filter_map(|release| Some((Version::parse(&release.version).ok()?, release)));
    versioned
        .max_by(|(one, _), (other, _)| one.cmp(other))
        .map(|(_, release)| release)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn manifest(program: &[u8]) -> Manifest {
        let now = Utc::now();
        Manifest {
            format: 1,
            version: Version::new(0, 2, 0),
            platform: "linux-x86_64".to_owned(),
            size: program.len() as u64,
            sha256: hexadecimal(&Sha256::digest(program)),
            released_at: now,
            expires_at: now + TimeDelta::days(1),
            downgrade: false,
        }
    }

    fn elf(machine: u8) -> Vec<u8> {
        let mut head = b"\x7fELF".to_vec();
        head.resize(64, 0);
        head[18] = machine;
        head
    }

    #[test]
    fn a_program_that_is_not_the_signed_one_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let programs = Programs::new(dir.path());
        let path = dir.path().join("agent");
        let wanted = manifest(&elf(62));
        for (program, why) in [
            (elf(183), "SHA-256"),
            (elf(62)[..60].to_vec(), "60 bytes"),
            ([elf(62), vec![0]].concat(), "65 bytes"),
        ] {
            fs::write(&path, program).unwrap();
            let refused = programs.keep(&path, &wanted).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        fs::write(&path, elf(183)).unwrap();
        let refused = programs.keep(&path, &manifest(&elf(183))).unwrap_err();
        assert!(refused.to_string().contains("linux-aarch64"), "{refused}");
        let left: Vec<_> = fs::read_dir(dir.path().join(FOLDER)).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        fs::write(&path, elf(62)).unwrap();
        programs.keep(&path, &wanted).unwrap();
        programs.keep(&path, &wanted).unwrap();
        assert_eq!(fs::read(programs.path(&wanted.sha256)).unwrap(), elf(62));
        programs.remove(&wanted.sha256).unwrap();
        programs.remove(&wanted.sha256).unwrap();
    }

    #[test]
    fn what_a_program_runs_on_is_read_from_its_head() {
        let mut windows = b"MZ".to_vec();
        windows.resize(0x80, 0);
        windows[0x3c] = 0x80;
        windows.extend(b"PE\0\0\x64\x86");
        assert_eq!(platform_of(&windows), Some("windows-x86_64"));
        assert_eq!(platform_of(&elf(62)), Some("linux-x86_64"));
        assert_eq!(platform_of(&elf(3)), Some("another machine"));
        for unknown in [&b"#!/bin/sh"[..], b"", b"MZ", b"\x7fELF"] {
            assert_eq!(platform_of(unknown), None, "{unknown:?}");
        }
    }
}
