//! `gururmm sessions`.

use gururmm_shared::SessionId;
use serde_json::json;

use super::context::Context;
use crate::client::SessionClient;
use crate::failure::Failure;

/// Arguments of `sessions`.
#[derive(Debug, clap::Args)]
pub(super) struct Sessions {
    /// Close this one, with all that runs in it.
    #[arg(long, value_name = "ID")]
    close: Option<SessionId>,
}

impl Sessions {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        if let Some(id) = self.close {
            SessionClient::of(&client, id).close().await?;
            let value = json!({"session_id": id, "status": "closed"});
            return context
                .say
                .result(&format!("session {id} is closed"), &value);
        }
        let sessions = SessionClient::list(&client).await?;
        let lines: Vec<_> = sessions
            .iter()
            .map(|one| format!("{} to agent {}", one.session_id, one.agent_id))
            .collect();
        let text = if lines.is_empty() {
            "no open sessions".to_owned()
        } else {
            lines.join("\n")
        };
        context.say.result(&text, &sessions)
    }
}
