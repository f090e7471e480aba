/*
 * How it works.
 *
 * Producers hang in a chained hash table and in a list by last use. A producer holds its newest
 * batch inline and gets room for four older ones with its second batch, because most ids of short
 * programs write one batch only. A completed transaction leaves the list of open ones and becomes
 * an unreplicated one until the high watermark has passed its marker.
 *
 * Every apply first appends an undo record with what it is about to overwrite; settling drops
 * records from the front, undoing walks them from the back. Records are plain copies, so undoing
 * needs no reasoning about what the batch did.
 *
 * Replication and recovery apply whatever the leader wrote, also what the checks would refuse.
 */
#include "log/producer_state.h"

#include "base/assert.h"
#include "base/hash.h"
#include "protocol/batch.h"

enum {
    OLDER_BATCHES = PRODUCER_BATCHES - 1,
    BUCKETS_FIRST = 8,
    UNDO_FIRST = 8,
    EVICTION_STEPS = 16
};

/* A batch as the duplicate check needs it. */
struct cached_batch {
    int64_t last_offset;
    int64_t timestamp_ms;
    int32_t last_sequence;
    int32_t offset_delta;
};

/* The part of a producer that an apply may change; copied whole for undo. */
struct producer_core {
    struct cached_batch newest; /* valid when has_batch */
    int64_t timestamp_ms;
    int64_t transaction_first_offset; /* -1: none open */
    int32_t coordinator_epoch;
    int16_t epoch;
    uint8_t older_count; /* valid entries of `older` */
    uint8_t older_next;  /* where the next one goes; the one before it is the newest of them */
    bool has_batch;
};

struct producer {
    struct producer *chain;
    struct list recent_link;
    struct list open_link; /* in producer_state.open while a transaction is open */
    int64_t id;
    uint32_t undo_count; /* unsettled applies */
    struct producer_core core;
    struct cached_batch *older; /* OLDER_BATCHES, or NULL */
};

/* A transaction whose marker is written but perhaps not replicated. */
struct unreplicated_transaction {
    struct list link;
    int64_t first_offset;
    int64_t last_offset;
};

struct producer_undo {
    struct producer *producer;
    int64_t offset;                /* first offset of the applied batch */
    int64_t completed_last_offset; /* marker that made an unreplicated transaction, or -1 */
    struct producer_core before;
    struct cached_batch overwritten; /* of older[overwritten_index] */
    uint8_t overwritten_index;
    bool is_created;
};

static struct producer *producer_of_recent(const struct list *link)
{
    return container_of((struct list *)(uintptr_t)link, struct producer, recent_link);
}

static struct producer *producer_of_open(const struct list *link)
{
    return container_of((struct list *)(uintptr_t)link, struct producer, open_link);
}

static struct unreplicated_transaction *unreplicated_of(const struct list *link)
{
    return container_of((struct list *)(uintptr_t)link, struct unreplicated_transaction, link);
}

/* ---- Sequences ------------------------------------------------------------------------------ */

/* 2^31-1 is followed by 0; "no sequence" too. */
static bool is_next_sequence(int32_t last, int32_t next)
{
    return next == (last == INT32_MAX ? 0 : last + 1);
}

/* ---- Producers ------------------------------------------------------------------------------ */

void producer_state_init(struct producer_state *state, struct heap *heap,
                         const struct producer_state_options *options)
{
    *state = (struct producer_state){.heap = heap, .options = options};
    producer_verifications_init(&state->verifications, heap);
    list_init(&state->recent);
    list_init(&state->open);
    list_init(&state->unreplicated);
}

static struct producer **bucket_of(const struct producer_state *state, int64_t id)
{
    return &state->buckets[hash_u64(0, (uint64_t)id) & (state->bucket_count - 1)];
}

static struct producer *find(const struct producer_state *state, int64_t id)
{
    if (state->bucket_count == 0)
        return NULL;
    struct producer *producer = *bucket_of(state, id);
    while (producer && producer->id != id)
        producer = producer->chain;
    return producer;
}

