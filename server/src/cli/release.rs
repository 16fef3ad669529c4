//! `gururmm-server release`: keys and signatures where the secret key is, without configuration and database; and
//! releases that are added on the server.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, NaiveTime, SubsecRound, TimeDelta, Utc};
use clap::{Subcommand, ValueEnum};
use gururmm_release::{MAX_PROGRAM_BYTES, Manifest, TrustedKeys};
use minisign::{KeyPair, SecretKey, SecretKeyBox};
use semver::Version;
use sha2::{Digest, Sha256};

use super::say;
use crate::app;
use crate::config::Loaded;
use crate::db::audit_log::{self, NewEntry, Stage};
use crate::db::releases::{self, ReleaseFilter};
use crate::services::releases::{MOST, Programs, Signed, added, beside, hexadecimal, read_signed};
use crate::services::{audit, releases as rules};

/// How long a release may be installed where nothing is said.
const LASTS_DAYS: i64 = 365;
/// The longest file of a key.
const KEY_BYTES: u64 = 4096;
const PASSWORD_BYTES: u64 = 1024;

/// What is done with releases.
#[derive(Subcommand)]
pub enum Release {
    /// Make a pair of keys: the secret one, which stays offline, and beside it FILE.pub, which is built into
    /// server and agents.
    Key {
        /// Where the secret key goes; it must not be there.
        file: PathBuf,
        /// Read a password for it from standard input; without one it lies there as it is.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Sign a program: writes PROGRAM.manifest.json and PROGRAM.manifest.json.minisig beside it.
    Sign {
        /// The secret key.
        #[arg(long)]
        key: PathBuf,
        /// The program's version (semver).
        #[arg(long)]
        version: Version,
        /// What it runs on: linux-x86_64, linux-aarch64 or windows-x86_64.
        #[arg(long)]
        platform: String,
        /// From when on no agent installs it: 2027-01-31, or with a time as RFC 3339 has it. In a year where nothing
        /// is said.
        #[arg(long, value_parser = date)]
        expires: Option<DateTime<Utc>>,
        /// It may take the place of a newer version.
        #[arg(long)]
        downgrade: bool,
        /// Read the key's password from standard input.
        #[arg(long)]
        password_stdin: bool,
        /// The program.
        program: PathBuf,
    },
    /// Add a program that was signed, with the manifest and the signature that lie beside it.
    Add {
        /// The program.
        program: PathBuf,
        /// Where it is offered.
        #[arg(long, value_enum, default_value = "stable")]
        channel: Channel,
    },
    /// List the releases that there are.
    List,
}

/// Where a release is offered.
#[derive(Clone, Copy, ValueEnum)]
pub enum Channel {
    /// To all who do not follow another one.
    Stable,
    /// To those whose policy says so.
    Beta,
}

impl Channel {
    fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Beta => "beta",
        }
    }
}

fn date(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|time| time.to_utc())
        .map_err(|_| "write it as 2027-01-31 or 2027-01-31T12:00:00Z".to_owned())
}

impl Release {
    /// Whether it needs the configuration.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        matches!(self, Self::Key { .. } | Self::Sign { .. })
    }

    /// Does what needs neither configuration nor database.
    ///
    /// # Errors
    /// One line.
    pub fn run_offline(self) -> anyhow::Result<()> {
        match self {
            Self::Key {
                file,
                password_stdin,
            } => make_keys(&file, password(password_stdin)?),
            Self::Sign {
                key,
                version,
                platform,
                expires,
                downgrade,
                password_stdin,
                program,
            } => {
                let now = Utc::now().trunc_subsecs(0);
                let manifest = Manifest {
                    format: 1,
                    version,
                    platform,
                    size: 0,
                    sha256: String::new(),
                    released_at: now,
                    expires_at: expires.unwrap_or(now + TimeDelta::days(LASTS_DAYS)),
                    downgrade,
                };
                sign(&key, password(password_stdin)?, manifest, &program)
            }
            Self::Add { .. } | Self::List => anyhow::bail!("this needs the configuration"),
        }
    }

    /// Does what is done on the server.
    ///
    /// # Errors
    /// One line.
    pub async fn run(self, loaded: &Loaded) -> anyhow::Result<()> {
        match self {
            Self::Add { program, channel } => add(loaded, &program, channel).await,
            Self::List => list(loaded).await,
            offline => offline.run_offline(),
        }
    }
}

