//! Recordings with real files, on both databases.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use gururmm_shared::{AgentId, ChannelId, RecordingId, SessionId, TerminalSize, UserId};
use sha2::{Digest, Sha256};

use super::files::OpenFiles;
use super::live::Live;
use super::writer::Writer;
use super::*;
use crate::db::audit_acts::{self, Act, ActFilter, ActSort};
use crate::db::page::PageOf;
use crate::db::recordings::Recording;
use crate::db::testing::{Scratch, execute, on_both};
use crate::domain::policy::recording::RecordingMode;
use crate::domain::recording::{Entry, EntryKind, Event};

/// How long something that is to come may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn new(mode: RecordingMode) -> NewRecording {
    NewRecording {
        session_id: SessionId::generate(),
        channel_id: ChannelId::terminal(1),
        agent_id: AgentId::generate(),
        hostname: "web-01".to_owned(),
        tech_id: UserId::generate(),
        user_email: "ada@example.com".to_owned(),
        size: TerminalSize { cols: 80, rows: 24 },
        term: None,
        program: "/bin/bash".to_owned(),
        rules: RecordingRules {
            mode,
            required: true,
            keep_days: 30,
        },
    }
}

struct Room {
    recordings: Recordings,
    db: Db,
    dir: tempfile::TempDir,
}

impl Room {
    fn new(db: &Db) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            recordings: Recordings::new(db.clone(), dir.path()),
            db: db.clone(),
            dir,
        }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("recordings")
    }

    async fn begin(&self, mode: RecordingMode) -> Recorder {
        self.recordings.start(new(mode)).await.unwrap()
    }

    /// The row, when nothing is written any more.
    async fn ended(&self, id: RecordingId) -> Recording {
        let drained = tokio::time::timeout(PATIENCE, self.recordings.drain()).await;
        drained.expect("all recordings end");
        self.row(id).await
    }

    async fn row(&self, id: RecordingId) -> Recording {
        let row = recordings::by_id(&self.db, id).await.unwrap();
        row.unwrap()
    }

    fn events(&self, row: &Recording) -> Vec<(String, String)> {
        events(&self.root().join(&row.path))
    }

    async fn acts(&self, id: RecordingId) -> Vec<Act> {
        let filter = ActFilter {
            action: Some("recording.".to_owned()),
            words: Some(id.to_string()),
            ..ActFilter::default()
        };
        let page = PageOf {
            sort: ActSort::Time,
            descending: false,
            after: None,
            limit: 10,
        };
        audit_acts::list(&self.db, filter, page).await.unwrap()
    }
}

fn events(path: &Path) -> Vec<(String, String)> {
    let bytes = fs::read(path).unwrap();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').skip(1);
    lines
        .map(|line| {
            let event = Event::read(line).unwrap();
            (event.kind, event.data)
        })
        .collect()
}

fn entries(path: &Path) -> Vec<Entry> {
    let text = fs::read(path.with_extension("idx")).unwrap();
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| Entry::read(line).unwrap()).collect()
}

fn sha256(path: &Path) -> Vec<u8> {
    Sha256::digest(fs::read(path).unwrap()).to_vec()
}

/// Waits until all that was given is in the file, or the recording failed.
async fn caught_up(recorder: &Recorder) {
    let mut progress = recorder.progress();
    let given = recorder.given();
    let there = progress.wait_for(|now| now.failed.is_some() || now.written == given);
    let there = tokio::time::timeout(PATIENCE, there).await;
    there.expect("the writer catches up").unwrap();
}

