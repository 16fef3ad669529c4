//! The expression by which agents are sorted that may never have said anything: the same text as in
//! the index `agents_by_last_seen`, for neither database uses the index where it differs.

use diesel::expression::{Expression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sqlite::Sqlite;

use crate::schema::agents;
use crate::types::Timestamptz;

/// When an agent was last seen, 1970 where it never was.
#[derive(Debug, Clone, Copy, QueryId)]
pub(super) struct LastSeen;

impl Expression for LastSeen {
    type SqlType = Timestamptz;
}

impl ValidGrouping<()> for LastSeen {
    type IsAggregate = is_aggregate::No;
}

impl<Table> AppearsOnTable<Table> for LastSeen where agents::id: AppearsOnTable<Table> {}

impl QueryFragment<Pg> for LastSeen {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("coalesce(agents.last_seen_at, timestamptz '1970-01-01 00:00:00+00')");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for LastSeen {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("coalesce(agents.last_seen_at, 0)");
        Ok(())
    }
}
