//! Words to who sits at the machine, and questions where their desktop can show one.
//!
//! A desktop is found by what its programs have in their environment: where it shows windows, and who may. One that
//! was forwarded from elsewhere (`ssh -X`) is not at this machine.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gururmm_shared::ConsentOutcome;
use nix::unistd::{Uid, User};
use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long `wall` may take: a terminal that takes nothing must not hold it for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes a line to every terminal, as far as there are any and `wall` is there. Does not wait.
pub fn tell_people(text: &'static str) {
    let mut wall = Command::new("wall");
    wall.arg(text)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    tokio::spawn(async move {
        match timeout(PATIENCE, wall.status()).await {
            Ok(Ok(status)) if status.success() => {
                tracing::info!("who is logged in here was told of the tunnel");
            }
            Ok(Ok(status)) => tracing::warn!(%status, "wall could not tell who is logged in here"),
            Ok(Err(error)) => tracing::warn!(%error, "who is logged in here cannot be told"),
            Err(_) => tracing::warn!("wall took too long"),
        }
    });
}

/// Where programs that show windows are looked for.
const PROGRAM_FOLDERS: [&str; 2] = ["/usr/bin", "/usr/local/bin"];
/// Desktops that are asked at most.
const MOST_DESKTOPS: usize = 8;
/// What of a desktop's environment a program needs to show a window there.
const DESKTOP_VARIABLES: [&str; 5] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// The desktop of somebody who is logged in at this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Desktop {
    user: User,
    variables: BTreeMap<&'static str, String>,
}

/// Asks on all desktops; the first who says yes or no answers for all.
pub async fn ask(title: &str, text: &str, patience: Duration) -> ConsentOutcome {
    let desktops = desktops().await;
    if desktops.is_empty() {
        return ConsentOutcome::NobodyThere;
    }
    let Some(program) = found(&["zenity", "kdialog"]) else {
        tracing::warn!("neither zenity nor kdialog is there to ask who sits at the machine");
        return ConsentOutcome::CannotAsk;
    };
    let seconds = patience.as_secs().to_string();
    let arguments: Vec<&str> = if program.ends_with("zenity") {
        vec![
            "--question",
            "--no-markup",
            "--title",
            title,
            "--text",
            text,
            "--timeout",
            &seconds,
        ]
    } else {
        vec!["--title", title, "--yesno", text]
    };
    let mut asked: FuturesUnordered<_> = desktops
        .iter()
        .map(|desktop| desktop.run(&program, &arguments))
        .collect();
    let mut outcome = ConsentOutcome::CannotAsk;
    while let Some(exit) = asked.next().await {
        match exit {
            Some(0) => return ConsentOutcome::Granted,
            Some(1) => return ConsentOutcome::Refused,
            Some(_) => outcome = ConsentOutcome::NoAnswer,
            None => {}
        }
    }
    outcome
}

/// Tells who is logged in, on desktops and terminals.
pub async fn notify(title: &str, text: &str) -> ConsentOutcome {
    let desktops = desktops().await;
    let mut told = false;
    if let Some(program) = found(&["notify-send"]) {
        let arguments = ["--urgency=critical", "--", title, text];
        let mut shown: FuturesUnordered<_> = desktops
            .iter()
            .map(|desktop| desktop.run(&program, &arguments))
            .collect();
        while let Some(exit) = shown.next().await {
            told |= exit == Some(0);
        }
    }
    told |= on_terminals(text).await;
    match (told, desktops.is_empty()) {
        (true, _) => ConsentOutcome::Told,
        (false, true) => ConsentOutcome::NobodyThere,
        (false, false) => ConsentOutcome::CannotAsk,
    }
}

/// Writes a line to the terminals of who is logged in; false where nobody is, or it cannot be written.
async fn on_terminals(text: &str) -> bool {
    let users = Command::new("who")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let somebody = match timeout(PATIENCE, users).await {
        Ok(Ok(told)) => !told.stdout.is_empty(),
        _ => false,
    };
    if !somebody {
        return false;
    }
    let mut wall = Command::new("wall");
    wall.arg(text)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    matches!(timeout(PATIENCE, wall.status()).await, Ok(Ok(status)) if status.success())
}

async fn desktops() -> Vec<Desktop> {
    spawn_blocking(|| {
        let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        find_desktops(folders.map(|entry| entry.path()))
    })
    .await
    .unwrap_or_default()
}