static void grow_buckets(struct producer_state *state)
{
    uint32_t count = state->bucket_count ? state->bucket_count * 2 : BUCKETS_FIRST;
    size_t old_size = state->bucket_count * sizeof(struct producer *);
    struct producer **old = state->buckets;
    state->buckets = heap_must_get(state->heap, MEMORY_STATE, count * sizeof(struct producer *));
    state->bucket_count = count;
    list_for_each(link, &state->recent)
    {
        struct producer *producer = producer_of_recent(link);
        struct producer **bucket = bucket_of(state, producer->id);
        producer->chain = *bucket;
        *bucket = producer;
    }
    heap_put(state->heap, MEMORY_STATE, old, old_size);
}

static struct producer *create(struct producer_state *state, int64_t id)
{
    if (state->producer_count >= state->bucket_count)
        grow_buckets(state);
    struct producer *producer = heap_must_get(state->heap, MEMORY_STATE, sizeof(*producer));
    producer->id = id;
    producer->core = (struct producer_core){
        .timestamp_ms = -1,
        .transaction_first_offset = -1,
        .coordinator_epoch = -1,
        .epoch = PRODUCER_EPOCH_NONE,
    };
    list_link_init(&producer->open_link);
    list_push_back(&state->recent, &producer->recent_link);
    struct producer **bucket = bucket_of(state, id);
    producer->chain = *bucket;
    *bucket = producer;
    state->producer_count++;
    return producer;
}

static void destroy(struct producer_state *state, struct producer *producer)
{
    struct producer **place = bucket_of(state, producer->id);
    while (*place != producer)
        place = &(*place)->chain;
    *place = producer->chain;
    list_remove(&producer->recent_link);
    list_remove(&producer->open_link);
    heap_put(state->heap, MEMORY_STATE, producer->older, OLDER_BATCHES * sizeof(*producer->older));
    heap_put(state->heap, MEMORY_STATE, producer, sizeof(*producer));
    state->producer_count--;
}

/*
 * Drops longest unused ids over the limit. Those that invariant 5 protects are moved behind the
 * others and looked at again later, so that one call stays short.
 */
static void evict(struct producer_state *state)
{
    uint32_t limit = state->options->producer_count_max;
    for (int i = 0; i < EVICTION_STEPS && limit > 0 && state->producer_count > limit; i++) {
        struct producer *producer = producer_of_recent(state->recent.next);
        if (producer->core.transaction_first_offset >= 0 || producer->undo_count > 0) {
            list_remove(&producer->recent_link);
            list_push_back(&state->recent, &producer->recent_link);
            continue;
        }
        destroy(state, producer);
        state->evicted_count++;
    }
}

static void destroy_unreplicated(struct producer_state *state,
                                 struct unreplicated_transaction *transaction)
{
    list_remove(&transaction->link);
    heap_put(state->heap, MEMORY_STATE, transaction, sizeof(*transaction));
}

void producer_state_clear(struct producer_state *state)
{
    list_for_each_safe(link, after, &state->recent) destroy(state, producer_of_recent(link));
    list_for_each_safe(link, after, &state->unreplicated)
        destroy_unreplicated(state, unreplicated_of(link));
    producer_verifications_expire(&state->verifications, INT64_MAX);
    state->undo_first = 0;
    state->undo_end = 0;
}

void producer_state_deinit(struct producer_state *state)
{
    producer_state_clear(state);
    heap_put(state->heap, MEMORY_STATE, state->buckets,
             state->bucket_count * sizeof(*state->buckets));
    heap_put(state->heap, MEMORY_STATE, state->undo, state->undo_capacity * sizeof(*state->undo));
    producer_verifications_deinit(&state->verifications);
    state->buckets = NULL;
    state->bucket_count = 0;
    state->undo = NULL;
    state->undo_capacity = 0;
}

