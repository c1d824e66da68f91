/*
 * The names of PostgreSQL's own parameters, and the kind of value that each takes
 * (https://www.postgresql.org/docs/current/runtime-config.html). With one wrong name or value the
 * server refuses the whole file, at its next start at the latest. Unknown names pass, because minor
 * releases and other builds add some, unless they look like a typing error.
 */
#include "spec/shape.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char switches[] =
    "allow_in_place_tablespaces allow_system_table_mods array_nulls autovacuum bonjour "
    "check_function_bodies data_sync_retry db_user_namespace debug_pretty_print debug_print_parse "
    "debug_print_plan debug_print_rewritten default_transaction_deferrable "
    "default_transaction_read_only enable_async_append enable_bitmapscan "
    "enable_distinct_reordering enable_gathermerge enable_group_by_reordering enable_hashagg "
    "enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan "
    "enable_material enable_memoize enable_mergejoin enable_nestloop enable_parallel_append "
    "enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate "
    "enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination "
    "enable_seqscan enable_sort enable_tidscan escape_string_warning event_triggers exit_on_error "
    "fsync full_page_writes geqo gss_accept_delegation hot_standby hot_standby_feedback "
    "ignore_checksum_failure ignore_invalid_pages ignore_system_indexes jit jit_debugging_support "
    "jit_dump_bitcode jit_expressions jit_profiling_support jit_tuple_deforming krb_caseins_users "
    "lo_compat_privileges log_checkpoints log_disconnections log_duration log_executor_stats "
    "log_hostname log_lock_failures log_lock_waits log_parser_stats log_planner_stats "
    "log_recovery_conflict_waits log_replication_commands log_statement_stats "
    "log_truncate_on_rotation logging_collector md5_password_warnings "
    "parallel_leader_participation quote_all_identifiers recovery_target_inclusive "
    "remove_temp_files_after_crash restart_after_crash row_security send_abort_for_crash "
    "send_abort_for_kill ssl ssl_passphrase_command_supports_reload ssl_prefer_server_ciphers "
    "standard_conforming_strings summarize_wal synchronize_seqscans syslog_sequence_numbers "
    "syslog_split_messages trace_connection_negotiation trace_notify trace_sort track_activities "
    "track_commit_timestamp track_cost_delay_timing track_counts track_io_timing "
    "track_wal_io_timing transaction_deferrable transaction_read_only transform_null_equals "
    "update_process_title vacuum_truncate wal_init_zero wal_log_hints "
    "wal_receiver_create_temp_slot wal_recycle zero_damaged_pages ";

static const char numbers[] =
    "autovacuum_analyze_scale_factor autovacuum_analyze_threshold autovacuum_freeze_max_age "
    "autovacuum_max_workers autovacuum_multixact_freeze_max_age autovacuum_vacuum_cost_limit "
    "autovacuum_vacuum_insert_scale_factor autovacuum_vacuum_insert_threshold "
    "autovacuum_vacuum_max_threshold autovacuum_vacuum_scale_factor autovacuum_vacuum_threshold "
    "autovacuum_worker_slots bgwriter_lru_maxpages bgwriter_lru_multiplier "
    "checkpoint_completion_target commit_delay commit_siblings cpu_index_tuple_cost "
    "cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction debug_discard_caches "
    "default_statistics_target effective_io_concurrency extra_float_digits from_collapse_limit "
    "geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold "
    "gin_fuzzy_search_limit hash_mem_multiplier io_max_concurrency io_workers jit_above_cost "
    "jit_inline_above_cost jit_optimize_above_cost join_collapse_limit log_file_mode "
    "log_statement_sample_rate log_transaction_sample_rate maintenance_io_concurrency "
    "max_active_replication_origins max_connections max_files_per_process "
    "max_locks_per_transaction max_logical_replication_workers max_notify_queue_pages "
    "max_parallel_apply_workers_per_subscription max_parallel_maintenance_workers "
    "max_parallel_workers max_parallel_workers_per_gather max_pred_locks_per_page "
    "max_pred_locks_per_relation max_pred_locks_per_transaction max_prepared_transactions "
    "max_replication_slots max_sync_workers_per_subscription max_wal_senders max_worker_processes "
    "parallel_setup_cost parallel_tuple_cost port random_page_cost recursive_worktable_factor "
    "reserved_connections scram_iterations seq_page_cost superuser_reserved_connections "
    "tcp_keepalives_count unix_socket_permissions vacuum_cost_limit vacuum_cost_page_dirty "
    "vacuum_cost_page_hit vacuum_cost_page_miss vacuum_defer_cleanup_age vacuum_failsafe_age "
    "vacuum_freeze_min_age vacuum_freeze_table_age vacuum_max_eager_freeze_failure_rate "
    "vacuum_multixact_failsafe_age vacuum_multixact_freeze_min_age "
    "vacuum_multixact_freeze_table_age ";

