/*
 * Topics of a transaction are an array in the order in which they joined, because that order is the
 * order in the records; there are few of them. Partitions of a topic are sorted for the search.
 */
#include "transaction/transaction.h"

#include "base/assert.h"

/* ---- States ---- */

static const struct view status_names[] = {
    [TRANSACTION_EMPTY] = {(const uint8_t *)"Empty", 5},
    [TRANSACTION_ONGOING] = {(const uint8_t *)"Ongoing", 7},
    [TRANSACTION_PREPARE_COMMIT] = {(const uint8_t *)"PrepareCommit", 13},
    [TRANSACTION_PREPARE_ABORT] = {(const uint8_t *)"PrepareAbort", 12},
    [TRANSACTION_COMPLETE_COMMIT] = {(const uint8_t *)"CompleteCommit", 14},
    [TRANSACTION_COMPLETE_ABORT] = {(const uint8_t *)"CompleteAbort", 13},
};

const char *transaction_status_name(enum transaction_status status)
{
    klamm_assert(status < TRANSACTION_STATUS_COUNT);
    return (const char *)status_names[status].data;
}

enum transaction_status transaction_status_of_name(struct view name)
{
    enum transaction_status status = TRANSACTION_EMPTY;
    while (status < TRANSACTION_STATUS_COUNT && !view_equal(status_names[status], name))
        status++;
    return status;
}

bool transaction_status_is_known(struct view name)
{
    return transaction_status_of_name(name) < TRANSACTION_STATUS_COUNT ||
           view_equal(name, VIEW_LITERAL("Dead")) ||
           view_equal(name, VIEW_LITERAL("PrepareEpochFence"));
}

#define BIT(status) (1u << TRANSACTION_##status)

/* What may come before each state. Every move to PREPARE_ABORT from a state without a transaction
   is the epoch bump of transaction version 2. */
static const unsigned predecessors[] = {
    [TRANSACTION_EMPTY] = BIT(EMPTY) | BIT(COMPLETE_COMMIT) | BIT(COMPLETE_ABORT),
    [TRANSACTION_ONGOING] = BIT(ONGOING) | BIT(EMPTY) | BIT(COMPLETE_COMMIT) | BIT(COMPLETE_ABORT),
    [TRANSACTION_PREPARE_COMMIT] = BIT(ONGOING),
    [TRANSACTION_PREPARE_ABORT] =
        BIT(ONGOING) | BIT(EMPTY) | BIT(COMPLETE_COMMIT) | BIT(COMPLETE_ABORT),
    [TRANSACTION_COMPLETE_COMMIT] = BIT(PREPARE_COMMIT),
    [TRANSACTION_COMPLETE_ABORT] = BIT(PREPARE_ABORT),
};

bool transaction_may_move(enum transaction_status from, enum transaction_status to)
{
    return predecessors[to] & (1u << from);
}

/* ---- Life ---- */

struct transaction *transaction_create(struct transactions *owner, struct heap *heap,
                                       struct view id)
{
    size_t size = sizeof(struct transaction) + id.size;
    struct transaction *transaction = heap_must_get(heap, MEMORY_STATE, size);
    transaction->owner = owner;
    transaction->held_size = size;
    uint8_t *bytes = (uint8_t *)(transaction + 1);
    if (id.size > 0)
        memcpy(bytes, id.data, id.size);
    transaction->id = view_of(bytes, id.size);
    transaction->producer_id = TRANSACTION_NO_PRODUCER_ID;
    transaction->previous_producer_id = TRANSACTION_NO_PRODUCER_ID;
    transaction->next_producer_id = TRANSACTION_NO_PRODUCER_ID;
    transaction->producer_epoch = TRANSACTION_NO_EPOCH;
    transaction->last_epoch = TRANSACTION_NO_EPOCH;
    transaction->started_ms = TRANSACTION_NO_TIME;
    list_link_init(&transaction->link);
    list_link_init(&transaction->prepared.link);
    list_init(&transaction->waiting);
    marker_work_init(&transaction->markers);
    return transaction;
}