fn password(asked: bool) -> anyhow::Result<Option<String>> {
    if !asked {
        return Ok(None);
    }
    let mut password = String::new();
    io::stdin()
        .take(PASSWORD_BYTES)
        .read_to_string(&mut password)
        .context("cannot read the password")?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    anyhow::ensure!(!password.is_empty(), "the password is empty");
    Ok(Some(password))
}

/// Writes a new file, which is on the disk then.
fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let write = || -> io::Result<()> {
        let mut file = options.open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn make_keys(file: &Path, password: Option<String>) -> anyhow::Result<()> {
    let with_password = password.is_some();
    let pair = match password {
        Some(_) => KeyPair::generate_encrypted_keypair(password),
        None => KeyPair::generate_unencrypted_keypair(),
    };
    let pair = pair.context("cannot make keys")?;
    let secret = pair.sk.to_box(Some("GuruRMM releases: the secret key"))?;
    let public = pair.pk.to_box()?;
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    let public_file = PathBuf::from(name);
    anyhow::ensure!(
        !public_file.exists(),
        "{} is there already; name another file",
        public_file.display()
    );
    write_new(file, &secret.into_string(), 0o600)?;
    write_new(&public_file, &public.into_string(), 0o644)?;
    let hint = if with_password {
        ""
    } else {
        "; it has no password: whoever reads it can sign"
    };
    say(&format!(
        "wrote the secret key {}{hint}\nwrote the public key {}; build server and agents with GURURMM_RELEASE_KEYS={}\n",
        file.display(),
        public_file.display(),
        public_file.display(),
    ))
}

fn read_key(path: &Path, password: Option<String>) -> anyhow::Result<SecretKey> {
    let mut text = String::new();
    let file = File::open(path);
    file.and_then(|file| file.take(KEY_BYTES).read_to_string(&mut text))
        .with_context(|| format!("cannot read the key {}", path.display()))?;
    let key = SecretKeyBox::from_string(&text)
        .with_context(|| format!("{} is no secret key of minisign", path.display()))?;
    // Without a password the library asks a terminal that is not there.
    let key = match password {
        Some(_) => key.into_secret_key(password),
        None => key.into_unencrypted_secret_key(),
    };
    key.with_context(|| {
        format!(
            "cannot use the key {}; give its password with --password-stdin, where it has one",
            path.display()
        )
    })
}

/// The size and the SHA-256 of a program.
fn measure(program: &Path) -> anyhow::Result<(u64, String)> {
    let cannot = || format!("cannot read {}", program.display());
    let mut file = File::open(program).with_context(cannot)?;
    let mut hash = Sha256::new();
    let mut size = 0_u64;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer).with_context(cannot)?;
        let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        size += chunk.len() as u64;
        anyhow::ensure!(
            size <= MAX_PROGRAM_BYTES,
            "{} is larger than {MAX_PROGRAM_BYTES} bytes, as large as a program may be",
            program.display()
        );
        hash.update(chunk);
    }
    Ok((size, hexadecimal(&hash.finalize())))
}

