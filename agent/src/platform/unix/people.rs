//! Words to who sits at the machine.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long `wall` may take: a terminal that takes nothing must not hold it for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes a line to every terminal, as far as there are any and `wall` is there. Does not wait.
pub fn tell_people(text: &'static str) {
    let mut wall = Command::new("wall");
    wall.arg(text)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    tokio::spawn(async move {
        match timeout(PATIENCE, wall.status()).await {
            Ok(Ok(status)) if status.success() => {
                tracing::info!("who is logged in here was told of the tunnel");
            }
            Ok(Ok(status)) => tracing::warn!(%status, "wall could not tell who is logged in here"),
            Ok(Err(error)) => tracing::warn!(%error, "who is logged in here cannot be told"),
            Err(_) => tracing::warn!("wall took too long"),
        }
    });
}
