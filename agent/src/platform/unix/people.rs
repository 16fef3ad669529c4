//! Words to who sits at the machine, and questions where their desktop can show one.
//!
//! A desktop is found by what its programs have in their environment: where it shows windows, and who may. One that
//! was forwarded from elsewhere (`ssh -X`) is not at this machine, nor is one whose user sits at no seat of it, as logind
//! says; and one that nobody can connect to is none. An environment is its user's word, so it counts for that user alone:
//! a program that has changed its user (`su`) says nothing, and nothing is ever shown as root.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gururmm_shared::ConsentOutcome;
use nix::unistd::{Uid, User};
use socket2::{Domain, SockAddr, Socket, Type};
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

/// Where logind keeps what it knows of sessions.
const LOGIND_SESSIONS: &str = "/run/systemd/sessions";
/// Bytes of one of its files, and of a process's status, that are read.
const MOST_BYTES: u64 = 16 * 1024;

async fn desktops() -> Vec<Desktop> {
    spawn_blocking(|| {
        let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let seated = seated_users(Path::new(LOGIND_SESSIONS));
        let mut found = find_desktops(folders.map(|entry| entry.path()), seated.as_ref());
        found.retain(Desktop::answers);
        found
    })
    .await
    .unwrap_or_default()
}

/// Who sits at a seat of this machine, as logind says; nothing where there is no logind.
fn seated_users(sessions: &Path) -> Option<BTreeSet<u32>> {
    let entries = std::fs::read_dir(sessions).ok()?;
    let files = entries.flatten().filter_map(|entry| text_of(&entry.path()));
    Some(files.filter_map(|text| seated_user(&text)).collect())
}

