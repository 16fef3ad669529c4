#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

/// A `systemctl` that keeps what it is asked, and answers as the real one would.
struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            r#"#!/bin/sh
cd '{}' || exit 1
echo "$*" >> asked
case "$1" in
list-units) echo 'ssh.service loaded active running OpenBSD Secure Shell server'
            echo 'once.service loaded active exited Something done once'
            echo 'bad.service loaded failed failed It fails' ;;
list-unit-files) echo 'ssh.service enabled enabled'
            echo 'getty@.service enabled enabled'
            echo 'off.service disabled enabled'
            echo 'never.service masked enabled' ;;
show) case "$5" in
    missing.service) printf 'Id=missing.service\nLoadState=not-found\nActiveState=inactive\n' ;;
    *) printf 'Id=%s\nDescription=A service\nLoadState=loaded\nActiveState=active\nSubState=running\nMainPID=77\n' "$5"
       printf 'UnitFileState=%s\n' "$(cat state 2>/dev/null || echo enabled)" ;;
    esac ;;
mask) echo masked > state ;;
unmask) echo disabled > state ;;
enable) echo enabled > state ;;
disable) echo disabled > state ;;
start) case "$6" in broken.service) echo 'Job for broken.service failed.' >&2; exit 1 ;; esac ;;
esac
"#,
            folder.path().display()
        );
        let program = folder.path().join("systemctl");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("systemctl")
    }

    async fn perform(&self, operation: Operation) -> Result<Reply, OperationError> {
        let program = self.program();
        let program = program.to_str().unwrap();
        Systemd { program }.perform(operation).await
    }

    fn asked(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn start_type_of(name: &str, start_type: StartType) -> Operation {
    Operation::ServiceStartType {
        name: name.into(),
        start_type,
    }
}

fn control(name: &str, action: ServiceAction) -> Operation {
    Operation::ServiceControl {
        name: name.into(),
        action,
    }
}

fn before(reply: Reply) -> ServiceState {
    match reply {
        Reply::Replaced { before: Some(text) } => serde_json::from_str(&text).unwrap(),
        other => panic!("nothing was replaced: {other:?}"),
    }
}

#[tokio::test]
async fn services_are_listed_whether_they_are_loaded_or_not() {
    let Reply::Services { services } = Fake::new().perform(Operation::ServiceList).await.unwrap()
    else {
        panic!("no services")
    };
    let told: Vec<_> = services
        .iter()
        .map(|one| (one.name.as_str(), one.state.as_str(), one.start_type))
        .collect();
    assert_eq!(
        told,
        [
            ("bad.service", "failed", None),
            ("never.service", "stopped", Some(StartType::Disabled)),
            ("off.service", "stopped", Some(StartType::Manual)),
            ("once.service", "exited", None),
            ("ssh.service", "running", Some(StartType::Automatic)),
        ]
    );
}

#[tokio::test]
async fn a_change_answers_how_the_service_was() {
    let fake = Fake::new();
    let was = before(
        fake.perform(control("ssh", ServiceAction::Restart))
            .await
            .unwrap(),
    );
    assert_eq!((was.state.as_str(), was.pid), ("running", Some(77)));
    let asked = fake.asked();
    assert_eq!(
        asked[1],
        "restart --no-ask-password --no-pager --quiet -- ssh.service"
    );
}

#[tokio::test]
async fn a_start_type_can_be_put_back() {
    let fake = Fake::new();
    let was = before(
        fake.perform(start_type_of("a", StartType::Disabled))
            .await
            .unwrap(),
    );
    assert_eq!(was.start_type, Some(StartType::Automatic));
    let was = before(
        fake.perform(start_type_of("a", StartType::Automatic))
            .await
            .unwrap(),
    );
    assert_eq!(was.start_type, Some(StartType::Disabled));
    let verbs: Vec<String> = fake
        .asked()
        .iter()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect();
    assert_eq!(verbs, ["show", "mask", "show", "unmask", "enable"]);
}

#[tokio::test]
async fn what_systemd_says_against_it_is_told() {
    let fake = Fake::new();
    let failed = fake
        .perform(control("broken", ServiceAction::Start))
        .await
        .unwrap_err();
    assert_eq!(failed.message, "Job for broken.service failed.");
    let missing = fake
        .perform(control("missing", ServiceAction::Start))
        .await
        .unwrap_err();
    assert_eq!(missing.code, ErrorCode::NotFound);
    assert_eq!(
        fake.asked().len(),
        3,
        "a service that is not there is not started"
    );
}

#[tokio::test]
async fn names_that_could_be_something_else_are_refused() {
    let fake = Fake::new();
    let long = "a".repeat(256);
    for name in [
        "",
        "-h",
        "--root=/tmp",
        "a b",
        "a;b",
        "a*",
        "a?",
        "[a]",
        "a/b",
        "../a",
        "a\nb",
        "a\0b",
        "ä",
        "a.socket",
        "x.mount",
        "reboot.target",
        ".service",
        &long,
    ] {
        let refused = fake
            .perform(control(name, ServiceAction::Stop))
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::BadName, "{name:?}");
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn without_systemd_services_are_not_supported() {
    let program = "/nowhere/systemctl";
    let none = Systemd { program }.perform(Operation::ServiceList).await;
    assert_eq!(none.unwrap_err().code, ErrorCode::Unsupported);
    let text = "System has not been booted with systemd as init system (PID 1). Can't operate.\n";
    assert_eq!(refused(text).code, ErrorCode::Unsupported);
}
