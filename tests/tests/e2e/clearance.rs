//! Commands that waited: whoever gave them, and wherever the agent is by now, they are sent only while that
//! is allowed still.

use gururmm_shared::{AgentId, CommandId};
use gururmm_tests::agent::AgentSettings;
use gururmm_tests::api::{items, text};
use gururmm_tests::commands::success;
use gururmm_tests::deployment::add_site;
use gururmm_tests::wait::SOON;
use gururmm_tests::{Deployment, TestAgent, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    async fn what_the_policy_denies_by_the_time_the_agent_comes_is_not_sent(world: World) {
        let rmm = world.deploy(&[]).await;
        let (id, key) = away(&rmm).await;
        let denied = rmm.give(id, "reboot").await;
        let allowed = rmm.give(id, "uptime").await;
        deny(&rmm, id, "reboot*").await;
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        assert_eq!(agent.command().await.id, allowed, "the denied one never comes");
        let why = refused(&rmm, denied).await;
        assert!(why.contains("denies") && why.contains("reboot*"), "{why}");
        audited(&rmm, denied, "command_not_allowed").await;
        agent.result(success(allowed, "")).await;
        agent.acknowledged().await;
    }

    async fn an_agent_that_moved_out_of_the_givers_reach_does_not_get_what_it_gave(world: World) {
        let rmm = world.deploy(&[]).await;
        let (id, key) = away(&rmm).await;
        let path = format!("/api/users/{}", rmm.technician_id);
        let scope = json!({"scope": {"client_ids": [rmm.site.client_id]}});
        rmm.admin.patch(&path, scope).await.check(200);
        let technician = rmm.server.anonymous()
            .log_in(gururmm_tests::deployment::TECHNICIAN.0, gururmm_tests::deployment::TECHNICIAN.1).await;
        let given = technician.post(&format!("/api/agents/{id}/command"), json!({"command": "uptime"})).await.expect(202);
        let given: CommandId = text(&given, "command_id").parse().unwrap();
        let client = rmm.admin.post("/api/clients", json!({"name": "Another Client"})).await.expect(201);
        let elsewhere = add_site(&rmm.admin, text(&client, "id"), "Elsewhere").await;
        rmm.admin.post(&format!("/api/agents/{id}/move"), json!({"site_id": elsewhere.id})).await.check(200);
        let others = rmm.admin.post(&format!("/api/agents/{id}/command"), json!({"command": "date"})).await.expect(202);
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        assert_eq!(agent.command().await.id.to_string(), text(&others, "command_id"));
        let why = refused(&rmm, given).await;
        assert!(why.contains("no access"), "{why}");
        audited(&rmm, given, "out_of_scope").await;
    }

    async fn what_a_disabled_or_demoted_user_gave_is_not_sent(world: World) {
        let rmm = world.deploy(&[]).await;
        let (demoted_id, demoted) = rmm.add_user("demoted@example.com", "technician").await;
        let (gone_id, gone) = rmm.add_user("gone@example.com", "technician").await;
        let (id, key) = away(&rmm).await;
        let path = format!("/api/agents/{id}/command");
        let mut given = vec![rmm.give(id, "uptime").await];
        for user in [&demoted, &gone] {
            let answer = user.post(&path, json!({"command": "uptime"})).await.expect(202);
            given.push(text(&answer, "command_id").parse().unwrap());
        }
        let disabled = format!("/api/users/{}", rmm.technician_id);
        rmm.admin.patch(&disabled, json!({"disabled": true})).await.check(200);
        rmm.admin.patch(&format!("/api/users/{demoted_id}"), json!({"role": "read_only"})).await.check(200);
        rmm.admin.delete(&format!("/api/users/{gone_id}")).await.check(204);
        let kept = rmm.admin.post(&path, json!({"command": "date"})).await.expect(202);
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        assert_eq!(agent.command().await.id.to_string(), text(&kept, "command_id"));
        for (id, why) in given.into_iter().zip(["is disabled", "read_only", "was deleted"]) {
            let told = refused(&rmm, id).await;
            assert!(told.contains(why), "{told}");
            audited(&rmm, id, "not_allowed").await;
        }
    }

    async fn what_a_key_gave_is_refused_after_the_key_was_deleted_and_outside_of_its_scope(world: World) {
        let rmm = world.deploy(&[]).await;
        let (id, key) = away(&rmm).await;
        let path = format!("/api/agents/{id}/command");
        let mut given = Vec::new();
        let mut keys = Vec::new();
        for scope in [json!(null), json!({"client_ids": [rmm.site.client_id]})] {
            let body = json!({"name": "k", "role": "technician", "scope": scope});
            let made = rmm.technician.post("/api/keys", body).await.expect(201);
            let script = rmm.server.anonymous().with_token(text(&made, "key"));
            let answer = script.post(&path, json!({"command": "uptime"})).await.expect(202);
            given.push(text(&answer, "command_id").parse().unwrap());
            keys.push(text(&made, "id").to_owned());
        }
        rmm.technician.delete(&format!("/api/keys/{}", keys[0])).await.check(204);
        let client = rmm.admin.post("/api/clients", json!({"name": "Another Client"})).await.expect(201);
        let elsewhere = add_site(&rmm.admin, text(&client, "id"), "Elsewhere").await;
        rmm.admin.post(&format!("/api/agents/{id}/move"), json!({"site_id": elsewhere.id})).await.check(200);
        let kept = rmm.technician.post(&path, json!({"command": "date"})).await.expect(202);
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        assert_eq!(agent.command().await.id.to_string(), text(&kept, "command_id"));
        for (id, (why, code)) in given.into_iter().zip([("deleted", "key_revoked"), ("not for where", "out_of_scope")]) {
            let told = refused(&rmm, id).await;
            assert!(told.contains(why), "{told}");
            audited(&rmm, id, code).await;
        }
    }

    async fn a_polling_agent_is_not_told_what_is_not_allowed_any_more(world: World) {
        let rmm = world.deploy(&[]).await;
        let body = json!({"site_code": rmm.site.code, "device_id": "till-1", "hostname": "till-1"});
        let anonymous = rmm.server.anonymous();
        let made = anonymous.post("/api/agent/register-legacy", body).await.expect(201);
        let id: AgentId = text(&made, "agent_id").parse().unwrap();
        let denied = rmm.give(id, "format c:").await;
        let allowed = rmm.give(id, "ver").await;
        deny(&rmm, id, "format *").await;
        let api = anonymous.with_token(text(&made, "api_key"));
        let answer = api.post("/api/agent/heartbeat", json!({})).await.expect(200);
        let pending = answer["pending_commands"].as_array().unwrap();
        assert_eq!(pending.len(), 1, "{pending:?}");
        assert_eq!(pending[0]["id"], allowed.to_string());
        refused(&rmm, denied).await;
        audited(&rmm, denied, "command_not_allowed").await;
    }

    async fn what_was_sent_and_never_arrived_is_not_sent_again_against_the_policy(world: World) {
        let rmm = world.deploy(&[]).await;
        let (mut agent, id, key) = rmm.journal_agent().await;
        let given = rmm.give(id, "reboot").await;
        agent.command().await;
        agent.close().await;
        rmm.wait_status(id, "offline", SOON).await;
        deny(&rmm, id, "reboot*").await;
        // It says that it has no such command.
        let mut agent = rmm.journal_agent_again(&key, Vec::new()).await;
        let next = rmm.give(id, "uptime").await;
        assert_eq!(agent.command().await.id, next);
        refused(&rmm, given).await;
    }

    async fn a_real_agent_refuses_what_its_policy_denied_when_it_was_last_told(world: World) {
        let rmm = world.deploy(&[]).await;
        let agent = TestAgent::start(&rmm.server.agents_url(), &rmm.site.code, AgentSettings::default());
        let id = agent.wait_online(&rmm.admin).await;
        let session = rmm.open(id).await;
        deny(&rmm, id, "*forbidden*").await;
        eventually("the policy is applied", SOON, || async {
            agent.log().contains("the server's policy is applied").then_some(())
        })
        .await;
        // The server forgets its rule without a word: the order passes its check, and the agent is the last.
        rmm.database.execute("DELETE FROM policies").await.unwrap();
        let mark = world.file("forbidden-ran");
        let given = rmm.give(id, &format!("touch {}", mark.display())).await;
        let why = refused(&rmm, given).await;
        assert!(why.contains("denies") && why.contains("*forbidden*"), "{why}");
        let mut viewer = rmm.view(session).await;
        let (_, channel) = rmm.command(session, &format!("touch {}", mark.display())).await;
        let error = viewer.error(&channel).await;
        assert!(error.contains("denies"), "{error}");
        assert!(!mark.exists());
        let fine = rmm.give(id, "echo fine").await;
        assert_eq!(rmm.wait_command(fine, "completed").await["stdout"], "fine\n");
    }
}

