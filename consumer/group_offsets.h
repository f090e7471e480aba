/*
 * The committed offsets of a group, and those that wait for the end of a transaction.
 *
 * A coordinator may hold millions of offsets, so one costs 40 bytes: topic names are interned per
 * coordinator, what most offsets do not have (metadata text, an expiry of its own) is in a note
 * beside it, and the offsets of one topic stand in one sorted array.
 *
 * Offsets change by replay only. A transactional commit is pending until its marker comes: it is
 * not seen by readers, keeps the partition from expiring, and makes readers that require stable
 * offsets wait (KIP-447).
 *
 * Invariants:
 *  1. list[0, count) of a topic is in rising order of partition, each partition once.
 *  2. A topic stands in `topics` while it has committed or pending offsets, and no longer.
 *  3. A pending offset is in three places: its transaction, its partition (`pending`), and the
 *     topic's count of pending offsets. A transaction has one pending offset for a partition.
 *  4. Of two commits the one with the higher log offset is visible, whatever order their ends had
 *     (KAFKA-14505).
 */
#ifndef KLAMM_CONSUMER_GROUP_OFFSETS_H
#define KLAMM_CONSUMER_GROUP_OFFSETS_H

#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"
#include "coordinator/coordinator.h"

struct group;
struct groups;

/* A topic name, shared by the groups of a coordinator. */
struct offset_topic {
    uint32_t number;     /* never used twice in a coordinator */
    uint32_t references; /* topic_offsets that point here */
    struct view name;
    uint8_t name_bytes[];
};

/* What few offsets have. */
struct offset_note {
    int64_t expire_timestamp_ms; /* -1: none (OffsetCommit v2 to v4 may give one) */
    size_t metadata_size;        /* bytes */
    uint8_t metadata[];
};

/* Which topic of its name an offset was committed for. */
enum offset_topic_id {
    OFFSET_TOPIC_ANY,     /* not said: older records */
    OFFSET_TOPIC_CURRENT, /* topic_offsets.id */
    OFFSET_TOPIC_OTHER    /* an earlier topic of this name */
};

struct committed_offset {
    int64_t offset;
    int64_t commit_timestamp_ms;
    struct offset_note *note; /* NULL: no metadata, no expiry of its own */
    uint64_t log_offset : 62; /* of the record */
    uint64_t topic_id : 2;    /* enum offset_topic_id */
    int32_t partition;
    int32_t leader_epoch; /* -1: not said */
};

struct topic_offsets {
    struct offset_topic *topic;
    struct uuid id; /* of the newest commit that said one; zero: none did */
    struct committed_offset *list;
    uint32_t count;
    uint32_t capacity;
    uint32_t pending; /* pending offsets of this topic */
};

struct group_offsets {
    struct map topics;   /* struct topic_offsets by offset_topic.number */
    struct map pending;  /* struct pending_partition by topic number and partition */
    uint64_t count;      /* committed offsets */
    int64_t progress_ms; /* when a commit last moved an offset; -1: never */
};

/* A commit whose transaction is open. */
struct pending_offset {
    struct list of_transaction;
    struct list of_partition;
    struct group *group;
    struct topic_offsets *topic;
    int64_t producer_id;
    struct uuid topic_id;
    struct committed_offset value;
};

struct offset_transaction {
    int64_t producer_id;
    struct list offsets; /* pending_offset.of_transaction */
};

void group_offsets_init(struct group_offsets *offsets, struct groups *groups);
/* Frees everything, pending offsets too. */
void group_offsets_deinit(struct group *group);
/* Whether the group has neither committed nor pending offsets. */
bool group_offsets_are_empty(const struct group_offsets *offsets);

/* NULL when the group has none of this topic. */
const struct topic_offsets *group_offsets_topic(const struct group *group, struct view topic);
/* NULL when nothing is committed; topic may be NULL. */
const struct committed_offset *topic_offsets_find(const struct topic_offsets *topic,
                                                  int32_t partition);
/* Whether an open transaction has an offset for the partition; topic may be NULL. */
bool topic_offsets_are_pending(const struct group *group, const struct topic_offsets *topic,
                               int32_t partition);
/* Whether an offset was committed for another topic than `id` (zero: any will do). */
bool committed_offset_is_foreign(const struct topic_offsets *topic,
                                 const struct committed_offset *committed, struct uuid id);
/* "" when there is none. */
struct view committed_offset_metadata(const struct committed_offset *committed);
int64_t committed_offset_expire_ms(const struct committed_offset *committed);

/* A record of type 0 or 1. */
enum coordinator_replay group_offsets_replay(struct groups *groups,
                                             const struct coordinator_record *record);
void group_offsets_replay_marker(struct groups *groups, const struct coordinator_marker *marker);

/* Adds the tombstone of one partition's offset. */
void group_offsets_put_tombstone(struct coordinator_records *records, struct view group,
                                 struct view topic, int32_t partition);
/*
 * Adds the tombstones of all offsets of a group, pending ones too. False when the batch is full:
 * append it and go on with the next.
 */
bool group_offsets_put_tombstones(struct coordinator_records *records, const struct group *group);
/* The same for one topic; for all of its offsets unless they are for the topic `but` (not zero). */
bool topic_offsets_put_tombstones(struct coordinator_records *records, const struct group *group,
                                  const struct topic_offsets *topic, struct uuid but);
/* Whether the batch takes another tombstone of the topic; an empty one does. */
bool group_offsets_have_room(const struct coordinator_records *records, const struct group *group,
                             const struct topic_offsets *topic);

#endif