fn sign(
    key: &Path,
    password: Option<String>,
    manifest: Manifest,
    program: &Path,
) -> anyhow::Result<()> {
    let (size, sha256) = measure(program)?;
    let manifest = Manifest {
        size,
        sha256,
        ..manifest
    };
    manifest.check().map_err(|why| anyhow::anyhow!(why))?;
    anyhow::ensure!(
        rules::PLATFORMS.contains(&manifest.platform.as_str()),
        "--platform: there is no agent for {:?}; it is one of {}",
        manifest.platform,
        rules::PLATFORMS.join(", ")
    );
    anyhow::ensure!(
        Utc::now() < manifest.expires_at,
        "--expires: {} is over already",
        manifest.expires_at
    );
    let text = serde_json::to_string(&manifest)?;
    let key = read_key(key, password)?;
    let comment = format!("GuruRMM {} {}", manifest.version, manifest.platform);
    let signature = minisign::sign(None, &key, text.as_bytes(), Some(&comment), None)
        .context("cannot sign")?
        .into_string();
    let (manifest_file, signature_file) = beside(program);
    for (path, text) in [(&manifest_file, &text), (&signature_file, &signature)] {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    say(&format!(
        "signed {} {}: wrote {} and {}\n",
        manifest.version,
        manifest.platform,
        manifest_file.display(),
        signature_file.display()
    ))
}

async fn add(loaded: &Loaded, program: &Path, channel: Channel) -> anyhow::Result<()> {
    let signed = read_signed(program, &TrustedKeys::built_in(), Utc::now())?;
    let db = app::open_database(&loaded.settings).await?;
    db.migrate().await?;
    let asked = NewEntry {
        target: format!("{} {}", signed.manifest.version, signed.manifest.platform),
        detail: serde_json::json!({"by": "command line", "channel": channel.name(),
            "sha256": signed.manifest.sha256})
        .to_string(),
        ..NewEntry::new(Stage::Asked, "release.add")
    };
    audit_log::insert(&db, asked.clone()).await?;
    let kept = keep(loaded, &db, program, signed, channel).await;
    let outcome = if kept.is_ok() { "ok" } else { "failed" };
    audit_log::insert(&db, asked.ended(outcome)).await?;
    let release = kept?;
    say(&format!(
        "added {} {} to {} ({})\n",
        release.version, release.platform, release.channel, release.id
    ))
}

/// The program first: a row without it would be offered in vain.
async fn keep(
    loaded: &Loaded,
    db: &crate::db::Db,
    program: &Path,
    signed: Signed,
    channel: Channel,
) -> anyhow::Result<releases::Release> {
    let programs = Programs::new(&loaded.settings.data_dir);
    programs.keep(program, &signed.manifest)?;
    let sha256 = signed.manifest.sha256.clone();
    let written = releases::add(db, signed.row(channel.name()), MOST).await;
    let result = written.map_err(anyhow::Error::from);
    let result = result.and_then(|written| added(written).map_err(anyhow::Error::from));
    if result.is_err() && matches!(releases::is_program(db, sha256.clone()).await, Ok(false)) {
        // It is in nobody's way where it stays.
        let _ = programs.remove(&sha256);
    }
    result
}

async fn list(loaded: &Loaded) -> anyhow::Result<()> {
    let db = app::open_database(&loaded.settings).await?;
    anyhow::ensure!(
        db.pending_migrations().await? == 0,
        "the database is not up to date; run gururmm-server migrate first"
    );
    let all = releases::all(&db, ReleaseFilter::default()).await?;
    let row = |cells: [&str; 6]| {
        let [version, platform, channel, expires, size, sha256] = cells;
        format!(
            "{version:<16}  {platform:<15}  {channel:<7}  {expires:<19}  {size:>10}  {sha256}\n"
        )
    };
    let mut text = row([
        "VERSION", "PLATFORM", "CHANNEL", "EXPIRES", "BYTES", "SHA-256",
    ]);
    for release in all {
        let gone = release.expires_at <= audit::now();
        let day = release.expires_at.format("%Y-%m-%d");
        let expires = format!("{day}{}", if gone { " expired" } else { "" });
        text += &row([
            &release.version,
            &release.platform,
            &release.channel,
            &expires,
            &release.size_bytes.to_string(),
            &release.sha256,
        ]);
    }
    say(&text)
}
