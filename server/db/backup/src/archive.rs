//! The file itself: written in one go and hashed on the way, read back and held against its hashes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::manifest::{Entry, FORMAT, Manifest};
use crate::{BackupError, data_files};

const MANIFEST: &str = "manifest.json";
const HASHES: &str = "sha256.json";
/// Bytes of the two at most.
const MOST_MANIFEST: u64 = 1 << 20;
const MOST_HASHES: u64 = 256 << 20;
/// Bytes of nothing at the end at most.
const MOST_REST: u64 = 1 << 20;

fn hex(hash: &[u8]) -> String {
    use std::fmt::Write;
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hashes what goes through.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
    size: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            size: 0,
        }
    }

    fn entry(self, path: String) -> Entry {
        Entry {
            path,
            size: self.size,
            sha256: hex(&self.hash.finalize()),
        }
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.size += count as u64;
        Ok(count)
    }
}

/// A backup that is being written, beside its place and for nobody else to read.
pub(crate) struct Writer {
    tar: tar::Builder<GzEncoder<BufWriter<NamedTempFile>>>,
    target: PathBuf,
    entries: Vec<Entry>,
}

impl Writer {
    pub(crate) fn create(target: &Path, manifest: &Manifest) -> Result<Self, BackupError> {
        let made = NamedTempFile::new_in(folder_of(target));
        let file = made.map_err(|error| BackupError::file(target, error))?;
        let gzip = GzEncoder::new(BufWriter::new(file), Compression::fast());
        let mut writer = Self {
            tar: tar::Builder::new(gzip),
            target: target.to_owned(),
            entries: Vec::new(),
        };
        writer.append_json(MANIFEST, manifest)?;
        Ok(writer)
    }

    fn append_json(
        &mut self,
        name: &str,
        value: &impl serde::Serialize,
    ) -> Result<(), BackupError> {
        let failed = |error: io::Error| BackupError::file(&self.target, error);
        let text = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
        let mut header = header(text.len() as u64);
        self.tar
            .append_data(&mut header, name, text.as_slice())
            .map_err(failed)
    }

    /// Adds a file as it is now; what is appended to it meanwhile is left out. One that is gone is left out, too.
    pub(crate) fn append(&mut self, path: &Path, from: &Path) -> Result<(), BackupError> {
        let mut file = match File::open(from) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(BackupError::file(from, error)),
        };
        let length = file.metadata().map(|metadata| metadata.len());
        let length = length.map_err(|error| BackupError::file(from, error))?;
        let name = plain_name(path).ok_or_else(|| {
            let why = io::Error::new(io::ErrorKind::InvalidInput, "its name is no text");
            BackupError::file(from, why)
        })?;
        let mut header = header(length);
        let mut hashing = Hashing::new((&mut file).take(length));
        self.tar
            .append_data(&mut header, &name, &mut hashing)
            .map_err(|error| BackupError::file(from, error))?;
        if hashing.size != length {
            let why = io::Error::new(io::ErrorKind::UnexpectedEof, "it was cut off meanwhile");
            return Err(BackupError::file(from, why));
        }
        self.entries.push(hashing.entry(name));
        Ok(())
    }

    /// Brings it to the disk and into its place; its size.
    pub(crate) fn finish(mut self) -> Result<u64, BackupError> {
        let entries = std::mem::take(&mut self.entries);
        self.append_json(HASHES, &entries)?;
        let Self { tar, target, .. } = self;
        let done = || -> io::Result<u64> {
            let gzip = tar.into_inner()?;
            let mut buffer = gzip.finish()?;
            buffer.flush()?;
            let file = buffer
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            let size = file.as_file().metadata()?.len();
            file.persist(&target).map_err(|error| error.error)?;
            #[cfg(unix)]
            File::open(folder_of(&target))?.sync_all()?;
            Ok(size)
        };
        done().map_err(|error| BackupError::file(&target, error))
    }
}

/// The folder that a file lies in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    header
}

fn plain_name(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    parts.map(|parts| parts.join("/"))
}

type Entries<'a> = tar::Entries<'a, GzDecoder<BufReader<File>>>;

