//! Users, clients and sites.

use super::{
    a_site, a_technician, all_clients, all_sites, all_users, an_agent, new_site, new_user,
};
use gururmm_db::testing::{execute, on_both};
use gururmm_db::types::now;
use gururmm_db::users::UserChange;
use gururmm_db::{DbError, clients, sites, users};

fn role(role: &str) -> UserChange {
    UserChange {
        role: Some(role.to_owned()),
        ..UserChange::default()
    }
}

fn disabled(disabled: bool) -> UserChange {
    UserChange {
        disabled: Some(disabled),
        ..UserChange::default()
    }
}

#[test]
fn an_email_address_is_taken_in_whatever_case() {
    on_both(async |db| {
        let user = users::insert(&db, new_user("Ada@Example.com", "technician"))
            .await
            .unwrap();
        assert_eq!(user.email, "ada@example.com");
        let again = users::insert(&db, new_user("ADA@example.COM", "technician")).await;
        assert!(again.unwrap_err().is_duplicate_of("users_email_key"));
        assert_eq!(
            users::by_email(&db, "aDa@example.com").await.unwrap(),
            Some(user.clone())
        );
        assert_eq!(
            users::by_id(&db, user.id).await.unwrap(),
            Some(user.clone())
        );
        assert_eq!(all_users(&db).await.unwrap(), vec![user]);
        assert_eq!(users::count(&db).await, Ok(1));
    });
}

#[test]
fn only_one_of_many_first_users_is_inserted() {
    on_both(async |db| {
        let tries = (0..8).map(|n| {
            let (db, email) = (db.clone(), format!("first{n}@example.com"));
            tokio::spawn(async move {
                users::insert_first(&db, new_user(&email, "administrator")).await
            })
        });
        let mut inserted = 0;
        for task in tries.collect::<Vec<_>>() {
            inserted += usize::from(task.await.unwrap().unwrap().is_some());
        }
        assert_eq!(inserted, 1);
        assert_eq!(users::count(&db).await, Ok(1));
    });
}

#[test]
fn the_last_administrator_is_kept() {
    on_both(async |db| {
        let refused = Err(DbError::Constraint("last administrator".to_owned()));
        let ada = users::insert(&db, new_user("ada@example.com", "administrator"))
            .await
            .unwrap();
        assert_eq!(
            users::update(&db, ada.id, role("technician")).await,
            refused
        );
        assert_eq!(users::update(&db, ada.id, disabled(true)).await, refused);
        let bob = users::insert(&db, new_user("bob@example.com", "administrator"))
            .await
            .unwrap();
        users::update(&db, bob.id, disabled(true)).await.unwrap();
        assert_eq!(users::update(&db, ada.id, role("read_only")).await, refused);
        users::update(&db, bob.id, disabled(false)).await.unwrap();
        let ada = users::update(&db, ada.id, role("read_only"))
            .await
            .unwrap()
            .unwrap()
            .user;
        assert_eq!(ada.role, "read_only");
        assert_eq!(
            users::update(&db, gururmm_shared::UserId::generate(), role("x")).await,
            Ok(None)
        );
    });
}

#[test]
fn two_administrators_who_demote_each_other_at_once_leave_one() {
    on_both(async |db| {
        for round in 0..10 {
            let (one, two) = (
                format!("one{round}@example.com"),
                format!("two{round}@example.com"),
            );
            let one = users::insert(&db, new_user(&one, "administrator"))
                .await
                .unwrap();
            let two = users::insert(&db, new_user(&two, "administrator"))
                .await
                .unwrap();
            let (first, second) = tokio::join!(
                users::update(&db, one.id, role("technician")),
                users::update(&db, two.id, disabled(true)),
            );
            assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
            execute(&db, "DELETE FROM users").await.unwrap();
        }
    });
}

