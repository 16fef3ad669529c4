//! One body, both databases: each macro writes the query once and compiles it for either connection
//! type. Every one runs on the database's own runtime and is done whether or not its caller waits.
//!
//! - `query!` reads · `exec!` is one writing statement · `transact!` a transaction
//! - `batch!` a transaction whose SQLite side is one hop to a blocking thread
//! - `insert_batch!` many rows of a table whose rows belong to agents
//! - `ops!` steps that compose inside a transaction
//! - `sorts!` declares the orders of a list; `keyset!` and `within!` order, cut and scope its query

/// Runs one reading statement: `query!(db, |conn| table.load(conn).await)`.
macro_rules! query {
    ($db:expr, |$conn:ident| $body:expr) => {{
        let inner = $db.inner();
        $db.run(async move {
            match &inner.pools {
                $crate::pools::Pools::Postgres(pool) => {
                    let mut slot = $crate::pools::lease(pool).await?;
                    let $conn: &mut $crate::pools::PgConn = slot.begin();
                    let result = async { $body }.await;
                    slot.settle(result.map_err($crate::DbError::from))
                }
                $crate::pools::Pools::Sqlite { read, .. } => {
                    let mut slot = $crate::pools::lease(read).await?;
                    let $conn: &mut $crate::pools::LiteConn = slot.begin();
                    let result = async { $body }.await;
                    slot.settle(result.map_err($crate::DbError::from))
                }
            }
        })
        .await
    }};
}

/// Runs one writing statement, on SQLite in its turn: `exec!(db, |conn| insert.execute(conn).await)`.
macro_rules! exec {
    ($db:expr, |$conn:ident| $body:expr) => {{
        let inner = $db.inner();
        $db.run(async move {
            match &inner.pools {
                $crate::pools::Pools::Postgres(pool) => {
                    let mut slot = $crate::pools::lease(pool).await?;
                    let $conn: &mut $crate::pools::PgConn = slot.begin();
                    let result = async { $body }.await;
                    slot.settle(result.map_err($crate::DbError::from))
                }
                $crate::pools::Pools::Sqlite { write, turn, .. } => {
                    let _turn = $crate::pools::take_turn(turn).await?;
                    let mut slot = $crate::pools::lease(write).await?;
                    let $conn: &mut $crate::pools::LiteConn = slot.begin();
                    let result = async { $body }.await;
                    slot.settle(result.map_err($crate::DbError::from))
                }
            }
        })
        .await
    }};
}

/// Runs a transaction: `transact!(db, |conn| { …?; Ok(value) })`. An error rolls it back.
macro_rules! transact {
    ($db:expr, |$conn:ident| $body:expr) => {{
        let inner = $db.inner();
        $db.run(async move {
            match &inner.pools {
                $crate::pools::Pools::Postgres(pool) => {
                    let mut slot = $crate::pools::lease(pool).await?;
                    let conn: &mut $crate::pools::PgConn = slot.begin();
                    let result = diesel_async::AsyncConnection::transaction(
                        conn,
                        async move |$conn: &mut $crate::pools::PgConn| -> Result<_, $crate::DbError> { $body },
                    )
                    .await;
                    slot.settle(result)
                }
                $crate::pools::Pools::Sqlite { write, turn, .. } => {
                    let _turn = $crate::pools::take_turn(turn).await?;
                    let mut slot = $crate::pools::lease(write).await?;
                    let conn: &mut $crate::pools::LiteConn = slot.begin();
                    let result = conn
                        .immediate_transaction(
                            async move |$conn: &mut $crate::pools::LiteConn| -> Result<_, $crate::DbError> { $body },
                        )
                        .await;
                    slot.settle(result)
                }
            }
        })
        .await
    }};
}

