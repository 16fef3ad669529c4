//! A session's terminals as its recordings see them: begun before the agent is asked for a terminal, fed
//! with what `domain::terminals` lets through, and an end of the terminal where it must not go on without.

use std::time::Duration;

use actix::prelude::*;
use futures_util::stream;
use gururmm_shared::flow::INITIAL_WINDOW_BYTES;
use gururmm_shared::{ChannelId, StreamId};

use super::session_messages::SessionError;
use super::tunnel::TunnelSession;
use crate::domain::terminals::Seen;
use crate::services::audit::Caller;
use crate::services::recordings::{NewRecording, Progress, Recorder, Recordings};

/// Bytes that a recorded terminal may have on the way at most: they fit into the recording's queue.
const RECORDED_WINDOW_BYTES: u64 = INITIAL_WINDOW_BYTES;

/// How long a recording has to begin: two statements of the database and two new files.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The recording of a terminal has come further, or to an end.
pub(super) struct RecordingMoved {
    stream: StreamId,
    /// The terminal's offset at which the recording begins.
    base: u64,
    progress: Progress,
}

/// Begins a recording, if the policy wants one.
///
/// # Errors
/// Why a terminal that must be recorded cannot be.
pub(super) async fn begin(
    recordings: &Recordings,
    new: NewRecording,
) -> Result<Option<Recorder>, String> {
    if !new.rules.is_on() {
        return Ok(None);
    }
    let (session_id, required) = (new.session_id, new.rules.required);
    // Where it is given up the server's look at what is left ends it.
    let begun = tokio::time::timeout(BEGIN_TIMEOUT, recordings.start(new)).await;
    let error = match begun {
        Ok(Ok(recorder)) => return Ok(Some(recorder)),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the server's disk or database is too slow; try again in a moment".to_owned(),
    };
    tracing::error!(%error, session.id = %session_id, required, "a terminal cannot be recorded");
    if required { Err(error) } else { Ok(None) }
}

impl TunnelSession {
    /// What a recording of one of the session's terminals is to know; its size and program are still to come.
    pub(super) fn new_recording(&self, channel_id: &ChannelId, caller: &Caller) -> NewRecording {
        let (agent_id, hostname) = self.agent_name();
        NewRecording {
            session_id: self.id,
            channel_id: channel_id.clone(),
            agent_id,
            hostname: hostname.to_owned(),
            tech_id: caller.user_id,
            user_email: caller.email.clone(),
            size: gururmm_shared::TerminalSize::default(),
            term: None,
            program: String::new(),
            rules: self.recording_rules,
        }
    }

    /// Bytes that a terminal's agent may have on the way.
    pub(super) fn terminal_window(&self, is_recorded: bool) -> u64 {
        let window = self.settings.window_bytes;
        if is_recorded {
            window.min(RECORDED_WINDOW_BYTES)
        } else {
            window
        }
    }

    /// Follows the recording of a terminal that is open now, which begins at its offset `base`.
    pub(super) fn follow(
        &mut self,
        stream: StreamId,
        base: u64,
        recorder: Recorder,
        ctx: &mut Context<Self>,
    ) {
        let mut progress = recorder.progress();
        // It may have failed before anybody looked.
        progress.mark_changed();
        self.recorders.insert(stream, recorder);
        // Ends with recorder and writer.
        ctx.add_stream(stream::unfold(progress, move |mut progress| async move {
            progress.changed().await.ok()?;
            let moved = RecordingMoved {
                stream,
                base,
                progress: progress.borrow_and_update().clone(),
            };
            Some((moved, progress))
        }));
    }

    /// Hands a recording what is for it.
    pub(super) fn record(&mut self, stream: StreamId, seen: Seen) {
        let Some(recorder) = self.recorders.get_mut(&stream) else {
            return;
        };
        match seen {
            Seen::Output(bytes) => recorder.output(&bytes),
            Seen::Input(bytes) => recorder.input(&bytes),
            Seen::Resize(size) => recorder.resize(size),
        }
        if recorder.wants_key_frame()
            && let Some(screen) = self.terminals.key_frame(stream)
        {
            recorder.key_frame(screen);
        }
    }

    /// Marks in all recordings of the session what is done beside their terminals.
    pub(super) fn mark_recordings(&mut self, text: &str) {
        for recorder in self.recorders.values_mut() {
            recorder.marker(text);
        }
    }

    /// Completes the recording of a terminal that has ended.
    pub(super) fn finish_recording(&mut self, stream: StreamId) {
        if let Some(recorder) = self.recorders.remove(&stream) {
            recorder.finish();
        }
    }
}

impl StreamHandler<RecordingMoved> for TunnelSession {
    fn handle(&mut self, moved: RecordingMoved, _: &mut Self::Context) {
        let RecordingMoved {
            stream,
            base,
            progress,
        } = moved;
        let step = match progress.failed {
            None => self.terminals.recorded(stream, base + progress.written),
            Some(why) => {
                // Where it has ended nobody cares any more.
                let Some(recorder) = self.recorders.remove(&stream) else {
                    return;
                };
                if recorder.rules().required {
                    let error = SessionError::NotRecorded(why);
                    self.terminals.cut_off(stream, &error.to_string())
                } else {
                    self.terminals.unrecorded(stream)
                }
            }
        };
        self.carry_out(step);
    }

    // The end of one recording's news is not the end of the session.
    fn finished(&mut self, _: &mut Self::Context) {}
}
