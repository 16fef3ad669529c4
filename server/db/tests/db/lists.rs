//! Lists: what a scope lets through, what is searched for, and pages that stay whole.

use std::collections::BTreeSet;

use chrono::Duration;

use super::{a_site, a_technician, an_agent, new_agent, new_site, new_user};
use gururmm_db::agents::{self, AgentFilter, AgentSort, NewAgent};
use gururmm_db::page::{PageOf, SortValue};
use gururmm_db::removal::{Removal, remove_client, remove_site};
use gururmm_db::testing::{number, on_both};
use gururmm_db::types::now;
use gururmm_db::users::{self, UserChange};
use gururmm_db::{DbError, clients, sites};
use gururmm_domain::scope::Scope;

#[test]
fn a_user_is_read_with_its_scope_in_one_query_and_a_change_voids_its_tokens() {
    on_both(async |db| {
        let (one, two) = (a_site(&db).await, a_site(&db).await);
        let user = a_technician(&db).await;
        let scope = Scope::Only {
            clients: BTreeSet::from([one.client_id]),
            sites: BTreeSet::from([two.id]),
        };
        let change = |scope: Scope| UserChange {
            scope: Some(scope),
            ..UserChange::default()
        };
        let changed = users::update(&db, user.id, change(scope.clone())).await;
        let changed = changed.unwrap().unwrap();
        assert_eq!((changed.user.token_version, &changed.scope), (2, &scope));
        let account = users::account(&db, user.id).await.unwrap().unwrap();
        assert_eq!(account, changed);
        let listed = users::with_scopes(&db, vec![account.user.clone()]).await;
        assert_eq!(listed.unwrap(), [account]);
        let again = users::update(&db, user.id, change(scope)).await.unwrap();
        assert_eq!(again.unwrap().user.token_version, 2, "nothing changed");

        let nothing = Scope::Only {
            clients: BTreeSet::new(),
            sites: BTreeSet::new(),
        };
        let none = users::update(&db, user.id, change(nothing.clone())).await;
        assert_eq!(none.unwrap().unwrap().scope, nothing);
        let missing = Scope::Only {
            clients: BTreeSet::from([gururmm_shared::ClientId::generate()]),
            sites: BTreeSet::new(),
        };
        let refused = users::update(&db, user.id, change(missing.clone())).await;
        assert_eq!(refused, Err(DbError::ForeignKey));
        let refused = users::insert_scoped(&db, new_user("x@example.com", "technician"), missing);
        assert_eq!(refused.await, Err(DbError::ForeignKey));
        assert_eq!(
            users::by_email(&db, "x@example.com").await,
            Ok(None),
            "both or none"
        );
    });
}

#[test]
fn a_scoped_administrator_does_not_count_as_the_last_one() {
    on_both(async |db| {
        let refused = DbError::Constraint("last administrator".to_owned());
        let root = users::insert(&db, new_user("root@example.com", "administrator"));
        let root = root.await.unwrap();
        let nothing = || Scope::Only {
            clients: BTreeSet::new(),
            sites: BTreeSet::new(),
        };
        let new = new_user("scoped@example.com", "administrator");
        users::insert_scoped(&db, new, nothing()).await.unwrap();
        let change = UserChange {
            scope: Some(nothing()),
            ..UserChange::default()
        };
        assert_eq!(
            users::update(&db, root.id, change).await,
            Err(refused.clone())
        );
        assert_eq!(users::delete(&db, root.id).await, Err(refused));
        let user = a_technician(&db).await;
        assert_eq!(users::delete(&db, user.id).await, Ok(true));
        assert_eq!(users::delete(&db, user.id).await, Ok(false));
    });
}

