//! The registry of a Windows machine; elsewhere it is `unsupported`.

use actix_web::http::header;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, delete, get, put};
use garde::Validate;
use gururmm_shared::{Operation, RegistryValue, Reply};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::attachment::{attachment, name_of};
use super::extract::{Authenticated, Signed};
use super::operation_problems::senseless;
use super::services::{Replaced, replaced};
use super::state::AppState;
use super::tunnel_work::{check_text, perform};
use crate::error::AppError;

/// Which key.
#[derive(Deserialize, IntoParams)]
pub struct Key {
    /// As `HKLM\SOFTWARE\Example`.
    key: String,
}

/// What is to be deleted.
#[derive(Deserialize, IntoParams)]
pub struct KeyOrValue {
    /// As `HKLM\SOFTWARE\Example`.
    key: String,
    /// The value's name; missing means the key with all that is under it.
    name: Option<String>,
}

/// A value to be written.
#[derive(Deserialize, Validate, ToSchema)]
pub struct RegistryWriting {
    /// As `HKLM\SOFTWARE\Example`; it is made if it is not there.
    #[garde(skip)]
    key: String,
    #[garde(skip)]
    value: RegistryValue,
}

/// A key.
#[derive(Serialize, ToSchema)]
struct RegistryKey {
    /// Names of the keys under it.
    keys: Vec<String>,
    /// Its values.
    values: Vec<RegistryValue>,
}

/// Lists the keys and values under a key of the registry.
#[utoipa::path(
    tag = "registry",
    responses(
        (status = 200, description = "what is there", body = RegistryKey),
        (status = 404, description = "no such session, or no such key"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/registry")]
pub async fn list(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    asked: Query<Key>,
) -> Result<HttpResponse, AppError> {
    let key = asked.into_inner().key;
    check_text("key", &key)?;
    match perform(&state, &who, *session_id, Operation::RegistryList { key }).await? {
        Reply::Registry { keys, values } => {
            Ok(HttpResponse::Ok().json(RegistryKey { keys, values }))
        }
        _ => Err(senseless()),
    }
}

/// Writes a value of the registry.
#[utoipa::path(
    tag = "registry",
    request_body = RegistryWriting,
    responses(
        (status = 200, description = "it is written; `before` is what was there", body = Replaced),
        (status = 404, description = "no such session, or no such root"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[put("/api/v1/tunnel/{session_id}/registry/value")]
pub async fn write(
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    signed: Signed<RegistryWriting>,
) -> Result<HttpResponse, AppError> {
    let Signed(who, body) = signed;
    check_text("key", &body.key)?;
    let write = Operation::RegistryWrite {
        key: body.key,
        value: body.value,
    };
    replaced(perform(&state, &who, *session_id, write).await?)
}

/// Deletes a value of the registry, or a key with all that is under it.
#[utoipa::path(
    tag = "registry",
    responses(
        (status = 200, description = "it is gone; `before` is what was there", body = Replaced),
        (status = 404, description = "no such session, key or value"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[delete("/api/v1/tunnel/{session_id}/registry")]
pub async fn remove(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    asked: Query<KeyOrValue>,
) -> Result<HttpResponse, AppError> {
    let KeyOrValue { key, name } = asked.into_inner();
    check_text("key", &key)?;
    let delete = Operation::RegistryDelete { key, name };
    replaced(perform(&state, &who, *session_id, delete).await?)
}

/// Answers a key of the registry as a .reg file.
#[utoipa::path(
    tag = "registry",
    responses(
        (status = 200, description = "the file, in UTF-16 as the registry's editor writes it", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "no such session, or no such key"),
        (status = 409, description = "`session_closed`, `unsupported`, `gone`"),
        (status = 502, description = "`failed`"),
        (status = 504, description = "`timed_out`"),
    ),
)]
#[get("/api/v1/tunnel/{session_id}/registry/export")]
pub async fn export(
    who: Authenticated,
    state: Data<AppState>,
    session_id: Path<uuid::Uuid>,
    asked: Query<Key>,
) -> Result<HttpResponse, AppError> {
    let key = asked.into_inner().key;
    check_text("key", &key)?;
    let name = format!("{}.reg", name_of(&key));
    match perform(&state, &who, *session_id, Operation::RegistryExport { key }).await? {
        Reply::Text { text } => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
            .insert_header((header::CONTENT_DISPOSITION, attachment(&name)))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(utf16(&text))),
        _ => Err(senseless()),
    }
}

/// Little-endian with its mark: other texts are read in the code page of the machine.
fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_what_the_registrys_editor_reads() {
        assert_eq!(utf16("ü\r"), [0xff, 0xfe, 0xfc, 0, b'\r', 0]);
    }
}