/// The user of an active session at a seat.
fn seated_user(session: &str) -> Option<u32> {
    let value = |key: &str| {
        let mut lines = session.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let seated = value("SEAT").is_some_and(|seat| !seat.is_empty());
    let here = value("ACTIVE") == Some("1") && value("REMOTE") != Some("1");
    (seated && here)
        .then(|| value("UID")?.parse().ok())
        .flatten()
}

/// The user of a process of `/proc` who is the same in all ways that there are: the environment of a program
/// that has changed its user is somebody else's word.
fn user_of(process: &Path) -> Option<u32> {
    let status = text_of(&process.join("status"))?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let mut ids = ids.split_whitespace().map(str::parse::<u32>);
    let first = ids.next()?.ok()?;
    ids.all(|id| id == Ok(first)).then_some(first)
}

fn text_of(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The desktops that the programs of these folders of `/proc` have, each user's once: of those who are seated,
/// where that is known, and never root's.
fn find_desktops(
    processes: impl Iterator<Item = PathBuf>,
    seated: Option<&BTreeSet<u32>>,
) -> Vec<Desktop> {
    let mut found: BTreeMap<u32, Desktop> = BTreeMap::new();
    for process in processes {
        let Some(uid) = user_of(&process) else {
            continue;
        };
        let somebody = uid != 0 && seated.is_none_or(|seated| seated.contains(&uid));
        if !somebody || found.len() >= MOST_DESKTOPS || found.contains_key(&uid) {
            continue;
        }
        let Ok(environment) = std::fs::read(process.join("environ")) else {
            continue;
        };
        let variables = desktop_variables(&environment);
        if variables.is_empty() {
            continue;
        }
        if let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) {
            found.insert(uid, Desktop { user, variables });
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
    /// Whether something listens there: a program that finds no display ends as if somebody had said no.
    fn answers(&self) -> bool {
        let display = self.variables.get("DISPLAY").and_then(|display| {
            let number = display.strip_prefix(':')?.split('.').next()?;
            number.parse::<u16>().ok()
        });
        let x11 = display.map(|number| PathBuf::from(format!("/tmp/.X11-unix/X{number}")));
        let wayland = self.variables.get("WAYLAND_DISPLAY").and_then(|name| {
            let folder = self.variables.get("XDG_RUNTIME_DIR")?;
            Some(Path::new(folder).join(name))
        });
        let sockets = [x11, wayland];
        let mut sockets = sockets.iter().flatten();
        sockets.any(|socket| is_listened_on(socket))
    }

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

/// Whether a socket takes connections, without a wait: its owner may never accept one.
fn is_listened_on(path: &Path) -> bool {
    let connected = SockAddr::unix(path).and_then(|address| {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.connect(&address)
    });
    connected.is_ok()
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

    /// A folder as one of `/proc`, of a program of these users (real, effective, saved) with this environment.
    fn process(folder: &Path, name: &str, users: [u32; 3], environment: &str) -> PathBuf {
        let process = folder.join(name);
        std::fs::create_dir(&process).unwrap();
        let [real, effective, saved] = users;
        let status = format!("Name:\tx\nUid:\t{real}\t{effective}\t{saved}\t{effective}\n");
        std::fs::write(process.join("status"), status).unwrap();
        std::fs::write(process.join("environ"), environment).unwrap();
        process
    }

    /// A user that every system has beside root: `daemon`.
    const DAEMON: u32 = 1;

    #[test]
    fn each_users_desktop_is_found_once_among_its_processes() {
        let folder = tempfile::tempdir().unwrap();
        let environments = ["A=b", "DISPLAY=:1\0A=b", "DISPLAY=:2"];
        let folders: Vec<PathBuf> = environments
            .into_iter()
            .enumerate()
            .map(|(number, text)| process(folder.path(), &number.to_string(), [DAEMON; 3], text))
            .collect();
        let found = find_desktops(folders.clone().into_iter(), None);
        let displays: Vec<&String> = found.iter().map(|one| &one.variables["DISPLAY"]).collect();
        assert_eq!(displays, [":1"]);
        let seated = BTreeSet::from([DAEMON]);
        assert_eq!(
            find_desktops(folders.clone().into_iter(), Some(&seated)).len(),
            1
        );
        let others = BTreeSet::from([DAEMON + 1]);
        assert!(find_desktops(folders.into_iter(), Some(&others)).is_empty());
    }

    #[test]
    fn a_setuid_programs_environment_is_nobodys_desktop_and_nothing_is_shown_as_root() {
        let folder = tempfile::tempdir().unwrap();
        for (name, users) in [
            ("su", [DAEMON, 0, 0]),
            ("dropped", [DAEMON, DAEMON, 0]),
            ("root", [0, 0, 0]),
        ] {
            let process = process(folder.path(), name, users, "DISPLAY=:1");
            assert!(
                find_desktops([process].into_iter(), None).is_empty(),
                "{name}"
            );
        }
    }

    #[test]
    fn who_sits_at_a_seat_is_told_by_logind() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("1", "UID=1000\nACTIVE=1\nREMOTE=0\nTYPE=x11\nSEAT=seat0\n"),
            ("2", "UID=1001\nACTIVE=1\nREMOTE=1\nTYPE=tty\n"),
            ("3", "UID=1002\nACTIVE=0\nREMOTE=0\nSEAT=seat0\n"),
            ("4.ref", ""),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let seated = seated_users(folder.path()).unwrap();
        assert_eq!(seated.into_iter().collect::<Vec<_>>(), [1000]);
        assert!(seated_users(&folder.path().join("none")).is_none());
    }

    #[test]
    fn a_display_that_nobody_listens_on_is_not_asked() {
        let user = User::from_uid(Uid::from_raw(DAEMON)).unwrap().unwrap();
        let desktop = |entries: &[(&'static str, String)]| Desktop {
            user: user.clone(),
            variables: entries.iter().cloned().collect(),
        };
        assert!(!desktop(&[("DISPLAY", ":54321".to_owned())]).answers());
        let folder = tempfile::tempdir().unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(folder.path().join("w")).unwrap();
        let runtime = folder.path().to_str().unwrap().to_owned();
        let wayland = [
            ("WAYLAND_DISPLAY", "w".to_owned()),
            ("XDG_RUNTIME_DIR", runtime),
        ];
        assert!(desktop(&wayland).answers());
    }
}