/* Links an open transaction in the order of first offsets; almost always at the end. */
static void link_open(struct producer_state *state, struct producer *producer)
{
    struct list *place = &state->open;
    while (place->previous != &state->open &&
           producer_of_open(place->previous)->core.transaction_first_offset >
               producer->core.transaction_first_offset)
        place = place->previous;
    list_insert_before(place, &producer->open_link);
}

static void add_unreplicated(struct producer_state *state, int64_t first_offset,
                             int64_t last_offset)
{
    struct unreplicated_transaction *transaction =
        heap_must_get(state->heap, MEMORY_STATE, sizeof(*transaction));
    transaction->first_offset = first_offset;
    transaction->last_offset = last_offset;
    struct list *place = &state->unreplicated;
    while (place->previous != &state->unreplicated &&
           unreplicated_of(place->previous)->first_offset > first_offset)
        place = place->previous;
    list_insert_before(place, &transaction->link);
}

void producer_state_copy(struct producer_state *to, const struct producer_state *from)
{
    klamm_assert(producer_state_is_empty(to));
    klamm_assert(from->undo_first == from->undo_end);
    list_for_each(link, &from->recent)
    {
        const struct producer *source = producer_of_recent(link);
        struct producer *producer = create(to, source->id);
        producer->core = source->core;
        if (source->older) {
            size_t size = OLDER_BATCHES * sizeof(*source->older);
            producer->older = heap_must_get(to->heap, MEMORY_STATE, size);
            memcpy(producer->older, source->older, size);
        }
    }
    list_for_each(link, &from->open)
        list_push_back(&to->open, &find(to, producer_of_open(link)->id)->open_link);
    list_for_each(link, &from->unreplicated) add_unreplicated(
        to, unreplicated_of(link)->first_offset, unreplicated_of(link)->last_offset);
}

/* ---- Checks --------------------------------------------------------------------------------- */

/* The cached batch with this index, 0 for the newest. */
static const struct cached_batch *cached_batch(const struct producer *producer, unsigned index)
{
    if (index == 0)
        return &producer->core.newest;
    unsigned place = (producer->core.older_next + OLDER_BATCHES - index) % OLDER_BATCHES;
    return &producer->older[place];
}

static unsigned cached_count(const struct producer *producer)
{
    return producer->core.has_batch ? 1u + producer->core.older_count : 0;
}

/* The offset below which everything is settled. */
static int64_t settled_end(const struct producer_state *state)
{
    if (state->undo_first == state->undo_end)
        return INT64_MAX;
    return state->undo[state->undo_first].offset;
}

static bool find_duplicate(const struct producer_state *state, const struct producer *producer,
                           const struct producer_batch *batch, struct producer_duplicate *duplicate)
{
    if (producer->core.epoch != batch->producer_epoch)
        return false;
    for (unsigned i = cached_count(producer); i > 0; i--) {
        const struct cached_batch *cached = cached_batch(producer, i - 1);
        if (cached->last_sequence != batch->last_sequence ||
            batch_sequence_subtract(cached->last_sequence, cached->offset_delta) !=
                batch->first_sequence)
            continue;
        *duplicate = (struct producer_duplicate){
            .first_offset = cached->last_offset - cached->offset_delta,
            .last_offset = cached->last_offset,
            .timestamp_ms = cached->timestamp_ms,
            .is_settled = cached->last_offset < settled_end(state),
        };
        return true;
    }
    return false;
}

/* Kafka's rules for the first sequence of a client's batch (KIP-98, KIP-890). */
static enum kafka_error check_sequence(const struct producer *producer,
                                       const struct producer_verification *verification,
                                       const struct producer_batch *batch)
{
    int32_t first = batch->first_sequence;
    bool is_known = producer && producer->core.epoch != PRODUCER_EPOCH_NONE;
    if (verification) {
        /* A later batch must not overtake the one that is being verified. */
        if (first > verification->lowest_sequence)
            return KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        if (verification->supports_epoch_bump && !is_known && first != 0)
            return KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    }
    if (!is_known)
        return KAFKA_ERROR_NONE; /* expired or deleted: any sequence begins anew */
    if (batch->producer_epoch != producer->core.epoch)
        return first == 0 ? KAFKA_ERROR_NONE : KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    int32_t last =
        producer->core.has_batch ? producer->core.newest.last_sequence : PRODUCER_SEQUENCE_NONE;
    return is_next_sequence(last, first) ? KAFKA_ERROR_NONE
                                         : KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
}

