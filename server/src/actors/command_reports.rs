//! What agents said of their commands and is not kept yet; bounded, and kept in one go.

use std::collections::HashMap;

use actix::Recipient;
use gururmm_shared::{AgentId, CommandId, CommandOutput, CommandResult};

use super::command_messages::CommandReport;
use super::connection_messages::ToConnection;
use crate::db::commands::{self, Finish, Piece, Settled};
use crate::db::{Db, DbError};
use crate::domain::command_state::Verdict;
use crate::domain::text::printable;
use crate::services::audit::now;

/// Ends that wait; an agent tells one that was dropped again.
const MOST_ENDS: usize = 1000;
/// Bytes of the ends that wait.
const MOST_BYTES: usize = 64 << 20;
/// Pieces of live output that wait.
const MOST_PIECES: usize = 1000;
/// Live output that is kept of a command.
const LIVE_BYTES: usize = 1 << 20;
/// Commands of which it is remembered how much live output they had.
const MOST_LIVE: usize = 100_000;
/// Bytes of one stream of a result that are kept: a column holds as many characters.
const STREAM_BYTES: usize = 1 << 20;
/// Stands where output was cut off.
const CUT: &str = "\n[truncated]\n";

/// The end of a command and who is to hear that it was kept.
pub(super) struct End {
    finish: Finish,
    connection: Recipient<ToConnection>,
}

/// What is kept in one go.
#[derive(Default)]
pub(super) struct ReportBatch {
    ends: Vec<End>,
    pieces: Vec<Piece>,
}

/// What waits to be kept.
#[derive(Default)]
pub(super) struct Reports {
    waiting: ReportBatch,
    bytes: usize,
    live: HashMap<CommandId, usize>,
}

impl Reports {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.ends.is_empty() && self.waiting.pieces.is_empty()
    }

    pub(super) fn take(&mut self) -> ReportBatch {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// The live output of a command that has ended needs no more counting.
    pub(super) fn forget(&mut self, id: CommandId) {
        self.live.remove(&id);
    }

    pub(super) fn push(&mut self, report: CommandReport) {
        match report {
            CommandReport::Output(agent_id, output) => self.push_output(agent_id, output),
            CommandReport::Result(agent_id, result, connection) => {
                let size = result.stdout.len() + result.stderr.len();
                if self.waiting.ends.len() >= MOST_ENDS || self.bytes + size > MOST_BYTES {
                    metrics::counter!("gururmm_command_results_put_off_total").increment(1);
                    return;
                }
                self.bytes += size;
                let finish = finish(agent_id, result);
                self.waiting.ends.push(End { finish, connection });
            }
        }
    }

    fn push_output(&mut self, agent_id: AgentId, output: CommandOutput) {
        if output.stdout.len() + output.stderr.len() > CommandOutput::MAX_BYTES {
            return;
        }
        let streams = [
            ("stdout", output.stdout_offset, output.stdout),
            ("stderr", output.stderr_offset, output.stderr),
        ];
        for (stream, offset, text) in streams {
            let Ok(position) = i64::try_from(offset) else {
                continue;
            };
            if text.is_empty() || self.waiting.pieces.len() >= MOST_PIECES {
                continue;
            }
            if self.live.len() >= MOST_LIVE {
                self.live.clear();
            }
            let kept = self.live.entry(output.id).or_default();
            if *kept > LIVE_BYTES {
                continue;
            }
            *kept += text.len();
            // What does not fit is not kept; that there was more is said once.
            let body = if *kept > LIVE_BYTES {
                CUT.to_owned()
            } else {
                printable(&text)
            };
            self.waiting.pieces.push(Piece {
                command_id: output.id,
                agent_id,
                stream,
                position,
                body,
            });
        }
    }
}

/// The end of a command as it can be kept.
#[must_use]
pub fn finish(agent_id: AgentId, result: CommandResult) -> Finish {
    let verdict = Verdict::of(&result);
    Finish {
        id: result.id,
        agent_id,
        status: verdict.status.name(),
        reason: verdict.reason,
        outcome: verdict.outcome(),
        exit_code: verdict.exit_code,
        stdout: kept(&result.stdout),
        stderr: kept(&result.stderr),
        duration_ms: i64::try_from(result.duration_ms).unwrap_or(i64::MAX),
    }
}

