//! The session that a command works in: an own one that is open already, or one that is opened for it and closed after.

use gururmm_shared::{AgentId, SessionId};

use super::context::Context;
use crate::client::{Client, ClientError, SessionClient, ViewerOptions};
use crate::failure::Failure;
use crate::lease::Lease;
use crate::say::Say;

/// A session in use.
pub(super) struct Tunnel {
    session: SessionClient,
    lease: Option<Lease>,
    found: bool,
    say: Say,
}

impl Tunnel {
    /// Takes the session `named`, or one to the agent of this name.
    pub async fn open(
        context: &Context,
        agent: &str,
        named: Option<SessionId>,
    ) -> Result<Self, Failure> {
        let client = context.client()?;
        let agent = client.agent(agent).await?;
        let (session, found) = match named {
            Some(id) => (named_session(&client, id, agent.id).await?, true),
            None => open_or_reuse(&client, agent.id, context.say).await?,
        };
        // Without a lease the session stays until it is idle, or is closed if it was opened here.
        let lease = Lease::take(&context.folder, session.id(), !found).ok();
        Ok(Self {
            session,
            lease,
            found,
            say: context.say,
        })
    }

    pub fn session(&self) -> &SessionClient {
        &self.session
    }

    /// How to watch it: of a session that was there nothing old is wanted.
    pub async fn viewer_options(&self) -> Result<ViewerOptions, Failure> {
        let mut options = ViewerOptions::default();
        if self.found {
            let channels = self.session.status().await?.channels;
            options.from = channels
                .into_iter()
                .filter(|channel| channel.stream.is_none())
                .map(|channel| (channel.channel_id, channel.next_offset))
                .collect();
        }
        Ok(options)
    }

    /// Ends its use, and closes it if nobody else on this machine uses it.
    pub async fn close(self) {
        let close = match self.lease {
            Some(lease) => lease.end(),
            None => !self.found,
        };
        if !close {
            return;
        }
        match self.session.close().await {
            Ok(()) => {}
            // It is over, which is as good.
            Err(ClientError::Refused(problem)) if matches!(problem.status, 404 | 409) => {}
            Err(error) => self.say.note(&format!(
                "session {} could not be closed ({error}); gururmm sessions --close {0} does it",
                self.session.id()
            )),
        }
    }
}

async fn named_session(
    client: &Client,
    id: SessionId,
    agent: AgentId,
) -> Result<SessionClient, Failure> {
    let session = SessionClient::of(client, id);
    let status = session.status().await?;
    if status.agent_id != agent {
        return Err(Failure::usage(format!("session {id} is to another agent")));
    }
    if matches!(status.status.as_str(), "closed" | "error") {
        return Err(Failure::usage(format!(
            "session {id} is closed; leave --session away to open a new one"
        )));
    }
    Ok(session)
}

/// Opens a session; answers whether it was there.
async fn open_or_reuse(
    client: &Client,
    agent: AgentId,
    say: Say,
) -> Result<(SessionClient, bool), Failure> {
    match SessionClient::open(client, agent).await {
        Ok(session) => Ok((session, false)),
        Err(error) if error.code() == Some("session_exists") => {
            let sessions = SessionClient::list(client).await?;
            let own = sessions.iter().find(|one| one.agent_id == agent);
            let Some(own) = own else {
                return Err(error.into());
            };
            let id = own.session_id;
            say.note(&format!("using your open session {id}"));
            Ok((SessionClient::of(client, id), true))
        }
        Err(error) => Err(error.into()),
    }
}