#[test]
fn a_recording_holds_what_was_shown_and_its_hash_is_in_the_row_and_in_the_audit() {
    on_both(async |db| {
        let room = Room::new(&db);
        let mut recorder = room.begin(RecordingMode::Output).await;
        let id = recorder.id();
        assert_eq!(room.row(id).await.state, "recording");
        recorder.output(&Bytes::from_static(b"$ \xc3"));
        recorder.output(&Bytes::from_static(b"\xa9\r\n"));
        recorder.input(&Bytes::from_static(b"secret"));
        recorder.resize(TerminalSize { cols: 80, rows: 24 });
        recorder.resize(TerminalSize { cols: 99, rows: 30 });
        recorder.marker("ada took the keyboard");
        recorder.output(&Bytes::from(vec![b'x'; 256 * 1024]));
        caught_up(&recorder).await;
        assert!(recorder.wants_key_frame());
        recorder.key_frame(b"\x1b[H\x1b[2Jscreen".to_vec());
        assert!(!recorder.wants_key_frame());
        recorder.output(&Bytes::from_static(b"end"));
        recorder.finish();
        let row = room.ended(id).await;
        assert_eq!(
            (row.state.as_str(), row.problem.as_deref()),
            ("complete", None)
        );
        let cast = room.root().join(&row.path);
        assert_eq!(row.sha256, Some(sha256(&cast)));
        let bytes = fs::metadata(&cast).unwrap().len();
        assert_eq!(row.bytes, i64::try_from(bytes).ok());
        let events = room.events(&row);
        let kinds: String = events.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, format!("oorm{}o", "o".repeat(8)), "{events:?}");
        assert_eq!(events[1].1, "é\r\n");
        assert_eq!(events[2].1, "99x30");
        assert!(events.iter().all(|(_, data)| !data.contains("secret")));
        let index = entries(&cast);
        let frame = index.iter().find(|entry| entry.kind == EntryKind::KeyFrame);
        let frame = frame.unwrap();
        assert_eq!(frame.size, Some(TerminalSize { cols: 99, rows: 30 }));
        let rest = fs::read(&cast).unwrap()[usize::try_from(frame.offset).unwrap()..].to_vec();
        assert_eq!(Event::read(&rest).unwrap().data, "end");
        let acts = room.acts(id).await;
        let [act] = acts.as_slice() else {
            panic!("{acts:?}")
        };
        assert_eq!(act.action, "recording.finished");
        assert_eq!(act.outcome.as_deref(), Some("complete"));
        assert!(act.detail.contains(&hex(&sha256(&cast))), "{}", act.detail);
        let mode = fs::metadata(&cast).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    });
}

#[test]
fn what_is_typed_is_recorded_only_where_the_policy_says_so() {
    on_both(async |db| {
        let room = Room::new(&db);
        let off = room.recordings.start(new(RecordingMode::Off)).await;
        assert!(matches!(off, Err(RecordingError::Off)));
        assert!(!room.root().exists());
        let mut recorder = room.begin(RecordingMode::OutputAndInput).await;
        let id = recorder.id();
        recorder.input(&Bytes::from_static(b"ls\r"));
        recorder.finish();
        let row = room.ended(id).await;
        assert!(row.with_input);
        assert_eq!(room.events(&row), [("i".to_owned(), "ls\r".to_owned())]);
    });
}

#[test]
fn a_recorder_that_is_dropped_leaves_an_interrupted_recording() {
    on_both(async |db| {
        let room = Room::new(&db);
        let mut recorder = room.begin(RecordingMode::Output).await;
        let id = recorder.id();
        recorder.output(&Bytes::from_static(b"half of it"));
        drop(recorder);
        let row = room.ended(id).await;
        assert_eq!(row.state, "interrupted");
        assert_eq!(room.events(&row)[0].1, "half of it");
    });
}

#[test]
fn a_recording_is_read_while_it_is_written() {
    on_both(async |db| {
        let room = Room::new(&db);
        let mut recorder = room.begin(RecordingMode::Output).await;
        let row = room.row(recorder.id()).await;
        let left = async || {
            let lines = room.recordings.open(&row, 0).await.unwrap();
            lines.left()
        };
        let header = left().await;
        assert!(header > 0);
        recorder.output(&Bytes::from_static(b"the needle\r\n"));
        caught_up(&recorder).await;
        assert!(left().await > header);
        let found = room.recordings.search(&row, "NEEDLE".to_owned(), 0).await;
        assert_eq!(found.unwrap().found.len(), 1);
        let lines = room.recordings.open(&row, header).await.unwrap();
        let (bytes, rest) = lines.next().await.unwrap().unwrap();
        assert_eq!(Event::read(&bytes).unwrap().data, "the needle\r\n");
        assert!(rest.next().await.unwrap().is_none());
        room.recordings.end_left_open().await.unwrap();
        assert_eq!(room.row(row.id).await.state, "recording", "it is alive");
        recorder.finish();
        room.ended(row.id).await;
    });
}

