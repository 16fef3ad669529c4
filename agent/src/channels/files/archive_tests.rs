#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use gururmm_shared::ErrorCode;
use tar::{Builder, EntryType, Header};

use super::tar_decoder::{Decoder, Event};
use super::testing::*;
use crate::platform::make_pipe;

/// An archive that says what no honest program writes.
#[derive(Default)]
struct Forged(Vec<u8>);

impl Forged {
    fn entry(kind: EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        Self::default().and(kind, name, link, content)
    }

    fn file(name: &str) -> Self {
        Self::entry(EntryType::Regular, name, "", b"evil")
    }

    fn and(mut self, kind: EntryType, name: &str, link: &str, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o6755);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn pax(self, key: &str, value: &str) -> Self {
        let rest = key.len() + value.len() + 3;
        let length = (1..)
            .find(|length| *length == rest + length.to_string().len())
            .unwrap();
        let record = format!("{length} {key}={value}\n");
        self.and(EntryType::XHeader, "pax", "", record.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, base: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = text(path.strip_prefix(base).unwrap());
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                found.insert(name + "/", Vec::new());
                walk(&path, base, found);
            } else if metadata.is_symlink() {
                found.insert(
                    name + "@",
                    text(&std::fs::read_link(&path).unwrap()).into_bytes(),
                );
            } else if metadata.is_file() {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

fn fill(ground: &Ground, folder: &str) {
    let long = format!("{folder}/{}/{}", "l".repeat(200), "m".repeat(200));
    ground.folder(&long);
    ground.folder(&format!("{folder}/empty"));
    ground.file(&format!("{long}/{}", "n".repeat(255)), &noise(100));
    ground.file(&format!("{folder}/zero"), b"");
    for size in [1, 511, 512, 513, 262_143, 262_144, 262_145, 700_000] {
        ground.file(&format!("{folder}/size-{size}"), &noise(size));
    }
    ground.file(&format!("{folder}/ä\nb"), b"odd name");
    ground.link("size-1", &format!("{folder}/link"));
    ground.link("l".repeat(150), &format!("{folder}/empty/long-link"));
    let mode = PermissionsExt::from_mode(0o751);
    std::fs::set_permissions(ground.path(&format!("{folder}/size-1")), mode).unwrap();
}

#[tokio::test]
async fn a_folder_goes_out_and_comes_in_again_the_same() {
    let ground = Ground::new();
    let source = ground.folder("source");
    fill(&ground, "source");
    make_pipe(&ground.path("source/pipe"));
    let channel = archive_read(&source, &anywhere());
    let archive = channel.peer.rest().await;
    let closed = channel.end().await;
    assert_eq!(
        (closed.error, closed.members, closed.skipped),
        (None, Some(16), Some(1))
    );
    let carried: usize = files_below(&ground.path("source"))
        .iter()
        .filter(|(name, _)| !name.ends_with('@'))
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert_eq!(closed.bytes, Some(carried as u64));

    let target = ground.text("new/target");
    let closed = unpack(&target, &archive, false, &anywhere()).await;
    assert_eq!((closed.error, closed.members), (None, Some(16)));
    assert_eq!(closed.bytes, Some(carried as u64));
    assert!(files_below(&ground.path("source")) == files_below(&ground.path("new/target")));
    let metadata = |place: &str| {
        let metadata = std::fs::metadata(ground.path(place)).unwrap();
        (metadata.mode(), metadata.mtime())
    };
    assert_eq!(metadata("source/size-1"), metadata("new/target/size-1"));

    let again = unpack(&target, &archive, false, &anywhere()).await;
    assert_eq!(code(&again), Some(ErrorCode::AlreadyExists));
    ground.file("new/target/size-1", b"changed");
    let over = unpack(&target, &archive, true, &anywhere()).await;
    assert_eq!(over.error, None);
    assert!(files_below(&ground.path("source")) == files_below(&ground.path("new/target")));
}

#[tokio::test]
async fn the_tar_of_the_machine_reads_and_writes_the_same_archives() {
    let ground = Ground::new();
    let source = ground.folder("source");
    fill(&ground, "source");
    let channel = archive_read(&source, &anywhere());
    let archive = channel.peer.rest().await;
    let file = ground.file("archive.tar", &archive);
    let theirs = ground.folder("theirs");
    let tar = |arguments: &[&str]| {
        let output = std::process::Command::new("tar")
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{said}");
    };
    tar(&["-xf", &file, "-C", &theirs]);
    assert!(files_below(&ground.path("source")) == files_below(&ground.path("theirs")));
    for format in ["gnu", "pax", "posix"] {
        tar(&["-cf", &file, "--format", format, "-C", &source, "."]);
        let ours = ground.folder(&format!("ours-{format}"));
        let bytes = std::fs::read(&file).unwrap();
        let closed = unpack(&ours, &bytes, false, &anywhere()).await;
        assert_eq!(closed.error, None, "{format}");
        let found = files_below(&ground.path(&format!("ours-{format}")));
        assert!(files_below(&ground.path("source")) == found, "{format}");
    }
}

#[tokio::test]
async fn names_that_lead_out_of_the_folder_are_refused() {
    let long = "../".repeat(40) + "etc/evil";
    let forged = [
        Forged::file("../evil"),
        Forged::file("/evil"),
        Forged::file("//evil"),
        Forged::file("a/../../evil"),
        Forged::file("a/.."),
        Forged::file(".."),
        Forged::file("./../evil"),
        Forged::file("a//b"),
        Forged::file("."),
        Forged::file("a/./b"),
        Forged::entry(EntryType::Directory, "../evil/", "", b""),
        Forged::entry(EntryType::Directory, "/evil", "", b""),
        Forged::entry(EntryType::Symlink, "../evil", "a", b""),
        Forged::entry(EntryType::Symlink, "link", "/etc", b""),
        Forged::entry(EntryType::Symlink, "link", "..", b""),
        Forged::entry(EntryType::Symlink, "link", "../outside", b""),
        Forged::entry(EntryType::Symlink, "a/link", "../../outside", b""),
        Forged::entry(EntryType::Symlink, "link", "a/../../outside", b""),
        Forged::entry(EntryType::Symlink, "link", "a/..", b""),
        Forged::entry(EntryType::Symlink, "link", "", b""),
        Forged::default()
            .pax("path", "../evil")
            .and(EntryType::Regular, "good", "", b"evil"),
        Forged::default()
            .pax("path", "/evil")
            .and(EntryType::Regular, "good", "", b"evil"),
        Forged::default()
            .pax("path", "a\0b")
            .and(EntryType::Regular, "good", "", b"evil"),
        Forged::default()
            .pax("linkpath", "/etc")
            .and(EntryType::Symlink, "good", "a", b""),
        Forged::entry(EntryType::GNULongName, "././@LongLink", "", long.as_bytes()).and(
            EntryType::Regular,
            "good",
            "",
            b"evil",
        ),
        Forged::entry(EntryType::GNULongLink, "././@LongLink", "", b"/etc\0").and(
            EntryType::Symlink,
            "good",
            "a",
            b"",
        ),
    ];
    for (index, archive) in forged.into_iter().enumerate() {
        let ground = Ground::new();
        ground.folder("outside");
        let target = ground.folder("target");
        let closed = unpack(&target, &archive.end(), true, &anywhere()).await;
        assert_eq!(
            code(&closed),
            Some(ErrorCode::BadName),
            "{index}: {closed:?}"
        );
        assert_eq!(ground.names(""), ["outside", "target"], "{index}");
        assert!(ground.names("outside").is_empty() && !Path::new("/evil").exists());
    }
}

#[tokio::test]
async fn what_is_no_file_no_folder_and_no_link_is_refused() {
    for kind in [
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::GNUSparse,
        EntryType::new(b'?'),
    ] {
        let ground = Ground::new();
        ground.file("victim", b"victim");
        let target = ground.folder("target");
        let archive = Forged::entry(kind, "evil", "../victim", b"").end();
        let closed = unpack(&target, &archive, true, &anywhere()).await;
        assert_eq!(code(&closed), Some(ErrorCode::WrongKind), "{kind:?}");
        assert!(ground.names("target").is_empty());
    }
}

#[tokio::test]
async fn no_link_is_walked_through_whether_it_was_there_or_came_with_the_archive() {
    let ground = Ground::new();
    ground.folder("outside");
    let target = ground.folder("target");
    ground.link("../outside", "target/there");
    ground.folder("target/folder");
    let through = [
        Forged::file("there/evil"),
        Forged::entry(EntryType::Directory, "there/evil/", "", b""),
        Forged::entry(EntryType::Directory, "there/", "", b""),
        Forged::entry(EntryType::Symlink, "came", "folder", b"").and(
            EntryType::Regular,
            "came/evil",
            "",
            b"evil",
        ),
        Forged::file("there"),
    ];
    for (index, archive) in through.into_iter().enumerate() {
        let closed = unpack(&target, &archive.end(), true, &anywhere()).await;
        assert_eq!(
            code(&closed),
            Some(ErrorCode::WrongKind),
            "{index}: {closed:?}"
        );
    }
    assert!(ground.names("outside").is_empty() && ground.names("target/folder").is_empty());
}

#[tokio::test]
async fn bits_beyond_the_permissions_are_left_out() {
    let ground = Ground::new();
    let target = ground.folder("target");
    let archive = Forged::file("file")
        .and(EntryType::Directory, "folder/", "", b"")
        .end();
    assert_eq!(
        unpack(&target, &archive, false, &anywhere()).await.error,
        None
    );
    for name in ["file", "folder"] {
        let mode = std::fs::metadata(ground.path("target").join(name))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o7777, 0o755, "{name}");
    }
}

#[tokio::test]
async fn an_archive_that_ends_early_or_is_damaged_leaves_no_half_a_file() {
    let ground = Ground::new();
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_ustar();
    header.set_size(100_000);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, "file", noise(100_000).as_slice())
        .unwrap();
    let archive = builder.into_inner().unwrap();
    for cut in [1, 511, 512, 513, 50_000, 100_512, archive.len() - 1024] {
        let target = ground.folder(&format!("cut-{cut}"));
        let closed = unpack(&target, &archive[..cut], false, &anywhere()).await;
        assert_eq!(code(&closed), Some(ErrorCode::Cancelled), "{cut}");
        let names = ground.names(&format!("cut-{cut}"));
        assert!(
            names.is_empty() || (names == ["file"] && cut > 100_000),
            "{names:?}"
        );
    }
    let mut damaged = archive.clone();
    damaged[3] ^= 1;
    let target = ground.folder("damaged");
    let closed = unpack(&target, &damaged, false, &anywhere()).await;
    assert_eq!(code(&closed), Some(ErrorCode::BadArchive));
    for extension in [
        b"5 a=b".as_slice(),
        b"99 path=x\n",
        b"x path=y\n",
        b"-1 a=b\n",
        b"0 a=b\n",
        b"7 path\n",
    ] {
        let archive = Forged::entry(EntryType::XHeader, "pax", "", extension).and(
            EntryType::Regular,
            "file",
            "",
            b"x",
        );
        let closed = unpack(&target, &archive.end(), false, &anywhere()).await;
        assert_eq!(code(&closed), Some(ErrorCode::BadArchive));
    }
    let huge = vec![b'x'; 70_000];
    let archive = Forged::entry(EntryType::XHeader, "pax", "", &huge).end();
    let closed = unpack(&target, &archive, false, &anywhere()).await;
    assert_eq!(code(&closed), Some(ErrorCode::TooLarge));
    assert!(ground.names("damaged").is_empty());
}

#[tokio::test]
async fn a_size_in_a_pax_header_is_the_size() {
    // Whoever looks at the plain header only would take the content for a member of its own.
    let ground = Ground::new();
    let target = ground.folder("target");
    let inner = Forged::file("smuggled").end();
    let outer = Forged::default().pax("size", &inner.len().to_string());
    let mut archive = outer.and(EntryType::Regular, "outer", "", b"").0;
    archive.extend_from_slice(&inner);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    assert_eq!(
        unpack(&target, &archive, false, &anywhere()).await.error,
        None
    );
    assert_eq!(ground.names("target"), ["outer"]);
    assert_eq!(std::fs::read(ground.path("target/outer")).unwrap(), inner);
}

#[test]
fn an_archive_reads_the_same_however_it_is_cut() {
    let archive = Forged::default()
        .pax("path", "long/name")
        .and(EntryType::Regular, "x", "", &noise(1000))
        .and(EntryType::Symlink, "link", "a", b"")
        .and(EntryType::Regular, "empty", "", b"")
        .end();
    let read = |piece_bytes: usize| {
        let mut decoder = Decoder::new();
        let mut told = Vec::new();
        for piece in archive.chunks(piece_bytes) {
            let mut input = piece;
            while let Some(event) = decoder.next(&mut input).unwrap() {
                match event {
                    Event::Content(bytes) => told.extend_from_slice(bytes),
                    other => told.extend_from_slice(format!("{other:?}").as_bytes()),
                }
            }
        }
        assert!(decoder.has_ended());
        told
    };
    let whole = read(archive.len());
    for piece_bytes in [1, 7, 511, 512, 513, 1024] {
        assert!(read(piece_bytes) == whole, "{piece_bytes}");
    }
}

#[test]
fn no_bytes_whatever_make_the_decoder_panic() {
    let valid = Forged::default()
        .pax("path", "name")
        .and(EntryType::Regular, "x", "", &noise(600))
        .end();
    let noise = noise(valid.len() * 64);
    for (round, chunk) in noise.chunks(8).enumerate() {
        let mut bytes = valid.clone();
        let at = usize::from(chunk[0]) * usize::from(chunk[1]) % bytes.len();
        bytes[at] = chunk[2];
        if round % 2 == 0 {
            // With a checksum that fits, what is behind it is looked at.
            for block in bytes.chunks_mut(512).take(3) {
                let mut header = Header::from_byte_slice(block).clone();
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        let mut decoder = Decoder::new();
        let mut input = bytes.as_slice();
        while let Ok(Some(_)) = decoder.next(&mut input) {}
    }
}

#[tokio::test]
async fn an_archive_of_a_changing_folder_keeps_its_form() {
    let ground = Ground::new();
    let source = ground.folder("source");
    ground.file("source/a", &noise(1_000_000));
    let channel = archive_read(&source, &anywhere());
    while channel.peer.received() < WINDOW {
        tokio::task::yield_now().await;
    }
    std::fs::File::options()
        .write(true)
        .open(ground.path("source/a"))
        .unwrap()
        .set_len(300_000)
        .unwrap();
    while let Ok(Some(_)) = channel.peer.recv().await {}
    assert_eq!(code(&channel.end().await), Some(ErrorCode::Changed));

    ground.file("source/a", &noise(1_000_000));
    let channel = archive_read(&source, &anywhere());
    while channel.peer.received() < WINDOW {
        tokio::task::yield_now().await;
    }
    let mut longer = std::fs::File::options()
        .append(true)
        .open(ground.path("source/a"))
        .unwrap();
    std::io::Write::write_all(&mut longer, b"more").unwrap();
    let archive = channel.peer.rest().await;
    assert_eq!(channel.end().await.error, None);
    let mut members = tar::Archive::new(archive.as_slice());
    let mut first = members.entries().unwrap().next().unwrap().unwrap();
    let mut bytes = Vec::new();
    first.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 1_000_000);
}

#[tokio::test]
async fn other_file_systems_are_not_packed() {
    let channel = archive_read("/dev", &anywhere());
    while let Ok(Some(_)) = channel.peer.recv().await {}
    let closed = channel.end().await;
    assert_eq!(closed.error, None);
    assert!(closed.skipped.unwrap() > 0);
}

#[tokio::test]
async fn a_cut_connection_leaves_no_half_a_file_of_an_archive() {
    let ground = Ground::new();
    let target = ground.folder("target");
    let archive = Forged::entry(EntryType::Regular, "file", "", &noise(10_000)).end();
    let mut channel = archive_write(&target, false, &anywhere());
    channel.peer.opened().await;
    channel.peer.send(&archive[..5000]).await.unwrap();
    while ground.names("target").is_empty() {
        tokio::task::yield_now().await;
    }
    channel.peer.reset();
    assert_eq!(code(&channel.end().await), Some(ErrorCode::Gone));
    assert!(ground.names("target").is_empty());
}
