//! What subscribers of events are told, as it is written: one JSON object a message, told apart by `type`.

use bytestring::ByteString;
use chrono::{DateTime, SecondsFormat, Utc};
use gururmm_shared::{AgentId, AlertId, CommandId, JobId, RolloutId, SessionId};
use serde::Serialize;

use crate::db::news::{AlertNews, CommandNews};
use crate::domain::agent_news::AgentNews;

/// Any message.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum EventText<'a> {
    Hello {
        server_version: &'static str,
        server_time: String,
    },
    Agent(&'a AgentText),
    AgentChanged {
        agent_id: AgentId,
    },
    Alert {
        alert_id: AlertId,
        agent_id: Option<AgentId>,
        status: &'a str,
        severity: &'a str,
    },
    Command {
        command_id: CommandId,
        agent_id: AgentId,
        job_id: Option<JobId>,
        status: &'a str,
    },
    Job {
        job_id: JobId,
    },
    Session {
        session_id: SessionId,
        agent_id: AgentId,
        status: &'a str,
    },
    AgentUpdate {
        agent_id: AgentId,
    },
    Rollout {
        rollout_id: RolloutId,
    },
    Resync,
}

/// An agent, as it is now.
#[derive(Serialize)]
pub(super) struct AgentText {
    agent_id: AgentId,
    status: &'static str,
    state: &'static str,
    last_seen: Option<DateTime<Utc>>,
    cpu_percent: Option<f64>,
    memory_percent: Option<f64>,
    disk_percent: Option<f64>,
}

impl AgentText {
    pub(super) fn of(agent_id: AgentId, news: &AgentNews) -> Self {
        let tenths = |percent: Option<f64>| percent.map(|percent| (percent * 10.0).round() / 10.0);
        Self {
            agent_id,
            status: news.mode.status(),
            state: news.mode.name(),
            last_seen: news.last_seen,
            cpu_percent: tenths(news.load.cpu),
            memory_percent: tenths(news.load.memory),
            disk_percent: tenths(news.load.disk),
        }
    }

    pub(super) fn encode(&self) -> ByteString {
        encode(&EventText::Agent(self))
    }
}

fn encode(text: &EventText<'_>) -> ByteString {
    let text = serde_json::to_string(text);
    text.expect("the keys of these are strings and their numbers finite or null")
        .into()
}

pub(super) fn hello() -> ByteString {
    encode(&EventText::Hello {
        server_version: env!("CARGO_PKG_VERSION"),
        server_time: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
    })
}

pub(super) fn agent_changed(agent_id: AgentId) -> ByteString {
    encode(&EventText::AgentChanged { agent_id })
}

pub(super) fn agent_update(agent_id: AgentId) -> ByteString {
    encode(&EventText::AgentUpdate { agent_id })
}

pub(super) fn rollout(rollout_id: RolloutId) -> ByteString {
    encode(&EventText::Rollout { rollout_id })
}

pub(super) fn alert(news: &AlertNews) -> ByteString {
    encode(&EventText::Alert {
        alert_id: news.id,
        agent_id: news.agent_id,
        status: &news.status,
        severity: &news.severity,
    })
}

pub(super) fn command(news: &CommandNews) -> ByteString {
    encode(&EventText::Command {
        command_id: news.id,
        agent_id: news.agent_id,
        job_id: news.job_id,
        status: &news.status,
    })
}

pub(super) fn job(job_id: JobId) -> ByteString {
    encode(&EventText::Job { job_id })
}

pub(super) fn session(session_id: SessionId, agent_id: AgentId, status: &str) -> ByteString {
    encode(&EventText::Session {
        session_id,
        agent_id,
        status,
    })
}

pub(super) fn resync() -> ByteString {
    encode(&EventText::Resync)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::agent_news::{Load, Mode};

    #[test]
    fn an_agent_is_told_with_its_status_its_mode_and_its_load() {
        let mut news = AgentNews::default();
        let at = Utc::now();
        news.on_mode(Mode::Tunnel, at, Instant::now());
        let load = Load {
            cpu: Some(12.345),
            memory: None,
            disk: Some(f64::NAN),
        };
        news.on_load(load, at, Instant::now());
        let id = AgentId::generate();
        let told: Value = serde_json::from_str(&AgentText::of(id, &news).encode()).unwrap();
        let wanted = json!({"type": "agent", "agent_id": id, "status": "online", "state": "tunnel",
            "last_seen": at, "cpu_percent": 12.3, "memory_percent": null, "disk_percent": null});
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_resync_is_a_word_alone() {
        assert_eq!(resync(), r#"{"type":"resync"}"#);
    }
}
