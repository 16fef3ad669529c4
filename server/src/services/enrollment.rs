//! Who an agent is: its own key, or a site's credential with a device id.

use std::net::IpAddr;
use std::time::Instant;

use chrono::{DateTime, Utc};
use gururmm_shared::{Auth, OsInfo, SiteId};

use crate::db::agents::{Agent, AgentConnected, NewAgent};
use crate::db::audit_log::NewEntry;
use crate::db::registration_tokens::RegistrationToken;
use crate::db::{Db, DbError, agents, approvals, registration_tokens, sites};
use crate::domain::credentials::{self, KEY_PREFIX, TOKEN_PREFIX, digest, generate_key};
use crate::domain::enrollment::{Decision, KnownDevice, SiteCredential, decide};
use crate::domain::site_code;
use crate::domain::text::{check_name, tame};
use crate::services::audit;
use crate::services::audit_limits::{AuditLimits, Kind};
use crate::services::audit_trail;
use crate::services::enrollment_limits::EnrollmentLimits;

/// Characters of a version that are kept, as the table has it.
const VERSION_CHARS: usize = 64;
/// Characters of a host name (RFC 1035 section 2.3.4).
const HOSTNAME_CHARS: usize = 253;

/// An agent that may come in.
#[derive(Debug)]
pub struct Admitted {
    /// What is known of it.
    pub agent: Agent,
    /// Whether it waits for a person's word and may do nothing until then.
    pub waiting: bool,
    /// Its own key, told this once.
    pub new_key: Option<String>,
    /// What it says of itself, to be written.
    pub connected: AgentConnected,
}