#[test]
fn tokens_become_void_with_password_role_and_disabling_but_not_with_the_name() {
    on_both(async |db| {
        users::insert(&db, new_user("root@example.com", "administrator"))
            .await
            .unwrap();
        let user = a_technician(&db).await;
        assert_eq!(user.token_version, 1);
        assert_eq!(
            users::set_password(&db, user.id, "other".to_owned()).await,
            Ok(true)
        );
        let user = users::by_id(&db, user.id).await.unwrap().unwrap();
        assert_eq!(
            (user.token_version, user.password_hash.as_str()),
            (2, "other")
        );
        let user = users::update(&db, user.id, role("read_only"))
            .await
            .unwrap()
            .unwrap()
            .user;
        assert_eq!(user.token_version, 3);
        let user = users::update(&db, user.id, disabled(true))
            .await
            .unwrap()
            .unwrap()
            .user;
        assert_eq!((user.token_version, user.disabled), (4, true));
        let name = UserChange {
            name: Some("Zoë".to_owned()),
            ..UserChange::default()
        };
        let user = users::update(&db, user.id, name)
            .await
            .unwrap()
            .unwrap()
            .user;
        assert_eq!((user.token_version, user.name.as_str()), (4, "Zoë"));
        assert_eq!(users::bump_token_version(&db, user.id).await, Ok(Some(5)));
        let nobody = gururmm_shared::UserId::generate();
        assert_eq!(users::bump_token_version(&db, nobody).await, Ok(None));
        assert_eq!(
            users::set_password(&db, nobody, String::new()).await,
            Ok(false)
        );
        let at = now();
        users::record_login(&db, user.id, at).await.unwrap();
        assert_eq!(
            users::by_id(&db, user.id)
                .await
                .unwrap()
                .unwrap()
                .last_login_at,
            Some(at)
        );
    });
}

#[test]
fn a_client_name_is_taken_in_whatever_case() {
    on_both(async |db| {
        let acme = clients::insert(&db, "Acme".to_owned()).await.unwrap();
        let again = clients::insert(&db, "ACME".to_owned()).await.unwrap_err();
        assert!(again.is_duplicate_of("clients_name_key"), "{again:?}");
        assert_eq!(
            clients::by_id(&db, acme.id).await.unwrap(),
            Some(acme.clone())
        );
        assert_eq!(all_clients(&db).await.unwrap(), vec![acme]);
    });
}

#[test]
fn a_site_is_found_by_its_id_its_code_and_its_key() {
    on_both(async |db| {
        let site = a_site(&db).await;
        let hash: [u8; 32] = site.api_key_hash.clone().try_into().unwrap();
        assert_eq!(
            sites::by_id(&db, site.id).await.unwrap(),
            Some(site.clone())
        );
        assert_eq!(
            sites::by_code(&db, &site.site_code).await.unwrap(),
            Some(site.clone())
        );
        assert_eq!(
            sites::by_key_hash(&db, &hash).await.unwrap(),
            Some(site.clone())
        );
        assert_eq!(sites::by_key_hash(&db, &[0; 32]).await.unwrap(), None);
        let other = a_site(&db).await;
        assert_eq!(
            all_sites(&db, Some(site.client_id)).await.unwrap(),
            vec![site.clone()]
        );
        assert_eq!(
            all_sites(&db, None).await.unwrap(),
            vec![site.clone(), other]
        );
        let again = sites::insert(&db, new_site(site.client_id, "Head office"))
            .await
            .unwrap_err();
        assert!(
            again.is_duplicate_of("sites_client_id_name_key"),
            "{again:?}"
        );
        let same_code = sites::NewSite {
            site_code: site.site_code,
            ..new_site(site.client_id, "x")
        };
        let again = sites::insert(&db, same_code).await.unwrap_err();
        assert!(again.is_duplicate_of("sites_site_code_key"), "{again:?}");
        let nowhere = new_site(gururmm_shared::ClientId::generate(), "y");
        assert_eq!(sites::insert(&db, nowhere).await, Err(DbError::ForeignKey));
    });
}

#[test]
fn a_client_with_sites_and_a_site_with_agents_cannot_be_deleted() {
    on_both(async |db| {
        let agent = an_agent(&db).await;
        assert_eq!(
            execute(&db, "DELETE FROM clients").await,
            Err(DbError::ForeignKey)
        );
        assert_eq!(
            execute(&db, "DELETE FROM sites").await,
            Err(DbError::ForeignKey)
        );
        gururmm_db::agents::delete(&db, agent.id).await.unwrap();
        assert_eq!(execute(&db, "DELETE FROM sites").await, Ok(1));
        assert_eq!(execute(&db, "DELETE FROM clients").await, Ok(1));
    });
}