static enum kafka_error check_marker(const struct producer *producer,
                                     const struct producer_batch *batch)
{
    if (!producer)
        return KAFKA_ERROR_NONE;
    const struct producer_core *core = &producer->core;
    if (batch->producer_epoch < core->epoch)
        return KAFKA_ERROR_INVALID_PRODUCER_EPOCH;
    /* Transaction version 2 bumps the epoch with every marker; an equal one is a retry. */
    if (batch->transaction_version >= 2 && batch->producer_epoch == core->epoch &&
        core->transaction_first_offset >= 0)
        return KAFKA_ERROR_INVALID_PRODUCER_EPOCH;
    if (batch->coordinator_epoch < core->coordinator_epoch)
        return KAFKA_ERROR_TRANSACTION_COORDINATOR_FENCED;
    return KAFKA_ERROR_NONE;
}

/* Whether a transactional batch may be written: open here already, or verified (KIP-890). */
static bool is_verified(const struct producer_state *state, const struct producer *producer,
                        const struct producer_verification *verification, uint64_t guard,
                        const struct producer_batch *batch)
{
    if (!batch->is_transactional || !state->options->is_verification_enabled)
        return true;
    if (producer && producer->core.transaction_first_offset >= 0 &&
        producer->core.epoch == batch->producer_epoch)
        return true;
    return guard != 0 && verification && verification->guard == guard;
}

enum kafka_error producer_state_check(const struct producer_state *state,
                                      const struct producer_batch *batch,
                                      enum producer_origin origin, uint64_t guard,
                                      struct producer_duplicate *duplicate)
{
    if (batch->producer_id < 0 || origin == PRODUCER_ORIGIN_REPLICATION)
        return KAFKA_ERROR_NONE;
    const struct producer *producer = find(state, batch->producer_id);
    if (batch->is_control)
        return batch->marker == PRODUCER_MARKER_NONE ? KAFKA_ERROR_NONE
                                                     : check_marker(producer, batch);
    if (origin == PRODUCER_ORIGIN_CLIENT && producer &&
        find_duplicate(state, producer, batch, duplicate))
        return KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER;
    /* Before the guard, so that a fenced producer is not told a fatal error instead. */
    if (producer && batch->producer_epoch < producer->core.epoch)
        return KAFKA_ERROR_INVALID_PRODUCER_EPOCH;
    const struct producer_verification *verification =
        producer_verifications_find(&state->verifications, batch->producer_id);
    if (!is_verified(state, producer, verification, guard, batch))
        return KAFKA_ERROR_INVALID_TXN_STATE;
    if (origin == PRODUCER_ORIGIN_CLIENT) {
        enum kafka_error error = check_sequence(producer, verification, batch);
        if (error != KAFKA_ERROR_NONE)
            return error;
    }
    if (!batch->is_transactional && producer && producer->core.transaction_first_offset >= 0)
        return KAFKA_ERROR_INVALID_TXN_STATE;
    return KAFKA_ERROR_NONE;
}

/* ---- Applying ------------------------------------------------------------------------------- */

static struct producer_undo *push_undo(struct producer_state *state)
{
    if (state->undo_first == state->undo_end) {
        state->undo_first = 0;
        state->undo_end = 0;
    }
    if (state->undo_end == state->undo_capacity) {
        uint32_t capacity = state->undo_capacity ? state->undo_capacity * 2 : UNDO_FIRST;
        struct producer_undo *undo =
            heap_must_get(state->heap, MEMORY_STATE, capacity * sizeof(*undo));
        uint32_t used = state->undo_end - state->undo_first;
        if (used > 0)
            memcpy(undo, state->undo + state->undo_first, used * sizeof(*undo));
        heap_put(state->heap, MEMORY_STATE, state->undo,
                 state->undo_capacity * sizeof(*state->undo));
        state->undo = undo;
        state->undo_capacity = capacity;
        state->undo_first = 0;
        state->undo_end = used;
    }
    return &state->undo[state->undo_end++];
}