/// Why an agent may not come in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A `grmm_` key that nobody has.
    #[error(
        "no agent and no site has this key; put the site's present code or key into agent.toml and remove the agent's identity file"
    )]
    UnknownKey,
    /// A registration token that opens nothing (any more).
    #[error(
        "this registration token is unknown, expired or used up; ask for a new one and put it into agent.toml"
    )]
    BadToken,
    /// A site code that no site has.
    #[error("no site has this code; look it up on the site's page")]
    UnknownSiteCode,
    /// The device has a key of its own.
    #[error(
        "this device is enrolled and has a key of its own; restore its identity file, or delete the agent on the server to enrol it anew"
    )]
    AlreadyEnrolled,
    /// Too many wrong codes from this address, or too many new devices to this site.
    #[error(
        "too many wrong site codes came from this address, or too many new devices to this site; wait a minute"
    )]
    RateLimited,
    /// A site's credential without a device.
    #[error("a site code or site key needs a device_id of 1 to 200 characters")]
    DeviceIdRequired,
    /// A first message that makes no sense.
    #[error("{0}")]
    BadAuth(&'static str),
    /// The database does not answer; not the agent's fault.
    #[error("the server cannot check keys at the moment; come back later")]
    Unavailable(#[from] DbError),
}

impl Refused {
    /// The stable word in the `error` reply.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::BadToken => "bad_token",
            Self::UnknownSiteCode => "unknown_site_code",
            Self::AlreadyEnrolled => "already_enrolled",
            Self::RateLimited => "rate_limited",
            Self::DeviceIdRequired => "device_id_required",
            Self::BadAuth(_) => "bad_auth",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Writes down that an agent was not let in, unless there is too much of that from its address.
pub async fn note_refused(
    db: &Db,
    limits: &AuditLimits,
    refused: &Refused,
    (hostname, device_id): (String, Option<String>),
    from: IpAddr,
) {
    let unavailable = matches!(refused, Refused::Unavailable(_));
    if unavailable || !limits.may_write(Kind::Agent, &from.to_string()) {
        return;
    }
    let entry = NewEntry {
        agent_hostname: Some(tame(&hostname, HOSTNAME_CHARS)),
        target: tame(&device_id.unwrap_or_default(), 200),
        remote_addr: from.to_string(),
        ..audit_trail::event("agent.refused", refused.code())
    };
    audit_trail::note(db, entry).await;
}

/// Decides on a first message, and enrols a new device.
///
/// # Errors
/// [`Refused`].
pub async fn admit(
    db: &Db,
    auth: Auth,
    accept_first_generation_codes: bool,
    doors: &EnrollmentLimits,
    from: IpAddr,
) -> Result<Admitted, Refused> {
    let mut admitted = identify(db, auth, accept_first_generation_codes, doors, from).await?;
    admitted.waiting = approvals::is_waiting(db, admitted.agent.id).await?;
    Ok(admitted)
}

async fn identify(
    db: &Db,
    auth: Auth,
    accept_first_generation_codes: bool,
    doors: &EnrollmentLimits,
    from: IpAddr,
) -> Result<Admitted, Refused> {
    let credential = auth.api_key.trim().to_owned();
    if credential.is_empty() || credential.len() > credentials::MAX_BYTES {
        return Err(Refused::BadAuth("api_key must have 1 to 256 characters"));
    }
    if auth.hostname.chars().count() > HOSTNAME_CHARS {
        return Err(Refused::BadAuth(
            "hostname must have at most 253 characters",
        ));
    }
    if credential.starts_with(KEY_PREFIX) {
        let hash = digest(&credential);
        if let Some(agent) = agents::by_key_hash(db, &hash).await? {
            if agent.key_used_at.is_none() {
                agents::mark_key_used(db, agent.id, audit::now()).await?;
            }
            return Ok(admitted(agent, None, &auth));
        }
        let site = sites::by_key_hash(db, &hash)
            .await?
            .ok_or(Refused::UnknownKey)?;
        return admit_device(db, auth, (site.id, SiteCredential::Key), None, false, doors).await;
    }
    if credential.starts_with(TOKEN_PREFIX) {
        return admit_by_token(db, auth, &credential, doors).await;
    }
    if !doors.guesses.may_try(from, Instant::now()) {
        return Err(Refused::RateLimited);
    }
    let code = site_code::normalize(&credential);
    let plausible = code
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let site = if plausible {
        sites::by_code(db, &code).await?
    } else {
        None
    };
    let Some(site) = site else {
        doors.guesses.note_wrong(from, Instant::now());
        return Err(Refused::UnknownSiteCode);
    };
    let accept = accept_first_generation_codes;
    admit_device(
        db,
        auth,
        (site.id, SiteCredential::Code),
        None,
        accept,
        doors,
    )
    .await
}

async fn admit_by_token(
    db: &Db,
    auth: Auth,
    credential: &str,
    doors: &EnrollmentLimits,
) -> Result<Admitted, Refused> {
    let token = registration_tokens::by_hash(db, &digest(credential)).await?;
    let token = token
        .filter(|token| token.expires_at > audit::now())
        .ok_or(Refused::BadToken)?;
    let by = (token.site_id, SiteCredential::Token);
    admit_device(db, auth, by, Some(token), false, doors).await
}

async fn admit_device(
    db: &Db,
    auth: Auth,
    (site_id, credential): (SiteId, SiteCredential),
    token: Option<RegistrationToken>,
    accept_first_generation_codes: bool,
    doors: &EnrollmentLimits,
) -> Result<Admitted, Refused> {
    let device_id = auth
        .device_id
        .as_deref()
        .map(str::trim)
        .unwrap_or_default()
        .to_owned();
    check_name(&device_id, 200).map_err(|_| Refused::DeviceIdRequired)?;
    let known = agents::by_site_and_device(db, site_id, &device_id).await?;
    let nonce = auth.enrollment_nonce.as_deref().map(digest);
    let device = known.as_ref().map(|agent| KnownDevice {
        has_key: agent.key_hash.is_some(),
        key_used: agent.key_used_at.is_some(),
        first_generation: agent.first_generation,
        nonce_matches: nonce.is_some()
            && agent.enrollment_nonce_hash.as_deref() == nonce.as_ref().map(<[u8; 32]>::as_slice),
    });
    let first_generation = auth.protocol.is_none();
    let decision = decide(
        credential,
        device,
        first_generation,
        accept_first_generation_codes,
    );
    let new_key = || generate_key(&mut rand::rng());
    match (decision, known) {
        (Decision::Enroll, None) if !doors.may_enroll(site_id) => Err(Refused::RateLimited),
        (Decision::Enroll, None) => {
            let key = new_key();
            let new = new_agent(&auth, site_id, device_id, &key, nonce);
            let enrolled = match token {
                Some(token) => registration_tokens::enroll(db, token.id, new, audit::now()).await,
                None => agents::enroll(db, new).await.map(Some),
            };
            match enrolled {
                Ok(Some(agent)) => Ok(admitted(agent, Some(key), &auth)),
                // Used up, or expired, since it was looked at.
                Ok(None) => Err(Refused::BadToken),
                // Two connections of one device at once: the other one has it.
                Err(DbError::Duplicate { .. }) => Err(Refused::AlreadyEnrolled),
                Err(error) => Err(error.into()),
            }
        }
        (Decision::Reissue, Some(agent)) => {
            let key = new_key();
            agents::replace_key(db, agent.id, Some(digest(&key)), nonce).await?;
            Ok(admitted(agent, Some(key), &auth))
        }
        (Decision::Known, Some(agent)) => Ok(admitted(agent, None, &auth)),
        _ => Err(Refused::AlreadyEnrolled),
    }
}

fn new_agent(
    auth: &Auth,
    site_id: SiteId,
    device_id: String,
    key: &str,
    nonce: Option<[u8; 32]>,
) -> NewAgent {
    let os = os_of(auth);
    NewAgent {
        site_id: Some(site_id),
        device_id,
        hostname: hostname_of(auth),
        os_family: os.family,
        os_name: os.name,
        os_version: os.version,
        os_arch: os.arch,
        agent_version: auth
            .version
            .as_deref()
            .map(|version| tame(version, VERSION_CHARS)),
        protocol: protocol_of(auth),
        capabilities: capabilities_of(auth),
        key_hash: Some(digest(key)),
        enrollment_nonce_hash: nonce,
        previous_version: None,
        first_generation: auth.protocol.is_none(),
    }
}

fn admitted(agent: Agent, new_key: Option<String>, auth: &Auth) -> Admitted {
    let os = os_of(auth);
    let hostname = hostname_of(auth);
    let at: DateTime<Utc> = audit::now();
    let connected = AgentConnected {
        id: agent.id,
        hostname: if hostname.is_empty() {
            agent.hostname.clone()
        } else {
            hostname
        },
        os_family: os.family,
        os_name: os.name,
        os_version: os.version,
        os_arch: os.arch,
        agent_version: auth
            .version
            .as_deref()
            .map(|version| tame(version, VERSION_CHARS)),
        previous_version: auth
            .previous_version
            .as_deref()
            .map(|version| tame(version, VERSION_CHARS)),
        protocol: protocol_of(auth),
        capabilities: capabilities_of(auth),
        at,
    };
    Admitted {
        agent,
        waiting: false,
        new_key,
        connected,
    }
}

fn hostname_of(auth: &Auth) -> String {
    tame(auth.hostname.trim(), HOSTNAME_CHARS)
}

fn protocol_of(auth: &Auth) -> u32 {
    auth.protocol.unwrap_or(gururmm_shared::FIRST_GENERATION)
}

fn capabilities_of(auth: &Auth) -> Vec<String> {
    auth.capabilities
        .iter()
        .take(64)
        .map(|name| tame(name, 64))
        .collect()
}

struct Os {
    family: String,
    name: String,
    version: String,
    arch: String,
}

fn os_of(auth: &Auth) -> Os {
    match &auth.os_info {
        None => Os {
            family: String::new(),
            name: String::new(),
            version: String::new(),
            arch: String::new(),
        },
        Some(OsInfo::Text(text)) => Os {
            family: family_of(text).to_owned(),
            name: tame(text, 200),
            version: String::new(),
            arch: String::new(),
        },
        Some(OsInfo::Parts {
            family,
            name,
            version,
            arch,
        }) => Os {
            family: tame(family, 50).to_lowercase(),
            name: tame(name, 200),
            version: tame(version, 200),
            arch: tame(arch, 50),
        },
    }
}

fn family_of(text: &str) -> &'static str {
    let text = text.to_lowercase();
    if text.contains("windows") {
        "windows"
    } else if text.contains("mac") || text.contains("darwin") {
        "macos"
    } else {
        "linux"
    }
}
