//! The temporary file of a download, beside its target: named after the target and the version of the file, so that
//! the next try finds what it can go on with.

use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use gururmm_shared::FileInfo;
use reqwest::Response;
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Progress, hexadecimal, local};
use crate::client::{Client, ClientError};

/// How temporary files end.
const PART: &str = ".gururmm-part";

/// The longest name of a version that a temporary file may carry.
const VERSION_BYTES: usize = 64;

/// Characters of the target's name in that of a temporary file.
const NAME_CHARACTERS: usize = 20;

/// A temporary file and what is in it.
pub(super) struct Part {
    pub path: PathBuf,
    pub file: File,
    pub hash: Sha256,
    pub bytes: u64,
    pub version: Option<String>,
}

impl Part {
    /// Opens the part that an earlier try has left.
    pub async fn find(target: &Path) -> Result<Option<Self>, ClientError> {
        let Some((folder, prefix)) = place(target) else {
            return Err(ClientError::local(format!(
                "{} is no file's name",
                target.display()
            )));
        };
        let Ok(mut entries) = tokio::fs::read_dir(&folder).await else {
            return Err(ClientError::local(format!(
                "there is no folder {}",
                folder.display()
            )));
        };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name
                .strip_prefix(&prefix)
                .and_then(|rest| rest.strip_suffix(PART))
                .and_then(unhex);
            // No link: what it leads to is somebody else's.
            let is_file = entry.file_type().await.is_ok_and(|kind| kind.is_file());
            if let Some(version) = version.filter(|_| is_file) {
                return Self::reopen(&entry.path(), version).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn reopen(path: &Path, version: String) -> Result<Self, ClientError> {
        let failed = |error: std::io::Error| local("read", path, &error);
        let opened = OpenOptions::new().read(true).write(true).open(path).await;
        let mut file = opened.map_err(failed)?;
        let mut hash = Sha256::new();
        let mut bytes = 0;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = file.read(&mut buffer).await.map_err(failed)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            bytes += count as u64;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            hash,
            bytes,
            version: Some(version),
        })
    }

    pub async fn begin(target: &Path, version: Option<String>) -> Result<Self, ClientError> {
        let Some((folder, prefix)) = place(target) else {
            return Err(ClientError::local(format!(
                "{} is no file's name",
                target.display()
            )));
        };
        let named = version.filter(|version| version.len() <= VERSION_BYTES);
        let suffix = match &named {
            Some(version) => hexadecimal(version.as_bytes()),
            // Not to be gone on with, so of its own.
            None => format!("{}-", std::process::id()),
        };
        let path = folder.join(format!("{prefix}{suffix}{PART}"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        // What somebody else put there must not be followed; a stale one is of no use.
        let _ = tokio::fs::remove_file(&path).await;
        let opened = options.open(&path).await;
        let file = opened.map_err(|error| local("write", &path, &error))?;
        Ok(Self {
            path,
            file,
            hash: Sha256::new(),
            bytes: 0,
            version: named,
        })
    }

    pub async fn take(
        &mut self,
        response: Response,
        client: &Client,
        left: Option<u64>,
        progress: Progress<'_>,
    ) -> Result<(), ClientError> {
        let size = left.map(|left| self.bytes + left);
        progress(self.bytes, size);
        let mut body = response.bytes_stream();
        while let Some(bytes) = body.next().await {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.flush().await?;
                    return Err(client.lost(&error));
                }
            };
            let written = self.file.write_all(&bytes).await;
            written.map_err(|error| local("write", &self.path, &error))?;
            self.hash.update(&bytes);
            self.bytes += bytes.len() as u64;
            progress(self.bytes, size);
        }
        self.flush().await?;
        if size.is_some_and(|size| size != self.bytes) {
            return Err(ClientError::Lost("the file came short".to_owned()));
        }
        Ok(())
    }

    /// Gives it the permissions and the time of the file that it is made of. Who owns it stays, so bits that lend the
    /// owner's rights are left out.
    pub async fn keep(&self, info: &FileInfo) -> Result<(), ClientError> {
        let failed = |error: std::io::Error| local("write", &self.path, &error);
        #[cfg(unix)]
        if let Some(mode) = info.mode {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode & 0o777);
            self.file.set_permissions(mode).await.map_err(failed)?;
        }
        if let Some(modified) = info.modified {
            let file = self.file.try_clone().await.map_err(failed)?;
            let file = file.into_std().await;
            file.set_modified(modified.into()).map_err(failed)?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ClientError> {
        let flushed = self.file.flush().await;
        flushed.map_err(|error| local("write", &self.path, &error))
    }
}

/// The folder of a target, and how the names of its temporary files begin.
fn place(target: &Path) -> Option<(PathBuf, String)> {
    let name = target.file_name()?.to_string_lossy();
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    // A whole name could leave no room for the version.
    let begin: String = name.chars().take(NAME_CHARACTERS).collect();
    let digest = hexadecimal(&Sha256::digest(name.as_bytes())[..4]);
    Some((folder, format!(".{begin}.{digest}.")))
}

fn unhex(text: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect();
    String::from_utf8(bytes?)
        .ok()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_part_stands_in_its_name() {
        let version = r#""1-2a""#;
        assert_eq!(
            unhex(&hexadecimal(version.as_bytes())).as_deref(),
            Some(version)
        );
        assert_eq!(unhex("xx"), None);
        assert_eq!(unhex(""), None);
        assert_eq!(unhex("123-"), None);
    }
}
