//! Agents: enrolment, keys, places, presence and what lists show of them.

use chrono::Duration;
use gururmm_shared::{AgentId, SiteId};
use serde_json::json;

use super::{a_site, an_agent, new_agent, new_site};
use gururmm_db::agents::{self, AgentConnected, AgentFilter, AgentSort, NewAgent};
use gururmm_db::page::PageOf;
use gururmm_db::testing::on_both;
use gururmm_db::types::now;
use gururmm_db::{DbError, sites};

fn everything() -> AgentFilter {
    AgentFilter::default()
}

fn connected(id: AgentId) -> AgentConnected {
    AgentConnected {
        id,
        hostname: "renamed".to_owned(),
        os_family: "windows".to_owned(),
        os_name: "Windows 11".to_owned(),
        os_version: "10.0.22631".to_owned(),
        os_arch: "x86_64".to_owned(),
        agent_version: Some("0.2.0".to_owned()),
        previous_version: None,
        protocol: 2,
        capabilities: vec!["a".to_owned(), "b".to_owned()],
        at: now(),
    }
}

#[test]
fn two_enrolments_of_one_device_at_once_give_one_agent() {
    on_both(async |db| {
        let site = a_site(&db).await;
        let new = NewAgent {
            key_hash: Some([1; 32]),
            ..new_agent(site.id)
        };
        let other = NewAgent {
            key_hash: Some([2; 32]),
            ..new.clone()
        };
        let (one, two) = tokio::join!(agents::enroll(&db, new), agents::enroll(&db, other));
        let (enrolled, refused) = match (one, two) {
            (Ok(agent), Err(error)) | (Err(error), Ok(agent)) => (agent, error),
            both => panic!("{both:?}"),
        };
        assert!(
            refused.is_duplicate_of("agents_site_id_device_id_key"),
            "{refused:?}"
        );
        assert_eq!(
            (enrolled.status.as_str(), enrolled.protocol),
            ("offline", 2)
        );
        assert_eq!(enrolled.capabilities, json!(["output_window"]));
    });
}

#[test]
fn an_agent_is_found_by_its_key_until_that_is_replaced() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        assert_eq!(agents::by_key_hash(&db, &[1; 32]).await, Ok(None));
        let nonce = Some([9; 32]);
        assert_eq!(
            agents::replace_key(&db, agent.id, Some([1; 32]), nonce).await,
            Ok(true)
        );
        agents::mark_key_used(&db, agent.id, now()).await.unwrap();
        let found = agents::by_key_hash(&db, &[1; 32]).await.unwrap().unwrap();
        assert_eq!(
            (found.id, found.enrollment_nonce_hash),
            (agent.id, Some(vec![9; 32]))
        );
        assert!(found.key_used_at.is_some());
        assert_eq!(
            agents::replace_key(&db, agent.id, Some([2; 32]), None).await,
            Ok(true)
        );
        assert_eq!(agents::by_key_hash(&db, &[1; 32]).await, Ok(None));
        let found = agents::by_key_hash(&db, &[2; 32]).await.unwrap().unwrap();
        assert_eq!(
            (found.key_used_at, found.enrollment_nonce_hash),
            (None, None)
        );
        assert_eq!(
            agents::replace_key(&db, AgentId::generate(), None, None).await,
            Ok(false)
        );
    });
}

