//! Something that a test puts in the way of the server's writes: they fail, or they take long.

use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use crate::database::Database;
use crate::wait::{SOON, eventually};

/// Rows that SQLite counts while a write is held up, some two seconds' worth: nothing else can make
/// a statement of its wait, for it sees nothing that others do meanwhile.
const COUNTED: u32 = 6_000_000;

/// The advisory lock for which PostgreSQL waits; each database has its own.
const LOCK: i64 = 77;

/// A trigger in the way of one kind of write; others pass.
pub struct Obstacle {
    database: Database,
    table: String,
    holder: Option<Client>,
}

impl Obstacle {
    /// Makes writes fail: `event` on the rows of `table` for which `when` holds.
    pub async fn refusing(database: &Database, event: &str, table: &str, when: &str) -> Self {
        let statement = match database {
            Database::Sqlite(_) => format!(
                "CREATE TRIGGER obstacle BEFORE {event} ON {table} WHEN {when} \
                 BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
            ),
            Database::Postgres { .. } => {
                let trigger =
                    format!("BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE");
                function("RAISE EXCEPTION 'refused by the test'", &trigger)
            }
        };
        Self::put(database, table, &statement, None).await
    }

    /// Makes writes take long: on SQLite some seconds, on PostgreSQL until it is removed.
    pub async fn slowing(database: &Database, event: &str, table: &str, when: &str) -> Self {
        let (statement, holder) = match database {
            Database::Sqlite(_) => (
                format!(
                    "CREATE TRIGGER obstacle BEFORE {event} ON {table} WHEN {when} BEGIN \
                     SELECT (WITH RECURSIVE counted(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM \
                     counted WHERE x < {COUNTED}) SELECT count(*) FROM counted); END"
                ),
                None,
            ),
            Database::Postgres { url, .. } => {
                let trigger =
                    format!("BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE");
                (wait_for_lock(&trigger), Some(hold_lock(url).await))
            }
        };
        Self::put(database, table, &statement, holder).await
    }

    /// Makes every statement of this kind wait before it has touched a row, until the obstacle is
    /// removed; PostgreSQL only.
    pub async fn before_statements(database: &Database, event: &str, table: &str) -> Self {
        let trigger = format!("BEFORE {event} ON {table} FOR EACH STATEMENT EXECUTE");
        Self::holding(database, table, &wait_for_lock(&trigger)).await
    }

    /// Makes every commit of an insert into `table` wait until the obstacle is removed; PostgreSQL
    /// only.
    pub async fn at_commit(database: &Database, table: &str) -> Self {
        let trigger =
            format!("AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE");
        let statement =
            wait_for_lock(&trigger).replace("CREATE TRIGGER", "CREATE CONSTRAINT TRIGGER");
        Self::holding(database, table, &statement).await
    }

    async fn holding(database: &Database, table: &str, statement: &str) -> Self {
        let Database::Postgres { url, .. } = database else {
            unreachable!("asked for on PostgreSQL only")
        };
        let holder = Some(hold_lock(url).await);
        Self::put(database, table, statement, holder).await
    }

    async fn put(
        database: &Database,
        table: &str,
        statement: &str,
        holder: Option<Client>,
    ) -> Self {
        database.execute(statement).await.unwrap();
        Self {
            database: database.clone(),
            table: table.to_owned(),
            holder,
        }
    }

    /// Whether a write is held up now.
    pub async fn holds(&self) -> bool {
        match &self.database {
            // The one writer that SQLite has does not let go meanwhile.
            Database::Sqlite(_) => {
                let try_it = "PRAGMA busy_timeout = 0; BEGIN IMMEDIATE; ROLLBACK;";
                self.database.execute(try_it).await.is_err()
            }
            Database::Postgres { .. } => {
                let waiting = "SELECT CAST(count(*) AS TEXT) AS value FROM pg_locks \
                    WHERE locktype = 'advisory' AND NOT granted AND database = \
                    (SELECT oid FROM pg_database WHERE datname = current_database())";
                self.database.count(waiting).await > 0
            }
        }
    }

    /// Waits until a write is held up. On SQLite any writer looks like it for the moment of a commit:
    /// only one that stays is the one that was meant.
    pub async fn wait_holds(&self) {
        let looks = match &self.database {
            Database::Sqlite(_) => 12,
            Database::Postgres { .. } => 1,
        };
        eventually("a write is held up", SOON, || async {
            for _ in 0..looks {
                if !self.holds().await {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            Some(())
        })
        .await;
    }

    /// Lets everything pass again.
    pub async fn remove(self) {
        // What waits holds the table: it must be let go before the trigger can be dropped.
        if let Some(holder) = self.holder {
            let release = format!("SELECT pg_advisory_unlock({LOCK})");
            holder.batch_execute(&release).await.unwrap();
        }
        let statement = match &self.database {
            // What it holds up goes first, and on a busy machine that takes longer than others wait.
            Database::Sqlite(_) => "PRAGMA busy_timeout = 60000; DROP TRIGGER obstacle".to_owned(),
            Database::Postgres { .. } => format!("DROP TRIGGER obstacle ON {}", self.table),
        };
        self.database.execute(&statement).await.unwrap();
    }
}

fn function(body: &str, trigger: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION obstacle() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN {body}; RETURN NEW; END $$; \
         CREATE TRIGGER obstacle {trigger} FUNCTION obstacle()"
    )
}

fn wait_for_lock(trigger: &str) -> String {
    // Shared: what waited lets go at its end, and those behind it need not queue.
    let body = format!("PERFORM pg_advisory_xact_lock_shared({LOCK})");
    function(&body, trigger)
}

async fn hold_lock(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the private cluster runs");
    tokio::spawn(connection);
    let take = format!("SELECT pg_advisory_lock({LOCK})");
    client.batch_execute(&take).await.unwrap();
    client
}