/* An epoch change forgets the cached batches: their sequences belong to the old epoch. */
static void set_epoch(struct producer_core *core, int16_t epoch)
{
    if (core->epoch == epoch)
        return;
    core->epoch = epoch;
    core->has_batch = false;
    core->older_count = 0;
}

static void add_batch(struct producer_state *state, struct producer *producer,
                      const struct producer_batch *batch, struct producer_undo *undo)
{
    struct producer_core *core = &producer->core;
    if (core->has_batch) {
        if (!producer->older)
            producer->older =
                heap_must_get(state->heap, MEMORY_STATE, OLDER_BATCHES * sizeof(*producer->older));
        undo->overwritten_index = core->older_next;
        undo->overwritten = producer->older[core->older_next];
        producer->older[core->older_next] = core->newest;
        core->older_next = (uint8_t)((core->older_next + 1) % OLDER_BATCHES);
        if (core->older_count < OLDER_BATCHES)
            core->older_count++;
    }
    core->has_batch = true;
    core->newest = (struct cached_batch){
        .last_offset = batch->last_offset,
        .timestamp_ms = batch->timestamp_ms,
        .last_sequence = batch->last_sequence,
        .offset_delta = (int32_t)(batch->last_offset - batch->first_offset),
    };
}

static void apply_data(struct producer_state *state, struct producer *producer,
                       const struct producer_batch *batch, struct producer_undo *undo)
{
    struct producer_core *core = &producer->core;
    set_epoch(core, batch->producer_epoch);
    add_batch(state, producer, batch, undo);
    core->timestamp_ms = batch->timestamp_ms;
    if (batch->is_transactional && core->transaction_first_offset < 0) {
        core->transaction_first_offset = batch->first_offset;
        link_open(state, producer);
    }
}

/* Smallest first offset of the open transactions other than `except`, or -1. */
static int64_t first_open_except(const struct producer_state *state, const struct producer *except)
{
    list_for_each(link, &state->open)
    {
        if (producer_of_open(link) != except)
            return producer_of_open(link)->core.transaction_first_offset;
    }
    return -1;
}

static bool apply_marker(struct producer_state *state, struct producer *producer,
                         const struct producer_batch *batch, struct producer_undo *undo,
                         struct producer_completed *completed)
{
    struct producer_core *core = &producer->core;
    int64_t first_offset = core->transaction_first_offset;
    set_epoch(core, batch->producer_epoch);
    core->coordinator_epoch = batch->coordinator_epoch;
    core->timestamp_ms = batch->timestamp_ms;
    core->transaction_first_offset = -1;
    if (first_offset < 0)
        return false;
    int64_t other = first_open_except(state, producer);
    list_remove(&producer->open_link);
    add_unreplicated(state, first_offset, batch->last_offset);
    undo->completed_last_offset = batch->last_offset;
    *completed = (struct producer_completed){
        .producer_id = batch->producer_id,
        .first_offset = first_offset,
        .last_offset = batch->last_offset,
        .last_stable_offset = other >= 0 ? other : batch->last_offset + 1,
        .is_aborted = batch->marker == PRODUCER_MARKER_ABORT,
    };
    return true;
}

