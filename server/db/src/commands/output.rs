//! What running commands have written so far, piece by piece, until their result replaces it.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use gururmm_shared::{AgentId, CommandId};

use crate::schema::{command_output, commands};
use crate::types::Bind;
use crate::{Db, DbError};

/// A piece of one stream of a running command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which command.
    pub command_id: CommandId,
    /// Which agent says so; pieces of another's command are dropped.
    pub agent_id: AgentId,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// Bytes of the stream before this piece.
    pub position: i64,
    /// The text.
    pub body: String,
}

/// What there is of a command's output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Keeps pieces of commands that run; repeated ones change nothing.
pub async fn append(db: &Db, pieces: Vec<Piece>) -> Result<(), DbError> {
    transact!(db, |conn| {
        for piece in pieces {
            let runs = commands::table
                .find(Bind(piece.command_id))
                .filter(commands::agent_id.eq(Bind(piece.agent_id)))
                .filter(commands::status.eq("running"))
                .select(commands::id);
            if runs.first::<CommandId>(conn).await.optional()?.is_none() {
                continue;
            }
            diesel::insert_into(command_output::table)
                .values((
                    command_output::command_id.eq(Bind(piece.command_id)),
                    command_output::stream.eq(piece.stream),
                    command_output::position.eq(piece.position),
                    command_output::body.eq(piece.body),
                ))
                .on_conflict_do_nothing()
                .execute(conn)
                .await?;
        }
        Ok(())
    })
}

/// What a command has written: all of it once it has ended, else what has come so far, with a mark
/// where a piece was lost. [`DbError::NotFound`] where there is no such command.
pub async fn output_of(db: &Db, id: CommandId) -> Result<Output, DbError> {
    let (stdout, stderr): (Option<String>, Option<String>) = query!(db, |conn| commands::table
        .find(Bind(id))
        .select((commands::stdout, commands::stderr))
        .first(conn)
        .await)?;
    if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
        return Ok(Output { stdout, stderr });
    }
    let rows: Vec<(String, i64, String)> = query!(db, |conn| command_output::table
        .filter(command_output::command_id.eq(Bind(id)))
        .order((command_output::stream, command_output::position))
        .select((
            command_output::stream,
            command_output::position,
            command_output::body
        ))
        .load(conn)
        .await)?;
    let mut output = Output::default();
    let mut ends = (0, 0);
    for (stream, position, body) in rows {
        let (text, end) = if stream == "stdout" {
            (&mut output.stdout, &mut ends.0)
        } else {
            (&mut output.stderr, &mut ends.1)
        };
        if position > *end {
            text.push_str("\n[not received]\n");
        }
        *end = position + i64::try_from(body.len()).unwrap_or(i64::MAX);
        text.push_str(&body);
    }
    Ok(output)
}
