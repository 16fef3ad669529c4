//! The tables as diesel knows them, for both databases: what `migrations/` makes. Kept by hand, in
//! the shape that `diesel print-schema` prints; the portable types of `types` stand for the native.

macro_rules! table {
    ($($body:tt)*) => {
        diesel::table! {
            use crate::types::{Jsonb, SessionText, Timestamptz, Uuid};
            use diesel::sql_types::*;

            $($body)*
        }
    };
}

table! {
    users (id) {
        id -> Uuid,
        email -> Text,
        name -> Text,
        password_hash -> Text,
        role -> Text,
        disabled -> Bool,
        token_version -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        last_login_at -> Nullable<Timestamptz>,
        scoped -> Bool,
    }
}

table! {
    idempotency_keys (user_id, key) {
        user_id -> Uuid,
        key -> Text,
        fingerprint -> Binary,
        subject -> Uuid,
        run -> Uuid,
        created_at -> Timestamptz,
        status -> Nullable<Int4>,
        body -> Nullable<Text>,
    }
}

table! {
    clients (id) {
        id -> Uuid,
        name -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    sites (id) {
        id -> Uuid,
        client_id -> Uuid,
        name -> Text,
        site_code -> Text,
        api_key_hash -> Bytea,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    agents (id) {
        id -> Uuid,
        site_id -> Nullable<Uuid>,
        device_id -> Text,
        hostname -> Text,
        os_family -> Text,
        os_name -> Text,
        os_version -> Text,
        os_arch -> Text,
        agent_version -> Nullable<Text>,
        previous_version -> Nullable<Text>,
        protocol -> Int4,
        capabilities -> Jsonb,
        key_hash -> Nullable<Bytea>,
        key_used_at -> Nullable<Timestamptz>,
        enrollment_nonce_hash -> Nullable<Bytea>,
        first_generation -> Bool,
        status -> Text,
        last_seen_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    agent_state (agent_id) {
        agent_id -> Uuid,
        cpu_percent -> Nullable<Float8>,
        memory_used_bytes -> Nullable<Int8>,
        memory_total_bytes -> Nullable<Int8>,
        disk_used_bytes -> Nullable<Int8>,
        disk_total_bytes -> Nullable<Int8>,
        network_rx_bytes -> Nullable<Int8>,
        network_tx_bytes -> Nullable<Int8>,
        uptime_seconds -> Nullable<Int8>,
        metrics_at -> Nullable<Timestamptz>,
        network -> Nullable<Jsonb>,
        network_hash -> Nullable<Text>,
        network_at -> Nullable<Timestamptz>,
        updated_at -> Timestamptz,
    }
}

table! {
    metrics (id) {
        id -> Int8,
        agent_id -> Uuid,
        recorded_at -> Timestamptz,
        reported_at -> Nullable<Timestamptz>,
        cpu_percent -> Nullable<Float8>,
        memory_used_bytes -> Nullable<Int8>,
        memory_total_bytes -> Nullable<Int8>,
        disk_used_bytes -> Nullable<Int8>,
        disk_total_bytes -> Nullable<Int8>,
        network_rx_bytes -> Nullable<Int8>,
        network_tx_bytes -> Nullable<Int8>,
        uptime_seconds -> Nullable<Int8>,
    }
}

table! {
    watchdog_events (id) {
        id -> Int8,
        agent_id -> Uuid,
        service -> Text,
        event -> Text,
        message -> Nullable<Text>,
        reported_at -> Nullable<Timestamptz>,
        recorded_at -> Timestamptz,
    }
}

table! {
    agent_updates (id) {
        id -> Int8,
        agent_id -> Uuid,
        from_version -> Nullable<Text>,
        to_version -> Text,
        status -> Text,
        error -> Nullable<Text>,
        created_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
        rollout_id -> Nullable<Uuid>,
        release_id -> Nullable<Uuid>,
        wave -> Nullable<Int4>,
        sent_at -> Nullable<Timestamptz>,
        code -> Nullable<Text>,
        attempts -> Int4,
        not_before -> Nullable<Timestamptz>,
    }
}

table! {
    commands (id) {
        id -> Uuid,
        agent_id -> Uuid,
        created_by -> Nullable<Uuid>,
        command_type -> Text,
        command -> Text,
        parameters -> Nullable<Jsonb>,
        timeout_seconds -> Int4,
        elevated -> Bool,
        status -> Text,
        reason -> Nullable<Text>,
        exit_code -> Nullable<Int4>,
        stdout -> Nullable<Text>,
        stderr -> Nullable<Text>,
        duration_ms -> Nullable<Int8>,
        created_at -> Timestamptz,
        sent_at -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
        expires_at -> Nullable<Timestamptz>,
        job_id -> Nullable<Uuid>,
        attempts -> Int4,
        cancel_requested_at -> Nullable<Timestamptz>,
        sent_in_poll -> Nullable<Text>,
        script -> Nullable<Jsonb>,
        arguments -> Nullable<Jsonb>,
        key_id -> Nullable<Uuid>,
    }
}

table! {
    command_output (command_id, stream, position) {
        command_id -> Uuid,
        stream -> Text,
        position -> Int8,
        body -> Text,
    }
}

table! {
    jobs (id) {
        id -> Uuid,
        name -> Text,
        created_by -> Nullable<Uuid>,
        command_type -> Text,
        command -> Text,
        parameters -> Nullable<Jsonb>,
        timeout_seconds -> Int4,
        elevated -> Bool,
        filter -> Jsonb,
        created_at -> Timestamptz,
        cancelled_at -> Nullable<Timestamptz>,
        script -> Nullable<Jsonb>,
        arguments -> Nullable<Jsonb>,
    }
}

table! {
    alerts (id) {
        id -> Uuid,
        agent_id -> Nullable<Uuid>,
        site_id -> Nullable<Uuid>,
        kind -> Text,
        severity -> Text,
        status -> Text,
        message -> Text,
        opened_at -> Timestamptz,
        acknowledged_at -> Nullable<Timestamptz>,
        acknowledged_by -> Nullable<Uuid>,
        resolved_at -> Nullable<Timestamptz>,
        snoozed_until -> Nullable<Timestamptz>,
        resolved_by -> Nullable<Uuid>,
    }
}

table! {
    policies (id) {
        id -> Uuid,
        name -> Text,
        client_id -> Nullable<Uuid>,
        site_id -> Nullable<Uuid>,
        agent_id -> Nullable<Uuid>,
        settings -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    registration_tokens (id) {
        id -> Uuid,
        site_id -> Uuid,
        token_hash -> Bytea,
        expires_at -> Timestamptz,
        uses_left -> Nullable<Int4>,
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        name -> Nullable<Text>,
        approval_required -> Bool,
        uses -> Int4,
    }
}

table! {
    tech_sessions (id) {
        id -> Int4,
        session_id -> SessionText,
        tech_id -> Uuid,
        agent_id -> Uuid,
        opened_at -> Timestamptz,
        last_activity -> Timestamptz,
        closed_at -> Nullable<Timestamptz>,
        status -> Text,
        close_reason -> Nullable<Text>,
    }
}

table! {
    tunnel_audit (id) {
        id -> Uuid,
        at -> Timestamptz,
        action -> Text,
        user_id -> Nullable<Uuid>,
        user_email -> Text,
        agent_id -> Nullable<Uuid>,
        agent_hostname -> Nullable<Text>,
        session_id -> Nullable<SessionText>,
        command_id -> Nullable<Uuid>,
        channel_id -> Nullable<Text>,
        detail -> Text,
        remote_addr -> Text,
        request_id -> Text,
        outcome -> Nullable<Text>,
        exit_code -> Nullable<Int4>,
        ended_at -> Nullable<Timestamptz>,
        key_id -> Nullable<Uuid>,
        before -> Nullable<Text>,
        bytes -> Nullable<Int8>,
    }
}

table! {
    user_clients (user_id, client_id) {
        user_id -> Uuid,
        client_id -> Uuid,
    }
}

table! {
    user_sites (user_id, site_id) {
        user_id -> Uuid,
        site_id -> Uuid,
    }
}

// A view over the two tables before; it has no key.
table! {
    user_places (user_id) {
        user_id -> Uuid,
        client_id -> Nullable<Uuid>,
        site_id -> Nullable<Uuid>,
    }
}

table! {
    api_keys (id) {
        id -> Uuid,
        user_id -> Uuid,
        name -> Text,
        key_hash -> Bytea,
        role -> Text,
        scope -> Nullable<Jsonb>,
        created_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
    }
}

table! {
    metrics_1m (agent_id, at) {
        agent_id -> Uuid,
        at -> Timestamptz,
        samples -> Int8,
        cpu_avg -> Nullable<Float8>,
        cpu_min -> Nullable<Float8>,
        cpu_max -> Nullable<Float8>,
        memory_used_avg -> Nullable<Float8>,
        memory_used_min -> Nullable<Int8>,
        memory_used_max -> Nullable<Int8>,
        memory_total_bytes -> Nullable<Int8>,
        disk_used_avg -> Nullable<Float8>,
        disk_used_min -> Nullable<Int8>,
        disk_used_max -> Nullable<Int8>,
        disk_total_bytes -> Nullable<Int8>,
        network_rx_avg -> Nullable<Float8>,
        network_rx_min -> Nullable<Int8>,
        network_rx_max -> Nullable<Int8>,
        network_tx_avg -> Nullable<Float8>,
        network_tx_min -> Nullable<Int8>,
        network_tx_max -> Nullable<Int8>,
    }
}

table! {
    metrics_1h (agent_id, at) {
        agent_id -> Uuid,
        at -> Timestamptz,
        samples -> Int8,
        cpu_avg -> Nullable<Float8>,
        cpu_min -> Nullable<Float8>,
        cpu_max -> Nullable<Float8>,
        memory_used_avg -> Nullable<Float8>,
        memory_used_min -> Nullable<Int8>,
        memory_used_max -> Nullable<Int8>,
        memory_total_bytes -> Nullable<Int8>,
        disk_used_avg -> Nullable<Float8>,
        disk_used_min -> Nullable<Int8>,
        disk_used_max -> Nullable<Int8>,
        disk_total_bytes -> Nullable<Int8>,
        network_rx_avg -> Nullable<Float8>,
        network_rx_min -> Nullable<Int8>,
        network_rx_max -> Nullable<Int8>,
        network_tx_avg -> Nullable<Float8>,
        network_tx_min -> Nullable<Int8>,
        network_tx_max -> Nullable<Int8>,
    }
}

table! {
    metrics_rollups (step) {
        step -> Text,
        done_until -> Timestamptz,
    }
}

diesel::joinable!(sites -> clients (client_id));
diesel::joinable!(agents -> sites (site_id));
diesel::joinable!(agent_state -> agents (agent_id));
diesel::joinable!(commands -> agents (agent_id));
diesel::joinable!(command_output -> commands (command_id));
diesel::joinable!(tech_sessions -> agents (agent_id));
diesel::joinable!(tech_sessions -> users (tech_id));
diesel::joinable!(user_places -> users (user_id));
diesel::joinable!(api_keys -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    agent_state,
    agents,
    api_keys,
    clients,
    command_output,
    commands,
    jobs,
    sites,
    tech_sessions,
    tunnel_audit,
    user_places,
    users,
);

table! {
    inventory (agent_id) {
        agent_id -> Uuid,
        hash -> Text,
        data -> Jsonb,
        received_at -> Timestamptz,
        indexed -> Bool,
    }
}

table! {
    inventory_software (agent_id, name, version) {
        agent_id -> Uuid,
        name -> Text,
        version -> Text,
    }
}

table! {
    inventory_users (agent_id, name, terminal) {
        agent_id -> Uuid,
        name -> Text,
        terminal -> Text,
    }
}

table! {
    inventory_entries (agent_id, section, name, detail) {
        agent_id -> Uuid,
        section -> Text,
        name -> Text,
        detail -> Text,
    }
}

table! {
    inventory_changes (id) {
        id -> Int8,
        agent_id -> Uuid,
        at -> Timestamptz,
        section -> Text,
        change -> Text,
        key -> Text,
        before -> Nullable<Jsonb>,
        after -> Nullable<Jsonb>,
    }
}

table! {
    maintenance_windows (id) {
        id -> Uuid,
        client_id -> Nullable<Uuid>,
        site_id -> Nullable<Uuid>,
        agent_id -> Nullable<Uuid>,
        starts_at -> Timestamptz,
        ends_at -> Timestamptz,
        reason -> Text,
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
    }
}

table! {
    notification_channels (id) {
        id -> Uuid,
        name -> Text,
        kind -> Text,
        target -> Text,
        secret -> Nullable<Text>,
        min_severity -> Text,
        client_id -> Nullable<Uuid>,
        enabled -> Bool,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    notification_deliveries (id) {
        id -> Uuid,
        channel_id -> Uuid,
        alert_id -> Nullable<Uuid>,
        event -> Text,
        payload -> Jsonb,
        status -> Text,
        attempts -> Int4,
        next_at -> Timestamptz,
        last_error -> Nullable<Text>,
        created_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
    }
}

table! {
    agent_approvals (agent_id) {
        agent_id -> Uuid,
        token_id -> Nullable<Uuid>,
        requested_at -> Timestamptz,
    }
}

diesel::joinable!(agent_approvals -> agents (agent_id));
diesel::joinable!(alerts -> agents (agent_id));
diesel::joinable!(inventory_software -> agents (agent_id));
diesel::joinable!(inventory_entries -> agents (agent_id));
diesel::joinable!(registration_tokens -> sites (site_id));

diesel::allow_tables_to_appear_in_same_query!(inventory_software, agents);
diesel::allow_tables_to_appear_in_same_query!(inventory_software, sites);
diesel::allow_tables_to_appear_in_same_query!(inventory_entries, agents);
diesel::allow_tables_to_appear_in_same_query!(inventory_entries, sites);
diesel::allow_tables_to_appear_in_same_query!(policies, agents);
diesel::allow_tables_to_appear_in_same_query!(policies, sites);
diesel::allow_tables_to_appear_in_same_query!(maintenance_windows, agents);
diesel::allow_tables_to_appear_in_same_query!(maintenance_windows, sites);
diesel::allow_tables_to_appear_in_same_query!(registration_tokens, sites);
diesel::allow_tables_to_appear_in_same_query!(agent_approvals, agents);
diesel::allow_tables_to_appear_in_same_query!(agent_approvals, sites);
diesel::allow_tables_to_appear_in_same_query!(alerts, agents);
diesel::allow_tables_to_appear_in_same_query!(alerts, sites);

table! {
    audit_log (id) {
        id -> Int8,
        act_id -> Uuid,
        stage -> Text,
        at -> Timestamptz,
        action -> Text,
        user_id -> Nullable<Uuid>,
        user_email -> Text,
        key_id -> Nullable<Uuid>,
        agent_id -> Nullable<Uuid>,
        agent_hostname -> Nullable<Text>,
        client_id -> Nullable<Uuid>,
        site_id -> Nullable<Uuid>,
        session_id -> Nullable<Text>,
        command_id -> Nullable<Uuid>,
        target -> Text,
        detail -> Text,
        remote_addr -> Text,
        request_id -> Text,
        outcome -> Nullable<Text>,
        exit_code -> Nullable<Int4>,
    }
}

table! {
    audit_unsealed (entry_id) {
        entry_id -> Int8,
    }
}

table! {
    audit_seals (seq) {
        seq -> Int8,
        entry_id -> Int8,
        hash -> Bytea,
    }
}

// A view over the audit's tables.
table! {
    audit_acts (act_id) {
        act_id -> Uuid,
        id -> Int8,
        at -> Timestamptz,
        action -> Text,
        user_id -> Nullable<Uuid>,
        user_email -> Text,
        key_id -> Nullable<Uuid>,
        agent_id -> Nullable<Uuid>,
        agent_hostname -> Nullable<Text>,
        client_id -> Nullable<Uuid>,
        site_id -> Nullable<Uuid>,
        session_id -> Nullable<Text>,
        command_id -> Nullable<Uuid>,
        target -> Text,
        detail -> Text,
        remote_addr -> Text,
        request_id -> Text,
        outcome -> Nullable<Text>,
        exit_code -> Nullable<Int4>,
        ended_at -> Nullable<Timestamptz>,
        seq -> Nullable<Int8>,
        last_seq -> Nullable<Int8>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(audit_log, audit_seals, audit_unsealed);

table! {
    scripts (id) {
        id -> Uuid,
        name -> Text,
        description -> Text,
        command_type -> Jsonb,
        body -> Text,
        timeout_seconds -> Nullable<Int4>,
        elevated -> Bool,
        parameters -> Jsonb,
        updated_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

table! {
    schedules (id) {
        id -> Uuid,
        name -> Text,
        owner_id -> Nullable<Uuid>,
        cron -> Text,
        time_zone -> Text,
        enabled -> Bool,
        script_id -> Nullable<Uuid>,
        arguments -> Jsonb,
        command_type -> Nullable<Jsonb>,
        command -> Nullable<Text>,
        timeout_seconds -> Nullable<Int4>,
        elevated -> Bool,
        filter -> Jsonb,
        when_offline -> Text,
        expires_in_seconds -> Nullable<Int4>,
        decided_until -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        runs_written -> Int8,
    }
}

table! {
    schedule_runs (id) {
        id -> Uuid,
        schedule_id -> Uuid,
        due_at -> Timestamptz,
        started_at -> Nullable<Timestamptz>,
        requested_by -> Nullable<Uuid>,
        job_id -> Nullable<Uuid>,
        outcome -> Text,
        detail -> Nullable<Text>,
        targets -> Int4,
        commands -> Int4,
        offline -> Int4,
        busy -> Int4,
        number -> Int8,
    }
}

diesel::joinable!(schedules -> users (owner_id));

diesel::allow_tables_to_appear_in_same_query!(schedules, users);
diesel::allow_tables_to_appear_in_same_query!(schedule_runs, commands);
diesel::allow_tables_to_appear_in_same_query!(schedule_runs, schedules);

table! {
    recordings (id) {
        id -> Uuid,
        session_id -> SessionText,
        channel_id -> Text,
        agent_id -> Uuid,
        agent_hostname -> Text,
        client_id -> Nullable<Uuid>,
        site_id -> Nullable<Uuid>,
        tech_id -> Uuid,
        tech_email -> Text,
        program -> Text,
        with_input -> Bool,
        state -> Text,
        started_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
        duration_ms -> Nullable<Int8>,
        bytes -> Nullable<Int8>,
        sha256 -> Nullable<Binary>,
        gap_from_ms -> Nullable<Int8>,
        problem -> Nullable<Text>,
        path -> Text,
        keep_until -> Timestamptz,
    }
}

table! {
    releases (id) {
        id -> Uuid,
        version -> Text,
        platform -> Text,
        channel -> Text,
        sha256 -> Text,
        size_bytes -> Int8,
        downgrade -> Bool,
        manifest -> Text,
        signature -> Text,
        released_at -> Timestamptz,
        expires_at -> Timestamptz,
        added_by -> Nullable<Uuid>,
        added_at -> Timestamptz,
    }
}

table! {
    rollouts (id) {
        id -> Uuid,
        version -> Text,
        channel -> Text,
        platform -> Nullable<Text>,
        waves -> Jsonb,
        wave -> Int4,
        wave_began_at -> Timestamptz,
        soak_seconds -> Int4,
        max_failed_percent -> Int4,
        state -> Text,
        reason -> Nullable<Text>,
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(agent_updates -> agents (agent_id));

diesel::allow_tables_to_appear_in_same_query!(agent_updates, agents);
diesel::allow_tables_to_appear_in_same_query!(releases, rollouts);
