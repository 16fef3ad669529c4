//! Somebody's scope as a filter: only what belongs to their clients and sites.

/// Narrows a boxed query that joins `sites` to a scope. It must come before every other filter, for
/// it is put together with `or`.
macro_rules! within_joined_sites {
    ($query:ident, $scope:expr) => {
        if let gururmm_domain::scope::Scope::Only { clients, sites } = $scope {
            let nowhere = diesel::dsl::sql::<diesel::sql_types::Bool>("1 = 0");
            $query = $query.filter(nowhere);
            for id in clients {
                let client = $crate::schema::sites::client_id.nullable();
                $query = $query.or_filter(client.eq($crate::types::Bind(*id)));
            }
            for id in sites {
                let site = $crate::schema::sites::id.nullable();
                $query = $query.or_filter(site.eq($crate::types::Bind(*id)));
            }
        }
    };
}
