//! A private PostgreSQL cluster: made for a run of the tests, gone with it, never the system's.
//!
//! ```text
//!   test process ──pipe──▶ sh (supervisor, own process group) ──▶ postgres
//! ```
//! The supervisor reads the pipe; when its writer goes, in whatever way, it stops the cluster and
//! removes its directory.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};

/// The variable that names a cluster to use instead of making one.
pub const URL_VARIABLE: &str = "GURURMM_TEST_POSTGRES_URL";

const ROLE: &str = "gururmm";

/// Answers each line on its input (a port to try) with `ready` or `busy`; ends with its input.
const SUPERVISOR: &str = r#"
trap '' INT TERM HUP
dir=$1 bin=$2 role=$3
"$bin/initdb" -D "$dir/data" -U "$role" --pwfile="$dir/password" -A scram-sha-256 \
    -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 || { echo failed; exit 1; }
cat >>"$dir/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 400
shared_buffers = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
END
echo initialised
started=
while read -r port; do
    if "$bin/pg_ctl" start -w -s -D "$dir/data" -l "$dir/log" -o "-p $port" >/dev/null 2>&1; then
        started=1
        echo ready
    else
        echo busy
    fi
done
[ -z "$started" ] || "$bin/pg_ctl" stop -m immediate -s -D "$dir/data" >/dev/null 2>&1
rm -rf "$dir"
"#;

/// A running cluster; it stops when this is dropped or its process ends.
pub struct Cluster {
    url: String,
    supervisor: Option<(Child, ChildStdin)>,
}

impl Cluster {
    /// The cluster that all tests of this process share.
    ///
    /// # Panics
    /// When there is none and none can be made: a part that cannot run fails.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| {
            Self::given()
                .map_or_else(Self::start, Ok)
                .unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error:#}"))
        })
    }

    /// The cluster that the environment names.
    #[must_use]
    pub fn given() -> Option<Self> {
        let url = std::env::var(URL_VARIABLE).ok()?;
        Some(Self {
            url,
            supervisor: None,
        })
    }

    /// Makes and starts a cluster on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not start; its log is in the message.
    pub fn start() -> Result<Self> {
        let programs = programs()?;
        let password = uuid::Uuid::new_v4().simple().to_string();
        let directory = tempfile::Builder::new()
            .prefix("gururmm-postgres-")
            .tempdir()?
            .keep();
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700))?;
        let password_file = directory.join("password");
        std::fs::write(&password_file, &password)?;

        let mut command = Command::new("sh");
        command
            .args(["-c", SUPERVISOR, "gururmm-postgres"])
            .args([directory.as_path(), &programs, Path::new(ROLE)])
            .current_dir("/")
            .env_remove("PGDATA")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        if nix::unistd::geteuid().is_root() {
            let user = nix::unistd::User::from_name("postgres")?
                .context("there is no user `postgres` to run PostgreSQL as")?;
            let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
            chown(&directory, Some(uid), Some(gid))?;
            chown(&password_file, Some(uid), Some(gid))?;
            command.uid(uid).gid(gid);
        }
        let mut child = command
            .spawn()
            .context("cannot start PostgreSQL's supervisor")?;
        let mut input = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut answer = || answers.next().transpose().map(Option::unwrap_or_default);

        ensure!(answer()? == "initialised", "initdb: {}", log(&directory));
        for _ in 0..5 {
            let port = free_port()?;
            writeln!(input, "{port}")?;
            if answer()? == "ready" {
                return Ok(Self {
                    url: format!("postgres://{ROLE}:{password}@127.0.0.1:{port}/postgres"),
                    supervisor: Some((child, input)),
                });
            }
        }
        bail!("pg_ctl start: {}", log(&directory))
    }

    /// The URL of its first database, for making others.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of another of its databases.
    #[must_use]
    pub fn database_url(&self, name: &str) -> String {
        let (server, _) = self.url.rsplit_once('/').expect("a URL has a path");
        format!("{server}/{name}")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some((mut child, input)) = self.supervisor.take() {
            drop(input);
            let _ = child.wait();
        }
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
///
/// # Errors
/// When the machine has none left.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The directory of PostgreSQL's server programs, the newest version's.
fn programs() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, path)| path.join("initdb").is_file())
        .collect();
    found.sort();
    if let Some((_, path)) = found.pop() {
        return Ok(path);
    }
    let told = Command::new("pg_config").arg("--bindir").output();
    let path = told.ok().map(|output| {
        PathBuf::from(
            String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned(),
        )
    });
    path.filter(|path| path.join("initdb").is_file())
        .context("initdb was not found; install the package `postgresql`")
}

fn log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("log")).unwrap_or_default()
}
