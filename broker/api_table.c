/*
 * The rows stand in the files of their handlers. An API is added by its handler file and one line
 * here; its place in the table is its key.
 */
#include "broker/api_table.h"

#include <stddef.h>

/* One line per API, by name. */
/* clang-format off */
#define ROWS(row) \
    row(API_KEY_ADD_OFFSETS_TO_TXN, add_offsets_to_txn) \
    row(API_KEY_ADD_PARTITIONS_TO_TXN, add_partitions_to_txn) \
    row(API_KEY_ADD_RAFT_VOTER, add_raft_voter) \
    row(API_KEY_ALLOCATE_PRODUCER_IDS, allocate_producer_ids) \
    row(API_KEY_ALTER_CLIENT_QUOTAS, alter_client_quotas) \
    row(API_KEY_ALTER_CONFIGS, alter_configs) \
    row(API_KEY_ALTER_PARTITION, alter_partition) \
    row(API_KEY_ALTER_PARTITION_REASSIGNMENTS, alter_partition_reassignments) \
    row(API_KEY_API_VERSIONS, api_versions) \
    row(API_KEY_ASSIGN_REPLICAS_TO_DIRS, assign_replicas_to_dirs) \
    row(API_KEY_BEGIN_QUORUM_EPOCH, begin_quorum_epoch) \
    row(API_KEY_BROKER_HEARTBEAT, broker_heartbeat) \
    row(API_KEY_BROKER_REGISTRATION, broker_registration) \
    row(API_KEY_CONSUMER_GROUP_DESCRIBE, consumer_group_describe) \
    row(API_KEY_CONSUMER_GROUP_HEARTBEAT, consumer_group_heartbeat) \
    row(API_KEY_CONTROLLER_REGISTRATION, controller_registration) \
    row(API_KEY_CREATE_ACLS, create_acls) \
    row(API_KEY_CREATE_PARTITIONS, create_partitions) \
    row(API_KEY_CREATE_TOPICS, create_topics) \
    row(API_KEY_DELETE_ACLS, delete_acls) \
    row(API_KEY_DELETE_GROUPS, delete_groups) \
    row(API_KEY_DELETE_RECORDS, delete_records) \
    row(API_KEY_DELETE_TOPICS, delete_topics) \
    row(API_KEY_DESCRIBE_ACLS, describe_acls) \
    row(API_KEY_DESCRIBE_CLIENT_QUOTAS, describe_client_quotas) \
    row(API_KEY_DESCRIBE_CLUSTER, describe_cluster) \
    row(API_KEY_DESCRIBE_CONFIGS, describe_configs) \
    row(API_KEY_DESCRIBE_GROUPS, describe_groups) \
    row(API_KEY_DESCRIBE_LOG_DIRS, describe_log_dirs) \
    row(API_KEY_DESCRIBE_PRODUCERS, describe_producers) \
    row(API_KEY_DESCRIBE_QUORUM, describe_quorum) \
    row(API_KEY_DESCRIBE_TOPIC_PARTITIONS, describe_topic_partitions) \
    row(API_KEY_DESCRIBE_TRANSACTIONS, describe_transactions) \
    row(API_KEY_DESCRIBE_USER_SCRAM_CREDENTIALS, describe_user_scram_credentials) \
    row(API_KEY_ELECT_LEADERS, elect_leaders) \
    row(API_KEY_END_QUORUM_EPOCH, end_quorum_epoch) \
    row(API_KEY_END_TXN, end_txn) \
    row(API_KEY_ENVELOPE, envelope) \
    row(API_KEY_FETCH, fetch) \
    row(API_KEY_FETCH_SNAPSHOT, fetch_snapshot) \
    row(API_KEY_FIND_COORDINATOR, find_coordinator) \
    row(API_KEY_HEARTBEAT, heartbeat) \
    row(API_KEY_INCREMENTAL_ALTER_CONFIGS, incremental_alter_configs) \
    row(API_KEY_INIT_PRODUCER_ID, init_producer_id) \
    row(API_KEY_JOIN_GROUP, join_group) \
    row(API_KEY_LEAVE_GROUP, leave_group) \
    row(API_KEY_LIST_CONFIG_RESOURCES, list_config_resources) \
    row(API_KEY_LIST_GROUPS, list_groups) \
    row(API_KEY_LIST_OFFSETS, list_offsets) \
    row(API_KEY_LIST_PARTITION_REASSIGNMENTS, list_partition_reassignments) \
    row(API_KEY_LIST_TRANSACTIONS, list_transactions) \
    row(API_KEY_METADATA, metadata) \
    row(API_KEY_OFFSET_COMMIT, offset_commit) \
    row(API_KEY_OFFSET_DELETE, offset_delete) \
    row(API_KEY_OFFSET_FETCH, offset_fetch) \
    row(API_KEY_OFFSET_FOR_LEADER_EPOCH, offset_for_leader_epoch) \
    row(API_KEY_PRODUCE, produce) \
    row(API_KEY_REMOVE_RAFT_VOTER, remove_raft_voter) \
    row(API_KEY_SYNC_GROUP, sync_group) \
    row(API_KEY_TXN_OFFSET_COMMIT, txn_offset_commit) \
    row(API_KEY_UNREGISTER_BROKER, unregister_broker) \
    row(API_KEY_UPDATE_FEATURES, update_features) \
    row(API_KEY_UPDATE_RAFT_VOTER, update_raft_voter) \
    row(API_KEY_VOTE, vote) \
    row(API_KEY_WRITE_TXN_MARKERS, write_txn_markers)
/* clang-format on */

#define DECLARE(api_key, name) extern const struct api_row api_row_##name;
ROWS(DECLARE)

#define PLACE(api_key, name) [api_key] = &api_row_##name,
static const struct api_row *const rows[] = {ROWS(PLACE)};

const struct api_row *api_row_find(int16_t key)
{
    if (key < 0 || (size_t)key >= sizeof(rows) / sizeof(rows[0]))
        return NULL;
    return rows[key];
}