bool producer_state_apply(struct producer_state *state, const struct producer_batch *batch,
                          struct producer_completed *completed)
{
    if (batch->producer_id < 0 || (batch->is_control && batch->marker == PRODUCER_MARKER_NONE))
        return false;
    struct producer *producer = find(state, batch->producer_id);
    struct producer_undo *undo = push_undo(state);
    undo->is_created = producer == NULL;
    if (!producer)
        producer = create(state, batch->producer_id);
    undo->producer = producer;
    undo->offset = batch->first_offset;
    undo->completed_last_offset = -1;
    undo->before = producer->core;
    undo->overwritten_index = OLDER_BATCHES;
    producer->undo_count++;
    list_remove(&producer->recent_link);
    list_push_back(&state->recent, &producer->recent_link);
    if (batch->is_transactional || batch->is_control)
        producer_verifications_end(&state->verifications, batch->producer_id);
    bool is_completed = false;
    if (batch->is_control)
        is_completed = apply_marker(state, producer, batch, undo, completed);
    else
        apply_data(state, producer, batch, undo);
    evict(state);
    return is_completed;
}

void producer_state_settle(struct producer_state *state, int64_t offset)
{
    while (state->undo_first < state->undo_end && state->undo[state->undo_first].offset < offset) {
        state->undo[state->undo_first].producer->undo_count--;
        state->undo_first++;
    }
}

static void undo_one(struct producer_state *state, const struct producer_undo *undo)
{
    struct producer *producer = undo->producer;
    producer->undo_count--;
    if (undo->completed_last_offset >= 0) {
        list_for_each_safe(link, after, &state->unreplicated)
        {
            if (unreplicated_of(link)->last_offset == undo->completed_last_offset)
                destroy_unreplicated(state, unreplicated_of(link));
        }
    }
    list_remove(&producer->open_link);
    if (undo->is_created) {
        destroy(state, producer);
        return;
    }
    producer->core = undo->before;
    if (undo->overwritten_index < OLDER_BATCHES)
        producer->older[undo->overwritten_index] = undo->overwritten;
    if (producer->core.transaction_first_offset >= 0)
        link_open(state, producer);
}

void producer_state_undo(struct producer_state *state, int64_t offset)
{
    while (state->undo_end > state->undo_first && state->undo[state->undo_end - 1].offset >= offset)
        undo_one(state, &state->undo[--state->undo_end]);
}

/* ---- Verification --------------------------------------------------------------------------- */

/* A transaction of exactly this producer epoch is open. */
static bool has_open_transaction(const struct producer_state *state, int64_t producer_id,
                                 int16_t producer_epoch)
{
    const struct producer *producer = find(state, producer_id);
    return producer && producer->core.transaction_first_offset >= 0 &&
           producer->core.epoch == producer_epoch;
}

uint64_t producer_state_begin_verification(struct producer_state *state, int64_t producer_id,
                                           int16_t producer_epoch, int32_t first_sequence,
                                           bool supports_epoch_bump, int64_t now_ms)
{
    if (has_open_transaction(state, producer_id, producer_epoch))
        return 0;
    struct producer_verification wish = {
        .created_ms = now_ms,
        .lowest_sequence = first_sequence,
        .producer_epoch = producer_epoch,
        .supports_epoch_bump = supports_epoch_bump,
    };
    return producer_verifications_begin(&state->verifications, producer_id, &wish);
}

/* ---- Offsets, expiry ------------------------------------------------------------------------ */

void producer_state_advance_high_watermark(struct producer_state *state, int64_t high_watermark)
{
    list_for_each_safe(link, after, &state->unreplicated)
    {
        if (unreplicated_of(link)->last_offset < high_watermark)
            destroy_unreplicated(state, unreplicated_of(link));
    }
}

void producer_state_advance_log_start(struct producer_state *state, int64_t log_start_offset)
{
    producer_state_advance_high_watermark(state, log_start_offset);
}

int64_t producer_state_first_unstable_offset(const struct producer_state *state)
{
    int64_t open = list_is_empty(&state->open)
                       ? INT64_MAX
                       : producer_of_open(state->open.next)->core.transaction_first_offset;
    int64_t unreplicated = list_is_empty(&state->unreplicated)
                               ? INT64_MAX
                               : unreplicated_of(state->unreplicated.next)->first_offset;
    int64_t first = open < unreplicated ? open : unreplicated;
    return first == INT64_MAX ? -1 : first;
}

