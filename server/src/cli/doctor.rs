//! `doctor`: looks at what the server stands on, and tells for each fault what to do. It changes nothing, and may be run
//! while the server runs.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use super::say;
use crate::app;
use crate::config::{Settings, TlsMode, host};
use crate::db::{DatabaseKind, Db, DbError, audit_chain};
use crate::services::disk;
use crate::tls::authority::{PublicCa, folder};
use crate::tls::certificate::{Certificate, SOON_DAYS};

/// Room on the disk below which the server is warned of, and below which it is about to stop working.
const WARN_FREE: u64 = 2 << 30;
const LEAST_FREE: u64 = 256 << 20;
/// Seconds that two clocks may differ.
const CLOCK_SECONDS: i64 = 5;
/// Open files that a server with a few thousand agents needs.
const FILES: u64 = 16_384;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Ok,
    Warning,
    Fault,
}

/// What was found out about one thing.
#[derive(Debug)]
struct Finding {
    grade: Grade,
    what: &'static str,
    text: String,
    /// What to do.
    fix: String,
}

impl Finding {
    fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self::new(Grade::Ok, what, text, "")
    }

    fn warning(what: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Grade::Warning, what, text, fix)
    }

    fn fault(what: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Grade::Fault, what, text, fix)
    }

    fn new(
        grade: Grade,
        what: &'static str,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            grade,
            what,
            text: text.into(),
            fix: fix.into(),
        }
    }

    /// `fault    disk: 12 MiB are left. To mend it: …`
    fn line(&self) -> String {
        let grade = match self.grade {
            Grade::Ok => "ok",
            Grade::Warning => "warning",
            Grade::Fault => "fault",
        };
        let fix = if self.fix.is_empty() {
            String::new()
        } else {
            format!(". To mend it: {}", self.fix)
        };
        let line = format!("{grade:<8} {}: {}{fix}", self.what, self.text);
        line.replace('\n', " ") + "\n"
    }
}

/// Looks at everything and prints a line for each.
///
/// # Errors
/// Something is wrong: how much of it.
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let mut findings = vec![data_dir(&settings.data_dir)];
    findings.extend(room(&settings.data_dir));
    findings.extend(secrets(&settings.data_dir));
    findings.extend(open_files());
    findings.extend(database(settings).await);
    findings.extend(certificate(settings));
    findings.push(port(settings));
    for finding in &findings {
        say(&finding.line())?;
    }
    let count = |grade| findings.iter().filter(|one| one.grade == grade).count();
    let (faults, warnings) = (count(Grade::Fault), count(Grade::Warning));
    anyhow::ensure!(faults == 0, "{faults} faults and {warnings} warnings");
    say(&format!("no faults, {warnings} warnings\n"))
}

fn data_dir(path: &Path) -> Finding {
    let what = "data directory";
    let text = path.display().to_string();
    match fs::metadata(path) {
        Err(error) => Finding::fault(
            what,
            format!("{text}: {error}"),
            "make it for the server's user, or set data_dir",
        ),
        Ok(found) if !found.is_dir() => {
            Finding::fault(what, format!("{text} is no folder"), "set data_dir")
        }
        Ok(_) => match tempfile_in(path) {
            Ok(()) => Finding::ok(what, text),
            Err(error) => Finding::fault(
                what,
                format!("{text}: nothing can be written there: {error}"),
                "run doctor as the server's user; chown the folder to it, and make room on its disk",
            ),
        },
    }
}

fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let written = fs::write(&path, b"doctor");
    let removed = fs::remove_file(&path);
    written.and(removed)
}

fn room(path: &Path) -> Option<Finding> {
    let what = "disk";
    let space = disk::space(path)?;
    let text = format!(
        "{} MiB of {} MiB are left at {}",
        space.free >> 20,
        space.total >> 20,
        path.display()
    );
    let fix = "remove what is not needed there, shorten retention.* and metrics.*_days, or move data_dir to a larger disk";
    Some(match space.free {
        free if free < LEAST_FREE => Finding::fault(what, text, fix),
        free if free < WARN_FREE => Finding::warning(what, text, fix),
        _ => Finding::ok(what, text),
    })
}

