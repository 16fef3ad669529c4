//! One file or folder of `gururmm cp` on its way, and how it is shown.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::client::files::{
    DownloadOptions, Transferred, UploadOptions, download, fetch_folder, send_folder, upload,
};
use crate::client::{ClientError, SessionClient};
use crate::failure::Failure;
use crate::plain::plain;
use crate::say::Say;

/// What goes where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Transfer {
    Download { from: String, to: PathBuf },
    Upload { from: PathBuf, to: String },
    FetchFolder { from: String, to: PathBuf },
    SendFolder { from: PathBuf, to: String },
}

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub overwrite: bool,
    pub keep: bool,
}

impl Transfer {
    /// Carries it out and says so.
    pub async fn carry_out(
        &self,
        session: &SessionClient,
        how: How,
        say: Say,
    ) -> Result<(), Failure> {
        let (from, to) = self.names();
        let bar = bar(&from, say);
        let done = self.carry(session, how, &bar).await;
        bar.finish_and_clear();
        let Transferred {
            bytes,
            sha256,
            resumed_from,
        } = done?;
        let size = indicatif::HumanBytes(bytes);
        let resumed = match resumed_from {
            0 => String::new(),
            before => format!(", {} of it were there", indicatif::HumanBytes(before)),
        };
        let value = json!({
            "from": from, "to": to, "bytes": bytes, "sha256": sha256, "resumed_from": resumed_from,
        });
        let text = format!("{} -> {} ({size}{resumed})", plain(&from), plain(&to));
        say.result(&text, &value)
    }

    async fn carry(
        &self,
        session: &SessionClient,
        how: How,
        bar: &ProgressBar,
    ) -> Result<Transferred, ClientError> {
        let progress = |done: u64, size: Option<u64>| {
            if let Some(size) = size {
                bar.set_length(size);
            }
            bar.set_position(done);
        };
        let overwrite = how.overwrite;
        match self {
            Self::Download { from, to } => {
                let options = DownloadOptions {
                    overwrite,
                    keep: how.keep,
                };
                download(session, from, to, options, &progress).await
            }
            Self::Upload { from, to } => {
                let options = UploadOptions {
                    overwrite,
                    keep: how.keep,
                };
                upload(session, from, to, options, &progress).await
            }
            Self::FetchFolder { from, to } => {
                let options = DownloadOptions {
                    overwrite,
                    keep: how.keep,
                };
                fetch_folder(session, from, to, options, &progress).await
            }
            Self::SendFolder { from, to } => {
                send_folder(session, from, to, overwrite, &progress).await
            }
        }
    }

    fn names(&self) -> (String, String) {
        let local = |path: &PathBuf| path.display().to_string();
        match self {
            Self::Download { from, to } | Self::FetchFolder { from, to } => {
                (from.clone(), local(to))
            }
            Self::Upload { from, to } | Self::SendFolder { from, to } => (local(from), to.clone()),
        }
    }
}

/// A bar on a terminal, and nothing anywhere else.
fn bar(name: &str, say: Say) -> ProgressBar {
    let target = if say.is_json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let bar = ProgressBar::with_draw_target(None, target);
    let template = "{msg} [{wide_bar}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(plain(name));
    bar
}
