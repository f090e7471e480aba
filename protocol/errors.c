/*
 * One table in the order of the codes; the code is the index minus one.
 */
#include "protocol/errors.h"

#include <stddef.h>

struct error_row {
    const char *name;
    const char *text;
    bool retriable;
};

enum { CODE_MIN = KAFKA_ERROR_UNKNOWN_SERVER_ERROR };

#define ROW(error, text, retriable) [KAFKA_ERROR_##error - CODE_MIN] = {#error, text, retriable}

static const struct error_row rows[] = {
    ROW(UNKNOWN_SERVER_ERROR, "the server failed in an unexpected way", false),
    ROW(NONE, "no error", false),
    ROW(OFFSET_OUT_OF_RANGE, "offset lies outside the log", false),
    ROW(CORRUPT_MESSAGE, "a record batch is damaged", true),
    ROW(UNKNOWN_TOPIC_OR_PARTITION, "this server does not host the topic or partition", true),
    ROW(INVALID_FETCH_SIZE, "fetch size is not valid", false),
    ROW(LEADER_NOT_AVAILABLE, "the partition has no leader at the moment", true),
    ROW(NOT_LEADER_OR_FOLLOWER, "this server neither leads nor follows the partition", true),
    ROW(REQUEST_TIMED_OUT, "the request took too long", true),
    ROW(BROKER_NOT_AVAILABLE, "the broker is not available", false),
    ROW(REPLICA_NOT_AVAILABLE, "the replica is not available", true),
    ROW(MESSAGE_TOO_LARGE, "a record batch is larger than allowed", false),
    ROW(STALE_CONTROLLER_EPOCH, "the controller epoch is an old one", false),
    ROW(OFFSET_METADATA_TOO_LARGE, "offset metadata text is too long", false),
    ROW(NETWORK_EXCEPTION, "the connection broke before the answer", true),
    ROW(COORDINATOR_LOAD_IN_PROGRESS, "the coordinator is still loading its state", true),
    ROW(COORDINATOR_NOT_AVAILABLE, "no coordinator is available", true),
    ROW(NOT_COORDINATOR, "this server is not the coordinator", true),
    ROW(INVALID_TOPIC_EXCEPTION, "the topic name is not valid", false),
    ROW(RECORD_LIST_TOO_LARGE, "the record list is larger than a segment", false),
    ROW(NOT_ENOUGH_REPLICAS, "too few in-sync replicas to accept the write", true),
    ROW(NOT_ENOUGH_REPLICAS_AFTER_APPEND, "written, but fewer replicas in sync than required",
        true),
    ROW(INVALID_REQUIRED_ACKS, "acks is none of -1, 0, 1", false),
    ROW(ILLEGAL_GENERATION, "the group generation is not the current one", false),
    ROW(INCONSISTENT_GROUP_PROTOCOL, "the member shares no protocol with its group", false),
    ROW(INVALID_GROUP_ID, "the group id is not valid", false),
    ROW(UNKNOWN_MEMBER_ID, "the coordinator does not know this member", false),
    ROW(INVALID_SESSION_TIMEOUT, "session timeout is outside the allowed range", false),
    ROW(REBALANCE_IN_PROGRESS, "the group is rebalancing; join again", false),
    ROW(INVALID_COMMIT_OFFSET_SIZE, "the commit is too large", false),
    ROW(TOPIC_AUTHORIZATION_FAILED, "not authorized for the topic", false),
    ROW(GROUP_AUTHORIZATION_FAILED, "not authorized for the group", false),
    ROW(CLUSTER_AUTHORIZATION_FAILED, "not authorized for the cluster", false),
    ROW(INVALID_TIMESTAMP, "the timestamp is outside the allowed range", false),
    ROW(UNSUPPORTED_SASL_MECHANISM, "the SASL mechanism is not enabled here", false),
    ROW(ILLEGAL_SASL_STATE, "not allowed in this state of authentication", false),
    ROW(UNSUPPORTED_VERSION, "this version of the API is not supported", false),
    ROW(TOPIC_ALREADY_EXISTS, "a topic of this name exists", false),
    ROW(INVALID_PARTITIONS, "the number of partitions is not valid", false),
    ROW(INVALID_REPLICATION_FACTOR, "the replication factor is not valid or exceeds the brokers",
        false),
    ROW(INVALID_REPLICA_ASSIGNMENT, "the replica assignment is not valid", false),
    ROW(INVALID_CONFIG, "the configuration is not valid", false),
    ROW(NOT_CONTROLLER, "this server is not the active controller", true),
    ROW(INVALID_REQUEST, "the request contradicts itself or the protocol", false),
    ROW(UNSUPPORTED_FOR_MESSAGE_FORMAT, "the message format on disk does not support the request",
        false),
    ROW(POLICY_VIOLATION, "a policy forbids the request", false),
    ROW(OUT_OF_ORDER_SEQUENCE_NUMBER, "the producer skipped or repeated sequence numbers", false),
    ROW(DUPLICATE_SEQUENCE_NUMBER, "this sequence number was appended before", false),
    ROW(INVALID_PRODUCER_EPOCH, "the producer epoch is older than the current one", false),
    ROW(INVALID_TXN_STATE, "the transaction is in a state that does not allow this", false),
    ROW(INVALID_PRODUCER_ID_MAPPING, "the producer id does not belong to the transactional id",
        false),
    ROW(INVALID_TRANSACTION_TIMEOUT, "the transaction timeout exceeds the limit", false),
    ROW(CONCURRENT_TRANSACTIONS, "another operation on the transaction is under way", true),
    ROW(TRANSACTION_COORDINATOR_FENCED, "the transaction coordinator has been replaced", false),
    ROW(TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "not authorized for the transactional id", false),
    ROW(SECURITY_DISABLED, "security is switched off", false),
    ROW(OPERATION_NOT_ATTEMPTED, "not attempted, because another part of the request failed",
        false),
    ROW(KAFKA_STORAGE_ERROR, "a disk failed under the log", true),
    ROW(LOG_DIR_NOT_FOUND, "no such log directory here", false),
    ROW(SASL_AUTHENTICATION_FAILED, "authentication failed", false),
    ROW(UNKNOWN_PRODUCER_ID, "nothing is known of this producer id", false),
    ROW(REASSIGNMENT_IN_PROGRESS, "partitions are being reassigned already", false),
    ROW(DELEGATION_TOKEN_AUTH_DISABLED, "delegation tokens are switched off", false),
    ROW(DELEGATION_TOKEN_NOT_FOUND, "no such delegation token", false),
    ROW(DELEGATION_TOKEN_OWNER_MISMATCH, "the principal does not own the token", false),
    ROW(DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, "delegation tokens need an authenticated channel",
        false),
    ROW(DELEGATION_TOKEN_AUTHORIZATION_FAILED, "not authorized for the delegation token", false),
    ROW(DELEGATION_TOKEN_EXPIRED, "the delegation token has expired", false),
    ROW(INVALID_PRINCIPAL_TYPE, "the principal type is not supported", false),
    ROW(NON_EMPTY_GROUP, "the group still has members", false),
    ROW(GROUP_ID_NOT_FOUND, "no group has this id", false),
    ROW(FETCH_SESSION_ID_NOT_FOUND, "no fetch session has this id", true),
    ROW(INVALID_FETCH_SESSION_EPOCH, "the fetch session epoch is not the next one", true),
    ROW(LISTENER_NOT_FOUND, "the leader does not have this listener", true),
    ROW(TOPIC_DELETION_DISABLED, "deleting topics is switched off", false),
    ROW(FENCED_LEADER_EPOCH, "the leader epoch in the request is an old one", true),
    ROW(UNKNOWN_LEADER_EPOCH, "the leader epoch in the request is newer than ours", true),
    ROW(UNSUPPORTED_COMPRESSION_TYPE, "this compression is not supported in this version", false),
    ROW(STALE_BROKER_EPOCH, "the broker has registered again since", false),
    ROW(OFFSET_NOT_AVAILABLE, "the new leader does not know its high watermark yet", true),
    ROW(MEMBER_ID_REQUIRED, "join again with the member id given here", false),
    ROW(PREFERRED_LEADER_NOT_AVAILABLE, "the preferred leader cannot take over", true),
    ROW(GROUP_MAX_SIZE_REACHED, "the group is full", false),
    ROW(FENCED_INSTANCE_ID, "another member took over this instance id", false),
    ROW(ELIGIBLE_LEADERS_NOT_AVAILABLE, "no replica may become leader", true),
    ROW(ELECTION_NOT_NEEDED, "the wished leader leads already", true),
    ROW(NO_REASSIGNMENT_IN_PROGRESS, "no reassignment is under way", false),
    ROW(GROUP_SUBSCRIBED_TO_TOPIC, "the group subscribes to the topic", false),
    ROW(INVALID_RECORD, "a record breaks the rules of the topic", false),
    ROW(UNSTABLE_OFFSET_COMMIT, "offsets of open transactions stand in the way", true),
    ROW(THROTTLING_QUOTA_EXCEEDED, "over the quota; try again later", true),
    ROW(PRODUCER_FENCED, "a newer producer uses this transactional id", false),
    ROW(RESOURCE_NOT_FOUND, "no such resource", false),
    ROW(DUPLICATE_RESOURCE, "the request names a resource twice", false),
    ROW(UNACCEPTABLE_CREDENTIAL, "the credential does not meet the rules", false),
    ROW(INCONSISTENT_VOTER_SET, "the sets of voters differ", false),
    ROW(INVALID_UPDATE_VERSION, "the version is not a possible update", false),
    ROW(FEATURE_UPDATE_FAILED, "the feature update could not be carried out", false),
    ROW(PRINCIPAL_DESERIALIZATION_FAILURE, "the forwarded principal could not be read", false),
    ROW(SNAPSHOT_NOT_FOUND, "no such snapshot", false),
    ROW(POSITION_OUT_OF_RANGE, "the position lies outside the snapshot", false),
    ROW(UNKNOWN_TOPIC_ID, "no topic has this id", true),
    ROW(DUPLICATE_BROKER_REGISTRATION, "the broker id is in use by a live broker", false),
    ROW(BROKER_ID_NOT_REGISTERED, "the broker id is not registered", false),
    ROW(INCONSISTENT_TOPIC_ID, "the topic id is not that of the log", true),
    ROW(INCONSISTENT_CLUSTER_ID, "the cluster id is another one", false),
    ROW(TRANSACTIONAL_ID_NOT_FOUND, "no such transactional id", false),
    ROW(FETCH_SESSION_TOPIC_ID_ERROR, "the fetch session mixes topic names and ids", true),
    ROW(INELIGIBLE_REPLICA, "the replica may not join the in-sync set", false),
    ROW(NEW_LEADER_ELECTED, "a new leader was elected by the change", false),
    ROW(OFFSET_MOVED_TO_TIERED_STORAGE, "the offset has moved to tiered storage", false),
    ROW(FENCED_MEMBER_EPOCH, "the member epoch is ahead of or fenced by the coordinator", false),
    ROW(UNRELEASED_INSTANCE_ID, "a live member holds the instance id", false),
    ROW(UNSUPPORTED_ASSIGNOR, "no such assignor here", false),
    ROW(STALE_MEMBER_EPOCH, "the member epoch is an old one", false),
    ROW(MISMATCHED_ENDPOINT_TYPE, "the request went to an endpoint of the other kind", false),
    ROW(UNSUPPORTED_ENDPOINT_TYPE, "this kind of endpoint is not supported", false),
    ROW(UNKNOWN_CONTROLLER_ID, "no controller has this id", false),
    ROW(UNKNOWN_SUBSCRIPTION_ID, "the telemetry subscription is not the current one", false),
    ROW(TELEMETRY_TOO_LARGE, "the telemetry is too large", false),
    ROW(INVALID_REGISTRATION, "the controller registration is not valid", false),
    ROW(TRANSACTION_ABORTABLE, "the transaction can only be aborted now", false),
    ROW(INVALID_RECORD_STATE, "the record is not in a state that allows this", false),
    ROW(SHARE_SESSION_NOT_FOUND, "no such share session", true),
    ROW(INVALID_SHARE_SESSION_EPOCH, "the share session epoch is not the next one", true),
    ROW(FENCED_STATE_EPOCH, "the state epoch is an old one", false),
    ROW(INVALID_VOTER_KEY, "the voter key differs from the one known", false),
    ROW(DUPLICATE_VOTER, "the voter is in the set already", false),
    ROW(VOTER_NOT_FOUND, "the voter is not in the set", false),
    ROW(INVALID_REGULAR_EXPRESSION, "the regular expression is not valid", false),
    ROW(REBOOTSTRAP_REQUIRED, "the client should learn the cluster anew", false),
    ROW(STREAMS_INVALID_TOPOLOGY, "the topology is not valid", false),
    ROW(STREAMS_INVALID_TOPOLOGY_EPOCH, "the topology epoch is not valid", false),
    ROW(STREAMS_TOPOLOGY_FENCED, "the topology epoch is an old one", false),
    ROW(SHARE_SESSION_LIMIT_REACHED, "too many share sessions", true),
};

static const struct error_row unknown = {"UNKNOWN_ERROR_CODE",
                                         "an error code that is not known here", false};

static const struct error_row *row_of(enum kafka_error error)
{
    int index = (int)error - CODE_MIN;
    if (index < 0 || (size_t)index >= sizeof(rows) / sizeof(rows[0]))
        return &unknown;
    return &rows[index];
}

const char *kafka_error_name(enum kafka_error error)
{
    return row_of(error)->name;
}

const char *kafka_error_text(enum kafka_error error)
{
    return row_of(error)->text;
}

bool kafka_error_is_retriable(enum kafka_error error)
{
    return row_of(error)->retriable;
}
