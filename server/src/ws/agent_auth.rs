//! The first message of an agent's connection: who it is, and where it is registered.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use actix::prelude::*;
use chrono::Utc;
use gururmm_shared::{
    AgentId, Auth, AuthAck, CAPABILITY_COMMAND_CANCEL, CAPABILITY_COMMAND_ENVIRONMENT,
    CAPABILITY_COMMAND_JOURNAL, CAPABILITY_DATA_PLANE, CAPABILITY_OUTPUT_WINDOW, CommandId,
    ConfigUpdate, PROTOCOL, SessionId,
};

use super::agent_socket::AgentGateway;
use crate::actors::connection_messages::{AgentHandle, LastSeen, ToConnection};
use crate::actors::event_messages::Happened;
use crate::actors::metrics_messages::Report;
use crate::actors::registry_messages::{Generation, Register};
use crate::db::Db;
use crate::services::alerts::Told;
use crate::services::copies::{self, Pair, Visitor};
use crate::services::enrollment::{self, Refused};
use crate::services::policies;

/// An agent that is let in.
pub(super) struct Registered {
    pub agent_id: gururmm_shared::AgentId,
    /// None where the agent waits for approval: then nobody can reach it.
    pub generation: Option<Generation>,
    pub ack: AuthAck,
    pub commands: Commands,
    /// What it runs.
    pub version: Option<String>,
}

/// What an agent says of its commands when it comes.
pub(super) struct Commands {
    pub journal: bool,
    pub cancels: bool,
    pub environment: bool,
    pub data_plane: bool,
    pub in_flight: Vec<CommandId>,
}

impl Commands {
    fn of(auth: &Auth) -> Self {
        let can = |capability: &str| auth.capabilities.iter().any(|name| name == capability);
        Self {
            journal: can(CAPABILITY_COMMAND_JOURNAL),
            cancels: can(CAPABILITY_COMMAND_CANCEL),
            environment: can(CAPABILITY_COMMAND_ENVIRONMENT),
            data_plane: can(CAPABILITY_DATA_PLANE),
            in_flight: auth.in_flight.clone(),
        }
    }
}

/// Why an agent is not let in.
pub(super) enum Denied {
    /// It is refused.
    Refused(Refused),
    /// The server stops.
    Stopping,
}

/// Checks a first message and registers the connection.
pub(super) async fn authenticate(
    gateway: AgentGateway,
    mut auth: Auth,
    from: IpAddr,
    connection: Recipient<ToConnection>,
    last_seen: LastSeen,
) -> Result<Registered, Denied> {
    let protocol = auth.protocol;
    let kept = auth.kept_session.take();
    let commands = Commands::of(&auth);
    let version = auth.version.clone();
    let capabilities: BTreeSet<String> = auth.capabilities.iter().cloned().collect();
    let codes = gateway.settings.accept_site_codes_of_first_generation;
    let named = (auth.hostname.clone(), auth.device_id.clone());
    let boot_id = auth.boot_id.clone();
    let admitted = enrollment::admit(&gateway.db, auth, codes, &gateway.doors, from).await;
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(refused) => {
            enrollment::note_refused(&gateway.db, &gateway.audit_limits, &refused, named, from)
                .await;
            return Err(Denied::Refused(refused));
        }
    };
    let agent_id = admitted.agent.id;
    let hostname = admitted.connected.hostname.clone();
    let renamed = admitted.agent.hostname != hostname;
    if admitted.new_key.is_some() || admitted.waiting || renamed {
        let changed = Happened::AgentsChanged(vec![agent_id]);
        gateway.events.do_send(changed);
    }
    if admitted.waiting {
        tracing::info!(agent.id = %agent_id, "an agent waits for approval");
        return Ok(Registered {
            agent_id,
            generation: None,
            ack: ack(agent_id, protocol, admitted.new_key),
            commands,
            version,
        });
    }
    let visitor = boot_id.map(|boot_id| Visitor {
        boot_id,
        hostname: hostname.clone(),
        address: from,
    });
    let pair = visitor.and_then(|visitor| gateway.copies.came(agent_id, visitor));
    if let Some(pair) = pair {
        note_copy(&gateway, agent_id, pair);
    }
    let mut handle = AgentHandle::new(agent_id, hostname, connection, last_seen);
    handle.flow_controlled = capabilities.contains(CAPABILITY_OUTPUT_WINDOW);
    handle.capabilities = Arc::new(capabilities);
    handle.lanes = Arc::clone(&gateway.lanes);
    handle.confirms_close = protocol.is_some_and(|protocol| protocol >= PROTOCOL);
    let generation = match gateway.registry.send(Register { handle, kept }).await {
        Ok(Ok(generation)) => generation,
        Ok(Err(_)) | Err(_) => return Err(Denied::Stopping),
    };
    gateway
        .writer
        .do_send(Report::Connected(admitted.connected));
    Ok(Registered {
        agent_id,
        generation: Some(generation),
        ack: ack(agent_id, protocol, admitted.new_key),
        commands,
        version,
    })
}

/// Two machines come with one key: that is written down, and is no reason to keep either of them out.
fn note_copy(gateway: &AgentGateway, agent_id: AgentId, pair: Pair) {
    tracing::warn!(agent.id = %agent_id, ?pair, "two machines use the key of one agent");
    let (db, events) = (gateway.db.clone(), gateway.events.clone());
    actix::spawn(async move {
        match copies::report(&db, agent_id, pair).await {
            Ok(Told::Done(Some(alert))) => events.do_send(Happened::Alerts(vec![alert])),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, agent.id = %agent_id, "a copied machine cannot be written down")
            }
        }
    });
}

fn ack(agent_id: AgentId, protocol: Option<u32>, new_key: Option<String>) -> AuthAck {
    AuthAck {
        protocol: Some(protocol.map_or(gururmm_shared::FIRST_GENERATION, |p| p.min(PROTOCOL))),
        agent_id: Some(agent_id),
        server_time: Some(Utc::now()),
        api_key: new_key,
    }
}

/// What the policies say to an agent of this protocol. It is read once the agent is registered: what
/// changes later is pushed to it.
pub(super) async fn config_of(db: Db, agent_id: AgentId, protocol: Option<u32>) -> ConfigUpdate {
    if protocol.is_none_or(|protocol| protocol < PROTOCOL) {
        return ConfigUpdate::default();
    }
    match policies::effective(&db, agent_id).await {
        Ok(effective) => effective.settings.for_agent(),
        Err(error) => {
            tracing::error!(%error, agent.id = %agent_id, "an agent cannot be told its policy");
            ConfigUpdate::default()
        }
    }
}

/// A session's word to the agent that nobody waits for any more.
pub(super) fn close_unknown(session_id: SessionId) -> gururmm_shared::ServerMessage {
    gururmm_shared::ServerMessage::TunnelClose(gururmm_shared::TunnelClose {
        session_id,
        reason: Some("the server has no such session".to_owned()),
    })
}