static const char sizes[] =
    "autovacuum_work_mem backend_flush_after bgwriter_flush_after checkpoint_flush_after "
    "commit_timestamp_buffers effective_cache_size gin_pending_list_limit huge_page_size "
    "io_combine_limit io_max_combine_limit log_parameter_max_length "
    "log_parameter_max_length_on_error log_rotation_size log_temp_files logical_decoding_work_mem "
    "maintenance_work_mem max_slot_wal_keep_size max_stack_depth max_wal_size "
    "min_dynamic_shared_memory min_parallel_index_scan_size min_parallel_table_scan_size "
    "min_wal_size multixact_member_buffers multixact_offset_buffers notify_buffers "
    "serializable_buffers shared_buffers subtransaction_buffers temp_buffers temp_file_limit "
    "track_activity_query_size transaction_buffers vacuum_buffer_usage_limit wal_buffers "
    "wal_decode_buffer_size wal_keep_size wal_skip_threshold wal_writer_flush_after work_mem ";

static const char times[] =
    "archive_timeout authentication_timeout autovacuum_naptime autovacuum_vacuum_cost_delay "
    "bgwriter_delay checkpoint_timeout checkpoint_warning client_connection_check_interval "
    "deadlock_timeout idle_in_transaction_session_timeout idle_replication_slot_timeout "
    "idle_session_timeout lock_timeout log_autovacuum_min_duration log_min_duration_sample "
    "log_min_duration_statement log_rotation_age log_startup_progress_interval "
    "max_standby_archive_delay max_standby_streaming_delay old_snapshot_threshold post_auth_delay "
    "pre_auth_delay recovery_min_apply_delay statement_timeout tcp_keepalives_idle "
    "tcp_keepalives_interval tcp_user_timeout transaction_timeout vacuum_cost_delay "
    "wal_receiver_status_interval wal_receiver_timeout wal_retrieve_retry_interval "
    "wal_sender_timeout wal_summary_keep_time wal_writer_delay ";

static const char texts[] =
    "application_name archive_cleanup_command archive_command archive_library archive_mode "
    "backslash_quote backtrace_functions bonjour_name bytea_output client_encoding "
    "client_min_messages cluster_name compute_query_id config_file constraint_exclusion "
    "createrole_self_grant data_directory datestyle debug_io_direct "
    "debug_logical_replication_streaming debug_parallel_query default_table_access_method "
    "default_tablespace default_text_search_config default_toast_compression "
    "default_transaction_isolation dynamic_library_path dynamic_shared_memory_type event_source "
    "extension_control_path external_pid_file file_copy_method file_extend_method "
    "force_parallel_mode hba_file huge_pages icu_validation_level ident_file intervalstyle "
    "io_method jit_provider krb_server_keyfile lc_messages lc_monetary lc_numeric lc_time "
    "listen_addresses local_preload_libraries log_connections log_destination log_directory "
    "log_error_verbosity log_filename log_line_prefix log_min_error_statement log_min_messages "
    "log_statement log_timezone oauth_validator_libraries output_plugin_libraries "
    "password_encryption plan_cache_mode primary_conninfo primary_slot_name promote_trigger_file "
    "recovery_end_command recovery_init_sync_method recovery_prefetch recovery_target "
    "recovery_target_action recovery_target_lsn recovery_target_name recovery_target_time "
    "recovery_target_timeline recovery_target_xid restore_command "
    "restrict_nonsystem_relation_kind search_path session_preload_libraries "
    "session_replication_role shared_memory_type shared_preload_libraries ssl_ca_file "
    "ssl_cert_file ssl_ciphers ssl_crl_dir ssl_crl_file ssl_dh_params_file ssl_ecdh_curve "
    "ssl_groups ssl_key_file ssl_max_protocol_version ssl_min_protocol_version "
    "ssl_passphrase_command ssl_tls13_ciphers stats_fetch_consistency stats_temp_directory "
    "synchronous_commit synchronous_standby_names syslog_facility syslog_ident temp_tablespaces "
    "timezone timezone_abbreviations trace_recovery_messages track_functions "
    "transaction_isolation unix_socket_directories unix_socket_group wal_compression "
    "wal_consistency_checking wal_level wal_sync_method xmlbinary xmloption ";

