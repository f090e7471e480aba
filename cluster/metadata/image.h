/*
 * The metadata image: everything that committed metadata records say, at one offset, immutable.
 *
 * The control loop makes one image per group of committed records (metadata/draft.h), posts it with
 * the list of what changed to every shard, and frees it when every shard has moved on
 * (metadata/publisher.h). Versions share all that is equal, so a version costs what changed.
 *
 * Who may touch what: any loop reads; only the control loop makes, acquires and releases. A shard
 * may keep pointers into an image from one turn to the next only while it shows that image; what
 * must live longer (a waiting request) keeps names, ids and epochs, and looks again.
 *
 * Invariants:
 *  1. Nothing reachable from an image changes after draft_finish.
 *  2. topics_by_name and topics_by_id hold the same topics. A topic with n partitions has the
 *     partitions 0 to n - 1 (a hole is only possible in a damaged log and reads as NULL).
 *  3. `offset` is the offset of the last record in the image, -1 for the empty one; `version` rises
 *     by one per image of this process.
 *  4. Two images share a chunk or a partition if and only if nothing in it changed between them, so
 *     pointer comparison finds changes (image_topic_change_next).
 */
#ifndef KLAMM_CLUSTER_METADATA_IMAGE_H
#define KLAMM_CLUSTER_METADATA_IMAGE_H

#include "base/bytes.h"
#include "base/uuid.h"
#include "cluster/metadata/tree.h"

enum { IMAGE_CHUNK_PARTITIONS = 64, IMAGE_LEADER_NONE = -1 };

enum image_recovery { IMAGE_RECOVERED = 0, IMAGE_RECOVERING = 1 };

struct node_list {
    const int32_t *ids;
    uint32_t count;
};

/* What a partition consists of; borrowed views, for making and for taking apart. */
struct partition_state {
    int32_t leader; /* IMAGE_LEADER_NONE: none */
    int32_t leader_epoch;
    int32_t partition_epoch;
    enum image_recovery recovery;
    struct node_list replicas; /* in assignment order: the first is preferred */
    struct node_list isr;
    struct node_list adding;
    struct node_list removing;
    struct node_list eligible;      /* eligible leader replicas (KIP-966) */
    struct node_list last_known;    /* last known leader, at most one */
    const struct uuid *directories; /* parallel to replicas; NULL: all unknown */
};

struct image_partition {
    struct image_object object;
    int32_t leader;
    int32_t leader_epoch;
    int32_t partition_epoch;
    uint16_t replica_count;
    uint16_t isr_count;
    uint16_t adding_count;
    uint16_t removing_count;
    uint16_t eligible_count;
    uint16_t last_known_count;
    uint8_t recovery; /* enum image_recovery */
    bool has_directories;
    int32_t ids[]; /* replicas, isr, adding, removing, eligible, last known; then directories */
};

struct image_chunk {
    uint32_t references;
    const struct image_partition *partitions[IMAGE_CHUNK_PARTITIONS];
};

struct image_topic {
    struct image_object object;
    struct uuid id;
    uint32_t partition_count;
    uint32_t chunk_count;
    struct image_chunk **chunks;
    struct view name; /* in this block */
    uint8_t name_bytes[];
};

struct image_endpoint {
    struct view name; /* listener name */
    struct view host;
    uint16_t port;
    int16_t security_protocol;
};

struct image_feature_range {
    struct view name;
    int16_t minimum;
    int16_t maximum;
};

/* A registered broker, or controller (then rack, fencing and directories have no meaning). */
struct image_node {
    struct image_object object;
    int32_t id;
    int64_t epoch;           /* of this incarnation; -1 for controllers */
    int64_t register_offset; /* offset of the record that registered this incarnation */
    struct uuid incarnation;
    struct view rack; /* null: none */
    const struct image_endpoint *endpoints;
    uint32_t endpoint_count;
    const struct image_feature_range *features;
    uint32_t feature_count;
    const struct uuid *directories;
    uint32_t directory_count;
    bool fenced;
    bool in_controlled_shutdown;
};

