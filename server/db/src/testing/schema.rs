//! Whether the schema in the code is that of the database.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::{Db, DbError, schema};

/// Selects every column of every table from no row: each table with how that went.
pub async fn select_every_column(db: &Db) -> Vec<(&'static str, Result<usize, DbError>)> {
    let mut results = Vec::new();
    macro_rules! select_all {
        ($($table:ident),*) => {$(
            let result = query!(db, |conn| schema::$table::table
                .select(schema::$table::all_columns)
                .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("1 = 0"))
                .execute(conn)
                .await);
            results.push((stringify!($table), result));
        )*};
    }
    select_all!(
        users,
        clients,
        sites,
        agents,
        agent_state,
        metrics,
        commands,
        agent_updates,
        alerts,
        policies,
        registration_tokens,
        watchdog_events,
        tech_sessions,
        tunnel_audit,
        inventory,
        inventory_software,
        inventory_users,
        inventory_entries,
        inventory_changes,
        maintenance_windows,
        notification_channels,
        notification_deliveries,
        user_clients,
        user_sites,
        user_places,
        api_keys,
        metrics_1m,
        metrics_1h,
        metrics_rollups,
        agent_approvals,
        audit_log,
        audit_unsealed,
        audit_seals,
        audit_acts,
        recordings,
        releases,
        rollouts
    );
    results
}
