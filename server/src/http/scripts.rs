//! Saved scripts: they belong to everybody, so only who may act everywhere writes them.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::{CommandType, ScriptId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::etag::Version;
use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::removal::Take;
use super::schemas::{IfMatch, IfNoneMatch, Name};
use super::state::AppState;
use crate::db::DbError;
use crate::db::scripts::{self, Script, ScriptRemoval};
use crate::domain::role::Capability;
use crate::domain::scope::Place;
use crate::domain::script_parameters::Parameter;
use crate::error::AppError;
use crate::services::scripts::Draft;

/// A script as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Script)]
struct ScriptView {
    id: ScriptId,
    name: String,
    description: String,
    #[schema(value_type = CommandType)]
    command_type: Value,
    body: String,
    timeout_seconds: Option<i32>,
    elevated: bool,
    #[schema(value_type = Vec<Parameter>)]
    parameters: Value,
    updated_by: Option<UserId>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Script> for ScriptView {
    fn from(script: Script) -> Self {
        Self {
            id: script.id,
            name: script.name,
            description: script.description,
            command_type: script.command_type,
            body: script.body,
            timeout_seconds: script.timeout_seconds,
            elevated: script.elevated,
            parameters: script.parameters,
            updated_by: script.updated_by,
            created_at: script.created_at,
            updated_at: script.updated_at,
        }
    }
}

/// Body of a script, new or written anew.
#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
#[derive(ToSchema)]
#[schema(as = NewScript)]
pub struct Body {
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
    #[garde(length(chars, max = 2000), custom(without_nul))]
    #[schema(max_length = 2000, pattern = r"^[^\u0000]*$")]
    #[serde(default)]
    description: String,
    #[garde(skip)]
    #[serde(default)]
    command_type: CommandType,
    #[garde(skip)]
    #[serde(default)]
    body: String,
    #[garde(skip)]
    #[schema(minimum = 1, maximum = 86_400)]
    timeout_seconds: Option<u64>,
    #[garde(skip)]
    #[serde(default)]
    elevated: bool,
    #[garde(skip)]
    #[serde(default)]
    #[schema(max_items = 32)]
    parameters: Vec<Parameter>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "garde's signature")]
fn without_nul(text: &str, (): &()) -> garde::Result {
    if text.contains('\0') {
        return Err(garde::Error::new("must not hold NUL"));
    }
    Ok(())
}

impl From<Body> for Draft {
    fn from(body: Body) -> Self {
        Self {
            name: body.name,
            description: body.description,
            command_type: body.command_type,
            body: body.body,
            timeout_seconds: body.timeout_seconds,
            elevated: body.elevated,
            parameters: body.parameters,
        }
    }
}

fn version(script: &Script) -> Version {
    Version::of(script.id.0, script.updated_at, None)
}

fn stamped(mut response: HttpResponse, version: &Version) -> HttpResponse {
    version.stamp(&mut response);
    response
}

fn refused(error: DbError) -> AppError {
    match error {
        DbError::Duplicate { .. } => AppError {
            field: Some("name".to_owned()),
            ..AppError::conflict("script_exists", "there is a script of that name")
        },
        other => other.into(),
    }
}

/// Refuses who may not write what runs everywhere.
fn may_write(who: &Authenticated) -> Result<(), AppError> {
    who.require_at(Capability::ManageAutomation, Place::default())
}

async fn find(state: &AppState, id: ScriptId) -> Result<Script, AppError> {
    let script = scripts::by_id(&state.db, id).await?;
    script.ok_or_else(|| AppError::not_found("script"))
}

/// Lists saved scripts.
#[utoipa::path(
    tag = "scripts",
    params(list_parameters::Scripts),
    responses(
        (status = 200, description = "a page", body = Page<ScriptView>),
    ),
)]
#[get("/api/scripts")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Scripts>(&request)?;
    let rows = scripts::list(&state.db, asked.text("q")?, asked.page()).await?;
    let page = asked.cut(rows, Script::position).map(ScriptView::from);
    Ok(HttpResponse::Ok().json(page))
}

/// Saves a script.
#[utoipa::path(
    tag = "scripts",
    request_body = Body,
    responses(
        (status = 201, description = "the script", body = ScriptView, headers(("etag" = String, description = "its version"))),
        (status = 409, description = "`script_exists`"),
    ),
)]
#[post("/api/scripts")]
pub async fn create(state: Data<AppState>, signed: Signed<Body>) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    may_write(&who)?;
    let settings = &state.settings;
    let draft = Draft::from(body).accept(&settings.commands, &settings.limits, who.user.id)?;
    let script = scripts::insert(&state.db, draft).await.map_err(refused)?;
    tracing::info!(script.id = %script.id, user.id = %who.user.id, "script created");
    let version = version(&script);
    let body = ScriptView::from(script);
    Ok(stamped(HttpResponse::Created().json(body), &version))
}

/// Shows a script.
#[utoipa::path(
    tag = "scripts",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "the script", body = ScriptView, headers(("etag" = String, description = "its version"))),
        (status = 304, description = "it is what `If-None-Match` names", headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such script"),
    ),
)]
#[get("/api/scripts/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let script = find(&state, ScriptId(id.into_inner())).await?;
    Ok(version(&script).answer(&request, ScriptView::from(script)))
}

/// Writes a script anew.
#[utoipa::path(
    tag = "scripts",
    request_body = Body,
    params(IfMatch),
    responses(
        (status = 200, description = "the script", body = ScriptView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such script"),
        (status = 409, description = "`script_exists`"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[put("/api/scripts/{id}")]
pub async fn change(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
    signed: Signed<Body>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    may_write(&who)?;
    let before = find(&state, ScriptId(id.into_inner())).await?;
    let conditional = version(&before).check(&request)?;
    let unchanged = conditional.then_some(before.updated_at);
    let settings = &state.settings;
    let draft = Draft::from(body).accept(&settings.commands, &settings.limits, who.user.id)?;
    let written = scripts::update(&state.db, before.id, draft, unchanged).await;
    let script = match written.map_err(refused)? {
        Some(script) => script,
        None if conditional => return Err(AppError::changed()),
        None => return Err(AppError::not_found("script")),
    };
    tracing::info!(script.id = %script.id, user.id = %who.user.id, "script changed");
    let version = version(&script);
    let body = ScriptView::from(script);
    Ok(stamped(HttpResponse::Ok().json(body), &version))
}

/// Deletes a script.
#[utoipa::path(
    tag = "scripts",
    params(IfMatch),
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such script"),
        (status = 409, description = "`script_in_use`, unless `cascade`"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[delete("/api/scripts/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
    take: Query<Take>,
) -> Result<HttpResponse, AppError> {
    may_write(&who)?;
    let script = find(&state, ScriptId(id.into_inner())).await?;
    version(&script).check(&request)?;
    let removed = scripts::remove(&state.db, script.id, script.updated_at, take.cascade).await;
    let in_use = |count: &str| {
        let detail = format!(
            "schedules run this script ({count}); change or delete them first, or delete all with ?cascade=true"
        );
        AppError::conflict("script_in_use", detail)
    };
    match removed {
        Ok(ScriptRemoval::Removed(schedules)) => {
            tracing::info!(script.id = %script.id, schedules, user.id = %who.user.id, "script deleted");
            Ok(HttpResponse::NoContent().finish())
        }
        Ok(ScriptRemoval::InUse(count)) => Err(in_use(&count.to_string())),
        Ok(ScriptRemoval::Missing) => Err(AppError::changed()),
        Err(DbError::ForeignKey) => Err(in_use("a new one")),
        Err(error) => Err(error.into()),
    }
}