#[test]
fn after_a_crash_a_recording_is_cut_to_its_last_whole_line_and_hashed() {
    for torn in [
        "[9.000000, \"o\", \"ha",
        "\0\0\0\0\0\n\0\0",
        "[9.000000, \"o\"]\n[9, \"o\", \"x\"]\n",
    ] {
        on_both(async |db| {
            let room = Room::new(&db);
            let mut recorder = room.begin(RecordingMode::Output).await;
            let id = recorder.id();
            recorder.output(&Bytes::from_static(b"kept"));
            recorder.resize(TerminalSize { cols: 1, rows: 1 });
            recorder.finish();
            let row = room.ended(id).await;
            let cast = room.root().join(&row.path);
            let (whole, index) = (fs::read(&cast).unwrap(), entries(&cast));
            fs::write(&cast, [&whole[..], torn.as_bytes()].concat()).unwrap();
            let mut lines = fs::read(cast.with_extension("idx")).unwrap();
            let behind = whole.len() as u64 + 1;
            Entry::new(EntryKind::Position, Duration::ZERO, behind, 9).write(&mut lines);
            fs::write(cast.with_extension("idx"), lines).unwrap();
            execute(
                &db,
                "UPDATE recordings SET state = 'recording', ended_at = NULL, sha256 = NULL",
            )
            .await
            .unwrap();
            let again = Recordings::new(db.clone(), room.dir.path());
            assert_eq!(again.end_left_open().await, Ok(1));
            assert_eq!(again.end_left_open().await, Ok(0));
            let row = room.row(id).await;
            assert_eq!(row.state, "interrupted");
            assert_eq!(fs::read(&cast).unwrap(), whole, "{torn:?}");
            assert_eq!(entries(&cast), index);
            assert_eq!(row.sha256, Some(sha256(&cast)));
            let acts = room.acts(id).await;
            assert_eq!(acts.len(), 2);
            assert_eq!(acts[1].outcome.as_deref(), Some("interrupted"));
        });
    }
}

#[test]
fn a_row_without_its_file_is_ended_too() {
    on_both(async |db| {
        let room = Room::new(&db);
        let recorder = room.begin(RecordingMode::Output).await;
        let id = recorder.id();
        recorder.finish();
        let row = room.ended(id).await;
        super::files::remove(&room.root(), &row.path).unwrap();
        execute(
            &db,
            "UPDATE recordings SET state = 'recording', ended_at = NULL, sha256 = NULL",
        )
        .await
        .unwrap();
        assert_eq!(room.recordings.end_left_open().await, Ok(1));
        let row = room.row(id).await;
        assert_eq!(
            (row.state.as_str(), row.bytes, row.sha256),
            ("interrupted", Some(0), None)
        );
        assert!(row.problem.is_some());
    });
}

#[test]
fn a_recording_that_cannot_begin_is_an_error() {
    on_both(async |db| {
        let room = Room::new(&db);
        fs::write(room.root(), "in the way").unwrap();
        let refused = room.recordings.start(new(RecordingMode::Output)).await;
        let error = refused.err().unwrap();
        assert!(matches!(error, RecordingError::Disk(_)), "{error}");
    });
}

/// A recorder that writes to these files.
fn recorder_on(db: &Db, cast: &Path, dir: &Path) -> (Recorder, Live) {
    let open = |path: &Path| fs::OpenOptions::new().read(true).append(true).open(path);
    let index = dir.join("index");
    fs::write(&index, "").unwrap();
    let files = OpenFiles {
        cast: open(cast).unwrap(),
        index: open(&index).unwrap(),
        header: Vec::new(),
    };
    let new = new(RecordingMode::Output);
    let id = RecordingId::generate();
    let row = recordings::NewRecording {
        id,
        session_id: new.session_id,
        channel_id: new.channel_id.to_string(),
        agent_id: new.agent_id,
        agent_hostname: new.hostname.clone(),
        place: crate::domain::scope::Place::default(),
        tech_id: new.tech_id,
        tech_email: new.user_email.clone(),
        program: new.program.clone(),
        with_input: false,
        started_at: Utc::now(),
        path: "x.cast".to_owned(),
        keep_until: Utc::now(),
    };
    let live = Live::new(1);
    let guard = live.enter(id).unwrap();
    let ending = Ending::of_new(db, &row);
    let recorder = Recorder::begin(id, &new, Writer::new(files), ending, guard);
    (recorder.unwrap(), live)
}

async fn failure(recorder: &Recorder) -> String {
    let mut progress = recorder.progress();
    let failed = progress.wait_for(|progress| progress.failed.is_some());
    let failed = tokio::time::timeout(PATIENCE, failed).await;
    failed.expect("it fails").unwrap().failed.clone().unwrap()
}

#[tokio::test]
async fn a_full_disk_is_told_to_whoever_records() {
    let scratch = Scratch::sqlite();
    let db = Db::connect(&scratch.settings).await.unwrap();
    db.migrate().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut recorder, _live) = recorder_on(&db, Path::new("/dev/full"), dir.path());
    assert_eq!(recorder.failed(), None);
    recorder.output(&Bytes::from_static(b"x"));
    let why = failure(&recorder).await;
    assert!(why.contains("No space left"), "{why}");
    assert_eq!(recorder.failed(), Some(why));
    assert_eq!(recorder.behind(), 0, "nobody waits for it");
    recorder.output(&Bytes::from_static(b"goes on"));
}