/// Files that nobody else may read.
#[cfg(unix)]
fn secrets(data_dir: &Path) -> Vec<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let what = "secrets";
    let names = [
        "signing-key",
        "audit-key",
        "audit-head",
        "setup-token",
        "gururmm.db",
        "tls/ca-key.pem",
    ];
    let mut findings = Vec::new();
    let mut found = 0;
    for path in names.map(|name| data_dir.join(name)) {
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        found += 1;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            findings.push(Finding::fault(
                what,
                format!("{} has the mode {mode:o}", path.display()),
                format!("chmod 600 {}", path.display()),
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            what,
            format!("{found} files are for their owner alone"),
        ));
    }
    findings
}

#[cfg(not(unix))]
fn secrets(_: &Path) -> Vec<Finding> {
    Vec::new()
}

#[cfg(unix)]
fn open_files() -> Option<Finding> {
    use nix::sys::resource::{Resource, getrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let text = format!("{most} files may be open");
    Some(if most >= FILES {
        Finding::ok("open files", text)
    } else {
        Finding::warning(
            "open files",
            format!("{text}, which is enough for some {} agents", most / 2),
            "set LimitNOFILE=65536 in the service's unit, or ulimit -Hn",
        )
    })
}

#[cfg(not(unix))]
fn open_files() -> Option<Finding> {
    None
}

async fn database(settings: &Settings) -> Vec<Finding> {
    let what = "database";
    let url = settings.database.url.expose_secret();
    let file = settings.data_dir.join("gururmm.db");
    if url.is_empty() && !file.exists() {
        return vec![Finding::warning(
            what,
            format!("there is none at {} yet", file.display()),
            "start the server, or bring a backup back, and it is made",
        )];
    }
    let db = match app::open_database(settings).await {
        Ok(db) => db,
        Err(error) => {
            return vec![Finding::fault(
                what,
                format!("{error:#}"),
                "see that PostgreSQL runs and lets this user in, or that the file belongs to the server's user",
            )];
        }
    };
    let mut findings = Vec::new();
    findings.push(match db.pending_migrations().await {
        Ok(0) => Finding::ok(what, format!("{} answers and is up to date", db.kind())),
        Ok(count) => Finding::warning(
            what,
            format!("{} answers; {count} migrations wait", db.kind()),
            "make a backup, then start this version of the server, or run gururmm-server migrate",
        ),
        Err(error) => Finding::fault(
            what,
            error.to_string(),
            "run the version of gururmm-server that migrated it",
        ),
    });
    if findings.iter().all(|one| one.grade == Grade::Ok) {
        findings.push(clock(&db).await);
    }
    if db.kind() == DatabaseKind::Postgres && !url.contains("host=/") && !is_local(url) {
        findings.push(Finding::warning(
            what,
            "PostgreSQL is on another machine, and the connection to it is not encrypted",
            "bring it over a network that nobody listens to: a VPN, WireGuard, an ssh tunnel",
        ));
    }
    findings
}

/// Whether a database's URL names this machine.
fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = rest.split(['/', '?']).next().unwrap_or_default();
    let address = place.rsplit_once('@').map_or(place, |(_, address)| address);
    let name = host(&format!("x://{address}"))
        .unwrap_or_default()
        .to_owned();
    name.is_empty()
        || name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Tokens, certificates and time-outs go by the clock: one that went back shows in what was written down before.
async fn clock(db: &Db) -> Finding {
    let now = Utc::now();
    let newest = match newest_entry(db).await {
        Ok(newest) => newest,
        Err(error) => {
            return Finding::fault("clock", error.to_string(), "see that the database answers");
        }
    };
    judge_clock(now, newest, program_time())
}

/// When the newest sealed entry of the audit was written.
async fn newest_entry(db: &Db) -> Result<Option<DateTime<Utc>>, DbError> {
    let Some(tail) = audit_chain::tail(db).await? else {
        return Ok(None);
    };
    let page = audit_chain::after(db, tail.seq - 1, 1).await?;
    let entry = page.into_iter().next().and_then(|(_, entry)| entry);
    Ok(entry.map(|entry| entry.at))
}

/// When this program was put here: it is not older than that.
fn program_time() -> Option<DateTime<Utc>> {
    let program = std::env::current_exe().ok()?;
    let modified: SystemTime = fs::metadata(program).ok()?.modified().ok()?;
    Some(modified.into())
}

fn judge_clock(
    now: DateTime<Utc>,
    newest: Option<DateTime<Utc>>,
    program: Option<DateTime<Utc>>,
) -> Finding {
    let fix = "switch the clock's synchronisation on: timedatectl set-ntp true";
    let slack = chrono::Duration::seconds(CLOCK_SECONDS);
    match (newest, program) {
        (Some(newest), _) if newest > now + slack => Finding::fault(
            "clock",
            format!(
                "it is {} here, and the newest entry of the audit is of {}",
                now.format("%Y-%m-%d %H:%M:%S UTC"),
                newest.format("%Y-%m-%d %H:%M:%S UTC")
            ),
            fix,
        ),
        (_, Some(program)) if program > now + chrono::Duration::days(1) => Finding::fault(
            "clock",
            format!(
                "it is {} here, and this program is newer",
                now.format("%Y-%m-%d %H:%M UTC")
            ),
            fix,
        ),
        _ => Finding::ok("clock", now.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
    }
}

fn certificate(settings: &Settings) -> Vec<Finding> {
    let what = "certificate";
    let tls = &settings.tls;
    match tls.mode {
        TlsMode::Proxy => vec![proxy(settings)],
        TlsMode::Acme => vec![Finding::ok(
            what,
            format!(
                "ordered by ACME for {}; see the log for how it goes",
                tls.all_names(&settings.server.public_url).join(", ")
            ),
        )],
        TlsMode::SelfSigned => {
            let path = folder(&settings.data_dir).join("ca.pem");
            if !path.exists() {
                return vec![Finding::ok(what, "the first start makes an authority")];
            }
            vec![match PublicCa::read(&path) {
                Ok(ca) => Finding::ok(
                    what,
                    format!("from an authority of its own, SHA-256 {}", ca.sha256),
                ),
                Err(error) => {
                    Finding::fault(what, error.to_string(), "bring it back from a backup")
                }
            }]
        }
        TlsMode::File => match Certificate::read(&tls.certificate, &tls.key) {
            Ok(found) => judge_certificate(&found, &settings.server.public_url, Utc::now()),
            Err(error) => vec![Finding::fault(
                what,
                error.to_string(),
                "set tls.certificate and tls.key to PEM files that belong together and that the server's user may read",
            )],
        },
    }
}

fn proxy(settings: &Settings) -> Finding {
    let what = "certificate";
    let public = settings.server.public_url.starts_with("https://");
    if !public && !settings.listen.ip().is_loopback() {
        return Finding::warning(
            what,
            format!(
                "nobody encrypts, and {} is open to the network",
                settings.listen
            ),
            "set tls.mode, or put a proxy in front and set server.public_url to its https address",
        );
    }
    if public && settings.server.trusted_proxies.is_empty() {
        return Finding::warning(
            what,
            "a proxy encrypts, and all callers seem to come from its address",
            "set server.trusted_proxies to it, so that limits and audit know who calls",
        );
    }
    Finding::ok(what, "a proxy encrypts, or nobody calls from outside")
}

fn judge_certificate(
    certificate: &Certificate,
    public_url: &str,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let what = "certificate";
    let renew = "have it renewed; the server takes new files by itself";
    let mut findings = Vec::new();
    let left = certificate.days_left(now);
    if !certificate.is_good(now) {
        findings.push(Finding::fault(
            what,
            format!(
                "it is good from {} to {} only",
                certificate.not_before, certificate.not_after
            ),
            renew,
        ));
    } else if left < SOON_DAYS {
        findings.push(Finding::warning(
            what,
            format!("it ends in {left} days"),
            renew,
        ));
    } else {
        let names = certificate.names.join(", ");
        findings.push(Finding::ok(
            what,
            format!("for {names}, for {left} days more"),
        ));
    }
    if let Some(name) = host(public_url)
        && !certificate.names.iter().any(|has| covers(has, name))
    {
        findings.push(Finding::fault(
            what,
            format!("it is not for {name}, which server.public_url names"),
            "get one for that name, or correct server.public_url",
        ));
    }
    findings
}

/// Whether a name in a certificate is for this one; a star stands for one label.
fn covers(has: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    match has.strip_prefix("*.") {
        Some(rest) => name.split_once('.').is_some_and(|(_, of)| of == rest),
        None => has == name,
    }
}

fn port(settings: &Settings) -> Finding {
    let what = "port";
    let address = settings.listen;
    let file = settings.data_dir.join("listen.addr");
    let bound = fs::read_to_string(file).ok();
    let running = bound.and_then(|text| text.trim().parse::<SocketAddr>().ok());
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(what, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let ours = running.filter(|running| running.port() == address.port());
            let reached = ours
                .map(reachable)
                .and_then(|at| TcpStream::connect_timeout(&at, Duration::from_secs(2)).ok());
            match reached {
                Some(_) => Finding::ok(what, format!("{address} is served")),
                None => Finding::fault(
                    what,
                    format!("{address} is used by another program"),
                    "stop it, or set listen to another port; ss -ltnp tells which it is",
                ),
            }
        }
        Err(error) => Finding::fault(
            what,
            format!("{address}: {error}"),
            "set listen to an address of this machine; a port below 1024 needs AmbientCapabilities=CAP_NET_BIND_SERVICE or a socket unit",
        ),
    }
}

/// An address of this machine for one that stands for all.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(covers("*.example.com", "RMM.example.com"));
        assert!(covers("rmm.example.com", "rmm.example.com"));
        for name in ["example.com", "a.b.example.com", "rmm.example.org"] {
            assert!(!covers("*.example.com", name), "{name}");
        }
    }

    #[test]
    fn a_certificate_for_another_name_or_near_its_end_is_told() {
        let made = rcgen::generate_simple_self_signed(vec!["rmm.example.com".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let found = Certificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        let grades = |url: &str, now| -> Vec<Grade> {
            let findings = judge_certificate(&found, url, now);
            findings.iter().map(|one| one.grade).collect()
        };
        let now = Utc::now();
        assert_eq!(grades("https://rmm.example.com:8443", now), [Grade::Ok]);
        assert_eq!(
            grades("https://other.example.com", now),
            [Grade::Ok, Grade::Fault]
        );
        let near = found.not_after - chrono::Duration::days(3);
        assert_eq!(grades("", near), [Grade::Warning]);
        let past = found.not_after + chrono::Duration::days(3);
        assert_eq!(grades("", past), [Grade::Fault]);
    }

    #[test]
    fn a_clock_that_went_back_is_a_fault() {
        let now = Utc::now();
        let hour = chrono::Duration::hours(1);
        assert_eq!(judge_clock(now, Some(now - hour), None).grade, Grade::Ok);
        assert_eq!(judge_clock(now, Some(now + hour), None).grade, Grade::Fault);
        let days = chrono::Duration::days(2);
        assert_eq!(judge_clock(now, None, Some(now + days)).grade, Grade::Fault);
        assert_eq!(judge_clock(now, None, Some(now - days)).grade, Grade::Ok);
    }

    #[test]
    fn a_database_on_another_machine_is_known_by_its_url() {
        for (url, expected) in [
            ("postgres://u:p@127.0.0.1:5432/x", true),
            ("postgres://u:p@localhost/x", true),
            ("postgres://u:p@[::1]:5432/x", true),
            ("postgres:///x", true),
            ("postgres://u:p@db.example.com/x?sslmode=disable", false),
        ] {
            assert_eq!(is_local(url), expected, "{url}");
        }
    }

    #[test]
    fn each_fault_says_in_one_line_what_to_do() {
        let line = Finding::fault("disk", "full\nup", "make room").line();
        assert_eq!(line, "fault    disk: full up. To mend it: make room\n");
        assert_eq!(Finding::ok("disk", "x").line(), "ok       disk: x\n");
    }
}
