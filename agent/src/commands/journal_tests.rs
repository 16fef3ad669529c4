//! The file: what it survives, and that it stays small.

use std::sync::Arc;

use gururmm_shared::{CommandId, CommandResult};

use super::*;

fn started() -> Record {
    Record::Started {
        id: CommandId::generate(),
    }
}

fn ended(bytes: usize) -> Record {
    Record::Ended {
        at: 1,
        result: Arc::new(CommandResult {
            id: CommandId::generate(),
            exit_code: Some(0),
            stdout: "x\n".repeat(bytes / 2),
            stderr: String::new(),
            duration_ms: 1,
            reason: None,
        }),
    }
}

fn open(directory: &Path) -> (Journal, Found) {
    Journal::open(directory, LIMIT_BYTES).unwrap()
}

fn whole(records: Vec<Record>) -> Found {
    Found {
        records,
        ..Found::default()
    }
}

#[test]
fn what_was_written_is_found_again_and_only_the_owner_may_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let (first, second) = (started(), ended(100));
    let (mut journal, found) = open(&state);
    assert_eq!(found, Found::default());
    journal.append(std::slice::from_ref(&first), true).unwrap();
    journal
        .append(std::slice::from_ref(&second), false)
        .unwrap();
    drop(journal);
    let path = state.join(FILE_NAME);
    let exposure = || platform::exposure(&File::open(&path).unwrap(), &path).unwrap();
    assert_eq!(exposure(), None);
    platform::expose(&path);
    assert!(exposure().is_some());
    assert_eq!(open(&state).1, whole(vec![first, second]));
    assert_eq!(exposure(), None);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_writing_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second, third) = (started(), ended(20), started());
    let (mut journal, _) = open(directory.path());
    journal.append(std::slice::from_ref(&first), true).unwrap();
    let kept = journal.bytes;
    journal.append(std::slice::from_ref(&second), true).unwrap();
    drop(journal);
    let path = directory.path().join(FILE_NAME);
    let bytes = fs::read(&path).unwrap();
    for end in 0..bytes.len() {
        fs::write(&path, &bytes[..end]).unwrap();
        let (mut journal, found) = open(directory.path());
        let left = if end < kept as usize { 0 } else { kept };
        assert_eq!(found.records.len(), usize::from(left > 0), "torn at {end}");
        assert_eq!((found.torn, found.damaged), (end as u64 - left, 0));
        journal.append(std::slice::from_ref(&third), true).unwrap();
        drop(journal);
        let expected = if left > 0 {
            vec![first.clone(), third.clone()]
        } else {
            vec![third.clone()]
        };
        assert_eq!(open(directory.path()).1, whole(expected), "torn at {end}");
    }
}

#[test]
fn a_damaged_byte_costs_its_own_record_only() {
    let directory = tempfile::tempdir().unwrap();
    let records = [started(), ended(20), started()];
    let (mut journal, _) = open(directory.path());
    journal.append(&records[..1], true).unwrap();
    let from = journal.bytes as usize;
    journal.append(&records[1..2], true).unwrap();
    let to = journal.bytes as usize;
    journal.append(&records[2..], true).unwrap();
    drop(journal);
    let path = directory.path().join(FILE_NAME);
    let bytes = fs::read(&path).unwrap();
    // Without its line end, a line takes the one behind it along.
    for place in from..to - 1 {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        let (_journal, found) = open(directory.path());
        assert_eq!(
            found.records,
            [records[0].clone(), records[2].clone()],
            "byte {place}"
        );
        assert!(found.damaged > 0 && found.torn == 0);
    }
    fs::write(&path, b"\0".repeat(100_000)).unwrap();
    let (_journal, found) = open(directory.path());
    assert_eq!((found.records.len(), found.torn), (0, 100_000));
}

#[test]
fn a_grown_file_is_rewritten_and_shrinks() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(directory.path());
    while !journal.has_grown() {
        journal.append(&[ended(1 << 20)], false).unwrap();
    }
    let left = started();
    journal.rewrite(std::slice::from_ref(&left)).unwrap();
    assert!(!journal.has_grown());
    let next = started();
    journal.append(std::slice::from_ref(&next), true).unwrap();
    assert!(journal.bytes < 1000);
    drop(journal);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    assert_eq!(open(directory.path()).1, whole(vec![left, next]));
}

#[test]
fn where_everything_is_still_needed_it_is_not_rewritten_again_and_again() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(directory.path());
    let all: Vec<_> = (0..3).map(|_| ended(2 << 20)).collect();
    journal.append(&all, false).unwrap();
    assert!(journal.has_grown());
    journal.rewrite(&all).unwrap();
    journal.append(&[started()], false).unwrap();
    assert!(!journal.has_grown());
}

#[test]
fn a_full_disk_is_an_error_and_what_was_written_before_stays() {
    let directory = tempfile::tempdir().unwrap();
    let first = started();
    let (mut journal, _) = Journal::open(directory.path(), 500).unwrap();
    journal.append(std::slice::from_ref(&first), true).unwrap();
    let full = journal.append(&[ended(1000)], true).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert!(journal.rewrite(&[first.clone(), ended(1000)]).is_err());
    drop(journal);
    assert_eq!(open(directory.path()).1, whole(vec![first]));
}

#[test]
fn a_rewrite_that_fails_leaves_the_old_file_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let first = started();
    let (mut journal, _) = open(directory.path());
    journal.append(std::slice::from_ref(&first), true).unwrap();
    let obstacle = directory.path().join(".commands.journal.new");
    fs::create_dir(&obstacle).unwrap();
    assert!(journal.rewrite(&[started()]).is_err());
    fs::remove_dir(&obstacle).unwrap();
    drop(journal);
    assert_eq!(open(directory.path()).1, whole(vec![first]));
}

#[test]
fn what_is_no_file_or_belongs_to_another_agent_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE_NAME);
    fs::create_dir(&path).unwrap();
    assert!(Journal::open(directory.path(), LIMIT_BYTES).is_err());
    fs::remove_dir(&path).unwrap();
    let (mut journal, _) = open(directory.path());
    for _ in 0..2 {
        let error = Journal::open(directory.path(), LIMIT_BYTES).unwrap_err();
        assert!(error.to_string().contains("another agent"), "{error}");
        journal.rewrite(&[]).unwrap();
    }
}
