//! How a connection to PostgreSQL is opened, and the limits it asks the server to keep.

use std::time::Duration;

use bb8::ManageConnection;
use diesel_async::{AsyncConnection, SimpleAsyncConnection};

use super::DbError;
use super::pools::{PgConn, Slot};

/// The server ends what runs longer, so that nothing goes on there that nobody waits for.
const LIMITS: &str = "\
    SET application_name = 'gururmm-server';
    SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '60s';";

/// How long one attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// Opens a connection without limits on its statements, as migrations need it.
pub(super) async fn open(url: &str) -> Result<PgConn, DbError> {
    match tokio::time::timeout(CONNECT_LIMIT, PgConn::establish(url)).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(DbError::Unavailable(error.to_string())),
        Err(_elapsed) => Err(DbError::Unavailable("no answer within 4 s".to_owned())),
    }
}

/// Makes connections to one PostgreSQL database.
pub(super) struct PgManager {
    url: String,
}

impl PgManager {
    pub(super) fn new(url: String) -> Self {
        Self { url }
    }
}

impl ManageConnection for PgManager {
    type Connection = Slot<PgConn>;
    type Error = DbError;

    async fn connect(&self) -> Result<Self::Connection, DbError> {
        let mut conn = open(&self.url).await?;
        conn.batch_execute(LIMITS).await?;
        Ok(Slot::new(conn))
    }

    async fn is_valid(&self, slot: &mut Self::Connection) -> Result<(), DbError> {
        if slot.is_broken() {
            return Err(DbError::Unavailable(
                "the connection to the database is broken".to_owned(),
            ));
        }
        Ok(())
    }

    fn has_broken(&self, slot: &mut Self::Connection) -> bool {
        slot.is_broken()
    }
}