static const char presets[] =
    "block_size data_checksums data_directory_mode debug_assertions huge_pages_status "
    "in_hot_standby integer_datetimes lc_collate lc_ctype max_function_args max_identifier_length "
    "max_index_keys num_os_semaphores segment_size server_encoding server_version "
    "server_version_num shared_memory_size shared_memory_size_in_huge_pages ssl_library "
    "wal_block_size wal_segment_size ";

static const struct {
    const char *name;
    int first, last;
} versions[] = {
    {"autovacuum_vacuum_max_threshold", 18, 18},
    {"autovacuum_worker_slots", 18, 18},
    {"commit_timestamp_buffers", 17, 18},
    {"createrole_self_grant", 16, 18},
    {"db_user_namespace", 14, 16},
    {"debug_io_direct", 16, 18},
    {"debug_logical_replication_streaming", 16, 18},
    {"debug_parallel_query", 16, 18},
    {"enable_distinct_reordering", 18, 18},
    {"enable_group_by_reordering", 17, 18},
    {"enable_presorted_aggregate", 16, 18},
    {"enable_self_join_elimination", 18, 18},
    {"event_triggers", 17, 18},
    {"extension_control_path", 18, 18},
    {"file_copy_method", 18, 18},
    {"file_extend_method", 16, 18},
    {"gss_accept_delegation", 16, 18},
    {"icu_validation_level", 16, 18},
    {"idle_replication_slot_timeout", 18, 18},
    {"io_combine_limit", 17, 18},
    {"io_max_combine_limit", 18, 18},
    {"io_max_concurrency", 18, 18},
    {"io_method", 18, 18},
    {"io_workers", 18, 18},
    {"log_lock_failures", 18, 18},
    {"log_startup_progress_interval", 15, 18},
    {"max_active_replication_origins", 18, 18},
    {"max_notify_queue_pages", 17, 18},
    {"max_parallel_apply_workers_per_subscription", 16, 18},
    {"md5_password_warnings", 18, 18},
    {"multixact_member_buffers", 17, 18},
    {"multixact_offset_buffers", 17, 18},
    {"notify_buffers", 17, 18},
    {"oauth_validator_libraries", 18, 18},
    {"old_snapshot_threshold", 14, 16},
    {"promote_trigger_file", 14, 15},
    {"recovery_prefetch", 15, 18},
    {"recursive_worktable_factor", 15, 18},
    {"reserved_connections", 16, 18},
    {"scram_iterations", 16, 18},
    {"send_abort_for_crash", 16, 18},
    {"send_abort_for_kill", 16, 18},
    {"serializable_buffers", 17, 18},
    {"ssl_groups", 18, 18},
    {"ssl_tls13_ciphers", 18, 18},
    {"stats_fetch_consistency", 15, 18},
    {"stats_temp_directory", 14, 14},
    {"subtransaction_buffers", 17, 18},
    {"summarize_wal", 17, 18},
    {"trace_connection_negotiation", 17, 18},
    {"trace_recovery_messages", 14, 16},
    {"track_cost_delay_timing", 18, 18},
    {"transaction_buffers", 17, 18},
    {"transaction_timeout", 17, 18},
    {"vacuum_buffer_usage_limit", 16, 18},
    {"vacuum_defer_cleanup_age", 14, 15},
    {"vacuum_max_eager_freeze_failure_rate", 18, 18},
    {"vacuum_truncate", 18, 18},
    {"wal_decode_buffer_size", 15, 18},
    {"wal_summary_keep_time", 17, 18},
};

