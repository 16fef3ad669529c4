//! Reads a tar archive as it comes in, piece by piece: ustar, PAX and GNU long names. Pure: no file is
//! touched here, and what cannot be unpacked safely is an error.
//!
//! ```text
//!   Header ──▶ Extension ──▶ Padding ──▶ Header …
//!          └─▶ Content ──▶ Padding ──▶ Header …
//!          └─▶ Ended (a block of zeros)
//! ```

use gururmm_shared::{ErrorCode, OperationError};
use tar::{EntryType, Header};

use super::tar_header::{BLOCK, padding};

/// The most bytes of a PAX header or a long name.
const MOST_EXTENSION_BYTES: u64 = 64 * 1024;

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// As it stands there.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// Bytes that follow.
    pub size: u64,
    /// Permission bits, as they stand there.
    pub mode: u32,
    /// Seconds since 1970.
    pub modified: u64,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MemberKind {
    /// A file with bytes.
    File,
    /// A folder.
    Folder,
    /// A symbolic link to there.
    Link(String),
}

/// What an archive's next bytes mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A member begins.
    Begin(Member),
    /// Bytes of the member.
    Content(&'a [u8]),
    /// The member has ended.
    End,
}

#[derive(Debug)]
enum State {
    Header,
    Extension(Extension, u64),
    Content(u64),
    Padding(usize),
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    Pax,
    Global,
    LongName,
    LongLink,
}

/// What extensions said of the next member.
#[derive(Debug, Default)]
struct Overrides {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    modified: Option<u64>,
}

/// Reads an archive.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    /// What has come of a header or an extension.
    collected: Vec<u8>,
    after_content: usize,
    overrides: Overrides,
}

impl Decoder {
    /// At the beginning of an archive.
    pub fn new() -> Self {
        Self {
            state: State::Header,
            collected: Vec::with_capacity(BLOCK),
            after_content: 0,
            overrides: Overrides::default(),
        }
    }

