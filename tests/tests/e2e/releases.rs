//! Releases: keys, signatures and what is added on the command line; what installers and agents read.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gururmm_tests::api::{items, text};
use gururmm_tests::release::{Place, program, refused, said};
use gururmm_tests::wait::SOON;
use gururmm_tests::{Deployment, World, eventually, on_both_databases};
use reqwest::Method;
use serde_json::{Value, json};

fn place(world: &World) -> Place {
    Place {
        data_dir: world.data_dir(),
        database: world.database.clone(),
    }
}

/// The bytes that a path answers with, and the status.
async fn bytes(rmm: &Deployment, path: &str, headers: &[(&str, &str)]) -> (u16, Vec<u8>, String) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = http.get(format!("{}{path}", rmm.server.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let range = answer.headers().get("content-range").cloned();
    let range = range.map_or_else(String::new, |range| range.to_str().unwrap().to_owned());
    (
        answer.status().as_u16(),
        answer.bytes().await.unwrap().to_vec(),
        range,
    )
}

on_both_databases! {
    async fn what_is_signed_and_added_is_listed_and_given_to_installers_as_it_was_signed(world: World) {
        let rmm = world.deploy(&[]).await;
        let place = place(&world);
        let anonymous = rmm.server.anonymous();
        anonymous.get("/api/install/linux-x86_64").await.problem(404, "not_found");
        let old = place.release("0.2.0");
        let new = place.release("0.10.0");
        let beta = place.sign("0.11.0", program("beta"), &[]);
        let _ = said(&place.add(&beta, "beta"));
        let listed = said(&place.run(&["list"], ""));
        for signed in [&old, &new, &beta] {
            assert!(listed.contains(&signed.sha256()), "{listed}");
        }
        let rows = items(&rmm.technician.get("/api/releases?sort=-version").await.expect(200));
        let versions: Vec<_> = rows.iter().map(|row| text(row, "version").to_owned()).collect();
        assert_eq!(versions, ["0.2.0", "0.11.0", "0.10.0"]);
        let rows = items(&rmm.technician.get("/api/releases?channel=beta").await.expect(200));
        assert_eq!((rows.len(), text(&rows[0], "sha256")), (1, beta.sha256().as_str()));
        // The newest of stable, whatever the order in which they came.
        let manifest = anonymous.get("/api/install/linux-x86_64").await;
        manifest.check(200);
        assert_eq!(manifest.text, new.manifest());
        let signature = anonymous.get("/api/install/linux-x86_64/signature").await;
        assert_eq!(signature.text, new.signature());
        let path = "/api/install/linux-x86_64/program";
        let (status, body, _) = bytes(&rmm, path, &[]).await;
        assert_eq!((status, body), (200, new.program.clone()));
        let (status, body, range) = bytes(&rmm, path, &[("range", "bytes=60-")]).await;
        let size = new.program.len();
        assert_eq!((status, body.as_slice()), (206, &new.program[60..]));
        assert_eq!(range, format!("bytes 60-{}/{size}", size - 1));
        let tag = format!("\"{}\"", old.sha256());
        let resumed = [("range", "bytes=60-"), ("if-range", tag.as_str())];
        assert_eq!(bytes(&rmm, path, &resumed).await.0, 200, "it is another program by now");
        assert_eq!(bytes(&rmm, path, &[("range", "bytes=9999-")]).await.0, 416);
        anonymous.get("/api/install/linux-aarch64").await.problem(404, "not_found");
        anonymous.get("/api/install/..%2Fx").await.problem(404, "not_found");
        // What was added stands in the audit, with how it ended.
        let acts = items(&rmm.admin.get("/api/audit?action=release.add").await.expect(200));
        assert_eq!(acts.len(), 3);
        assert!(acts.iter().all(|act| act["outcome"] == "ok"), "{acts:?}");
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&world.data_dir().join("releases")), 0o700);
    }

    async fn what_an_agent_would_refuse_is_not_added(world: World) {
        let rmm = world.deploy(&[]).await;
        let place = place(&world);
        let key = world.file("other.key");
        let made = said(&place.run(&["key", key.to_str().unwrap()], ""));
        assert!(made.contains("no password"), "{made}");
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let again = refused(&place.run(&["key", key.to_str().unwrap()], ""));
        assert!(again.contains("is there already") || again.contains("cannot write"), "{again}");
        let others = ["--key", key.to_str().unwrap()];
        let path = world.file("agent");
        std::fs::write(&path, program("others")).unwrap();
        let path = path.to_str().unwrap();
        let mut arguments = vec!["sign", "--version", "0.2.0", "--platform", "linux-x86_64"];
        arguments.extend(others);
        arguments.push(path);
        let _ = said(&place.run(&arguments, ""));
        let wrong = refused(&place.run(&["add", path], ""));
        assert!(wrong.contains("not of a release key"), "{wrong}");
        // A text that was signed, with another program beside it.
        let signed = place.sign("0.2.0", program("one"), &[]);
        std::fs::write(&signed.path, program("two")).unwrap();
        let changed = refused(&place.add(&signed, "stable"));
        assert!(changed.contains("SHA-256"), "{changed}");
        std::fs::write(&signed.path, program("longer")).unwrap();
        let longer = refused(&place.add(&signed, "stable"));
        assert!(longer.contains("bytes and the manifest says"), "{longer}");
        let manifest = signed.beside(".manifest.json");
        std::fs::write(&manifest, signed.manifest().replace("0.2.0", "0.3.0")).unwrap();
        let bent = refused(&place.add(&signed, "stable"));
        assert!(bent.contains("not of a release key"), "{bent}");
        std::fs::remove_file(&manifest).unwrap();
        let missing = refused(&place.add(&signed, "stable"));
        assert!(missing.contains("cannot read") && missing.contains("manifest.json"), "{missing}");
        // Of another machine, by its head and by what it is said to be.
        let arm = place.sign("0.2.0", program("arm"), &["--platform", "linux-aarch64"]);
        let arm = refused(&place.add(&arm, "stable"));
        assert!(arm.contains("linux-x86_64 and the manifest says linux-aarch64"), "{arm}");
        let mut unknown = vec!["sign", "--version", "0.2.0", "--platform", "plan9-x86_64"];
        unknown.extend(others);
        unknown.push(path);
        let unknown = refused(&place.run(&unknown, ""));
        assert!(unknown.contains("linux-x86_64, linux-aarch64, windows-x86_64"), "{unknown}");
        // Good for two seconds.
        let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(2)).to_rfc3339();
        let short = place.sign("0.2.0", program("short"), &["--expires", &soon]);
        let expired = eventually("it expires", Duration::from_secs(5), || async {
            (chrono::Utc::now().to_rfc3339() > soon).then(|| refused(&place.add(&short, "stable")))
        })
        .await;
        assert!(expired.contains("has expired"), "{expired}");
        assert!(items(&rmm.admin.get("/api/releases").await.expect(200)).is_empty());
        let left: Vec<_> = std::fs::read_dir(world.data_dir().join("releases")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        // One version is one program, and the same may be signed anew.
        let first = place.release("0.2.0");
        let second = place.sign("0.2.0", program("second"), &[]);
        let taken = refused(&place.add(&second, "beta"));
        assert!(taken.contains("give this one a new version"), "{taken}");
        let anew = place.sign("0.2.0", first.program.clone(), &["--expires", "2099-01-01"]);
        let _ = said(&place.add(&anew, "stable"));
        let rows = items(&rmm.admin.get("/api/releases").await.expect(200));
        assert_eq!((rows.len(), text(&rows[0], "expires_at")), (1, "2099-01-01T00:00:00Z"));
        assert_eq!(std::fs::read(world.data_dir().join("releases").join(first.sha256())).unwrap(), first.program);
    }

    async fn an_agents_key_reads_the_programs_that_there_are_and_nothing_else(world: World) {
        let rmm = world.deploy(&[]).await;
        let signed = place(&world).release("0.2.0");
        let (_agent, ack) = {
            let mut agent = gururmm_tests::RawAgent::connect(&rmm.server.agents_url()).await;
            let ack = agent.enrol(&rmm.site.code).await;
            (agent, ack)
        };
        let bearer = format!("Bearer {}", ack.api_key.unwrap());
        let key = [("authorization", bearer.as_str())];
        let path = format!("/api/agent/releases/{}", signed.sha256());
        let (status, body, _) = bytes(&rmm, &path, &key).await;
        assert_eq!((status, body), (200, signed.program.clone()));
        let ranged = [key[0], ("range", "bytes=0-3")];
        let (status, body, _) = bytes(&rmm, &path, &ranged).await;
        assert_eq!((status, body.as_slice()), (206, &b"\x7fELF"[..]));
        rmm.server.anonymous().get(&path).await.problem(401, "token_missing");
        rmm.admin.get(&path).await.problem(401, "unknown_key");
        for other in ["00".repeat(32), "..%2F..%2Fgururmm.db".to_owned(), "x".to_owned()] {
            let path = format!("/api/agent/releases/{other}");
            let answer = rmm.server.anonymous();
            let answer = answer.send(Method::GET, &path, &key, None).await.unwrap();
            answer.problem(404, "not_found");
        }
        let release = items(&rmm.admin.get("/api/releases").await.expect(200)).remove(0);
        let gone = format!("/api/releases/{}", text(&release, "id"));
        rmm.technician.delete(&gone).await.problem(403, "not_allowed");
        rmm.admin.delete(&gone).await.check(204);
        rmm.admin.delete(&gone).await.problem(404, "not_found");
        assert_eq!(bytes(&rmm, &path, &key).await.0, 404);
        let file = world.data_dir().join("releases").join(signed.sha256());
        eventually("its program goes with it", SOON, || async { (!file.exists()).then_some(()) }).await;
    }

    async fn a_release_that_a_rollout_brings_stays(world: World) {
        let rmm = world.deploy(&[]).await;
        let _ = place(&world).release("0.2.0");
        let release = items(&rmm.admin.get("/api/releases").await.expect(200)).remove(0);
        let path = format!("/api/releases/{}", text(&release, "id"));
        let body = json!({"release_id": release["id"], "soak_seconds": 3600});
        let rollout: Value = rmm.admin.post("/api/rollouts", body).await.expect(201);
        assert_eq!(rollout["platform"], "linux-x86_64");
        rmm.admin.delete(&path).await.problem(409, "release_in_use");
        let stop = format!("/api/rollouts/{}/stop", text(&rollout, "id"));
        rmm.admin.post(&stop, json!({})).await.check(200);
        rmm.admin.delete(&path).await.check(204);
    }
}