/// Runs a transaction over many rows: on PostgreSQL as `transact!`, on SQLite as one closure over
/// the blocking connection, which costs one change of thread instead of one for each row.
macro_rules! batch {
    ($db:expr, postgres |$pg:ident| $pg_body:expr, sqlite |$lite:ident| $lite_body:expr $(,)?) => {{
        let inner = $db.inner();
        $db.run(async move {
            match &inner.pools {
                $crate::pools::Pools::Postgres(pool) => {
                    let mut slot = $crate::pools::lease(pool).await?;
                    let conn: &mut $crate::pools::PgConn = slot.begin();
                    let result = diesel_async::AsyncConnection::transaction(
                        conn,
                        async move |$pg: &mut $crate::pools::PgConn| -> Result<_, $crate::DbError> {
                            $pg_body
                        },
                    )
                    .await;
                    slot.settle(result)
                }
                $crate::pools::Pools::Sqlite { write, turn, .. } => {
                    let _turn = $crate::pools::take_turn(turn).await?;
                    let mut slot = $crate::pools::lease(write).await?;
                    let conn: &mut $crate::pools::LiteConn = slot.begin();
                    let result = conn
                        .spawn_blocking(move |conn| {
                            conn.immediate_transaction(
                                |$lite: &mut diesel::SqliteConnection| -> diesel::QueryResult<_> {
                                    $lite_body
                                },
                            )
                        })
                        .await;
                    slot.settle(result.map_err($crate::DbError::from))
                }
            }
        })
        .await
    }};
}

/// Inserts many rows that each have an `agent_id`, leaving out those of agents that are gone:
/// `insert_batch!(db, table, rows, then more, |values| insert_into(other).values(values)…)`.
/// PostgreSQL takes 65,535 binds a statement, so rows go in chunks; `then` makes rows of another
/// table from those that were kept and writes them in the same transaction.
macro_rules! insert_batch {
    ($db:expr, $table:expr, $rows:expr $(, then $more:path, |$values:ident| $insert:expr)?) => {{
        let rows = $rows;
        let ids = $crate::agents::distinct(rows.iter().map(|row| row.agent_id.0));
        batch!(
            $db,
            postgres |conn| {
                let alive = $crate::agents::alive(conn, ids).await?;
                let rows: Vec<_> =
                    rows.into_iter().filter(|row| alive.contains(&row.agent_id.0)).collect();
                for chunk in rows.chunks($crate::pools::ROWS_PER_STATEMENT) {
                    let insert = diesel::insert_into($table).values(chunk);
                    diesel_async::RunQueryDsl::execute(insert, conn).await?;
                }
                $(
                    for $values in $more(&rows).chunks($crate::pools::ROWS_PER_STATEMENT) {
                        diesel_async::RunQueryDsl::execute($insert, conn).await?;
                    }
                )?
                Ok(rows.len())
            },
            sqlite |conn| {
                let alive = $crate::agents::alive_blocking(conn, &ids)?;
                let rows: Vec<_> =
                    rows.into_iter().filter(|row| alive.contains(&row.agent_id.0)).collect();
                for row in &rows {
                    diesel::RunQueryDsl::execute(diesel::insert_into($table).values(row), conn)?;
                }
                $(
                    for $values in &$more(&rows) {
                        diesel::RunQueryDsl::execute($insert, conn)?;
                    }
                )?
                Ok(rows.len())
            },
        )
    }};
}