/* Kinds of resources that have dynamic settings; the numbers are those of the protocol. */
enum config_resource_type {
    CONFIG_RESOURCE_TOPIC = 2,
    CONFIG_RESOURCE_BROKER = 4,
    CONFIG_RESOURCE_BROKER_LOGGER = 8,
    CONFIG_RESOURCE_CLIENT_METRICS = 16,
    CONFIG_RESOURCE_GROUP = 32,
};

struct image_setting {
    struct view name;
    struct view value;
};

/* The dynamic settings of one resource, sorted by name; at least one. */
struct image_config {
    struct image_object object;
    int8_t type;      /* enum config_resource_type */
    struct view name; /* of the resource; "" for the default of all brokers */
    const struct image_setting *settings;
    uint32_t setting_count;
};

struct image_quota_part {
    struct view type; /* "user", "client-id", "ip" */
    struct view name; /* null: the default entity */
};

struct image_quota_value {
    struct view key;
    double value;
};

/* The quotas of one entity; parts sorted by type, values by key, at least one of each. */
struct image_quota {
    struct image_object object;
    struct view key; /* canonical text of the parts */
    const struct image_quota_part *parts;
    uint32_t part_count;
    const struct image_quota_value *values;
    uint32_t value_count;
};

struct image_acl {
    struct image_object object;
    struct uuid id;
    int8_t resource_type;
    int8_t pattern_type;
    int8_t operation;
    int8_t permission_type;
    struct view resource_name;
    struct view principal;
    struct view host;
};

struct image_scram {
    struct image_object object;
    int8_t mechanism; /* 1 SCRAM-SHA-256, 2 SCRAM-SHA-512 */
    int32_t iterations;
    struct view user;
    struct view salt;
    struct view stored_key;
    struct view server_key;
};

struct image_token {
    struct image_object object;
    struct view token_id;
    struct view owner;
    struct view requester;
    const struct view *renewers;
    uint32_t renewer_count;
    int64_t issue_ms;
    int64_t max_ms;
    int64_t expiration_ms;
};

struct image_feature {
    struct image_object object;
    int16_t level; /* never 0 */
    struct view name;
};

struct image_producer_ids {
    int64_t next; /* the first id that no block contains; 0 when none was given out */
    int32_t broker_id;
    int64_t broker_epoch;
};

struct image {
    struct heap *heap; /* the control loop's */
    uint32_t references;
    uint64_t version;
    int64_t offset;
    int32_t epoch;            /* quorum epoch of that offset */
    int64_t timestamp_ms;     /* of the batch of that offset; -1 unknown */
    struct view cluster_id;   /* lives as long as the process */
    int32_t controller_id;    /* active controller as known here, -1: none */
    int32_t controller_epoch; /* its quorum epoch */
    int16_t kraft_version;    /* of the quorum's control records, no feature record */
    uint32_t partition_count; /* of all topics */
    struct image_tree topics_by_name;
    struct image_tree topics_by_id;
    struct image_tree brokers;
    struct image_tree controllers;
    struct image_tree configs;
    struct image_tree quotas;
    struct image_tree acls;
    struct image_tree scrams;
    struct image_tree tokens;
    struct image_tree features;
    struct image_producer_ids producer_ids;
    int8_t zk_migration_state; /* -1: no record; 0: none, as new clusters say */
};

/* Life. */

/* The image of an empty log. `cluster_id` must outlive every image that grows from it. */
struct image *image_create_empty(struct heap *heap, struct view cluster_id);
void image_acquire(const struct image *image);
/* Frees what no other image shares when it was the last reference. */
void image_release(const struct image *image);

/* Topics. */

const struct image_topic *image_topic_by_name(const struct image *image, struct view name);
const struct image_topic *image_topic_by_id(const struct image *image, struct uuid id);
/* NULL when there is no such partition. */
const struct image_partition *image_topic_partition(const struct image_topic *topic, int32_t index);
/* NULL when topic or partition is missing. */
const struct image_partition *image_partition_by_name(const struct image *image, struct view name,
                                                      int32_t index);
/* Whether the name is one of the cluster's own topics (__consumer_offsets and its like). */
bool image_topic_name_is_internal(struct view name);

/* A walk over all topics in name order, from the first one not before `from` (null: the first). */
struct image_topic_walk {
    struct image_tree_cursor cursor;
};
void image_topic_walk_start(const struct image *image, struct view from,
                            struct image_topic_walk *walk);
