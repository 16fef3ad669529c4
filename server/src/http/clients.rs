//! Client organisations.

use actix_web::HttpResponse;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use garde::Validate;
use gururmm_shared::ClientId;
use serde::{Deserialize, Serialize};

use super::extract::{Authenticated, Signed};
use super::page::Page;
use super::state::AppState;
use crate::db::DbError;
use crate::db::clients::{self, Client};
use crate::domain::role::Capability;
use crate::error::AppError;

/// A client as the API shows it.
#[derive(Serialize)]
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

/// Body of a new client.
#[derive(Deserialize, Validate)]
pub struct NewClient {
    #[garde(custom(super::extract::name))]
    name: String,
}

/// GET /api/clients
pub async fn list(who: Authenticated, state: Data<AppState>) -> Result<HttpResponse, AppError> {
    who.require(Capability::ReadFleet)?;
    let clients = clients::list(&state.db).await?;
    Ok(HttpResponse::Ok().json(Page::whole(
        clients.into_iter().map(ClientView::from).collect(),
    )))
}

/// POST /api/clients
pub async fn create(
    state: Data<AppState>,
    signed: Signed<NewClient>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    who.require(Capability::ManagePlaces)?;
    let name = body.name.trim().to_owned();
    let client = clients::insert(&state.db, name)
        .await
        .map_err(|error| match error {
            DbError::Duplicate { .. } => AppError {
                field: Some("name".to_owned()),
                ..AppError::conflict("client_exists", "a client of that name exists already")
            },
            other => other.into(),
        })?;
    Ok(HttpResponse::Created().json(ClientView::from(client)))
}
