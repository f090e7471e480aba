/*
 * A record is decoded in the coordinator's scratch arena and put into the array of its topic. The
 * array grows by a quarter: most groups commit few partitions of a topic, and few topics.
 *
 * A pending offset carries the whole value; its marker moves it into the array or drops it.
 */
#include "consumer/group_offsets.h"

#include <assert.h>

#include "base/assert.h"
#include "consumer/groups.h"
#include "protocol/messages/offset_commit_key.h"
#include "protocol/messages/offset_commit_value.h"

COORDINATOR_RECORD(offset_commit, OFFSET_COMMIT)

static_assert(sizeof(struct committed_offset) == 40, "millions of them are held");

/* The open transactions' offsets of one partition. */
struct pending_partition {
    struct list offsets; /* pending_offset.of_partition */
};

void group_offsets_init(struct group_offsets *offsets, struct groups *groups)
{
    *offsets = (struct group_offsets){.progress_ms = -1};
    map_init(&offsets->topics, groups->heap, MEMORY_STATE, groups->topics.seed);
    map_init(&offsets->pending, groups->heap, MEMORY_STATE, groups->topics.seed);
}

bool group_offsets_are_empty(const struct group_offsets *offsets)
{
    return map_count(&offsets->topics) == 0;
}

/* ---- Topics ---- */

static struct offset_topic *intern(struct groups *groups, struct view name)
{
    struct offset_topic *topic = map_get(&groups->topics, name);
    if (topic)
        return topic;
    topic = heap_must_get(groups->heap, MEMORY_STATE, sizeof(*topic) + name.size);
    if (name.size)
        memcpy(topic->name_bytes, name.data, name.size);
    topic->name = view_of(topic->name_bytes, name.size);
    topic->number = groups->topic_number_next++;
    bool is_put = map_put(&groups->topics, topic->name, topic);
    klamm_assert(is_put);
    return topic;
}

static void forget_topic(struct groups *groups, struct offset_topic *topic)
{
    if (--topic->references > 0)
        return;
    map_remove(&groups->topics, topic->name);
    heap_put(groups->heap, MEMORY_STATE, topic, sizeof(*topic) + topic->name.size);
}

static struct topic_offsets *topic_find(const struct group *group, struct view name)
{
    const struct offset_topic *topic = map_get(&group->groups->topics, name);
    return topic ? map_get_number(&group->offsets.topics, topic->number) : NULL;
}

static struct topic_offsets *topic_get(struct group *group, struct view name)
{
    struct offset_topic *topic = intern(group->groups, name);
    struct topic_offsets *offsets = map_get_number(&group->offsets.topics, topic->number);
    if (offsets)
        return offsets;
    offsets = heap_must_get(group->groups->heap, MEMORY_STATE, sizeof(*offsets));
    offsets->topic = topic;
    topic->references++;
    bool is_put = map_put_number(&group->offsets.topics, topic->number, offsets);
    klamm_assert(is_put);
    return offsets;
}

static void topic_drop_if_empty(struct group *group, struct topic_offsets *topic)
{
    if (topic->count > 0 || topic->pending > 0)
        return;
    struct groups *groups = group->groups;
    map_remove_number(&group->offsets.topics, topic->topic->number);
    forget_topic(groups, topic->topic);
    heap_put(groups->heap, MEMORY_STATE, topic->list, topic->capacity * sizeof(*topic->list));
    heap_put(groups->heap, MEMORY_STATE, topic, sizeof(*topic));
}

/* ---- Offsets of a topic ---- */

static void note_free(struct groups *groups, struct offset_note *note)
{
    if (note)
        heap_put(groups->heap, MEMORY_STATE, note, sizeof(*note) + note->metadata_size);
}

static struct offset_note *note_of(struct groups *groups, const struct offset_commit_value *value)
{
    if (value->metadata.size == 0 && value->expire_timestamp < 0)
        return NULL;
    struct offset_note *note =
        heap_must_get(groups->heap, MEMORY_STATE, sizeof(*note) + value->metadata.size);
    note->expire_timestamp_ms = value->expire_timestamp;
    note->metadata_size = value->metadata.size;
    if (value->metadata.size)
        memcpy(note->metadata, value->metadata.data, value->metadata.size);
    return note;
}