const struct image_topic *image_topic_walk_next(struct image_topic_walk *walk);

/* Partitions. */

static inline struct node_list image_partition_replicas(const struct image_partition *partition)
{
    return (struct node_list){partition->ids, partition->replica_count};
}

static inline struct node_list image_partition_isr(const struct image_partition *partition)
{
    return (struct node_list){partition->ids + partition->replica_count, partition->isr_count};
}

/* All of it, borrowed from the partition. */
struct partition_state image_partition_state(const struct image_partition *partition);
/* The directory of a replica's place; the zero id when unknown. */
struct uuid image_partition_directory(const struct image_partition *partition, uint32_t place);
/* The place of an id in a list, or -1. */
int32_t node_list_find(struct node_list list, int32_t id);

static inline bool node_list_contains(struct node_list list, int32_t id)
{
    return node_list_find(list, id) >= 0;
}

/* Nodes. */

const struct image_node *image_broker(const struct image *image, int32_t id);
const struct image_node *image_controller(const struct image *image, int32_t id);
/* The endpoint with this listener name, or NULL. */
const struct image_endpoint *image_node_endpoint(const struct image_node *node, struct view name);
/* Whether a replica on this broker may lead and be in sync: registered, unfenced, not leaving. */
bool image_broker_is_active(const struct image *image, int32_t id);

/* Walks of the smaller collections, in key order: brokers and controllers by id, and so on. */
struct image_walk {
    struct image_tree_cursor cursor;
};
void image_walk_start(const struct image_tree *tree, struct image_walk *walk);
const struct image_node *image_walk_next_node(struct image_walk *walk);
const struct image_config *image_walk_next_config(struct image_walk *walk);
const struct image_quota *image_walk_next_quota(struct image_walk *walk);
const struct image_scram *image_walk_next_scram(struct image_walk *walk);
const struct image_feature *image_walk_next_feature(struct image_walk *walk);

/* Settings, features, the rest. */

/* The dynamic settings of a resource, or NULL when it has none. */
const struct image_config *image_config(const struct image *image, enum config_resource_type type,
                                        struct view name);
/* The value of one setting; null when it is not set (config may be NULL). */
struct view image_config_value(const struct image_config *config, struct view name);
/* The finalized level; 0 when the feature is not finalized. */
int16_t image_feature_level(const struct image *image, struct view name);
const struct image_scram *image_scram(const struct image *image, int8_t mechanism,
                                      struct view user);

/* What changed between two images. */

struct image_topic_change {
    struct uuid id;
    const struct image_topic *before; /* NULL: created */
    const struct image_topic *after;  /* NULL: deleted */
};

struct image_config_change {
    int8_t type; /* enum config_resource_type */
    struct view name;
    const struct image_config *before; /* NULL: had none */
    const struct image_config *after;  /* NULL: has none any more */
};

struct image_node_change {
    int32_t id;
    const struct image_node *before; /* NULL: new */
    const struct image_node *after;  /* NULL: gone */
};

/*
 * Deleted topics come before the others; a topic that was deleted and created again under its name
 * is two changes, because its id differs. A topic's config change and its deletion both appear.
 */
struct image_delta {
    const struct image *before;
    const struct image *after;
    const struct image_topic_change *topics;
    uint32_t topic_count;
    const struct image_config_change *configs;
    uint32_t config_count;
    const struct image_node_change *brokers;
    uint32_t broker_count;
    bool controllers_changed;
    bool features_changed;
    bool quotas_changed;
    bool acls_changed;
    bool scrams_changed;
    bool tokens_changed;
    bool producer_ids_changed;
    size_t size; /* bytes of this block */
};

void image_delta_destroy(struct heap *heap, struct image_delta *delta);

/* A walk over the partitions of one topic change that differ. */
struct image_partition_change {
    int32_t index;
    const struct image_partition *before; /* NULL: created */
    const struct image_partition *after;  /* NULL: deleted */
};

/* Sets `cursor` to 0 before the first call; false at the end. Skips what is shared. */
bool image_topic_change_next(const struct image_topic_change *topic, uint32_t *cursor,
                             struct image_partition_change *change);

#endif
