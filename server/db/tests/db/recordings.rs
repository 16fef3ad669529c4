//! Recordings: their ends, who sees them, and that they outlive what they are of.

use std::collections::BTreeSet;

use chrono::Duration;
use gururmm_shared::{AgentId, RecordingId, SessionId, UserId};

use super::an_agent;
use gururmm_db::audit_acts::{self, ActFilter, ActSort};
use gururmm_db::audit_log::{NewEntry, Stage};
use gururmm_db::page::PageOf;
use gururmm_db::recordings::{self, Ended, NewRecording, RecordingFilter, RecordingSort};
use gururmm_db::testing::on_both;
use gururmm_db::types::now;
use gururmm_db::{Db, agents, places};
use gururmm_domain::recording::RecordingState;
use gururmm_domain::scope::{Place, Scope};

fn new_recording(agent_id: AgentId, place: Place) -> NewRecording {
    let id = RecordingId::generate();
    NewRecording {
        id,
        session_id: SessionId::generate(),
        channel_id: "terminal-1".to_owned(),
        agent_id,
        agent_hostname: "ws-1".to_owned(),
        place,
        tech_id: UserId::generate(),
        tech_email: "ada@example.com".to_owned(),
        program: "/bin/bash".to_owned(),
        with_input: false,
        started_at: now(),
        path: format!("2026/11/{id}/terminal-1.cast"),
        keep_until: now() + Duration::days(1),
    }
}

fn complete() -> Ended {
    Ended {
        state: RecordingState::Complete,
        ended_at: now(),
        duration_ms: 1500,
        bytes: 4096,
        sha256: Some([7; 32]),
        gap_from_ms: None,
        problem: None,
    }
}

fn entry() -> NewEntry {
    NewEntry {
        outcome: Some("complete".to_owned()),
        ..NewEntry::new(Stage::Event, "recording.finished")
    }
}

async fn count_ends(db: &Db) -> usize {
    let filter = ActFilter {
        action: Some("recording.finished".to_owned()),
        ..ActFilter::default()
    };
    let page = PageOf::<ActSort>::first(100);
    audit_acts::list(db, filter, page).await.unwrap().len()
}

async fn listed(db: &Db, filter: RecordingFilter) -> Vec<RecordingId> {
    let page = PageOf::<RecordingSort>::first(100);
    let rows = recordings::list(db, filter, page).await.unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

#[test]
fn a_recording_ends_once_and_with_its_row_in_the_audit() {
    on_both(async |db| {
        let new = new_recording(AgentId::generate(), Place::default());
        recordings::insert(&db, new.clone()).await.unwrap();
        let left = recordings::unfinished(&db, None, 10).await.unwrap();
        assert_eq!(left.len(), 1);
        let after = recordings::unfinished(&db, Some(new.id), 10).await.unwrap();
        assert!(after.is_empty());
        assert!(
            !recordings::mark_deleted(&db, new.id, None).await.unwrap(),
            "it is written still"
        );
        let ended = recordings::finish(&db, new.id, complete(), entry()).await;
        assert_eq!(ended, Ok(true));
        let again = recordings::finish(&db, new.id, complete(), entry()).await;
        assert_eq!(again, Ok(false));
        assert_eq!(count_ends(&db).await, 1);
        let row = recordings::by_id(&db, new.id).await.unwrap().unwrap();
        assert_eq!(row.state, "complete");
        assert_eq!(row.sha256.as_deref(), Some(&[7; 32][..]));
        assert_eq!((row.bytes, row.duration_ms), (Some(4096), Some(1500)));
        assert_eq!(row.session_id, new.session_id);
    });
}

#[test]
fn a_recording_expires_at_its_time_and_is_deleted_once() {
    on_both(async |db| {
        let new = new_recording(AgentId::generate(), Place::default());
        recordings::insert(&db, new.clone()).await.unwrap();
        let late = new.keep_until;
        let due = recordings::expired(&db, late, 10).await.unwrap();
        assert!(due.is_empty(), "it is written still");
        recordings::finish(&db, new.id, complete(), entry())
            .await
            .unwrap();
        let early = late - Duration::microseconds(1);
        assert!(
            recordings::expired(&db, early, 10)
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(recordings::expired(&db, late, 10).await.unwrap().len(), 1);
        let deleted = recordings::mark_deleted(&db, new.id, Some(entry())).await;
        assert_eq!(deleted, Ok(true));
        assert_eq!(count_ends(&db).await, 2);
        let again = recordings::mark_deleted(&db, new.id, Some(entry())).await;
        assert_eq!(again, Ok(false));
        assert_eq!(count_ends(&db).await, 2);
        assert!(recordings::expired(&db, late, 10).await.unwrap().is_empty());
        let row = recordings::by_id(&db, new.id).await.unwrap().unwrap();
        assert_eq!(row.state, "deleted");
        assert!(row.sha256.is_some(), "its hash stays");
    });
}

#[test]
fn a_list_of_recordings_keeps_to_scope_and_filters() {
    on_both(async |db| {
        let (here, there) = (an_agent(&db).await, an_agent(&db).await);
        let place = async |id| places::of_agent(&db, id).await.unwrap().unwrap();
        let one = new_recording(here.id, place(here.id).await);
        let mut two = new_recording(there.id, place(there.id).await);
        two.started_at = one.started_at + Duration::seconds(1);
        for new in [&one, &two] {
            recordings::insert(&db, new.clone()).await.unwrap();
        }
        recordings::finish(&db, two.id, complete(), entry())
            .await
            .unwrap();
        let all = RecordingFilter::default;
        assert_eq!(listed(&db, all()).await, [one.id, two.id]);
        let client = RecordingFilter {
            scope: Scope::Only {
                clients: BTreeSet::from([one.place.client_id.unwrap()]),
                sites: BTreeSet::new(),
            },
            ..all()
        };
        assert_eq!(listed(&db, client).await, [one.id]);
        let site = RecordingFilter {
            scope: Scope::Only {
                clients: BTreeSet::new(),
                sites: BTreeSet::from([two.place.site_id.unwrap()]),
            },
            ..all()
        };
        assert_eq!(listed(&db, site).await, [two.id]);
        let filters = [
            (
                RecordingFilter {
                    tech_id: Some(one.tech_id),
                    ..all()
                },
                one.id,
            ),
            (
                RecordingFilter {
                    agent_id: Some(there.id),
                    ..all()
                },
                two.id,
            ),
            (
                RecordingFilter {
                    session_id: Some(one.session_id),
                    ..all()
                },
                one.id,
            ),
            (
                RecordingFilter {
                    state: Some("complete".to_owned()),
                    ..all()
                },
                two.id,
            ),
            (
                RecordingFilter {
                    from: Some(two.started_at),
                    ..all()
                },
                two.id,
            ),
            (
                RecordingFilter {
                    to: Some(two.started_at),
                    ..all()
                },
                one.id,
            ),
        ];
        for (filter, id) in filters {
            assert_eq!(listed(&db, filter.clone()).await, [id], "{filter:?}");
        }
        let page = PageOf {
            limit: 1,
            descending: true,
            after: Some((gururmm_db::page::SortValue::Time(two.started_at), two.id.0)),
            sort: RecordingSort::Started,
        };
        let next = recordings::list(&db, all(), page).await.unwrap();
        assert_eq!(next[0].id, one.id);

        agents::delete(&db, here.id).await.unwrap();
        assert_eq!(listed(&db, all()).await.len(), 2, "they outlive machines");
    });
}