static void clear_topics(struct transaction *transaction, struct heap *heap)
{
    for (uint32_t i = 0; i < transaction->topic_count; i++) {
        struct transaction_topic *topic = &transaction->topics[i];
        heap_put(heap, MEMORY_STATE, (void *)(uintptr_t)topic->name.data, topic->name.size + 1);
        heap_put(heap, MEMORY_STATE, topic->partitions, topic->capacity * sizeof(int32_t));
    }
    heap_put(heap, MEMORY_STATE, transaction->topics,
             transaction->topic_capacity * sizeof(*transaction->topics));
    transaction->topics = NULL;
    transaction->topic_count = 0;
    transaction->topic_capacity = 0;
}

void transaction_destroy(struct transaction *transaction, struct heap *heap)
{
    klamm_assert(list_is_empty(&transaction->waiting));
    klamm_assert(!transaction->is_awaiting);
    marker_writer_cancel(&transaction->markers);
    list_remove(&transaction->link);
    clear_topics(transaction, heap);
    heap_put(heap, MEMORY_STATE, transaction, transaction->held_size);
}

/* ---- Partitions ---- */

/* The place of a partition in a rising array, or where it belongs. */
static uint32_t place_of(const int32_t *partitions, uint32_t count, int32_t partition)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (partitions[middle] < partition)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct transaction_topic *find_topic(const struct transaction *transaction, struct view name)
{
    for (uint32_t i = 0; i < transaction->topic_count; i++) {
        if (view_equal(transaction->topics[i].name, name))
            return &transaction->topics[i];
    }
    return NULL;
}

bool transaction_has_partition(const struct transaction *transaction, struct view topic,
                               int32_t partition)
{
    const struct transaction_topic *found = find_topic(transaction, topic);
    if (!found)
        return false;
    uint32_t place = place_of(found->partitions, found->count, partition);
    return place < found->count && found->partitions[place] == partition;
}

static struct transaction_topic *add_topic(struct transaction *transaction, struct heap *heap,
                                           struct view name)
{
    if (transaction->topic_count == transaction->topic_capacity) {
        uint32_t capacity = transaction->topic_capacity ? transaction->topic_capacity * 2 : 2;
        struct transaction_topic *topics =
            heap_must_get(heap, MEMORY_STATE, capacity * sizeof(*topics));
        if (transaction->topic_count > 0)
            memcpy(topics, transaction->topics, transaction->topic_count * sizeof(*topics));
        heap_put(heap, MEMORY_STATE, transaction->topics,
                 transaction->topic_capacity * sizeof(*topics));
        transaction->topics = topics;
        transaction->topic_capacity = capacity;
    }
    struct transaction_topic *topic = &transaction->topics[transaction->topic_count++];
    uint8_t *bytes = heap_must_get(heap, MEMORY_STATE, name.size + 1);
    memcpy(bytes, name.data, name.size);
    *topic = (struct transaction_topic){.name = view_of(bytes, name.size)};
    return topic;
}

static void add_partition(struct transaction_topic *topic, struct heap *heap, int32_t partition)
{
    uint32_t place = place_of(topic->partitions, topic->count, partition);
    if (place < topic->count && topic->partitions[place] == partition)
        return;
    if (topic->count == topic->capacity) {
        uint32_t capacity = topic->capacity ? topic->capacity * 2 : 4;
        int32_t *partitions = heap_must_get(heap, MEMORY_STATE, capacity * sizeof(*partitions));
        if (topic->count > 0)
            memcpy(partitions, topic->partitions, topic->count * sizeof(*partitions));
        heap_put(heap, MEMORY_STATE, topic->partitions, topic->capacity * sizeof(*partitions));
        topic->partitions = partitions;
        topic->capacity = capacity;
    }
    memmove(topic->partitions + place + 1, topic->partitions + place,
            (topic->count - place) * sizeof(*topic->partitions));
    topic->partitions[place] = partition;
    topic->count++;
}

