//! The headers of a tar archive on its way out: ustar, with a PAX header before it where a name is long
//! (POSIX.1-2001, pax). Pure.

use tar::{EntryType, Header};

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;

/// Bytes of a name that a ustar header holds.
const SHORT: usize = 100;

/// What is said of a member of an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub name: &'a [u8],
    pub kind: EntryType,
    pub link: &'a [u8],
    pub size: u64,
    pub mode: u32,
    /// Seconds since 1970.
    pub modified: u64,
    pub owner: u32,
    pub group: u32,
}

/// Writes the header of a member, with what must stand before it.
pub(super) fn write_header(said: &Said<'_>, out: &mut Vec<u8>) {
    let mut records = Vec::new();
    for (key, value) in [("path", said.name), ("linkpath", said.link)] {
        if value.len() > SHORT {
            write_record(key, value, &mut records);
        }
    }
    if !records.is_empty() {
        let mut header = blank(b"PaxHeaders/member", EntryType::XHeader, 0o644);
        header.set_size(records.len() as u64);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&records);
        pad(records.len() as u64, out);
    }
    let mut header = blank(said.name, said.kind, said.mode);
    let old = header.as_old_mut();
    copy_short(said.link, &mut old.linkname);
    header.set_size(said.size);
    header.set_mtime(said.modified);
    header.set_uid(said.owner.into());
    header.set_gid(said.group.into());
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
}

/// Fills the last block of a member's bytes.
pub(super) fn pad(size: u64, out: &mut Vec<u8>) {
    out.resize(out.len() + padding(size), 0);
}

/// The end of an archive.
pub(super) fn write_end(out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * BLOCK, 0);
}

/// Bytes between a member's last one and the next block.
pub(super) fn padding(size: u64) -> usize {
    // The remainder is less than a block.
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

fn blank(name: &[u8], kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_ustar();
    copy_short(name, &mut header.as_old_mut().name);
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn copy_short(text: &[u8], field: &mut [u8; SHORT]) {
    let length = text.len().min(SHORT);
    field[..length].copy_from_slice(&text[..length]);
}

/// Writes `LENGTH KEY=VALUE\n`, whose length counts itself.
fn write_record(key: &str, value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_length_counts_itself() {
        for length in [1, 85, 86, 87, 88, 985, 986, 987, 988, 989, 4000] {
            let mut record = Vec::new();
            write_record("path", &vec![b'x'; length], &mut record);
            let said = record.split(|byte| *byte == b' ').next().unwrap();
            let said: usize = std::str::from_utf8(said).unwrap().parse().unwrap();
            assert_eq!(said, record.len());
        }
    }
}
