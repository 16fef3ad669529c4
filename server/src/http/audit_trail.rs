//! Every change by a user, written down for all routes alike: that it is asked for before its handler
//! acts, by the extractor that knows who asks; how it ended by a middleware. What a user may not read is
//! written down too, so much of it as fits.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use gururmm_shared::{AgentId, AlertId, ClientId, CommandId, RecordingId, SessionId, SiteId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::audited_routes::{self, Audited};
use super::extract::app_state;
use super::state::AppState;
use crate::db::audit_log::{NewEntry, Stage};
use crate::db::{DbError, agents, alerts, commands, places, recordings, tech_sessions};
use crate::domain::redaction;
use crate::domain::scope::Place;
use crate::error::AppError;
use crate::services::audit::Caller;
use crate::services::audit_limits::Kind;
use crate::services::audit_trail::{by, note, require};

/// Bytes of a body that are looked at.
const BODY_BYTES: usize = 64 * 1024;
/// Bytes of a query that are kept.
const QUERY_CHARS: usize = 500;

/// A body as it went by.
#[derive(Clone, Default)]
struct BodyCopy(Rc<RefCell<Vec<u8>>>);

/// What is known of a request once it is known who asks.
struct Trail {
    caller: Caller,
    /// What was written before the handler.
    asked: Option<NewEntry>,
    noted: Noted,
}

/// Whether somebody wrote a refusal down already.
#[derive(Clone, Default)]
pub struct Noted(Arc<AtomicBool>);