uint32_t producer_state_expire(struct producer_state *state, int64_t now_ms)
{
    uint32_t count = 0;
    /* Producers choose timestamps: the difference to one might not fit. */
    int64_t expired_ms = now_ms - state->options->expiration_ms;
    list_for_each_safe(link, after, &state->recent)
    {
        struct producer *producer = producer_of_recent(link);
        if (producer->core.transaction_first_offset >= 0 || producer->undo_count > 0 ||
            producer->core.timestamp_ms > expired_ms)
            continue;
        destroy(state, producer);
        count++;
    }
    return count + producer_verifications_expire(&state->verifications, expired_ms);
}

bool producer_state_is_empty(const struct producer_state *state)
{
    return state->producer_count == 0 && list_is_empty(&state->unreplicated);
}

/* ---- Walking, restoring --------------------------------------------------------------------- */

const struct producer *producer_state_next(const struct producer_state *state,
                                           const struct producer *after)
{
    const struct list *next = after ? after->recent_link.next : state->recent.next;
    return next == &state->recent ? NULL : producer_of_recent(next);
}

struct producer_info producer_describe(const struct producer *producer)
{
    const struct producer_core *core = &producer->core;
    bool has = core->has_batch;
    return (struct producer_info){
        .producer_id = producer->id,
        .last_offset = has ? core->newest.last_offset : -1,
        .timestamp_ms = core->timestamp_ms,
        .transaction_first_offset = core->transaction_first_offset,
        .last_sequence = has ? core->newest.last_sequence : PRODUCER_SEQUENCE_NONE,
        .offset_delta = has ? core->newest.offset_delta : 0,
        .coordinator_epoch = core->coordinator_epoch,
        .producer_epoch = core->epoch,
    };
}

bool producer_state_find(const struct producer_state *state, int64_t producer_id,
                         struct producer_info *info)
{
    const struct producer *producer = find(state, producer_id);
    if (producer)
        *info = producer_describe(producer);
    return producer != NULL;
}

bool producer_state_restore(struct producer_state *state, const struct producer_info *info)
{
    if (info->producer_id < 0 || info->producer_epoch < PRODUCER_EPOCH_NONE ||
        info->last_offset < -1 || info->transaction_first_offset < -1 || info->offset_delta < 0 ||
        info->last_sequence < PRODUCER_SEQUENCE_NONE || find(state, info->producer_id))
        return false;
    struct producer *producer = create(state, info->producer_id);
    producer->core.epoch = info->producer_epoch;
    producer->core.coordinator_epoch = info->coordinator_epoch;
    producer->core.timestamp_ms = info->timestamp_ms;
    if (info->last_offset >= 0) {
        producer->core.has_batch = true;
        producer->core.newest = (struct cached_batch){
            .last_offset = info->last_offset,
            .timestamp_ms = info->timestamp_ms,
            .last_sequence = info->last_sequence,
            .offset_delta = info->offset_delta,
        };
    }
    if (info->transaction_first_offset >= 0) {
        producer->core.transaction_first_offset = info->transaction_first_offset;
        link_open(state, producer);
    }
    return true;
}

void producer_state_assert(const struct producer_state *state)
{
    uint32_t count = 0;
    list_for_each(link, &state->recent)
    {
        const struct producer *producer = producer_of_recent(link);
        klamm_assert(find(state, producer->id) == producer);
        klamm_assert(producer->core.older_count <= OLDER_BATCHES);
        klamm_assert(producer->core.older_count == 0 || producer->core.has_batch);
        klamm_assert(list_is_linked(&producer->open_link) ==
                     (producer->core.transaction_first_offset >= 0));
        count++;
    }
    klamm_assert(count == state->producer_count);
    int64_t last = -1;
    list_for_each(link, &state->open)
    {
        klamm_assert(producer_of_open(link)->core.transaction_first_offset > last);
        last = producer_of_open(link)->core.transaction_first_offset;
    }
}