#[test]
fn lists_hold_what_is_in_scope_and_what_is_searched_for() {
    on_both(async |db| {
        let (one, two) = (a_site(&db).await, a_site(&db).await);
        let near = sites::insert(&db, new_site(one.client_id, "Near"))
            .await
            .unwrap();
        for (site, name) in [(one.id, "WEB-1"), (near.id, "web_2"), (two.id, "db%1")] {
            let new = NewAgent {
                hostname: name.to_owned(),
                ..new_agent(site)
            };
            agents::enroll(&db, new).await.unwrap();
        }
        let scope = Scope::Only {
            clients: BTreeSet::from([two.client_id]),
            sites: BTreeSet::from([near.id]),
        };
        let names = async |scope: &Scope, words: Option<&str>| {
            let filter = AgentFilter {
                scope: scope.clone(),
                words: words.map(str::to_owned),
                ..AgentFilter::default()
            };
            let rows = agents::list(&db, filter, PageOf::first(9)).await.unwrap();
            let mut names: Vec<_> = rows.into_iter().map(|row| row.agent.hostname).collect();
            names.sort();
            names
        };
        let all = Scope::Everything;
        assert_eq!(names(&scope, None).await, ["db%1", "web_2"]);
        assert_eq!(names(&all, Some("Web")).await, ["WEB-1", "web_2"]);
        assert_eq!(names(&all, Some("b_")).await, ["web_2"], "no wildcard");
        assert_eq!(names(&all, Some("%")).await, ["db%1"], "no wildcard");
        assert_eq!(names(&scope, Some("web-1")).await, [""; 0]);

        let seen = clients::list(&db, scope.clone(), None, PageOf::first(9))
            .await
            .unwrap();
        assert_eq!(seen.len(), 1, "the client of a single site is not in scope");
        let seen = sites::list(&db, scope.clone(), None, None, PageOf::first(9)).await;
        assert_eq!(seen.unwrap().len(), 2);
        assert_eq!(agents::kinds(&db, scope.clone()).await.unwrap().len(), 2);
        assert_eq!(agents::loads(&db, scope).await.unwrap().len(), 2);
    });
}

#[test]
fn a_page_goes_on_behind_its_last_row_whatever_came_meanwhile() {
    on_both(async |db| {
        let site = a_site(&db).await;
        let enrol = async |name: &str| {
            let new = NewAgent {
                hostname: name.to_owned(),
                ..new_agent(site.id)
            };
            agents::enroll(&db, new).await.unwrap()
        };
        for name in ["b", "d", "d", "f"] {
            enrol(name).await;
        }
        let page = async |after: Option<(SortValue, uuid::Uuid)>| {
            let page = PageOf {
                sort: AgentSort::Name,
                descending: false,
                after,
                limit: 2,
            };
            agents::list(&db, AgentFilter::default(), page)
                .await
                .unwrap()
        };
        let first = page(None).await;
        assert_eq!(first[1].agent.hostname, "d");
        enrol("a").await;
        enrol("e").await;
        let second = page(Some(first[1].position(AgentSort::Name))).await;
        let names: Vec<_> = second
            .iter()
            .map(|row| row.agent.hostname.as_str())
            .collect();
        assert_eq!(names, ["d", "e"]);
        assert_ne!(second[0].agent.id, first[1].agent.id);
    });
}

#[test]
fn agents_that_were_never_seen_sort_before_all_others() {
    on_both(async |db| {
        let (never, early, late) = (
            an_agent(&db).await,
            an_agent(&db).await,
            an_agent(&db).await,
        );
        let seen = vec![(early.id, now() - Duration::hours(1)), (late.id, now())];
        agents::mark_seen(&db, seen).await.unwrap();
        let mut after = None;
        let mut order = Vec::new();
        loop {
            let page = PageOf {
                sort: AgentSort::LastSeen,
                descending: true,
                after,
                limit: 1,
            };
            let rows = agents::list(&db, AgentFilter::default(), page)
                .await
                .unwrap();
            let Some(row) = rows.first() else { break };
            order.push(row.agent.id);
            after = Some(row.position(AgentSort::LastSeen));
        }
        assert_eq!(order, [late.id, early.id, never.id]);
    });
}

#[test]
fn a_place_with_something_in_it_goes_only_with_all_of_it() {
    on_both(async |db| {
        let site = a_site(&db).await;
        let agent = agents::enroll(&db, new_agent(site.id)).await.unwrap();
        let other = an_agent(&db).await;
        assert_eq!(
            remove_site(&db, site.id, false, None).await,
            Ok(Removal::NotEmpty(1))
        );
        assert_eq!(
            remove_client(&db, site.client_id, false, None).await,
            Ok(Removal::NotEmpty(1))
        );
        assert_eq!(
            remove_client(&db, site.client_id, true, None).await,
            Ok(Removal::Removed(vec![agent.id]))
        );
        assert_eq!(
            remove_client(&db, site.client_id, true, None).await,
            Ok(Removal::Missing)
        );
        let missing = remove_site(&db, site.id, true, None).await;
        assert_eq!(missing, Ok(Removal::Missing));
        assert_eq!(number(&db, "SELECT count(*) FROM agents").await, 1);
        assert!(agents::by_id(&db, other.id).await.unwrap().is_some());
    });
}