/* Adds what the record has; while a transaction runs, that is all that changes. */
static void take_partitions(struct transaction *transaction, struct heap *heap,
                            const struct transaction_log_value *value)
{
    for (size_t i = 0; i < value->transaction_partitions_count; i++) {
        const struct transaction_log_value_partitions_schema *from =
            &value->transaction_partitions[i];
        struct transaction_topic *topic = find_topic(transaction, from->topic);
        if (!topic)
            topic = add_topic(transaction, heap, from->topic);
        for (size_t j = 0; j < from->partition_ids_count; j++)
            add_partition(topic, heap, from->partition_ids[j]);
    }
}

/* ---- Records ---- */

void transaction_to_record(const struct transaction *transaction, struct arena *arena,
                           struct transaction_log_value *value)
{
    transaction_log_value_init(value);
    value->producer_id = transaction->producer_id;
    value->previous_producer_id = transaction->previous_producer_id;
    value->next_producer_id = transaction->next_producer_id;
    value->producer_epoch = transaction->producer_epoch;
    value->transaction_timeout_ms = transaction->timeout_ms;
    value->transaction_status = (int8_t)transaction->status;
    value->transaction_last_update_timestamp_ms = transaction->updated_ms;
    value->transaction_start_timestamp_ms = transaction->started_ms;
    value->client_transaction_version = transaction->client_version;
    value->transaction_partitions_count = transaction->topic_count;
    value->transaction_partitions =
        arena_must_get(arena, transaction->topic_count, sizeof(*value->transaction_partitions));
    for (uint32_t i = 0; i < transaction->topic_count; i++) {
        struct transaction_log_value_partitions_schema *to = &value->transaction_partitions[i];
        const struct transaction_topic *from = &transaction->topics[i];
        to->topic = from->name;
        to->partition_ids_count = from->count;
        to->partition_ids = arena_must_get(arena, from->count, sizeof(*to->partition_ids));
        if (from->count > 0)
            memcpy(to->partition_ids, from->partitions, from->count * sizeof(*to->partition_ids));
    }
}

/* Grows an array of the arena by one. */
static void *grow(struct arena *arena, const void *array, size_t count, size_t size)
{
    uint8_t *grown = arena_must_get(arena, count + 1, size);
    if (count > 0)
        memcpy(grown, array, count * size);
    return grown;
}

bool transaction_record_add(struct transaction_log_value *value, struct arena *arena,
                            struct view topic, int32_t partition)
{
    size_t count = value->transaction_partitions_count;
    struct transaction_log_value_partitions_schema *entry = NULL;
    for (size_t i = 0; i < count && !entry; i++) {
        if (view_equal(value->transaction_partitions[i].topic, topic))
            entry = &value->transaction_partitions[i];
    }
    if (!entry) {
        value->transaction_partitions =
            grow(arena, value->transaction_partitions, count, sizeof(*entry));
        entry = &value->transaction_partitions[value->transaction_partitions_count++];
        *entry = (struct transaction_log_value_partitions_schema){.topic = topic};
    }
    uint32_t have = (uint32_t)entry->partition_ids_count;
    uint32_t place = place_of(entry->partition_ids, have, partition);
    if (place < have && entry->partition_ids[place] == partition)
        return false;
    entry->partition_ids = grow(arena, entry->partition_ids, have, sizeof(partition));
    memmove(entry->partition_ids + place + 1, entry->partition_ids + place,
            (have - place) * sizeof(partition));
    entry->partition_ids[place] = partition;
    entry->partition_ids_count++;
    return true;
}

/*
 * What no coordinator writes becomes what it can go on with: a log that cannot be loaded would stop
 * every transaction of its partition. A next producer id of an open transaction is that of a
 * two-phase commit (KIP-939), which is not served.
 */
