//! Client organisations.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, post, put};
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::ClientId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::whole;
use super::etag::Version;
use super::extract::{Authenticated, Signed};
use super::list_parameters;
use super::listing::Listing;
use super::page::Page;
use super::removal::{Take, drop_agents, end_sessions_of};
use super::schemas::{IfMatch, IfNoneMatch, Name};
use super::state::AppState;
use crate::db::DbError;
use crate::db::clients::{self, Client};
use crate::db::removal::{Removal, agents_of_client, remove_client};
use crate::domain::role::Capability;
use crate::domain::scope::Place;
use crate::error::AppError;

/// A client as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Client)]
struct ClientView {
    id: ClientId,
    name: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Client> for ClientView {
    fn from(client: Client) -> Self {
        let Client {
            id,
            name,
            created_at,
            updated_at,
        } = client;
        Self {
            id,
            name,
            created_at,
            updated_at,
        }
    }
}

/// Body of a new client, and of one that is named anew.
#[derive(Deserialize, Validate, ToSchema)]
pub struct NewClient {
    #[garde(custom(super::extract::name))]
    #[schema(value_type = Name)]
    name: String,
}

fn version(client: &Client) -> Version {
    Version::of(client.id.0, client.updated_at, None)
}

fn taken(error: DbError) -> AppError {
    match error {
        DbError::Duplicate { .. } => AppError {
            field: Some("name".to_owned()),
            ..AppError::conflict("client_exists", "a client of that name exists already")
        },
        other => other.into(),
    }
}

/// Finds a client that the caller may do this to.
///
/// # Errors
/// 404, 403.
pub async fn find(
    state: &AppState,
    who: &Authenticated,
    capability: Capability,
    id: ClientId,
) -> Result<Client, AppError> {
    who.require(capability)?;
    let client = clients::by_id(&state.db, id).await?;
    let client = client.ok_or_else(|| AppError::not_found("client"))?;
    who.require_at(capability, Place::client(id))?;
    Ok(client)
}

/// Lists clients.
#[utoipa::path(
    tag = "clients",
    params(list_parameters::Clients),
    responses(
        (status = 200, description = "a page", body = Page<ClientView>),
    ),
)]
#[get("/api/clients")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let asked = Listing::read::<list_parameters::Clients>(&request)?;
    let words = asked.text("q")?;
    let rows = clients::list(&state.db, who.scope, words, asked.page()).await?;
    let page = asked.cut(rows, Client::position).map(ClientView::from);
    Ok(HttpResponse::Ok().json(page))
}

/// Makes a client.
#[utoipa::path(
    tag = "clients",
    request_body = NewClient,
    responses(
        (status = 201, description = "the client", body = ClientView, headers(("etag" = String, description = "its version"))),
        (status = 409, description = "`client_exists`"),
    ),
)]
#[post("/api/clients")]
pub async fn create(
    state: Data<AppState>,
    signed: Signed<NewClient>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    // A new client is in nobody's scope yet.
    who.require_at(Capability::ManagePlaces, Place::default())?;
    let name = body.name.trim().to_owned();
    let client = clients::insert(&state.db, name).await.map_err(taken)?;
    let version = version(&client);
    let mut response = HttpResponse::Created().json(ClientView::from(client));
    version.stamp(&mut response);
    Ok(response)
}

/// Shows a client.
#[utoipa::path(
    tag = "clients",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "the client", body = ClientView, headers(("etag" = String, description = "its version"))),
        (status = 304, description = "it is what `If-None-Match` names", headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such client"),
    ),
)]
#[get("/api/clients/{id}")]
pub async fn show(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
) -> Result<HttpResponse, AppError> {
    let id = ClientId(id.into_inner());
    let client = find(&state, &who, Capability::ReadFleet, id).await?;
    Ok(version(&client).answer(&request, ClientView::from(client)))
}

/// Names a client anew.
#[utoipa::path(
    tag = "clients",
    request_body = NewClient,
    params(IfMatch),
    responses(
        (status = 200, description = "the client", body = ClientView, headers(("etag" = String, description = "its version"))),
        (status = 404, description = "no such client"),
        (status = 409, description = "`client_exists`"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[put("/api/clients/{id}")]
pub async fn change(
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
    signed: Signed<NewClient>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    let id = ClientId(id.into_inner());
    let before = find(&state, &who, Capability::ManagePlaces, id).await?;
    let conditional = version(&before).check(&request)?;
    let unchanged = conditional.then_some(before.updated_at);
    let name = body.name.trim().to_owned();
    let client = clients::rename(&state.db, id, name, unchanged)
        .await
        .map_err(taken)?;
    let Some(client) = client else {
        return Err(if conditional {
            AppError::changed()
        } else {
            AppError::not_found("client")
        });
    };
    let version = version(&client);
    let mut response = HttpResponse::Ok().json(ClientView::from(client));
    version.stamp(&mut response);
    Ok(response)
}

/// Deletes a client.
#[utoipa::path(
    tag = "clients",
    params(IfMatch),
    responses(
        (status = 204, description = "done"),
        (status = 404, description = "no such client"),
        (status = 409, description = "`client_not_empty`, unless `cascade`"),
        (status = 412, description = "`precondition_failed`: it was changed since"),
    ),
)]
#[delete("/api/clients/{id}")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    id: Path<uuid::Uuid>,
    request: HttpRequest,
    take: Query<Take>,
) -> Result<HttpResponse, AppError> {
    let id = ClientId(id.into_inner());
    let client = find(&state, &who, Capability::ManagePlaces, id).await?;
    let conditional = version(&client).check(&request)?;
    let unchanged = conditional.then_some(client.updated_at);
    let cascade = take.cascade;
    whole(async move {
        if cascade {
            let inside = agents_of_client(&state.db, id).await?;
            end_sessions_of(&state, &inside).await?;
        }
        let removed = remove_client(&state.db, id, cascade, unchanged).await;
        match removed {
            Ok(Removal::Removed(agents)) => {
                drop_agents(&state, &agents).await?;
                tracing::info!(client.id = %id, agents = agents.len(), user.id = %who.user.id, "client deleted");
                Ok(HttpResponse::NoContent().finish())
            }
            Ok(Removal::NotEmpty(sites)) => Err(not_empty(&sites.to_string())),
            Ok(Removal::Missing) => Err(AppError::not_found("client")),
            Ok(Removal::Changed) => Err(AppError::changed()),
            Err(DbError::ForeignKey) => Err(not_empty("a new one")),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

fn not_empty(what: &str) -> AppError {
    AppError::conflict(
        "client_not_empty",
        format!(
            "the client is not empty (sites: {what}); delete them first, or all with ?cascade=true"
        ),
    )
}
