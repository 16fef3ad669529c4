//! What programs of the system list: packages, services, log-ins. Each has a time and a length; one
//! that is not there is no fault.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gururmm_shared::{ServiceInfo, SoftwareInfo, UserInfo};

use super::systemd;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of its output that are read.
const OUTPUT_BYTES: u64 = 8 * 1024 * 1024;
/// Packages that are told.
const MOST_SOFTWARE: usize = 20_000;
/// Services that are told.
const MOST_SERVICES: usize = 2000;
/// Log-ins that are told.
const MOST_USERS: usize = 200;

/// What is installed, by the package manager that has something to tell.
pub fn software() -> Option<Vec<SoftwareInfo>> {
    let managers: [(&str, &[&str]); 2] = [
        (
            "dpkg-query",
            &[
                "-W",
                "-f",
                "${db:Status-Abbrev}\t${binary:Package}\t${Version}\n",
            ],
        ),
        (
            "rpm",
            &["-qa", "--qf", "ii \t%{NAME}\t%{VERSION}-%{RELEASE}\n"],
        ),
    ];
    let listed = managers
        .iter()
        .filter_map(|(program, arguments)| output(program, arguments))
        .map(|text| packages(&text))
        .collect::<Vec<_>>();
    listed.into_iter().max_by_key(Vec::len)
}

/// Lines of status, name and version; of one name there may be several versions.
fn packages(text: &str) -> Vec<SoftwareInfo> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let mut parts = line.split('\t');
        let (Some(status), Some(name), Some(version)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if status.starts_with("ii") && !name.is_empty() {
            found.entry(clip(name)).or_default().push(clip(version));
        }
    }
    found
        .into_iter()
        .map(|(name, mut versions)| {
            versions.sort();
            versions.dedup();
            SoftwareInfo {
                name,
                version: versions.join(", ").chars().take(128).collect(),
            }
        })
        .take(MOST_SOFTWARE)
        .collect()
}

/// The services that systemd knows.
pub fn services() -> Option<Vec<ServiceInfo>> {
    output(systemd::PROGRAM, &systemd::LIST_UNITS).map(|text| units(&text))
}

fn units(text: &str) -> Vec<ServiceInfo> {
    let told = |unit: systemd::Unit<'_>| ServiceInfo {
        name: clip(unit.name),
        state: clip(unit.active),
        description: clip(&unit.description),
    };
    let mut services: Vec<ServiceInfo> = systemd::units(text).map(told).collect();
    services.sort();
    services.truncate(MOST_SERVICES);
    services
}

/// Who is logged in.
pub fn users() -> Option<Vec<UserInfo>> {
    output("who", &[]).map(|text| log_ins(&text))
}

/// Lines of account and terminal, then times; the host stands in parentheses at the end.
fn log_ins(text: &str) -> Vec<UserInfo> {
    let mut users: Vec<UserInfo> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, terminal) = (words.next()?, words.next()?);
            let host = words.next_back().filter(|word| word.starts_with('('));
            Some(UserInfo {
                name: clip(name),
                terminal: clip(&format!("{terminal} {}", host.unwrap_or_default())),
            })
        })
        .collect();
    users.sort();
    users.dedup();
    users.truncate(MOST_USERS);
    users
}

fn clip(text: &str) -> String {
    let plain = text.trim().chars().filter(|c| !c.is_control());
    plain.take(200).collect()
}

/// What a program prints, where it is there and ends well and in time.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let stdout = child.stdout.take()?;
    // Read beside the wait: a pipe that is full would hold the program.
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(OUTPUT_BYTES).read_to_end(&mut bytes);
        read.map(|_| bytes)
    });
    let ended_well = wait(&mut child);
    let bytes = reading.join().ok()?.ok()?;
    if !ended_well {
        tracing::debug!(program, "a listing has failed");
        return None;
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn wait(child: &mut Child) -> bool {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(_) => break,
        }
    }
    // Either it ended meanwhile or it is killed here; the wait takes its remains away.
    let _ = child.kill();
    let _ = child.wait();
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_counts_and_each_name_once() {
        let text = "ii \tbash\t5.2\nrc \tgone\t1\nii \tkernel\t2\nii \tkernel\t1\nii \tevil\u{1b}[2J\t1\nrubbish\n";
        let found = packages(text);
        let named: Vec<_> = found
            .iter()
            .map(|s| (s.name.as_str(), s.version.as_str()))
            .collect();
        assert_eq!(
            named,
            [("bash", "5.2"), ("evil[2J", "1"), ("kernel", "1, 2")]
        );
    }

    #[test]
    fn units_are_read_by_column_and_missing_ones_left_out() {
        let text = "ssh.service loaded active running OpenBSD Secure Shell server\n\
            x.service not-found inactive dead x.service\n";
        let found = units(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].state, "active");
        assert_eq!(found[0].description, "OpenBSD Secure Shell server");
    }

    #[test]
    fn a_log_in_is_told_with_its_terminal_and_host_and_without_its_time() {
        let text = "ada   pts/0        2026-11-21 09:00 (192.0.2.7)\nbob tty1 2026-11-21 08:00\n";
        let found = log_ins(text);
        assert_eq!(
            (found[0].name.as_str(), found[0].terminal.as_str()),
            ("ada", "pts/0 (192.0.2.7)")
        );
        assert_eq!(found[1].terminal.trim(), "tty1");
    }

    #[test]
    fn a_program_that_is_not_there_lists_nothing() {
        assert_eq!(output("no-such-program-anywhere", &[]), None);
        assert_eq!(output("false", &[]), None);
        assert_eq!(output("echo", &["one"]), Some("one\n".to_owned()));
    }
}
