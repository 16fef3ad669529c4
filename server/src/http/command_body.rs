//! What a command is made of in a body: a line, or a script and what it is given.

use std::collections::BTreeMap;

use garde::Validate;
use gururmm_shared::{CommandType, ScriptId};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::schemas::CommandLine;
use crate::db::Db;
use crate::error::AppError;
use crate::services::commands::Wanted;
use crate::services::scripts::Call;

/// Body of a command: a line, or a script and what it is given.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = NewCommand)]
pub struct CommandBody {
    #[garde(skip)]
    command_type: Option<CommandType>,
    #[garde(skip)]
    #[schema(value_type = Option<CommandLine>)]
    command: Option<String>,
    #[garde(skip)]
    script_id: Option<uuid::Uuid>,
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    parameters: Option<BTreeMap<String, Value>>,
    #[garde(skip)]
    #[schema(minimum = 1, maximum = 86_400)]
    timeout_seconds: Option<u64>,
    #[garde(skip)]
    #[serde(default)]
    elevated: bool,
    #[garde(skip)]
    #[schema(minimum = 1, maximum = 2_592_000)]
    expires_in_seconds: Option<u64>,
}

impl CommandBody {
    /// What is wanted: a script becomes its command.
    ///
    /// # Errors
    /// 400 that names the field.
    pub(super) async fn resolve(self, db: &Db) -> Result<Wanted, AppError> {
        self.check()?;
        let Some(script_id) = self.script_id else {
            return Ok(Wanted {
                command_type: self.command_type.unwrap_or_default(),
                command: self.command.unwrap_or_default(),
                timeout_seconds: self.timeout_seconds,
                elevated: self.elevated,
                expires_in_seconds: self.expires_in_seconds,
                script: None,
            });
        };
        let call = Call {
            script_id: ScriptId(script_id),
            parameters: self.parameters.unwrap_or_default(),
            timeout_seconds: self.timeout_seconds,
            elevated: self.elevated,
            expires_in_seconds: self.expires_in_seconds,
        };
        call.resolve(db).await
    }

    /// As a schedule keeps it beside its command; what is out of its limits is refused elsewhere.
    pub(super) fn saved(&self) -> SavedCall {
        let seconds = |value: Option<u64>| value.and_then(|value| i32::try_from(value).ok());
        SavedCall {
            script_id: self.script_id.map(ScriptId),
            parameters: json!(self.parameters.clone().unwrap_or_default()),
            timeout_seconds: seconds(self.timeout_seconds),
            elevated: self.elevated,
            expires_in_seconds: seconds(self.expires_in_seconds),
        }
    }

    fn check(&self) -> Result<(), AppError> {
        let fault = match self.script_id {
            Some(_) if self.command.is_some() => "command",
            Some(_) if self.command_type.is_some() => "command_type",
            None if self.parameters.is_some() => "parameters",
            _ => return Ok(()),
        };
        let detail = "give a command and its type, or script_id and parameters";
        Err(AppError::invalid_field(fault, detail))
    }
}

/// What a schedule keeps of a body.
pub(super) struct SavedCall {
    pub script_id: Option<ScriptId>,
    pub parameters: Value,
    pub timeout_seconds: Option<i32>,
    pub elevated: bool,
    pub expires_in_seconds: Option<i32>,
}

/// The script that a command or a job was made of, as the API shows it.
pub(super) fn script_view(script: Option<Value>, arguments: Option<Value>) -> Option<Value> {
    let mut script = script?;
    script["parameters"] = arguments.unwrap_or_else(|| json!({}));
    Some(script)
}