    /// Whether the archive has come to its end.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// What the next bytes mean, which are taken from `input`; none when it is used up.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, OperationError> {
        loop {
            match self.state {
                State::Ended => {
                    // What fills the last record of a tape.
                    *input = &[];
                    return Ok(None);
                }
                State::Content(0) => {
                    self.state = State::Padding(self.after_content);
                    return Ok(Some(Event::End));
                }
                State::Padding(0) => self.state = State::Header,
                _ if input.is_empty() => return Ok(None),
                State::Content(left) => {
                    let content = take(input, left);
                    self.state = State::Content(left - content.len() as u64);
                    return Ok(Some(Event::Content(content)));
                }
                State::Padding(left) => {
                    let skipped = take(input, left as u64).len();
                    self.state = State::Padding(left - skipped);
                }
                State::Header => {
                    if self.collect(input, BLOCK)
                        && let Some(member) = self.header()?
                    {
                        return Ok(Some(Event::Begin(member)));
                    }
                }
                State::Extension(extension, size) => {
                    // Its size was checked.
                    if self.collect(input, usize::try_from(size).unwrap_or(0)) {
                        self.extension(extension)?;
                        self.state = State::Padding(padding(size));
                    }
                }
            }
        }
    }

    /// Whether as many bytes as wanted are collected.
    fn collect(&mut self, input: &mut &[u8], wanted: usize) -> bool {
        let missing = wanted - self.collected.len();
        self.collected
            .extend_from_slice(take(input, missing as u64));
        self.collected.len() == wanted
    }

    fn header(&mut self) -> Result<Option<Member>, OperationError> {
        let block = std::mem::take(&mut self.collected);
        if block.iter().all(|byte| *byte == 0) {
            self.state = State::Ended;
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block);
        if header.cksum().ok() != Some(checksum(&block)) {
            return Err(damaged("a header's checksum does not fit"));
        }
        let kind = header.entry_type();
        let size = header
            .entry_size()
            .map_err(|_| damaged("a size is no number"))?;
        let extension = match kind {
            EntryType::XHeader => Extension::Pax,
            EntryType::XGlobalHeader => Extension::Global,
            EntryType::GNULongName => Extension::LongName,
            EntryType::GNULongLink => Extension::LongLink,
            _ => return self.member(header, size).map(Some),
        };
        if size > MOST_EXTENSION_BYTES {
            return Err(OperationError::new(
                ErrorCode::TooLarge,
                format!(
                    "a header of the archive has {size} bytes; at most {MOST_EXTENSION_BYTES} are taken"
                ),
            ));
        }
        self.state = State::Extension(extension, size);
        Ok(None)
    }

    fn member(&mut self, header: &Header, size: u64) -> Result<Member, OperationError> {
        let said = std::mem::take(&mut self.overrides);
        let name = said
            .name
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let name = text(name, "name")?;
        let kind = match header.entry_type() {
            // The first tar had folders as files whose names end with a slash.
            EntryType::Regular if name.ends_with('/') => MemberKind::Folder,
            EntryType::Regular | EntryType::Continuous => MemberKind::File,
            EntryType::Directory => MemberKind::Folder,
            EntryType::Symlink => {
                let link = said
                    .link
                    .or_else(|| Some(header.link_name_bytes()?.into_owned()));
                MemberKind::Link(text(link.unwrap_or_default(), "link's target")?)
            }
            EntryType::Link => return Err(refused(&name, "a hard link")),
            EntryType::Char | EntryType::Block => return Err(refused(&name, "a device")),
            EntryType::Fifo => return Err(refused(&name, "a pipe")),
            EntryType::GNUSparse => return Err(refused(&name, "a file with holes")),
            other => {
                return Err(refused(
                    &name,
                    &format!("of kind {:?}", other.as_byte() as char),
                ));
            }
        };
        let size = said.size.unwrap_or(size);
        if size > 0 && kind != MemberKind::File {
            return Err(damaged("a folder or a link with bytes"));
        }
        self.state = State::Content(size);
        self.after_content = padding(size);
        Ok(Member {
            name,
            kind,
            size,
            mode: header.mode().map_err(|_| damaged("a mode is no number"))?,
            modified: said.modified.or(header.mtime().ok()).unwrap_or(0),
        })
    }

    fn extension(&mut self, extension: Extension) -> Result<(), OperationError> {
        let mut bytes = std::mem::take(&mut self.collected);
        match extension {
            Extension::Pax | Extension::Global => {
                let mut rest = bytes.as_slice();
                while let Some((key, value)) = next_record(&mut rest)? {
                    self.record(key, value, extension)?;
                }
            }
            Extension::LongName | Extension::LongLink => {
                while bytes.last() == Some(&0) {
                    bytes.pop();
                }
                let said = match extension {
                    Extension::LongName => &mut self.overrides.name,
                    _ => &mut self.overrides.link,
                };
                *said = Some(bytes);
            }
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8], of: Extension) -> Result<(), OperationError> {
        let number = |value: &[u8]| {
            // Fractions of a second are left out.
            let whole = value.split(|byte| *byte == b'.').next()?;
            std::str::from_utf8(whole).ok()?.parse().ok()
        };
        match key {
            b"path" | b"linkpath" | b"size" if of == Extension::Global => {
                return Err(damaged("a name or a size for all members"));
            }
            b"path" => self.overrides.name = Some(value.to_vec()),
            b"linkpath" => self.overrides.link = Some(value.to_vec()),
            b"size" => {
                let size = number(value).ok_or_else(|| damaged("a size is no number"))?;
                self.overrides.size = Some(size);
            }
            b"mtime" if of == Extension::Pax => self.overrides.modified = number(value),
            _ if key.starts_with(b"GNU.sparse") => {
                return Err(damaged(
                    "files with holes are not taken: make the archive without",
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

/// A PAX record's key and value.
type Record<'a> = (&'a [u8], &'a [u8]);

/// Takes a PAX record, `LENGTH KEY=VALUE\n`, by its length: a value may hold line ends.
fn next_record<'a>(rest: &mut &'a [u8]) -> Result<Option<Record<'a>>, OperationError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let parse = |rest: &'a [u8]| {
        let space = rest.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        Some((&record[..equals], &record[equals + 1..], &rest[length..]))
    };
    let (key, value, after) = parse(rest).ok_or_else(|| damaged("a PAX record cannot be read"))?;
    *rest = after;
    Ok(Some((key, value)))
}

fn take<'a>(input: &mut &'a [u8], most: u64) -> &'a [u8] {
    let length = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
    let (taken, rest) = input.split_at(length);
    *input = rest;
    taken
}

/// The sum of a header's bytes, with spaces in place of the sum itself.
fn checksum(block: &[u8]) -> u32 {
    let counted = block.iter().enumerate().map(|(index, byte)| match index {
        148..156 => u32::from(b' '),
        _ => u32::from(*byte),
    });
    counted.sum()
}

fn text(bytes: Vec<u8>, what: &str) -> Result<String, OperationError> {
    String::from_utf8(bytes).map_err(|error| {
        let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let text = format!("the {what} {shown:?} in the archive is no UTF-8");
        OperationError::new(ErrorCode::BadName, text)
    })
}

fn refused(name: &str, what: &str) -> OperationError {
    let text = format!("{name:?} in the archive is {what}, which is not unpacked");
    OperationError::new(ErrorCode::WrongKind, text)
}

fn damaged(what: &str) -> OperationError {
    OperationError::new(
        ErrorCode::BadArchive,
        format!("the archive is damaged, or none: {what}"),
    )
}
