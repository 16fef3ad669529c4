//! The command line.

mod backup;
mod doctor;
mod release;

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::app::{self, App};
use crate::config::{Flags, Loaded, load};
use crate::data_lock::DataLock;
use crate::db::DbError;
use crate::db::audit_log::{self, NewEntry, Stage};
use crate::db::users::{self, NewUser};
use crate::domain::role::Role;
use crate::domain::text::{check_name, normalize_email};
use crate::listener;
use crate::services::audit_head::ChainFiles;
use crate::services::passwords::Passwords;
use crate::services::{audit_trail, audit_verify};
use crate::{http, open_files, telemetry};

/// GuruRMM's server.
#[derive(Parser)]
#[command(version, about)]
pub struct Cli {
    /// Configuration file (TOML).
    #[arg(long, global = true, env = "GURURMM_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port to listen on.
    #[arg(long, global = true)]
    listen: Option<String>,
    /// Where data is kept.
    #[arg(long, global = true)]
    data_dir: Option<String>,
    /// `sqlite://FILE` or `postgres://…`.
    #[arg(long, global = true)]
    database_url: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve,
    /// Print the description of the API (OpenAPI 3.1); needs neither configuration nor database.
    Openapi,
    /// Bring the database up to date.
    Migrate,
    /// Users, without a running server.
    Admin {
        #[command(subcommand)]
        command: Admin,
    },
    /// What was done, and whether it still stands there as it was written.
    Audit {
        #[command(subcommand)]
        command: Audit,
    },
    /// Releases of the agent.
    Release {
        #[command(subcommand)]
        command: release::Release,
    },
    /// Write a backup of database and secrets to a file; the server may run.
    Backup(backup::Backup),
    /// Bring a backup back, into an empty database and data directory; the server must be stopped.
    Restore(backup::Restore),
    /// Look whether all is well: database, disk, clock, certificate, port; exit code 1 where something is wrong.
    Doctor,
    /// The configuration.
    Config {
        #[command(subcommand)]
        command: Config,
    },
}

#[derive(Subcommand)]
enum Admin {
    /// Make a user.
    Create {
        /// The address to log in with.
        #[arg(long)]
        email: String,
        /// The person's name.
        #[arg(long)]
        name: Option<String>,
        /// administrator, technician or `read_only`.
        #[arg(long, default_value = "administrator")]
        role: Role,
        /// Read the password from standard input.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
}

#[derive(Subcommand)]
enum Audit {
    /// Hold every entry against its seal; exit code 1 where one does not fit.
    Verify {
        /// Take what is there as it is, and look at what comes after it from now on: the way out
        /// after an old backup was brought back, or the audit's key was lost. Stop the server first.
        #[arg(long)]
        accept_head: bool,
    },
}

#[derive(Subcommand)]
enum Config {
    /// Print every value with where it comes from.
    Check,
}

impl Cli {
    fn load(&self) -> anyhow::Result<Loaded> {
        let mut flags = Flags {
            config: self.config.clone(),
            values: Vec::new(),
        };
        let values = [
            ("listen", &self.listen),
            ("data_dir", &self.data_dir),
            ("database.url", &self.database_url),
        ];
        for (key, value) in values {
            if let Some(value) = value {
                flags.values.push((key, value.clone()));
            }
        }
        Ok(load(&flags, std::env::vars())?)
    }

