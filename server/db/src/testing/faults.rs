//! Operations with a fault of ours in their middle, for tests of what the pools make of one.

use diesel::sql_query;

use crate::{Db, DbError};

const CHANGE: &str = "DELETE FROM clients";

/// A transaction that changes rows and panics, on SQLite in its blocking thread.
pub async fn panic_in_a_writer(db: &Db) -> Result<(), DbError> {
    batch!(
        db,
        postgres | conn | {
            diesel_async::RunQueryDsl::execute(sql_query(CHANGE), conn).await?;
            if true {
                panic!("a fault of ours");
            }
            Ok(())
        },
        sqlite | conn | {
            diesel::RunQueryDsl::execute(sql_query(CHANGE), conn)?;
            if true {
                panic!("a fault of ours");
            }
            Ok(())
        },
    )
}

/// A reader that panics with its connection in hand.
pub async fn panic_in_a_reader(db: &Db) -> Result<i64, DbError> {
    query!(db, |conn| {
        let _in_use = &conn;
        if true {
            panic!("a fault of ours");
        }
        Ok::<i64, diesel::result::Error>(1)
    })
}

/// A transaction that panics between two statements.
pub async fn panic_in_a_transaction(db: &Db) -> Result<(), DbError> {
    transact!(db, |conn| {
        diesel_async::RunQueryDsl::execute(sql_query(CHANGE), conn).await?;
        if true {
            panic!("a fault of ours");
        }
        Ok(())
    })
}
