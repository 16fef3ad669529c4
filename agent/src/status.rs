//! What `status` tells: whether the agent runs and is connected, from its heartbeat file and what else is on the disk.

use std::fmt::{self, Write};
use std::path::Path;

use gururmm_shared::AgentId;
use serde::Serialize;

use crate::config::Config;
use crate::heartbeat_file::{Heartbeat, Life};
use crate::identity::IdentityStore;

/// How times are shown.
const TIME: &str = "%Y-%m-%d %H:%M:%S UTC";

/// Where results wait for the server.
const JOURNAL: &str = "commands.journal";

/// How the agent is.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Whether it runs; nothing where it never did.
    pub life: Option<Life>,
    /// Whether it runs and is connected.
    pub connected: bool,
    /// The address of its server.
    pub server: String,
    /// Who it is to the server, where it is enrolled.
    pub agent_id: Option<AgentId>,
    /// Whether it has a key of its own.
    pub enrolled: bool,
    /// Bytes of its journal of commands.
    pub journal_bytes: u64,
    /// Why the configuration cannot be used as it is in the file now.
    pub config_problem: Option<String>,
    /// What it wrote of itself last.
    pub heartbeat: Option<Heartbeat>,
}

impl Status {
    /// Looks at the agent of this configuration.
    ///
    /// # Errors
    /// A line for the operator: neither the configuration nor a last good one can be used, or a file cannot be read.
    pub fn look(path: &Path) -> Result<Self, String> {
        let config = Config::load_or_last_good(path).map_err(|error| error.to_string())?;
        let folder = config.state_dir();
        let heartbeat = Heartbeat::read(folder)?;
        let life = heartbeat.as_ref().map(Heartbeat::life);
        let identity = IdentityStore::new(folder)
            .load()
            .map_err(|error| error.to_string())?;
        let journal = std::fs::metadata(folder.join(JOURNAL));
        Ok(Self {
            connected: life == Some(Life::Running)
                && heartbeat
                    .as_ref()
                    .is_some_and(|beat| beat.link.connected_since.is_some()),
            life,
            server: config.server.url,
            agent_id: identity.as_ref().and_then(|identity| identity.agent_id),
            enrolled: identity.is_some_and(|identity| identity.api_key.is_some()),
            journal_bytes: journal.map_or(0, |file| file.len()),
            config_problem: config.problem,
            heartbeat,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let life = match self.life {
            None => "has never run with this configuration",
            Some(Life::Running) => "is running",
            Some(Life::Hanging) => "hangs: its process is there, and has not written for long",
            Some(Life::Stopped) => "was stopped",
            Some(Life::Dead) => "is not running, and was not stopped",
        };
        match &self.heartbeat {
            Some(beat) => write!(
                f,
                "agent     {} {life} (process {})",
                beat.version, beat.pid
            )?,
            None => write!(f, "agent     {life}")?,
        }
        write!(f, "\nserver    {}", self.server)?;
        let link = self.heartbeat.as_ref().map(|beat| &beat.link);
        match link.and_then(|link| link.connected_since) {
            Some(since) if self.connected => write!(f, ", connected since {}", since.format(TIME))?,
            _ => f.write_str(", not connected")?,
        }
        f.write_str("\nidentity  ")?;
        match (self.agent_id, self.enrolled) {
            (Some(id), true) => write!(f, "agent {id}")?,
            (None, true) => f.write_str("enrolled")?,
            (_, false) => f.write_str("not enrolled yet")?,
        }
        if let Some(beat) = &self.heartbeat {
            write!(
                f,
                "\nwaiting   {} samples, {} events, {} given up",
                beat.waiting_samples, beat.waiting_events, beat.dropped
            )?;
            if let Some(commands) = beat.unfinished_commands {
                write!(f, "; {commands} commands unfinished")?;
            }
        }
        write!(f, "\njournal   {} KiB", self.journal_bytes.div_ceil(1024))?;
        if let Some(link) = link {
            self.tell_link(f, link)?;
        }
        let running_problem = self.heartbeat.as_ref();
        let running_problem = running_problem.and_then(|beat| beat.config_problem.as_ref());
        if let Some(problem) = self.config_problem.as_ref().or(running_problem) {
            write!(
                f,
                "\nCONFIG    cannot be used, the last good one takes its place: {problem}"
            )?;
        }
        Ok(())
    }
}

impl Status {
    fn tell_link(&self, f: &mut fmt::Formatter<'_>, link: &crate::link::LinkState) -> fmt::Result {
        if let Some(off) = link.clock_off_seconds {
            write!(f, "\nclock     {off} s from the server's")?;
        }
        if let (Some(error), Some(at)) = (&link.last_error, link.last_error_at) {
            write!(f, "\nerror     {}: ", at.format(TIME))?;
            // A server chooses parts of this text: it is not to move anybody's cursor.
            error
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .try_for_each(|c| f.write_char(c))?;
        }
        Ok(())
    }
}
