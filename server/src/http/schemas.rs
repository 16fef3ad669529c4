//! Shapes of the API's description that many routes share: short texts with their limits, and the
//! headers of versions. They only describe; what is allowed is checked where it is read.
#![allow(dead_code, reason = "nothing is made of what only describes")]

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::{Required, Schema};
use utoipa::{IntoParams, ToSchema};

/// A name: 1 to 200 characters, no control characters, not only blanks.
#[derive(ToSchema)]
#[schema(
    min_length = 1,
    max_length = 200,
    pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$",
    examples("Head Office")
)]
pub struct Name(pub String);

/// An e-mail address, compared without case.
#[derive(ToSchema)]
#[schema(format = "email", max_length = 254, examples("ada@example.com"))]
pub struct Email(pub String);

/// A new password.
#[derive(ToSchema)]
#[schema(format = "password", min_length = 10, max_length = 256)]
pub struct NewPassword(pub String);

/// A password that is there, or is said to be.
#[derive(ToSchema)]
#[schema(format = "password", max_length = 256)]
pub struct Password(pub String);

/// A command line or a script, at most `limits.command_bytes`.
#[derive(ToSchema)]
#[schema(
    min_length = 1,
    max_length = 32_768,
    pattern = r"^[^\u0000]*$",
    examples("uptime")
)]
pub struct CommandLine(pub String);

/// `If-None-Match` of a read.
pub struct IfNoneMatch;

/// `If-Match` of a write.
pub struct IfMatch;

fn header(name: &str, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(Schema::Object(Object::with_type(Type::String))))
        .build()
}

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "`ETag` of what is known already: 304 where nothing changed";
        vec![header("If-None-Match", description)]
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "`ETag` of what was read: 412 where it changed since";
        vec![header("If-Match", description)]
    }
}