/// The desktops that the programs of these folders of `/proc` have, each user's once.
fn find_desktops(processes: impl Iterator<Item = PathBuf>) -> Vec<Desktop> {
    let mut found: BTreeMap<u32, Desktop> = BTreeMap::new();
    for process in processes {
        let Ok(metadata) = std::fs::metadata(&process) else {
            continue;
        };
        if found.len() >= MOST_DESKTOPS || found.contains_key(&metadata.uid()) {
            continue;
        }
        let Ok(environment) = std::fs::read(process.join("environ")) else {
            continue;
        };
        let variables = desktop_variables(&environment);
        if variables.is_empty() {
            continue;
        }
        if let Ok(Some(user)) = User::from_uid(Uid::from_raw(metadata.uid())) {
            found.insert(metadata.uid(), Desktop { user, variables });
        }
    }
    found.into_values().collect()
}

/// What leads to a desktop at this machine; nothing where there is none.
fn desktop_variables(environment: &[u8]) -> BTreeMap<&'static str, String> {
    let mut variables = BTreeMap::new();
    for entry in environment.split(|byte| *byte == 0) {
        let Some((name, value)) = std::str::from_utf8(entry)
            .ok()
            .and_then(|entry| entry.split_once('='))
        else {
            continue;
        };
        if let Some(known) = DESKTOP_VARIABLES.into_iter().find(|known| *known == name)
            && !value.is_empty()
        {
            variables.insert(known, value.to_owned());
        }
    }
    let is_here = |display: &String| display.starts_with(':');
    if !variables.get("DISPLAY").is_none_or(is_here) {
        variables.remove("DISPLAY");
    }
    if !variables.contains_key("DISPLAY") && !variables.contains_key("WAYLAND_DISPLAY") {
        variables.clear();
    }
    variables
}

impl Desktop {
    /// Runs a program there as its user; its exit code, where it has one.
    async fn run(&self, program: &Path, arguments: &[&str]) -> Option<i32> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.variables)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.user.dir)
            .env("USER", &self.user.name)
            .env("LOGNAME", &self.user.name)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if nix::unistd::geteuid() != self.user.uid {
            command
                .uid(self.user.uid.as_raw())
                .gid(self.user.gid.as_raw());
        }
        match command.status().await {
            Ok(status) => status.code(),
            Err(error) => {
                tracing::warn!(%error, user = self.user.name, "a desktop cannot be reached");
                None
            }
        }
    }
}

fn found(names: &[&str]) -> Option<PathBuf> {
    names
        .iter()
        .flat_map(|name| PROGRAM_FOLDERS.map(|folder| Path::new(folder).join(name)))
        .find(|path| super::is_program(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[&str]) -> Vec<(&'static str, String)> {
        desktop_variables(entries.join("\0").as_bytes())
            .into_iter()
            .collect()
    }

    #[test]
    fn a_desktop_is_told_by_where_its_programs_show_windows() {
        let own = of(&["HOME=/home/a", "DISPLAY=:0", "XAUTHORITY=/run/x", "A=b"]);
        let wanted = [
            ("DISPLAY", ":0".to_owned()),
            ("XAUTHORITY", "/run/x".to_owned()),
        ];
        assert_eq!(own, wanted);
        let wayland = of(&["WAYLAND_DISPLAY=wayland-0", "XDG_RUNTIME_DIR=/run/user/1"]);
        assert_eq!(wayland.len(), 2);
    }

    #[test]
    fn a_desktop_that_is_elsewhere_and_a_program_without_one_are_none() {
        for entries in [
            &["DISPLAY=localhost:10.0", "XAUTHORITY=/x"][..],
            &["HOME=/", "XDG_RUNTIME_DIR=/run/user/0"],
            &["DISPLAY="],
        ] {
            assert_eq!(of(entries), [], "{entries:?}");
        }
    }

    #[test]
    fn each_users_desktop_is_found_once_among_its_processes() {
        let folder = tempfile::tempdir().unwrap();
        let mut folders = Vec::new();
        for (number, environment) in ["A=b", "DISPLAY=:1\0A=b", "DISPLAY=:2"]
            .into_iter()
            .enumerate()
        {
            let process = folder.path().join(number.to_string());
            std::fs::create_dir(&process).unwrap();
            std::fs::write(process.join("environ"), environment).unwrap();
            folders.push(process);
        }
        let found = find_desktops(folders.into_iter());
        let displays: Vec<&String> = found.iter().map(|one| &one.variables["DISPLAY"]).collect();
        assert_eq!(displays, [":1"]);
    }
}