impl Noted {
    /// It is written down.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes down what a user asks for, if it is a change.
///
/// # Errors
/// 503: it cannot be written, so it is not done.
pub async fn ask(
    request: &HttpRequest,
    state: &AppState,
    caller: &Caller,
) -> Result<Noted, AppError> {
    // A handler may ask twice who calls.
    if let Some(trail) = request.extensions().get::<Trail>() {
        return Ok(trail.noted.clone());
    }
    let pattern = request.match_pattern();
    let asked = match audited_routes::of(request.method().as_str(), pattern.as_deref()) {
        Audited::As(action) => {
            let entry = entry(request, state, caller, action, pattern.as_deref()).await?;
            require(&state.db, entry.clone()).await?;
            Some(entry)
        }
        Audited::Elsewhere | Audited::Reads => None,
    };
    let noted = Noted::default();
    request.extensions_mut().insert(Trail {
        caller: caller.clone(),
        asked,
        noted: noted.clone(),
    });
    Ok(noted)
}

async fn entry(
    request: &HttpRequest,
    state: &AppState,
    caller: &Caller,
    action: &str,
    pattern: Option<&str>,
) -> Result<NewEntry, DbError> {
    let bytes = request
        .extensions()
        .get::<BodyCopy>()
        .map(|copy| copy.0.take());
    let body = redaction::body(&bytes.unwrap_or_default());
    let id = ["id", "session_id"]
        .iter()
        .find_map(|name| request.match_info().get(name))
        .and_then(|text| Uuid::parse_str(text).ok());
    let mut detail = json!({});
    if action == "change" {
        detail["path"] = json!(request.path().chars().take(QUERY_CHARS).collect::<String>());
    }
    if !request.query_string().is_empty() {
        detail["query"] = json!(
            request
                .query_string()
                .chars()
                .take(QUERY_CHARS)
                .collect::<String>()
        );
    }
    let about = about(state, pattern.unwrap_or_default(), id, body.as_ref()).await?;
    if let Some(body) = body {
        detail["body"] = body;
    }
    Ok(NewEntry {
        target: id.map(|id| id.to_string()).unwrap_or_default(),
        detail: if detail == json!({}) {
            String::new()
        } else {
            detail.to_string()
        },
        ..NewEntry {
            agent_id: about.agent.as_ref().map(|(id, _)| *id),
            agent_hostname: about.agent.map(|(_, hostname)| hostname),
            client_id: about.place.client_id,
            site_id: about.place.site_id,
            session_id: about.session_id,
            command_id: about.command_id,
            ..by(Stage::Asked, action, caller)
        }
    })
}

/// What a request is about, as far as its path and its body tell.
#[derive(Default)]
struct About {
    agent: Option<(AgentId, String)>,
    place: Place,
    session_id: Option<SessionId>,
    command_id: Option<CommandId>,
}

async fn about(
    state: &AppState,
    pattern: &str,
    id: Option<Uuid>,
    body: Option<&Value>,
) -> Result<About, DbError> {
    let mut about = About::default();
    let mut agent = None;
    let mut site = None;
    let under = |path: &str| id.filter(|_| pattern.starts_with(path));
    if let Some(id) = under("/api/agents/{id}") {
        agent = Some(AgentId(id));
    } else if let Some(id) = under("/api/sites/{id}") {
        site = Some(SiteId(id));
    } else if let Some(id) = under("/api/clients/{id}") {
        about.place = Place::client(ClientId(id));
    } else if let Some(id) = under("/api/alerts/{id}") {
        let alert = alerts::by_id(&state.db, AlertId(id)).await?;
        agent = alert.and_then(|alert| alert.agent_id);
    } else if let Some(id) = under("/api/commands/{id}") {
        about.command_id = Some(CommandId(id));
        let command = commands::by_id(&state.db, CommandId(id)).await?;
        agent = command.map(|command| command.agent_id);
    } else if let Some(id) = under("/api/recordings/{id}") {
        // It may outlive its machine.
        let recording = recordings::by_id(&state.db, RecordingId(id)).await?;
        if let Some(recording) = recording {
            about.place = recording.place();
            about.session_id = Some(recording.session_id);
            about.agent = Some((recording.agent_id, recording.agent_hostname));
        }
    } else if let Some(id) = under("/api/v1/tunnel/{session_id}") {
        about.session_id = Some(SessionId(id));
        let session = tech_sessions::by_session_id(&state.db, SessionId(id)).await?;
        agent = session.map(|session| session.agent_id);
    } else {
        let named = |name: &str| Uuid::parse_str(body?.get(name)?.as_str()?).ok();
        agent = named("agent_id").map(AgentId);
        site = named("site_id").map(SiteId);
        about.place.client_id = named("client_id").map(ClientId);
    }
    if let Some(id) = agent {
        match agents::located(&state.db, id).await? {
            Some((agent, place)) => {
                about.agent = Some((id, agent.hostname));
                about.place = place;
            }
            None => about.agent = Some((id, String::new())),
        }
    } else if let Some(id) = site {
        about.place = places::of_site(&state.db, id).await?.unwrap_or_default();
    }
    Ok(about)
}

/// Middleware: lets the extractors see the body, and writes down how what was asked for ended.
pub async fn follow(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let changes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    // What agents send there is theirs, and much.
    let users = |path: &str| path.starts_with("/api/") && !path.starts_with("/api/agent/");
    if changes && users(request.path()) {
        copy_body(&mut request);
    }
    let response = next.call(request).await?.map_into_boxed_body();
    let Some(trail) = response.request().extensions_mut().remove::<Trail>() else {
        return Ok(response);
    };
    let status = response.status();
    if trail.asked.is_none() && status != StatusCode::FORBIDDEN {
        return Ok(response);
    }
    let Ok(state) = app_state(response.request()) else {
        return Ok(response);
    };
    let code = code_of(&response);
    let Some(asked) = trail.asked else {
        note_refusal(&state, &response, &trail, code).await;
        return Ok(response);
    };
    let (response, made) = made_by(response);
    let entry = NewEntry {
        target: made.unwrap_or_default(),
        detail: json!({"status": status.as_u16()}).to_string(),
        ..asked.ended(code)
    };
    note(&state.db, entry).await;
    Ok(response)
}

/// A copy of the body goes into the request's extensions as the handler reads it.
fn copy_body(request: &mut ServiceRequest) {
    let copy = BodyCopy::default();
    request.extensions_mut().insert(copy.clone());
    let payload = request.take_payload().inspect(move |chunk| {
        if let Ok(bytes) = chunk {
            let mut kept = copy.0.borrow_mut();
            let room = BODY_BYTES.saturating_sub(kept.len());
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    });
    request.set_payload(Payload::Stream {
        payload: Box::pin(payload),
    });
}

/// The stable word of a problem, or that all went well.
fn code_of(response: &ServiceResponse<BoxBody>) -> &'static str {
    let error = response.response().error();
    match error.and_then(|error| error.as_error::<AppError>()) {
        Some(error) => error.code,
        None if response.status().is_success() || response.status().is_redirection() => "ok",
        None => "refused",
    }
}

/// The id of what was made, of an answer 201. Nothing else of it is looked at: it may hold secrets.
fn made_by(response: ServiceResponse<BoxBody>) -> (ServiceResponse<BoxBody>, Option<String>) {
    if response.status() != StatusCode::CREATED {
        return (response, None);
    }
    let (request, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let (body, id) = match body.try_into_bytes() {
        Ok(bytes) => {
            let body: Option<Value> = serde_json::from_slice(&bytes).ok();
            let id =
                body.and_then(|body| Some(body.get("id")?.as_str()?.chars().take(64).collect()));
            (BoxBody::new(bytes), id)
        }
        Err(body) => (body, None),
    };
    (ServiceResponse::new(request, response.set_body(body)), id)
}

/// What a user may not do and nobody has written down yet, as long as it is not too much.
async fn note_refusal(
    state: &AppState,
    response: &ServiceResponse<BoxBody>,
    trail: &Trail,
    code: &str,
) {
    let who = trail.caller.user_id.to_string();
    if trail.noted.0.load(Ordering::Relaxed) || !state.audit_limits.may_write(Kind::Access, &who) {
        return;
    }
    let request = response.request();
    let path: String = request.path().chars().take(QUERY_CHARS).collect();
    let entry = NewEntry {
        detail: json!({"method": request.method().as_str(), "path": path}).to_string(),
        outcome: Some(code.to_owned()),
        ..by(Stage::Event, "access.refused", &trail.caller)
    };
    note(&state.db, entry).await;
}