static const char *const memory_units[] = {"B", "kB", "MB", "GB", "TB", NULL};
static const char *const time_units[] = {"us", "ms", "s", "min", "h", "d", NULL};
static const char *const no_units[] = {NULL};

#define COUNT(list) (sizeof list / sizeof list[0])

static const struct kind {
    const char *names;
    const char *const *units; /* of numbers */
    const char *expected;     /* NULL: any text */
} kinds[] = {
    {switches, NULL, "on or off"},
    {numbers, no_units, "a number without a unit"},
    {sizes, memory_units, "a size such as 64MB (units: B, kB, MB, GB, TB)"},
    {times, time_units, "a time such as 30s (units: us, ms, s, min, h, d)"},
    {texts, NULL, NULL},
};

enum { NAME_SIZE = 64 };

/* The next word of a list, each followed by one blank; false at its end. */
static bool next_name(const char **list, char name[NAME_SIZE])
{
    size_t length = strcspn(*list, " ");
    if (length == 0 || length >= NAME_SIZE)
        return false;
    memcpy(name, *list, length);
    name[length] = '\0';
    *list += length + 1;
    return true;
}

static bool is_among(const char *list, const char *name)
{
    char known[NAME_SIZE];
    while (next_name(&list, known))
        if (strcmp(known, name) == 0)
            return true;
    return false;
}

static const struct kind *kind_of(const char *name)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (is_among(kinds[i].names, name))
            return &kinds[i];
    return NULL;
}

/* As in PostgreSQL, any unambiguous prefix of a word; "o" fits two. */
static bool is_switch(const char *value)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off"};
    size_t length = strlen(value);
    if (strcmp(value, "1") == 0 || strcmp(value, "0") == 0)
        return true;
    if (length == 0 || strcasecmp(value, "o") == 0)
        return false;
    for (size_t i = 0; i < COUNT(words); i++)
        if (strncasecmp(value, words[i], length) == 0)
            return true;
    return false;
}

static bool is_number(const char *value, const char *const *units)
{
    const char *first = value + (*value == '-' || *value == '+');
    if (*first == '\0' || strchr("0123456789.", *first) == NULL)
        return false; /* strtod() also takes nan and inf */
    char *end;
    (void)strtod(value, &end);
    if (end == value)
        return false;
    end += strspn(end, " \t");
    bool plain = *end == '\0';
    for (; *units && !plain; units++)
        plain = strcmp(end, *units) == 0;
    return plain;
}

static void check_versions(struct shape_faults *faults, const char *path, const char *name,
                           int version)
{
    for (size_t i = 0; i < COUNT(versions); i++) {
        if (strcmp(versions[i].name, name) != 0)
            continue;
        if (version < versions[i].first)
            shape_fault(faults, path, "needs PostgreSQL %d or later; spec.postgres.version is %d",
                        versions[i].first, version);
        else if (version > versions[i].last)
            shape_fault(faults, path, "was removed in PostgreSQL %d; spec.postgres.version is %d",
                        versions[i].last + 1, version);
    }
}

static void suggest(struct shape_faults *faults, const char *path, const char *name)
{
    char known[NAME_SIZE];
    for (size_t i = 0; i < COUNT(kinds) && strlen(name) >= 5; i++)
        for (const char *list = kinds[i].names; next_name(&list, known);)
            if (shape_distance(name, known) <= 2) {
                shape_fault(faults, path, "is not a PostgreSQL parameter (did you mean '%s'?)",
                            known);
                return;
            }
}

void parameters_check_known(struct shape_faults *faults, const char *path, const char *name,
                            const char *value, int version)
{
    if (strchr(name, '.'))
        return; /* an extension's */
    if (is_among(presets, name)) {
        shape_fault(
            faults, path,
            "cannot be set: it only shows how the server was built or its data initialised");
        return;
    }
    const struct kind *kind = kind_of(name);
    if (kind == NULL) {
        suggest(faults, path, name);
        return;
    }
    check_versions(faults, path, name, version);
    bool fits =
        kind->expected == NULL || (kind->units ? is_number(value, kind->units) : is_switch(value));
    if (!fits)
        shape_fault(faults, path, "must be %s, not \"%.80s\"", kind->expected, value);
}