/// A stream as a column can hold it.
fn kept(text: &str) -> String {
    if text.len() <= STREAM_BYTES {
        return printable(text);
    }
    let mut end = STREAM_BYTES - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    printable(&text[..end]) + CUT
}

/// Keeps a batch; tells which ends may be acknowledged. What could not be kept is not among them: its
/// agent tells it again.
pub(super) async fn settle(
    db: &Db,
    batch: ReportBatch,
) -> Vec<(AgentId, CommandId, Recipient<ToConnection>)> {
    if !batch.pieces.is_empty()
        && let Err(error) = commands::append(db, batch.pieces).await
    {
        tracing::warn!(%error, "live output cannot be kept");
    }
    let mut kept = Vec::with_capacity(batch.ends.len());
    let ends: Vec<Finish> = batch.ends.iter().map(|end| end.finish.clone()).collect();
    match finish_all(db, ends).await {
        Ok(settled) => {
            for (end, settled) in batch.ends.into_iter().zip(settled) {
                note(&end.finish, settled);
                kept.push((end.finish.agent_id, end.finish.id, end.connection));
            }
        }
        Err(error) if batch.ends.len() == 1 || matches!(error, DbError::Unavailable(_)) => {
            tracing::error!(%error, "the ends of commands cannot be kept; their agents tell them again");
        }
        // One that cannot be kept must not hold up the others.
        Err(_) => {
            for end in batch.ends {
                match finish_all(db, vec![end.finish.clone()]).await {
                    Ok(settled) => {
                        if let Some(settled) = settled.first() {
                            note(&end.finish, *settled);
                        }
                        kept.push((end.finish.agent_id, end.finish.id, end.connection));
                    }
                    Err(error) => {
                        tracing::error!(%error, command.id = %end.finish.id, "the end of a command cannot be kept");
                    }
                }
            }
        }
    }
    kept
}

async fn finish_all(db: &Db, ends: Vec<Finish>) -> Result<Vec<Settled>, DbError> {
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    commands::finish(db, ends, now()).await
}

fn note(end: &Finish, settled: Settled) {
    match settled {
        Settled::Ended => {
            metrics::counter!("gururmm_commands_ended_total", "outcome" => end.outcome)
                .increment(1);
            tracing::info!(command.id = %end.id, agent.id = %end.agent_id, outcome = end.outcome, "a command has ended");
        }
        Settled::Late => {
            tracing::info!(command.id = %end.id, "a result came again, or after its command was given up");
        }
        Settled::Unknown => {
            tracing::warn!(command.id = %end.id, agent.id = %end.agent_id, "the result of no known command");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_stream_is_within_its_limit_and_marked() {
        assert_eq!(kept("a\0b"), "a\u{fffd}b");
        let long = "é".repeat(STREAM_BYTES);
        let cut = kept(&long);
        assert!(cut.len() <= STREAM_BYTES && cut.ends_with(CUT));
        let exact = "x".repeat(STREAM_BYTES);
        assert_eq!(kept(&exact), exact);
    }

    #[test]
    fn live_output_is_bounded_for_each_command_and_in_all() {
        let mut reports = Reports::default();
        let agent_id = AgentId::generate();
        let id = CommandId::generate();
        let piece = "x".repeat(CommandOutput::MAX_BYTES);
        for index in 0..100 {
            reports.push(CommandReport::Output(
                agent_id,
                CommandOutput {
                    id,
                    stdout_offset: index * piece.len() as u64,
                    stdout: piece.clone(),
                    stderr_offset: 0,
                    stderr: String::new(),
                },
            ));
        }
        let most = LIVE_BYTES / CommandOutput::MAX_BYTES;
        assert_eq!(reports.waiting.pieces.len(), most + 1);
        assert_eq!(reports.waiting.pieces[most].body, CUT);
        for _ in 0..2000 {
            reports.push(CommandReport::Output(
                agent_id,
                CommandOutput {
                    id: CommandId::generate(),
                    stdout_offset: 0,
                    stdout: "x".to_owned(),
                    stderr_offset: 0,
                    stderr: String::new(),
                },
            ));
        }
        assert_eq!(reports.waiting.pieces.len(), MOST_PIECES);
    }
}
