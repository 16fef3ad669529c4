//! `gururmm forward`.

use futures_util::future::join_all;
use gururmm_shared::SessionId;
use serde_json::json;

use super::context::Context;
use super::forward_spec::ForwardSpec;
use super::tunnel::Tunnel;
use crate::client::TcpForward;
use crate::failure::Failure;
use crate::platform::Signals;

/// How often the session is looked at.
const CHECK: std::time::Duration = std::time::Duration::from_secs(30);

/// Arguments of `forward`.
#[derive(Debug, clap::Args)]
pub(super) struct Forward {
    /// Its host name, id, or the beginning of either.
    agent: String,
    /// \[ADDRESS:\]PORT:HOST:PORT, as 8080:127.0.0.1:80.
    #[arg(required = true, value_name = "LISTEN:HOST:PORT")]
    forwards: Vec<ForwardSpec>,
    /// Use this session.
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,
}

impl Forward {
    pub async fn run(self, context: &Context) -> Result<u8, Failure> {
        let mut signals = Signals::listen()?;
        let tunnel = Tunnel::open(context, &self.agent, self.session).await?;
        let ended = tokio::select! {
            failure = self.in_tunnel(&tunnel, context) => Err(failure),
            code = signals.end() => Ok(code),
        };
        tunnel.close().await;
        ended
    }

    /// Forwards until something fails.
    async fn in_tunnel(&self, tunnel: &Tunnel, context: &Context) -> Failure {
        match self.listen(tunnel, context).await {
            Ok(forwards) => tokio::select! {
                _ = join_all(forwards.into_iter().map(|one| carry(one, context))) => {
                    Failure::local("nothing is forwarded any more")
                }
                failure = session_end(tunnel) => failure,
            },
            Err(failure) => failure,
        }
    }

    async fn listen(&self, tunnel: &Tunnel, context: &Context) -> Result<Vec<TcpForward>, Failure> {
        let mut forwards = Vec::new();
        for spec in &self.forwards {
            let listen = (spec.listen.as_str(), spec.listen_port);
            forwards.push(TcpForward::bind(tunnel.session(), listen, &spec.host, spec.port).await?);
        }
        for (spec, forward) in self.forwards.iter().zip(&forwards) {
            let address = forward.local_addr()?;
            let text = format!(
                "{address} goes to {}:{} of {}; Ctrl-C ends",
                crate::plain::plain(&spec.host),
                spec.port,
                crate::plain::plain(&self.agent)
            );
            let value = json!({"listen": address, "host": spec.host, "port": spec.port});
            context.say.result(&text, &value)?;
        }
        Ok(forwards)
    }
}

async fn carry(forward: TcpForward, context: &Context) {
    let told = |peer, error: Option<crate::client::ClientError>| {
        if let Some(error) = error {
            context
                .say
                .note(&format!("the connection from {peer} ended: {error}"));
        }
    };
    forward.run(told).await;
}

/// Waits until the session is over.
async fn session_end(tunnel: &Tunnel) -> Failure {
    loop {
        tokio::time::sleep(CHECK).await;
        let over = match tunnel.session().status().await {
            Ok(status) => {
                matches!(status.status.as_str(), "closed" | "error").then_some(status.status)
            }
            Err(error) if error.is_passing() => None,
            Err(error) => return error.into(),
        };
        if let Some(status) = over {
            return crate::client::ClientError::SessionEnded(status).into();
        }
    }
}
