//! Scripts: what may be saved as one, and how one becomes a command.

use std::collections::BTreeMap;

use gururmm_shared::{CommandType, ScriptId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::commands::{Used, Wanted, check_line};
use crate::config::{CommandSettings, LimitSettings};
use crate::db::Db;
use crate::db::agents::Agent;
use crate::db::scripts::{self, Script, Written};
use crate::domain::script_parameters::{Fault, Parameter, bind, check_declared};
use crate::error::AppError;

/// What somebody wants to save.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// How it is run.
    pub command_type: CommandType,
    /// What is run.
    pub body: String,
    /// How long it may run.
    pub timeout_seconds: Option<u64>,
    /// Whether it needs the rights of the administrator.
    pub elevated: bool,
    /// The parameters that it declares.
    pub parameters: Vec<Parameter>,
}

impl From<Fault> for AppError {
    fn from(fault: Fault) -> Self {
        Self::invalid_field(fault.field, fault.detail)
    }
}

fn json_of(value: impl serde::Serialize) -> Result<Value, AppError> {
    serde_json::to_value(value).map_err(|error| AppError::internal(&error))
}

impl Draft {
    /// Checks it against the limits.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn accept(
        self,
        settings: &CommandSettings,
        limits: &LimitSettings,
        by: UserId,
    ) -> Result<Written, AppError> {
        check_line(limits, &self.command_type, &self.body).map_err(|error| AppError {
            // It travels and is run as a command does, so it has the limits of one.
            field: error.field.map(|field| match field.as_str() {
                "command" => "body".to_owned(),
                other => other.to_owned(),
            }),
            detail: error.detail.replacen("command must", "body must", 1),
            ..error
        })?;
        let most = settings.max_timeout_seconds;
        let timeout_seconds = self.timeout_seconds.map(|seconds| {
            let fits = (1..=u64::from(most)).contains(&seconds);
            i32::try_from(seconds).ok().filter(|_| fits).ok_or_else(|| {
                let detail = format!("timeout_seconds is 1 to {most}");
                AppError::invalid_field("timeout_seconds", detail)
            })
        });
        check_declared(&self.parameters)?;
        let command_type = json_of(&self.command_type)?;
        let parameters = json_of(&self.parameters)?;
        for (field, value) in [("command_type", &command_type), ("parameters", &parameters)] {
            if value.to_string().contains("\\u0000") {
                let detail = format!("{field} must not hold NUL");
                return Err(AppError::invalid_field(field, detail));
            }
        }
        Ok(Written {
            name: self.name.trim().to_owned(),
            description: self.description,
            command_type,
            body: self.body,
            timeout_seconds: timeout_seconds.transpose()?,
            elevated: self.elevated,
            parameters,
            by,
        })
    }
}

/// The parameters that a script declares.
///
/// # Errors
/// 500: the row holds something else.
pub fn declared(script: &Script) -> Result<Vec<Parameter>, AppError> {
    Vec::deserialize(&script.parameters).map_err(|error| AppError::internal(&error))
}

/// A script that somebody wants run.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which.
    pub script_id: ScriptId,
    /// What it is given.
    pub parameters: BTreeMap<String, Value>,
    /// How long it may run, if not as long as it says.
    pub timeout_seconds: Option<u64>,
    /// Whether it needs the rights of the administrator even if it does not say so.
    pub elevated: bool,
    /// How long it may wait for its agent.
    pub expires_in_seconds: Option<u64>,
}

impl Call {
    /// The command that this makes of the script as it is now.
    ///
    /// # Errors
    /// 400 that names the field.
    pub async fn resolve(self, db: &Db) -> Result<Wanted, AppError> {
        let script = scripts::by_id(db, self.script_id).await?;
        let script = script.ok_or_else(|| {
            AppError::invalid_field("script_id", "there is no such script; see GET /api/scripts")
        })?;
        let arguments = bind(&declared(&script)?, &self.parameters)?;
        let command_type = CommandType::deserialize(&script.command_type)
            .map_err(|error| AppError::internal(&error))?;
        let own_timeout = script
            .timeout_seconds
            .and_then(|own| u64::try_from(own).ok());
        Ok(Wanted {
            command_type,
            command: script.body,
            timeout_seconds: self.timeout_seconds.or(own_timeout),
            elevated: self.elevated || script.elevated,
            expires_in_seconds: self.expires_in_seconds,
            script: Some(Used {
                script: json!({
                    "id": script.id, "name": script.name, "updated_at": script.updated_at,
                }),
                arguments,
            }),
        })
    }
}

/// The word for an agent that cannot give a script its parameters.
pub const NO_PARAMETERS: &str = "parameters_not_supported";

/// Whether an agent, as it last came, gives commands their variables.
#[must_use]
pub fn takes_parameters(agent: &Agent) -> bool {
    let known = agent.capabilities.as_array();
    known.is_some_and(|known| {
        let name = gururmm_shared::CAPABILITY_COMMAND_ENVIRONMENT;
        known.iter().any(|capability| capability == name)
    })
}