fn damaged(error: impl std::fmt::Display) -> BackupError {
    BackupError::Damaged(error.to_string())
}

/// Opens a backup, gives its manifest to be judged, and unpacks it into a folder; then all of its hashes fit.
pub(crate) fn unpack(
    file: &Path,
    judge: impl FnOnce(&Manifest) -> Result<PathBuf, BackupError>,
) -> Result<Manifest, BackupError> {
    let opened = File::open(file).map_err(|error| BackupError::file(file, error))?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(opened)));
    let mut entries = tar.entries().map_err(damaged)?;
    let manifest = manifest(&mut entries)?;
    let folder = judge(&manifest)?;
    let mut found = BTreeMap::new();
    let mut told: Option<Vec<Entry>> = None;
    for entry in entries {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        if told.is_some() {
            return Err(damaged("something comes after its end"));
        }
        if path == Path::new(HASHES) {
            told = Some(serde_json::from_reader(entry.take(MOST_HASHES)).map_err(damaged)?);
            continue;
        }
        let name = expected(&path)
            .ok_or_else(|| damaged(format!("{} does not belong in it", path.display())))?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(damaged(format!("{name} is no file")));
        }
        let size = entry.size();
        let mut hashing = Hashing::new(&mut entry);
        keep(&mut hashing, &folder.join(&path))?;
        if hashing.size != size {
            return Err(damaged(format!("{name} is cut off")));
        }
        let entry = hashing.entry(name);
        if let Some(twice) = found.insert(entry.path.clone(), entry) {
            return Err(damaged(format!("{} is in it twice", twice.path)));
        }
    }
    let told = told.ok_or_else(|| damaged("its end is missing"))?;
    // Up to the last byte: the compression has a sum of its own there.
    let mut rest = tar.into_inner().take(MOST_REST);
    io::copy(&mut rest, &mut io::sink()).map_err(damaged)?;
    compare(told, &found).map(|()| manifest)
}

fn manifest(entries: &mut Entries<'_>) -> Result<Manifest, BackupError> {
    let not_one = || BackupError::Unfit("this file is no backup of a GuruRMM server".to_owned());
    let first = entries.next().ok_or_else(not_one)?;
    let first = first.map_err(|_| not_one())?;
    if first.path().ok().as_deref() != Some(Path::new(MANIFEST)) {
        return Err(not_one());
    }
    let value: serde_json::Value =
        serde_json::from_reader(first.take(MOST_MANIFEST)).map_err(damaged)?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(FORMAT.into()) {
        return Err(BackupError::Unfit(format!(
            "the backup has the format {}, and this program knows {FORMAT}; bring it back with the version that made it",
            format.map_or_else(|| "?".to_owned(), |format| format.to_string())
        )));
    }
    serde_json::from_value(value).map_err(damaged)
}

/// The name of a file that may be in a backup.
fn expected(path: &Path) -> Option<String> {
    let name = plain_name(path)?;
    let ours = match path.strip_prefix("data") {
        Ok(inside) => data_files::is_ours(inside),
        Err(_) => path.strip_prefix("database").is_ok() && path.components().count() == 2,
    };
    ours.then_some(name)
}

/// Writes what comes to a file that only its owner reads; a fault of the reader is one of the backup.
fn keep(from: &mut impl Read, to: &Path) -> Result<(), BackupError> {
    let failed = |error| BackupError::file(to, error);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder_of(to)).map_err(failed)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(to).map_err(failed)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).map_err(damaged)?;
        if count == 0 {
            break;
        }
        file.write_all(buffer.get(..count).unwrap_or_default())
            .map_err(failed)?;
    }
    file.sync_all().map_err(failed)
}

fn compare(told: Vec<Entry>, found: &BTreeMap<String, Entry>) -> Result<(), BackupError> {
    if told.len() != found.len() {
        return Err(damaged("files are missing in it"));
    }
    for entry in told {
        if found.get(&entry.path) != Some(&entry) {
            return Err(damaged(format!("{} is not as it was written", entry.path)));
        }
    }
    Ok(())
}