#[tokio::test]
async fn a_disk_that_hangs_fails_the_recording_and_never_holds_up_the_caller() {
    let scratch = Scratch::sqlite();
    let db = Db::connect(&scratch.settings).await.unwrap();
    db.migrate().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    // Nobody reads: the writer's thread waits in the middle of a write.
    let reader = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let (mut recorder, live) = recorder_on(&db, &pipe, dir.path());
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    let mut given = 0;
    while recorder.failed().is_none() {
        recorder.output(&piece);
        given += 1;
        assert!(given < 1000, "the queue has a bound");
    }
    let why = recorder.failed().unwrap();
    assert!(why.contains("slower"), "{why}");
    // The thread goes once somebody reads.
    std::thread::spawn(move || {
        let mut reader = reader;
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
    });
    drop(recorder);
    let gone = tokio::time::timeout(PATIENCE, live.wait_for_none()).await;
    gone.expect("the writer ends");
}

/// Says to a test that runs in a mount namespace of its own that it does.
const IN_NAMESPACE: &str = "GURURMM_TEST_IN_NAMESPACE";

/// Only root mounts a disk. Anybody else is root in a namespace of its own, where the test is run again; then the
/// answer is true, and it has passed.
fn has_passed_in_a_namespace(test: &str) -> bool {
    let mounts = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if mounts || std::env::var_os(IN_NAMESPACE).is_some() {
        return false;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let again = Command::new("unshare")
        .args(["--map-root-user", "--mount"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{test}"), "--nocapture"])
        .env(IN_NAMESPACE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
    true
}

/// A file system of 64 KiB.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "none"]);
        let mounted = mount.arg(dir.path()).status();
        assert!(mounted.unwrap().success());
        Self(dir)
    }

    /// Takes what room is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.path().join("filler")).unwrap();
        while file.write_all(&[b'x'; 512]).is_ok() {}
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.unwrap().success());
    }
}

#[test]
fn a_recording_on_a_disk_that_fills_up_ends_whole_with_its_hash_and_a_gap() {
    if has_passed_in_a_namespace(
        "a_recording_on_a_disk_that_fills_up_ends_whole_with_its_hash_and_a_gap",
    ) {
        return;
    }
    on_both(async |db| {
        let disk = TinyDisk::mount();
        let recordings = Recordings::new(db.clone(), disk.0.path());
        let mut recorder = recordings.start(new(RecordingMode::Output)).await.unwrap();
        let id = recorder.id();
        let piece = Bytes::from("0123456789abcdef".repeat(256));
        while recorder.failed().is_none() {
            recorder.output(&piece);
            caught_up(&recorder).await;
        }
        drop(recorder);
        let drained = tokio::time::timeout(PATIENCE, recordings.drain()).await;
        drained.unwrap();
        let row = recordings::by_id(&db, id).await.unwrap().unwrap();
        assert_eq!(row.state, "failed");
        assert_eq!(row.gap_from_ms, row.duration_ms);
        assert!(row.problem.unwrap().contains("No space left"));
        let cast = disk.0.path().join("recordings").join(&row.path);
        assert!(events(&cast).len() > 5, "every line is whole");
        assert_eq!(row.sha256, Some(sha256(&cast)));
        disk.fill();
        let full = recordings.start(new(RecordingMode::Output)).await;
        let error = full.err().expect("there is no room for its first line");
        assert!(error.to_string().contains("No space left"), "{error}");
    });
}

#[test]
fn what_is_older_than_its_time_is_deleted_and_that_is_in_the_audit() {
    on_both(async |db| {
        let room = Room::new(&db);
        let (old, young) = (
            room.begin(RecordingMode::Output).await,
            room.begin(RecordingMode::Output).await,
        );
        let (old_id, young_id) = (old.id(), young.id());
        old.finish();
        young.finish();
        let row = room.ended(old_id).await;
        assert_eq!(row.keep_until - row.started_at, TimeDelta::days(30));
        assert_eq!(room.recordings.delete_expired().await, Ok((0, 0)));
        let literal = match db.kind() {
            crate::db::DatabaseKind::Sqlite => format!("x'{}'", old_id.0.simple()),
            crate::db::DatabaseKind::Postgres => format!("'{old_id}'::uuid"),
        };
        let age = format!("UPDATE recordings SET keep_until = started_at WHERE id = {literal}");
        execute(&db, &age).await.unwrap();
        assert_eq!(room.recordings.delete_expired().await, Ok((1, 1)));
        assert!(!room.root().join(&row.path).exists());
        assert_eq!(room.row(old_id).await.state, "deleted");
        let acts = room.acts(old_id).await;
        assert_eq!(acts[1].action, "recording.expired");
        let young = room.row(young_id).await;
        assert!(room.root().join(&young.path).exists());
    });
}