/* The place of the first partition that is not smaller. */
static uint32_t place_of(const struct topic_offsets *topic, int32_t partition)
{
    uint32_t low = 0, high = topic->count;
    if (high > 0 && topic->list[high - 1].partition < partition)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (topic->list[middle].partition < partition)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void make_room(struct groups *groups, struct topic_offsets *topic)
{
    if (topic->count < topic->capacity)
        return;
    uint32_t capacity = topic->capacity + topic->capacity / 4 + 1;
    size_t size = capacity * sizeof(*topic->list);
    struct committed_offset *list = topic->list
                                        ? heap_resize(groups->heap, MEMORY_STATE, topic->list,
                                                      topic->capacity * sizeof(*topic->list), size)
                                        : heap_get(groups->heap, MEMORY_STATE, size);
    klamm_assert(list);
    topic->list = list;
    topic->capacity = capacity;
}

static void remove_at(struct group *group, struct topic_offsets *topic, uint32_t place)
{
    note_free(group->groups, topic->list[place].note);
    topic->count--;
    group->offsets.count--;
    memmove(&topic->list[place], &topic->list[place + 1],
            (topic->count - place) * sizeof(*topic->list));
}

/* A commit for another topic of this name makes the earlier ones foreign. */
static enum offset_topic_id learn_id(struct topic_offsets *topic, struct uuid id)
{
    if (uuid_is_zero(id))
        return OFFSET_TOPIC_ANY;
    if (!uuid_equal(topic->id, id)) {
        for (uint32_t i = 0; i < topic->count; i++)
            if (topic->list[i].topic_id == OFFSET_TOPIC_CURRENT)
                topic->list[i].topic_id = OFFSET_TOPIC_OTHER;
        topic->id = id;
    }
    return OFFSET_TOPIC_CURRENT;
}

/* Takes the note of `value`. */
static void commit(struct group *group, struct topic_offsets *topic, struct committed_offset value,
                   struct uuid topic_id)
{
    uint32_t place = place_of(topic, value.partition);
    bool is_known = place < topic->count && topic->list[place].partition == value.partition;
    bool has_moved = !is_known || topic->list[place].offset != value.offset;
    value.topic_id = learn_id(topic, topic_id);
    if (is_known) {
        note_free(group->groups, topic->list[place].note);
    } else {
        make_room(group->groups, topic);
        memmove(&topic->list[place + 1], &topic->list[place],
                (topic->count - place) * sizeof(*topic->list));
        topic->count++;
        group->offsets.count++;
    }
    topic->list[place] = value;
    if (has_moved && value.commit_timestamp_ms > group->offsets.progress_ms)
        group->offsets.progress_ms = value.commit_timestamp_ms;
}

/* ---- Pending offsets ---- */

static uint64_t pending_key(const struct topic_offsets *topic, int32_t partition)
{
    return (uint64_t)topic->topic->number << 32 | (uint32_t)partition;
}

/* Takes a pending offset out of its three places; its value stays the caller's. */
static void pending_take(struct pending_offset *pending)
{
    struct group *group = pending->group;
    struct groups *groups = group->groups;
    list_remove(&pending->of_transaction);
    list_remove(&pending->of_partition);
    pending->topic->pending--;
    uint64_t key = pending_key(pending->topic, pending->value.partition);
    struct pending_partition *partition = map_get_number(&group->offsets.pending, key);
    if (list_is_empty(&partition->offsets)) {
        map_remove_number(&group->offsets.pending, key);
        heap_put(groups->heap, MEMORY_STATE, partition, sizeof(*partition));
    }
    struct offset_transaction *transaction =
        map_get_number(&groups->transactions, (uint64_t)pending->producer_id);
    if (list_is_empty(&transaction->offsets)) {
        map_remove_number(&groups->transactions, (uint64_t)pending->producer_id);
        heap_put(groups->heap, MEMORY_STATE, transaction, sizeof(*transaction));
    }
}

static void pending_drop(struct pending_offset *pending)
{
    struct groups *groups = pending->group->groups;
    pending_take(pending);
    note_free(groups, pending->value.note);
    heap_put(groups->heap, MEMORY_STATE, pending, sizeof(*pending));
}

static struct offset_transaction *transaction_get(struct groups *groups, int64_t producer_id)
{
    struct offset_transaction *transaction =
        map_get_number(&groups->transactions, (uint64_t)producer_id);
    if (transaction)
        return transaction;
    transaction = heap_must_get(groups->heap, MEMORY_STATE, sizeof(*transaction));
    transaction->producer_id = producer_id;
    list_init(&transaction->offsets);
    bool is_put = map_put_number(&groups->transactions, (uint64_t)producer_id, transaction);
    klamm_assert(is_put);
    return transaction;
}

static struct pending_partition *
pending_partition_get(struct group *group, const struct topic_offsets *topic, int32_t partition)
{
    uint64_t key = pending_key(topic, partition);
    struct pending_partition *pending = map_get_number(&group->offsets.pending, key);
    if (pending)
        return pending;
    pending = heap_must_get(group->groups->heap, MEMORY_STATE, sizeof(*pending));
    list_init(&pending->offsets);
    bool is_put = map_put_number(&group->offsets.pending, key, pending);
    klamm_assert(is_put);
    return pending;
}

/* Takes the note of `value`. */
static void pend(struct group *group, struct topic_offsets *topic, int64_t producer_id,
                 struct committed_offset value, struct uuid topic_id)
{
    struct pending_partition *partition = pending_partition_get(group, topic, value.partition);
    list_for_each(link, &partition->offsets)
    {
        struct pending_offset *pending = container_of(link, struct pending_offset, of_partition);
        if (pending->producer_id == producer_id) {
            note_free(group->groups, pending->value.note);
            pending->value = value;
            pending->topic_id = topic_id;
            return;
        }
    }
    struct pending_offset *pending =
        heap_must_get(group->groups->heap, MEMORY_STATE, sizeof(*pending));
    *pending = (struct pending_offset){.group = group,
                                       .topic = topic,
                                       .producer_id = producer_id,
                                       .topic_id = topic_id,
                                       .value = value};
    list_push_back(&partition->offsets, &pending->of_partition);
    list_push_back(&transaction_get(group->groups, producer_id)->offsets, &pending->of_transaction);
    topic->pending++;
}

static void pending_drop_partition(struct group *group, const struct topic_offsets *topic,
                                   int32_t partition)
{
    uint64_t key = pending_key(topic, partition);
    struct pending_partition *pending = map_get_number(&group->offsets.pending, key);
    while (pending) {
        pending_drop(container_of(pending->offsets.next, struct pending_offset, of_partition));
        pending = map_get_number(&group->offsets.pending, key);
    }
}

/* Makes a pending offset visible, unless a later commit is (invariant 4). */
static void pending_commit(struct pending_offset *pending)
{
    struct group *group = pending->group;
    const struct committed_offset *visible =
        topic_offsets_find(pending->topic, pending->value.partition);
    if (visible && visible->log_offset > pending->value.log_offset) {
        pending_drop(pending);
        return;
    }
    pending_take(pending);
    commit(group, pending->topic, pending->value, pending->topic_id);
    heap_put(group->groups->heap, MEMORY_STATE, pending, sizeof(*pending));
}

void group_offsets_replay_marker(struct groups *groups, const struct coordinator_marker *marker)
{
    struct offset_transaction *transaction;
    while ((transaction = map_get_number(&groups->transactions, (uint64_t)marker->producer_id))) {
        struct pending_offset *pending =
            container_of(transaction->offsets.next, struct pending_offset, of_transaction);
        struct group *group = pending->group;
        struct topic_offsets *topic = pending->topic;
        if (marker->commit)
            pending_commit(pending);
        else
            pending_drop(pending);
        topic_drop_if_empty(group, topic);
    }
}

/* ---- Replay ---- */

static void replay_tombstone(struct groups *groups, const struct offset_commit_key *key)
{
    struct group *group = groups_find(groups, key->group);
    struct topic_offsets *topic = group ? topic_find(group, key->topic) : NULL;
    if (!topic)
        return;
    uint32_t place = place_of(topic, key->partition);
    if (place < topic->count && topic->list[place].partition == key->partition)
        remove_at(group, topic, place);
    pending_drop_partition(group, topic, key->partition);
    topic_drop_if_empty(group, topic);
}

enum coordinator_replay group_offsets_replay(struct groups *groups,
                                             const struct coordinator_record *record)
{
    /* Types 0 and 1 have the same fields. */
    struct offset_commit_key key;
    struct offset_commit_value value;
    if (!get_offset_commit_key(record, &groups->scratch, &key))
        return COORDINATOR_REPLAY_DAMAGED;
    if (view_is_null(record->value)) {
        replay_tombstone(groups, &key);
        return COORDINATOR_REPLAY_OK;
    }
    if (!get_offset_commit_value(record, &groups->scratch, &value))
        return COORDINATOR_REPLAY_DAMAGED;
    struct group *group = groups_get(groups, key.group);
    struct topic_offsets *topic = topic_get(group, key.topic);
    struct committed_offset committed = {
        .offset = value.offset,
        .commit_timestamp_ms = value.commit_timestamp,
        .note = note_of(groups, &value),
        .log_offset = (uint64_t)record->offset & (UINT64_MAX >> 2),
        .partition = key.partition,
        .leader_epoch = value.leader_epoch,
    };
    if (record->producer_id == BATCH_NO_PRODUCER_ID)
        commit(group, topic, committed, value.topic_id);
    else
        pend(group, topic, record->producer_id, committed, value.topic_id);
    return COORDINATOR_REPLAY_OK;
}

/* ---- Looking ---- */

const struct topic_offsets *group_offsets_topic(const struct group *group, struct view topic)
{
    return topic_find(group, topic);
}

const struct committed_offset *topic_offsets_find(const struct topic_offsets *topic,
                                                  int32_t partition)
{
    if (!topic)
        return NULL;
    uint32_t place = place_of(topic, partition);
    bool is_found = place < topic->count && topic->list[place].partition == partition;
    return is_found ? &topic->list[place] : NULL;
}

bool topic_offsets_are_pending(const struct group *group, const struct topic_offsets *topic,
                               int32_t partition)
{
    return topic && topic->pending > 0 &&
           map_find_number(&group->offsets.pending, pending_key(topic, partition));
}

bool committed_offset_is_foreign(const struct topic_offsets *topic,
                                 const struct committed_offset *committed, struct uuid id)
{
    if (uuid_is_zero(id) || committed->topic_id == OFFSET_TOPIC_ANY)
        return false;
    return committed->topic_id == OFFSET_TOPIC_OTHER || !uuid_equal(topic->id, id);
}

struct view committed_offset_metadata(const struct committed_offset *committed)
{
    const struct offset_note *note = committed->note;
    return note ? view_of(note->metadata, note->metadata_size) : VIEW_LITERAL("");
}

int64_t committed_offset_expire_ms(const struct committed_offset *committed)
{
    return committed->note ? committed->note->expire_timestamp_ms : -1;
}

/* ---- Tombstones ---- */

void group_offsets_put_tombstone(struct coordinator_records *records, struct view group,
                                 struct view topic, int32_t partition)
{
    struct offset_commit_key key = {.group = group, .topic = topic, .partition = partition};
    put_offset_commit_tombstone(records, &key);
}

bool group_offsets_have_room(const struct coordinator_records *records, const struct group *group,
                             const struct topic_offsets *topic)
{
    enum { KEY_SIZE = 2 + 2 + 2 + 4 };
    size_t size = KEY_SIZE + group->id.size + topic->topic->name.size;
    return records->count == 0 || coordinator_records_room(records) >= size;
}

/* Pending offsets without a committed one; the tombstone of that one takes both away. */
static bool put_pending_tombstones(struct coordinator_records *records, const struct group *group,
                                   const struct topic_offsets *topic)
{
    if (topic->pending == 0)
        return true;
    map_for_each(entry, &group->offsets.pending)
    {
        const struct pending_partition *partition = entry->value;
        const struct pending_offset *pending =
            container_of(partition->offsets.next, struct pending_offset, of_partition);
        if (pending->topic != topic || topic_offsets_find(topic, pending->value.partition))
            continue;
        if (!group_offsets_have_room(records, group, topic))
            return false;
        group_offsets_put_tombstone(records, group->id, topic->topic->name,
                                    pending->value.partition);
    }
    return true;
}

bool topic_offsets_put_tombstones(struct coordinator_records *records, const struct group *group,
                                  const struct topic_offsets *topic, struct uuid but)
{
    bool has_newer = !uuid_is_zero(but) && uuid_equal(topic->id, but);
    for (uint32_t i = 0; i < topic->count; i++) {
        if (has_newer && topic->list[i].topic_id == OFFSET_TOPIC_CURRENT)
            continue;
        if (!group_offsets_have_room(records, group, topic))
            return false;
        group_offsets_put_tombstone(records, group->id, topic->topic->name,
                                    topic->list[i].partition);
    }
    return has_newer || put_pending_tombstones(records, group, topic);
}

bool group_offsets_put_tombstones(struct coordinator_records *records, const struct group *group)
{
    map_for_each(entry, &group->offsets.topics)
    {
        if (!topic_offsets_put_tombstones(records, group, entry->value, UUID_ZERO))
            return false;
    }
    return true;
}

/* ---- The end ---- */

void group_offsets_deinit(struct group *group)
{
    struct map_entry *entry;
    while ((entry = map_first(&group->offsets.pending))) {
        struct pending_partition *partition = entry->value;
        pending_drop(container_of(partition->offsets.next, struct pending_offset, of_partition));
    }
    while ((entry = map_first(&group->offsets.topics))) {
        struct topic_offsets *topic = entry->value;
        for (uint32_t i = 0; i < topic->count; i++)
            note_free(group->groups, topic->list[i].note);
        group->offsets.count -= topic->count;
        topic->count = 0;
        topic_drop_if_empty(group, topic);
    }
    map_deinit(&group->offsets.topics);
    map_deinit(&group->offsets.pending);
}