static void settle_fields(struct transaction *transaction)
{
    bool is_prepared = transaction_is_prepared(transaction);
    if (transaction->previous_producer_id < 0)
        transaction->previous_producer_id = TRANSACTION_NO_PRODUCER_ID;
    if (transaction->next_producer_id < 0 || !is_prepared ||
        transaction->next_producer_id == transaction->producer_id)
        transaction->next_producer_id = TRANSACTION_NO_PRODUCER_ID;
    bool is_open = is_prepared || transaction->status == TRANSACTION_ONGOING;
    if (is_open && transaction->started_ms < 0)
        transaction->started_ms = transaction->updated_ms > 0 ? transaction->updated_ms : 0;
}

bool transaction_from_record(struct transaction *transaction, struct heap *heap,
                             const struct transaction_log_value *value)
{
    if (value->transaction_status < 0 || value->transaction_status >= TRANSACTION_STATUS_COUNT ||
        value->producer_id < 0 || value->producer_epoch < 0)
        return false;
    /* A log that compaction has thinned may begin a new transaction right over an older one. */
    if (transaction->started_ms != value->transaction_start_timestamp_ms)
        clear_topics(transaction, heap);
    transaction->status = (enum transaction_status)value->transaction_status;
    transaction->producer_id = value->producer_id;
    transaction->previous_producer_id = value->previous_producer_id;
    transaction->next_producer_id = value->next_producer_id;
    transaction->producer_epoch = value->producer_epoch;
    transaction->timeout_ms = value->transaction_timeout_ms;
    transaction->updated_ms = value->transaction_last_update_timestamp_ms;
    transaction->started_ms = value->transaction_start_timestamp_ms;
    transaction->client_version = value->client_transaction_version;
    bool has_partitions =
        transaction->status == TRANSACTION_ONGOING || transaction_is_prepared(transaction);
    settle_fields(transaction);
    if (!has_partitions) {
        clear_topics(transaction, heap);
        return true;
    }
    take_partitions(transaction, heap, value);
    return true;
}

void transaction_assert_follows(const struct transaction *transaction,
                                const struct transaction_log_value *value)
{
    enum transaction_status to = (enum transaction_status)value->transaction_status;
    if (transaction->producer_id == TRANSACTION_NO_PRODUCER_ID) {
        klamm_assert(to == TRANSACTION_EMPTY);
        klamm_assert(value->producer_epoch == 0);
        return;
    }
    klamm_assert(transaction_may_move(transaction->status, to));
    if (value->producer_id == transaction->producer_id) {
        klamm_assert(value->producer_epoch == transaction->producer_epoch ||
                     value->producer_epoch == transaction->producer_epoch + 1);
    } else {
        klamm_assert(value->producer_epoch == 0);
        klamm_assert(value->previous_producer_id == transaction->producer_id ||
                     value->previous_producer_id == TRANSACTION_NO_PRODUCER_ID);
    }
    if (transaction->status == TRANSACTION_ONGOING)
        klamm_assert(value->transaction_start_timestamp_ms == transaction->started_ms);
}

void transaction_assert(const struct transaction *transaction)
{
    bool is_open =
        transaction->status == TRANSACTION_ONGOING || transaction_is_prepared(transaction);
    klamm_assert(transaction->producer_epoch >= 0);
    klamm_assert(is_open || transaction->topic_count == 0);
    klamm_assert(transaction->next_producer_id < 0 || transaction_is_prepared(transaction));
    klamm_assert(!is_open || transaction->started_ms >= 0);
    for (uint32_t i = 0; i < transaction->topic_count; i++) {
        const struct transaction_topic *topic = &transaction->topics[i];
        for (uint32_t j = 1; j < topic->count; j++)
            klamm_assert(topic->partitions[j - 1] < topic->partitions[j]);
    }
}
