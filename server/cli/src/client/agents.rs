//! Agents, and how one is named: by its id, its host name, or the beginning of either.

use chrono::{DateTime, Utc};
use gururmm_shared::AgentId;
use serde::{Deserialize, Serialize};

use super::{Client, ClientError};

/// The most agents that are looked through.
const MOST_PAGES: usize = 100;

/// An agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// The machine's name.
    pub hostname: String,
    /// `online` or `offline`.
    pub status: String,
    /// The operating system.
    #[serde(default)]
    pub os: Os,
    /// The agent's version.
    #[serde(default)]
    pub agent_version: Option<String>,
    /// When it was heard last.
    #[serde(default)]
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Its site.
    #[serde(default)]
    pub site: Option<Named>,
    /// Its client.
    #[serde(default)]
    pub client: Option<Named>,
}

/// An operating system.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Os {
    /// As `linux`.
    #[serde(default)]
    pub family: Option<String>,
    /// As `Debian GNU/Linux`.
    #[serde(default)]
    pub name: Option<String>,
    /// As `12`.
    #[serde(default)]
    pub version: Option<String>,
}

/// A thing with a name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Named {
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Agent>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// Why a name is not one agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentNameError {
    /// None has it.
    #[error("there is no agent {0:?}; gururmm agents lists them")]
    None(String),
    /// Several have it.
    #[error("{name:?} may be any of {candidates}; write more of the name, or an id")]
    Several {
        /// What was asked for.
        name: String,
        /// Who it may be.
        candidates: String,
    },
}

impl Client {
    /// Lists agents by name; `search` is a part of the host name, `online` leaves out the others.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn agents(&self, search: &str, online: bool) -> Result<Vec<Agent>, ClientError> {
        let mut agents = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut query = vec![("limit", "1000")];
            if !search.is_empty() {
                query.push(("q", search));
            }
            if online {
                query.push(("status", "online"));
            }
            if let Some(cursor) = &cursor {
                query.push(("cursor", cursor));
            }
            let page: Page = self.get("/api/agents", &query).await?;
            agents.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(agents)
    }

    /// Finds the agent that a name means.
    ///
    /// # Errors
    /// [`ClientError`]; none or several have that name.
    pub async fn agent(&self, name: &str) -> Result<Agent, ClientError> {
        if let Ok(id) = name.parse::<AgentId>() {
            return self.get(&format!("/api/agents/{id}"), &[]).await;
        }
        let looks_like_id =
            name.len() >= 4 && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let mut agents = self.agents(name, false).await?;
        if agents.is_empty() && looks_like_id {
            agents = self.agents("", false).await?;
        }
        pick(name, &agents)
            .cloned()
            .map_err(|error| ClientError::local(error.to_string()))
    }
}

/// Picks the agent that a name means: the host name (whatever its case), or its or the id's beginning, if only one
/// begins so.
///
/// # Errors
/// [`AgentNameError`]
pub fn pick<'a>(name: &str, agents: &'a [Agent]) -> Result<&'a Agent, AgentNameError> {
    let wanted = name.to_lowercase();
    let exact: Vec<_> = agents
        .iter()
        .filter(|agent| agent.hostname.to_lowercase() == wanted)
        .collect();
    let begins = |agent: &&Agent| {
        agent.hostname.to_lowercase().starts_with(&wanted)
            || agent.id.to_string().starts_with(&wanted)
    };
    let found = if exact.is_empty() && !wanted.is_empty() {
        agents.iter().filter(begins).collect()
    } else {
        exact
    };
    match found.as_slice() {
        [] => Err(AgentNameError::None(name.to_owned())),
        [one] => Ok(one),
        several => Err(AgentNameError::Several {
            name: name.to_owned(),
            candidates: candidates(several),
        }),
    }
}

fn candidates(agents: &[&Agent]) -> String {
    let shown = 8;
    let mut names: Vec<_> = agents
        .iter()
        .take(shown)
        .map(|agent| format!("{} ({}, {})", agent.hostname, agent.status, agent.id))
        .collect();
    if agents.len() > shown {
        names.push(format!("{} more", agents.len() - shown));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(hostname: &str) -> Agent {
        Agent {
            id: AgentId::generate(),
            hostname: hostname.to_owned(),
            status: "online".to_owned(),
            os: Os::default(),
            agent_version: None,
            last_seen_at: None,
            site: None,
            client: None,
        }
    }

    #[test]
    fn a_whole_name_wins_over_longer_ones() {
        let agents = [agent("web1"), agent("web10")];
        assert_eq!(pick("WEB1", &agents).unwrap().hostname, "web1");
        assert_eq!(pick("web10", &agents).unwrap().hostname, "web10");
    }

    #[test]
    fn a_beginning_that_only_one_has_is_enough() {
        let agents = [agent("mail"), agent("web")];
        assert_eq!(pick("ma", &agents).unwrap().hostname, "mail");
        let id = agents[1].id.to_string();
        assert_eq!(pick(&id[..30], &agents[1..]).unwrap().hostname, "web");
    }

    #[test]
    fn what_may_be_several_lists_them() {
        let agents = [agent("web1"), agent("web2")];
        let error = pick("web", &agents).unwrap_err().to_string();
        assert!(error.contains("web1") && error.contains("web2"), "{error}");
        let twins = [agent("pc"), agent("pc")];
        assert!(matches!(
            pick("pc", &twins),
            Err(AgentNameError::Several { .. })
        ));
    }

    #[test]
    fn nothing_is_no_beginning() {
        assert_eq!(
            pick("", &[agent("web")]).unwrap_err(),
            AgentNameError::None(String::new())
        );
    }
}