/// Declares steps for use inside `transact!`, one body implemented for both connection types.
macro_rules! ops {
    ($(#[$doc:meta])* trait $name:ident {
        $($(#[$fn_doc:meta])* async fn $fn:ident(&mut $conn:ident $(, $arg:ident: $ty:ty)* $(,)?) -> $out:ty $body:block)+
    }) => {
        $(#[$doc])*
        pub(super) trait $name {
            $($(#[$fn_doc])* fn $fn(&mut self $(, $arg: $ty)*) -> impl Future<Output = $out> + Send;)+
        }

        impl $name for $crate::pools::PgConn {
            $(async fn $fn(&mut self $(, $arg: $ty)*) -> $out { let $conn = self; $body })+
        }

        impl $name for $crate::pools::LiteConn {
            $(async fn $fn(&mut self $(, $arg: $ty)*) -> $out { let $conn = self; $body })+
        }
    };
}

/// The condition that an agent's site, joined in the query, is within a scope's clients or sites.
macro_rules! covered {
    ($clients:expr, $sites:expr) => {
        $crate::schema::sites::client_id
            .nullable()
            .eq_any($clients.into_iter().map(|id| Some(Bind(id))))
            .assume_not_null()
            .or($crate::schema::agents::site_id
                .eq_any($sites.into_iter().map(|id| Some(Bind(id))))
                .assume_not_null())
    };
}

/// Orders a boxed query and begins it after a row: `keyset!(rows, page, column, id, Id, text)` by a
/// text, `…, time)` by a time. The bound on the column alone is what an index can use.
macro_rules! keyset {
    ($query:ident, $page:expr, $column:expr, $id:expr, $newtype:path, text) => {
        keyset!(@by $query, $page, $column, $id, $newtype, |value| value.text())
    };
    ($query:ident, $page:expr, $column:expr, $id:expr, $newtype:path, time) => {
        keyset!(@by $query, $page, $column, $id, $newtype, |value| $crate::types::Bind(value.time()))
    };
    (@by $query:ident, $page:expr, $column:expr, $id:expr, $newtype:path, |$value:ident| $bind:expr) => {{
        if $page.descending {
            $query = $query.order(($column.desc(), $id.desc()));
            if let Some(($value, id)) = &$page.after {
                let (value, id) = ($bind, $crate::types::Bind($newtype(*id)));
                $query = $query
                    .filter($column.le(value.clone()))
                    .filter($column.lt(value).or($id.lt(id)));
            }
        } else {
            $query = $query.order(($column.asc(), $id.asc()));
            if let Some(($value, id)) = &$page.after {
                let (value, id) = ($bind, $crate::types::Bind($newtype(*id)));
                $query = $query
                    .filter($column.ge(value.clone()))
                    .filter($column.gt(value).or($id.gt(id)));
            }
        }
        $query = $query.limit($page.limit.max(0));
    }};
}

/// Keeps a boxed query's rows to a scope: `within!(rows, scope, client, site)`, or without the site
/// where the rows belong to clients as a whole.
macro_rules! within {
    ($query:ident, $scope:expr, $client:expr, $site:expr) => {
        if let gururmm_domain::scope::Scope::Only { clients, sites } = $scope {
            let clients: Vec<_> = clients.iter().copied().map($crate::types::Bind).collect();
            let sites: Vec<_> = sites.iter().copied().map($crate::types::Bind).collect();
            $query = $query.filter($client.eq_any(clients).or($site.eq_any(sites)));
        }
    };
    ($query:ident, $scope:expr, $client:expr) => {
        if let gururmm_domain::scope::Scope::Only { clients, .. } = $scope {
            let clients: Vec<_> = clients.iter().copied().map($crate::types::Bind).collect();
            $query = $query.filter($client.eq_any(clients));
        }
    };
}

/// Keeps a boxed query's rows to those whose target, a client, a site or an agent, is within a scope;
/// what is for all agents is for all to see.
macro_rules! within_targets {
    ($query:ident, $scope:expr, $client:expr, $site:expr, $agent:expr) => {
        if let gururmm_domain::scope::Scope::Only {
            clients,
            sites: single,
        } = $scope
        {
            use $crate::schema::{agents, sites};
            let binds = || clients.iter().copied().map($crate::types::Bind);
            let singles = || single.iter().copied().map($crate::types::Bind);
            let own_sites = sites::table
                .filter(
                    sites::client_id
                        .eq_any(binds())
                        .or(sites::id.eq_any(singles())),
                )
                .select(sites::id.nullable());
            let own_agents = agents::table
                .inner_join(sites::table)
                .filter(
                    sites::client_id
                        .eq_any(binds())
                        .or(sites::id.eq_any(singles())),
                )
                .select(agents::id.nullable());
            let of_all = $client.is_null().and($site.is_null()).and($agent.is_null());
            $query = $query.filter(
                of_all
                    .or($client.eq_any(binds()).assume_not_null())
                    .or($site.eq_any(own_sites).assume_not_null())
                    .or($agent.eq_any(own_agents).assume_not_null()),
            );
        }
    };
}

/// Declares the orders of a list, the first of which is the default: `sorts! { /// …
/// ClientSort, newest first: false { /// … Name = "name" (text), … } }`.
macro_rules! sorts {
    (@is_time time) => { true };
    (@is_time text) => { false };
    ($(#[$doc:meta])* $name:ident, newest first: $newest:literal {
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal ($kind:ident),)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $crate::page::SortKey for $name {
            const KEYS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];
            const NEWEST_FIRST: bool = $newest;

            fn is_time(self) -> bool {
                match self {
                    $(Self::$variant => sorts!(@is_time $kind),)+
                }
            }
        }
    };
}
