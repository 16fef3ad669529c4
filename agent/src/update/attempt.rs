//! One update, from the server's order to the moment in which the new program has the old one's name.

use std::time::Duration;

use chrono::Utc;
use gururmm_release::Manifest;
use gururmm_shared::Update;
use tokio::task::spawn_blocking;

use super::download;
use super::failure::Failure;
use super::quiet::Quiet;
use super::record::OnTrial;
use super::rehearsal::fail_point;
use super::self_test;
use super::trial::Trial;
use super::verification::{Own, manifest_of};
use crate::config::UpdateSettings;
use crate::connection::LaneDialer;
use crate::platform;

/// What an update works with.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The running program and the record.
    pub trial: Trial,
    /// How patient it is.
    pub settings: UpdateSettings,
    /// Who fetches.
    pub dialer: LaneDialer,
    /// Who knows when it may be done.
    pub quiet: Quiet,
}

impl Attempt {
    /// Does it all; afterwards the agent has to be started again. Each step may be the last one of this process: what the
    /// disk holds then is the old program under its name, or the new one and the record that it is on trial.
    ///
    /// # Errors
    /// Why the old program runs on. What was fetched may still lie beside it.
    pub async fn make(self, order: Update) -> Result<(), Failure> {
        let manifest = manifest_of(&order, &Own::this(), Utc::now())?;
        let version = manifest.version.to_string();
        tracing::info!(version, size = manifest.size, "an update begins");
        let begun = version.clone();
        let begun = self.trial.change(move |record| record.begin(&begun)).await;
        begun.map_err(|error| unrecorded(&error))?;
        fail_point("begun");
        let program = self.trial.program().clone();
        let new = program.new_path();
        download::fetch(
            &self.dialer,
            &order.download_url,
            &manifest,
            &new,
            &self.settings,
        )
        .await?;
        fail_point("downloaded");
        let (old, fresh) = (program.path().to_owned(), new.clone());
        let give = move || platform::give_rights_of(&old, &fresh);
        blocking(give, "give the new program the rights of this one").await?;
        self_test::run(&new, program.config(), &manifest.version).await?;
        fail_point("tested");
        let wait = self.settings.wait_seconds;
        if !self.quiet.wait(Duration::from_secs(wait)).await {
            let reason = format!("commands ran or a tunnel was open for {wait} s; try it again");
            return Err(Failure::new("busy", reason));
        }
        self.install(&manifest).await
    }

    async fn install(self, manifest: &Manifest) -> Result<(), Failure> {
        let program = self.trial.program().clone();
        let keeping = program.clone();
        blocking(move || keeping.keep(), "keep the running program").await?;
        fail_point("kept");
        let on_trial = OnTrial {
            version: manifest.version.to_string(),
            previous_version: super::own_version().to_owned(),
            program: program.path().to_owned(),
            confirm_seconds: self.settings.confirm_seconds,
            starts: 0,
            rolling_back: None,
        };
        let recorded = self
            .trial
            .change(move |record| record.install(on_trial))
            .await;
        recorded.map_err(|error| unrecorded(&error))?;
        fail_point("recorded");
        blocking(move || program.put_new(), "put the new program in place").await?;
        fail_point("put");
        Ok(())
    }
}

async fn blocking(
    act: impl FnOnce() -> std::io::Result<()> + Send + 'static,
    action: &str,
) -> Result<(), Failure> {
    let done = spawn_blocking(act).await.map_err(std::io::Error::other);
    let done = done.and_then(std::convert::identity);
    done.map_err(|error| Failure::of_disk("install_failed", action, &error))
}

fn unrecorded(error: &std::io::Error) -> Failure {
    Failure::of_disk("install_failed", "write the record of the update", error)
}