    /// Does what was asked for.
    ///
    /// # Errors
    /// One line.
    pub async fn run(self) -> anyhow::Result<()> {
        if matches!(self.command, Command::Openapi) {
            let document = http::openapi::document().to_pretty_json()?;
            return say(&format!("{document}\n"));
        }
        let offline = matches!(&self.command, Command::Release { command } if command.is_offline());
        if offline && let Command::Release { command } = self.command {
            return command.run_offline();
        }
        let loaded = self.load()?;
        match self.command {
            Command::Openapi => Ok(()),
            Command::Serve => serve(loaded).await,
            Command::Migrate => migrate(&loaded).await,
            Command::Release { command } => command.run(&loaded).await,
            Command::Backup(backup) => backup.run(&loaded.settings).await,
            Command::Restore(restore) => restore.run(&loaded.settings).await,
            Command::Doctor => doctor::run(&loaded.settings).await,
            Command::Config {
                command: Config::Check,
            } => say(&loaded.report()),
            Command::Audit {
                command: Audit::Verify { accept_head },
            } => verify_audit(&loaded, accept_head).await,
            Command::Admin { command } => {
                let Admin::Create {
                    email,
                    name,
                    role,
                    password_stdin: _,
                } = command;
                create_user(&loaded, &email, name, role).await
            }
        }
    }
}

async fn serve(loaded: Loaded) -> anyhow::Result<()> {
    // Until the end: what waits for the log's file is written when this goes.
    let _log = telemetry::start_logging(&loaded.settings.log)?;
    open_files::raise_limit();
    let figures = telemetry::start_metrics()?;
    std::fs::create_dir_all(&loaded.settings.data_dir).with_context(|| {
        format!(
            "cannot make the data directory {}",
            loaded.settings.data_dir.display()
        )
    })?;
    let _running = DataLock::of_server(&loaded.settings.data_dir)?;
    // The port first: a second server must not clear up what the first one has open.
    let ports = listener::listen(&loaded.settings)?;
    App::build(loaded.settings, figures).await?.run(ports).await
}

async fn migrate(loaded: &Loaded) -> anyhow::Result<()> {
    let db = app::open_database(&loaded.settings).await?;
    let names = db.migrate().await?;
    if names.is_empty() {
        return say("the database is up to date\n");
    }
    audit_log::insert(&db, audit_trail::migrated(&names)).await?;
    names
        .iter()
        .try_for_each(|name| say(&format!("applied {name}\n")))
}

async fn create_user(
    loaded: &Loaded,
    email: &str,
    name: Option<String>,
    role: Role,
) -> anyhow::Result<()> {
    let email = normalize_email(email);
    let (local, host) = email.split_once('@').unwrap_or_default();
    let plausible = !local.is_empty() && !host.is_empty();
    anyhow::ensure!(
        plausible && check_name(&email, 254).is_ok(),
        "--email: {email:?} is no e-mail address"
    );
    let name = name.unwrap_or_else(|| email.clone());
    check_name(&name, 200).map_err(|why| anyhow::anyhow!("--name {why}"))?;
    let mut password = String::new();
    std::io::stdin()
        .take(1024)
        .read_to_string(&mut password)
        .context("cannot read the password")?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    let length = password.chars().count();
    anyhow::ensure!(
        (10..=256).contains(&length),
        "the password must have 10 to 256 characters"
    );
    let db = app::open_database(&loaded.settings).await?;
    db.migrate().await?;
    let password_hash = Passwords::new()?.hash(password).await?;
    let new = NewUser {
        email: email.clone(),
        name,
        password_hash,
        role: role.name().to_owned(),
    };
    let asked = NewEntry {
        detail: serde_json::json!({"by": "command line", "body": {"email": email, "role": role}})
            .to_string(),
        ..NewEntry::new(Stage::Asked, "user.create")
    };
    audit_log::insert(&db, asked.clone()).await?;
    let inserted = users::insert(&db, new).await;
    let mut ended = asked.ended(match &inserted {
        Ok(_) => "ok",
        Err(DbError::Duplicate { .. }) => "user_exists",
        Err(_) => "failed",
    });
    if let Ok(user) = &inserted {
        ended.target = user.id.to_string();
    }
    audit_log::insert(&db, ended).await?;
    match inserted {
        Ok(user) => say(&format!("created {role} {email} ({})\n", user.id)),
        Err(DbError::Duplicate { .. }) => anyhow::bail!("a user {email} exists already"),
        Err(error) => Err(error.into()),
    }
}

async fn verify_audit(loaded: &Loaded, accept_head: bool) -> anyhow::Result<()> {
    let db = app::open_database(&loaded.settings).await?;
    anyhow::ensure!(
        db.pending_migrations().await? == 0,
        "the database is not up to date; run gururmm-server migrate first"
    );
    let files = ChainFiles::of(&loaded.settings.data_dir);
    let findings = audit_verify::verify(&db, &files).await?;
    for line in findings.faults.iter().chain(&findings.warnings) {
        say(&format!("{line}\n"))?;
    }
    let more = findings.fault_count - findings.faults.len();
    if more > 0 {
        say(&format!("and {more} faults more\n"))?;
    }
    say(&format!("{}\n", findings.summary()))?;
    if accept_head {
        let seq = audit_verify::accept(&db, &files, findings.fault_count).await?;
        return say(&format!(
            "accepted: from now on the audit is looked at from seal {} on\n",
            seq + 1
        ));
    }
    anyhow::ensure!(
        findings.fault_count == 0,
        "the audit was tampered with, or an old backup was brought back; see docs/audit.md"
    );
    Ok(())
}

fn say(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
