//! The bytes of a file on their way out: a hop reads ahead while the piece before it waits for the window.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use cap_std::fs::Metadata;
use gururmm_shared::{Closed, ErrorCode, FileRead, Opened, OperationError, TunnelRules};
use tokio::time::timeout;

use super::blocking::{HOP_BYTES, hop};
use super::failure::{failure, gone, stalled, wrong_kind};
use super::info::{time, version};
use super::path::CleanPath;
use super::place::Place;
use super::{STALL, check_readable};
use crate::channels::stream::Stream;
use crate::platform::is_input_output;

/// Sends a file.
pub(super) async fn send(
    stream: &Stream,
    open: FileRead,
    rules: &TunnelRules,
    window: u64,
) -> Result<Closed, OperationError> {
    check_readable(rules)?;
    let rules = rules.clone();
    let source = Arc::new(hop(move || Source::open(&open, &rules)).await?);
    let opened = Opened {
        window,
        size: Some(source.size),
        modified: source
            .before
            .modified()
            .ok()
            .and_then(|at| time(at.into_std())),
        version: Some(version(&source.before)),
        ..Opened::default()
    };
    stream.opened(opened).await.map_err(gone)?;
    let mut left = source.length;
    let mut ahead = (left > 0).then(|| read_ahead(&source, left));
    while let Some(reading) = ahead {
        let piece = reading.await?;
        left -= piece.len() as u64;
        ahead = (left > 0).then(|| read_ahead(&source, left));
        match timeout(STALL, stream.send(piece)).await {
            Ok(sent) => sent.map_err(gone)?,
            Err(_) => return Err(stalled()),
        }
    }
    let length = source.length;
    hop(move || source.check_unchanged()).await?;
    Ok(Closed {
        bytes: Some(length),
        ..Closed::default()
    })
}

/// An open file and what is wanted of it.
struct Source {
    file: File,
    path: CleanPath,
    before: Metadata,
    size: u64,
    length: u64,
}

impl Source {
    fn open(open: &FileRead, rules: &TunnelRules) -> Result<Self, OperationError> {
        let place = Place::find(&open.path, rules)?;
        let mut file = place.open_file()?;
        let path = place.path().clone();
        let explained = |error: std::io::Error| failure(&error, &path);
        let before = Metadata::from_file(&file).map_err(explained)?;
        let size = before.len();
        if open
            .version
            .as_ref()
            .is_some_and(|wanted| *wanted != version(&before))
        {
            return Err(changed(&path));
        }
        if open.offset > size {
            let text = format!("{path} has {size} bytes: nothing begins at {}", open.offset);
            return Err(OperationError::new(ErrorCode::BadOffset, text));
        }
        if size == 0 {
            match file.read(&mut [0]) {
                Ok(0) => {}
                Ok(_) => {
                    let what = "has no size that can be told beforehand: read it in a terminal";
                    return Err(wrong_kind(&path, what));
                }
                // An empty file has nothing that could fail to be read: this is none, as /proc/self/mem.
                Err(error) if is_input_output(&error) => {
                    let what = "has no bytes at its beginning: read it in a terminal";
                    return Err(wrong_kind(&path, what));
                }
                Err(error) => return Err(explained(error)),
            }
        }
        file.seek(SeekFrom::Start(open.offset)).map_err(explained)?;
        let rest = size - open.offset;
        Ok(Self {
            file,
            before,
            size,
            length: open.length.map_or(rest, |length| length.min(rest)),
            path,
        })
    }

    fn read(&self, left: u64) -> Result<Bytes, OperationError> {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(HOP_BYTES);
        let mut bytes = vec![0; wanted];
        match (&self.file).read_exact(&mut bytes) {
            Ok(()) => Ok(bytes.into()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(changed(&self.path)),
            Err(error) => Err(failure(&error, &self.path)),
        }
    }

    fn check_unchanged(&self) -> Result<(), OperationError> {
        let now = Metadata::from_file(&self.file).map_err(|error| failure(&error, &self.path))?;
        if version(&now) == version(&self.before) {
            Ok(())
        } else {
            Err(changed(&self.path))
        }
    }
}

/// Begins to read the next bytes.
fn read_ahead(
    source: &Arc<Source>,
    left: u64,
) -> impl Future<Output = Result<Bytes, OperationError>> + use<> {
    let source = source.clone();
    hop(move || source.read(left))
}

fn changed(path: &CleanPath) -> OperationError {
    let text = format!("{path} was changed meanwhile: begin again");
    OperationError::new(ErrorCode::Changed, text)
}