#[test]
fn an_agent_moves_to_a_site_that_exists_and_does_not_have_its_device() {
    on_both(async |db| {
        let (agent, other) = (an_agent(&db).await, a_site(&db).await);
        let moved = agents::move_to_site(&db, agent.id, other.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(moved.site_id, Some(other.id));
        let twin = NewAgent {
            device_id: agent.device_id,
            ..new_agent(agent.site_id.unwrap())
        };
        let twin = agents::enroll(&db, twin).await.unwrap();
        let refused = agents::move_to_site(&db, twin.id, other.id)
            .await
            .unwrap_err();
        assert!(
            refused.is_duplicate_of("agents_site_id_device_id_key"),
            "{refused:?}"
        );
        let nowhere = agents::move_to_site(&db, twin.id, SiteId::generate()).await;
        assert_eq!(nowhere, Err(DbError::ForeignKey));
        assert_eq!(
            agents::move_to_site(&db, AgentId::generate(), other.id).await,
            Ok(None)
        );
    });
}

#[test]
fn a_list_shows_place_and_state_page_by_page() {
    on_both(async |db| {
        let site = a_site(&db).await;
        let second = sites::insert(&db, new_site(site.client_id, "Depot"))
            .await
            .unwrap();
        let elsewhere = an_agent(&db).await;
        let mut ids = Vec::new();
        for site_id in [site.id, site.id, second.id] {
            ids.push(agents::enroll(&db, new_agent(site_id)).await.unwrap().id);
        }
        let nowhere = NewAgent {
            site_id: None,
            ..new_agent(site.id)
        };
        let nowhere = agents::enroll(&db, nowhere).await.unwrap();

        let first = || PageOf::first(100);
        let all = agents::list(&db, everything(), first()).await.unwrap();
        assert_eq!(all.len(), 5);
        assert!(all.is_sorted_by_key(|overview| overview.agent.id));
        let ids_of = async |filter: AgentFilter, page: PageOf<AgentSort>| {
            let list = agents::list(&db, filter, page).await.unwrap();
            list.into_iter()
                .map(|overview| overview.agent.id)
                .collect::<Vec<_>>()
        };
        let of_client = AgentFilter {
            client_id: Some(site.client_id),
            ..everything()
        };
        assert_eq!(ids_of(of_client.clone(), first()).await, ids);
        let of_site = AgentFilter {
            site_id: Some(second.id),
            ..everything()
        };
        assert_eq!(ids_of(of_site, first()).await, ids[2..]);
        let page = PageOf::first(2);
        assert_eq!(ids_of(of_client.clone(), page.clone()).await, ids[..2]);
        for sort in [AgentSort::Name, AgentSort::LastSeen, AgentSort::Created] {
            let of = |ids: Vec<AgentId>, after: Option<_>, descending| {
                let page = PageOf {
                    sort,
                    descending,
                    after,
                    ..page.clone()
                };
                let filter = of_client.clone();
                let db = db.clone();
                async move {
                    let rows = agents::list(&db, filter, page).await.unwrap();
                    let found: Vec<_> = rows.iter().map(|row| row.agent.id).collect();
                    assert_eq!(found, ids, "{sort:?} {descending}");
                    rows.last().map(|row| row.position(sort))
                }
            };
            let last = of(ids[..2].to_vec(), None, false).await;
            assert_eq!(
                of(ids[2..].to_vec(), last, false).await.unwrap().1,
                ids[2].0
            );
            let last = of(vec![ids[2], ids[1]], None, true).await;
            of(vec![ids[0]], last, true).await;
        }

        let one = agents::overview(&db, ids[2]).await.unwrap().unwrap();
        assert_eq!(one.site_name.as_deref(), Some("Depot"));
        assert_eq!((one.client_id, one.state), (Some(site.client_id), None));
        let one = agents::overview(&db, nowhere.id).await.unwrap().unwrap();
        assert_eq!(
            (one.site_name, one.client_id, one.client_name),
            (None, None, None)
        );
        assert_ne!(elsewhere.site_id, Some(site.id));
        assert_eq!(agents::overview(&db, AgentId::generate()).await, Ok(None));
    });
}

#[test]
fn presence_is_written_in_batches_and_never_goes_backwards() {
    on_both(async |db| {
        let (one, two) = (an_agent(&db).await, an_agent(&db).await);
        let gone = AgentId::generate();
        let start = connected(one.id);
        let at = start.at;
        let batch = vec![start, connected(two.id), connected(gone)];
        assert_eq!(agents::mark_connected(&db, batch).await, Ok(2));
        let read = agents::by_id(&db, one.id).await.unwrap().unwrap();
        assert_eq!(
            (read.status.as_str(), read.last_seen_at),
            ("online", Some(at))
        );
        assert_eq!(
            (read.hostname.as_str(), read.os_name.as_str()),
            ("renamed", "Windows 11")
        );
        assert_eq!(
            (read.agent_version.as_deref(), read.protocol),
            (Some("0.2.0"), 2)
        );
        assert_eq!(read.capabilities, json!(["a", "b"]));
        assert_eq!(read.device_id, one.device_id);

        let (before, after) = (at - Duration::seconds(1), at + Duration::seconds(1));
        let seen = vec![(one.id, after), (one.id, before), (gone, after)];
        assert_eq!(agents::mark_seen(&db, seen).await, Ok(1));
        assert_eq!(agents::mark_seen(&db, vec![(one.id, at)]).await, Ok(0));
        assert_eq!(
            agents::mark_offline(&db, vec![(one.id, at)]).await,
            Ok(0),
            "heard of since"
        );
        let late = vec![(one.id, after), (gone, after)];
        assert_eq!(agents::mark_offline(&db, late).await, Ok(1));
        let read = agents::by_id(&db, one.id).await.unwrap().unwrap();
        assert_eq!(
            (read.status.as_str(), read.last_seen_at),
            ("offline", Some(after))
        );
        assert_eq!(agents::set_all_offline(&db).await, Ok(1));
        assert_eq!(agents::set_all_offline(&db).await, Ok(0));
        assert_eq!(agents::mark_seen(&db, Vec::new()).await, Ok(0));
        assert_eq!(agents::mark_connected(&db, Vec::new()).await, Ok(0));
    });
}

#[test]
fn one_machine_with_odd_text_does_not_cost_the_others_of_its_batch() {
    on_both(async |db| {
        let (odd, plain) = (an_agent(&db).await, an_agent(&db).await);
        let strange = AgentConnected {
            hostname: format!("a\0b{}", "é".repeat(300)),
            os_arch: "x".repeat(100_000),
            agent_version: Some("\u{0}\u{1}\u{7f}\\u0000".to_owned()),
            capabilities: vec!["c".repeat(100_000); 300],
            protocol: u32::MAX,
            ..connected(odd.id)
        };
        let batch = vec![strange, connected(plain.id)];
        assert_eq!(agents::mark_connected(&db, batch).await, Ok(2));
        let read = agents::by_id(&db, odd.id).await.unwrap().unwrap();
        assert!(read.hostname.starts_with("a\u{fffd}bé") && read.hostname.chars().count() == 255);
        assert_eq!(
            read.agent_version.as_deref(),
            Some("\u{fffd}\u{1}\u{7f}\\u0000")
        );
        assert_eq!(read.protocol, i32::MAX);
    });
}