/// An agent that is away, and its key.
async fn away(rmm: &Deployment) -> (AgentId, String) {
    let (agent, id, key) = rmm.journal_agent().await;
    agent.close().await;
    rmm.wait_status(id, "offline", SOON).await;
    (id, key)
}

async fn deny(rmm: &Deployment, id: AgentId, glob: &str) {
    let body =
        json!({"name": "p", "agent_id": id, "settings": {"commands": {"deny": [{"glob": glob}]}}});
    rmm.admin.post("/api/policies", body).await.check(201);
}

/// Waits until a command was refused; tells why it was.
async fn refused(rmm: &Deployment, id: CommandId) -> String {
    eventually("the command is refused", SOON, || async {
        let path = format!("/api/commands/{id}");
        let row = rmm.admin.get(&path).await.expect(200);
        if row["status"] != "failed" {
            return None;
        }
        assert_eq!(row["reason"], "refused", "{row}");
        Some(row["stderr"].as_str().unwrap_or_default().to_owned())
    })
    .await
}

/// The audit tells that it was not run, and why.
async fn audited(rmm: &Deployment, id: CommandId, code: &str) {
    let rows: Vec<Value> = items(&rmm.admin.get("/api/audit/tunnel").await.expect(200));
    let own = rows.iter().find(|row| row["command_id"] == id.to_string());
    assert_eq!(own.expect("its row")["outcome"], "refused");
    let named = id.to_string();
    let refusal = rows.iter().find(|row| {
        row["action"] == "refused" && row["detail"].as_str().unwrap_or_default().contains(&named)
    });
    assert_eq!(refusal.expect("the refusal's row")["outcome"], code);
}
