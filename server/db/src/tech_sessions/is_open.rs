//! The condition `status IN ('active', 'ready')` with its values in the text of the query: neither
//! database uses a partial index where they are bound.

use diesel::backend::Backend;
use diesel::expression::{Expression, ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;

use crate::schema::tech_sessions;

/// Whether a session is not over.
#[derive(Debug, Clone, Copy, QueryId)]
pub(super) struct IsOpen;

impl Expression for IsOpen {
    type SqlType = Bool;
}

impl ValidGrouping<()> for IsOpen {
    type IsAggregate = is_aggregate::No;
}

impl AppearsOnTable<tech_sessions::table> for IsOpen {}

impl<DB: Backend> QueryFragment<DB> for IsOpen {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("tech_sessions.status IN ('active', 'ready')");
        Ok(())
    }
}
