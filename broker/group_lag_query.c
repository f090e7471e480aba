/*
 * Two requests of the node to itself, one behind the other, with rows that no table lists: the
 * first one asks the coordinator, the second one the logs of the partitions that it named.
 *
 * The age of what is unread is that of the batch in which it begins: its header is read where it
 * lies, and warmed once when it is not in memory.
 */
#include "broker/group_lag_query.h"

#include "base/assert.h"
#include "broker/coordinator_part.h"
#include "broker/handlers/partition_items.h"
#include "broker/shard.h"

static struct group_lag_query *query_of(struct request *request)
{
    return local_request_of(request)->context;
}

/* ---- What is committed ----------------------------------------------------------------------- */

static void committed_split(struct request *request)
{
    struct group_lag_query *query = query_of(request);
    coordinator_ask(request, COORDINATOR_GROUPS, query->group_id, &query->lag);
}

static void committed_at(void *groups, struct coordinator_call *call)
{
    group_lag(groups, call);
}

static void committed_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, committed_at);
}

/* Out of the memory of the part, which goes with the answer. */
static void keep(struct group_lag_query *query)
{
    struct group_lag *lag = &query->lag;
    struct group_lag_partition *partitions =
        arena_must_get(&query->arena, lag->partition_count, sizeof(*partitions));
    for (size_t i = 0; i < lag->partition_count; i++) {
        bool is_same = i > 0 && view_equal(lag->partitions[i].topic, partitions[i - 1].topic);
        partitions[i] = lag->partitions[i];
        partitions[i].topic =
            is_same ? partitions[i - 1].topic : arena_copy(&query->arena, partitions[i].topic);
        klamm_assert(!view_is_null(partitions[i].topic));
    }
    lag->partitions = partitions;
}

static void committed_join(struct request *request)
{
    struct group_lag_query *query = query_of(request);
    query->error = coordinator_asked(request);
    if (query->error == KAFKA_ERROR_NONE)
        keep(query);
    request_respond(request, &query->lag);
}

static const struct api_row committed_row = {
    .key = API_KEY_OFFSET_FETCH,
    .route = API_ROUTE_PARTITION,
    .split = committed_split,
    .part = committed_part,
    .join = committed_join,
};

/* ---- What the logs have ---------------------------------------------------------------------- */

struct lag_item {
    struct partition_item item;
    int64_t committed_offset;
    struct group_lag_log log;
    struct log_warm warm;
};

/* Warms what is not in memory unless that was done before. True: the item goes on in item_warmed.
 */
static bool read_time(struct lag_item *item, struct replica *replica, bool may_warm);

static void item_warmed(struct log_warm *warm)
{
    struct lag_item *item = container_of(warm, struct lag_item, warm);
    const struct shard *shard = shard_of(item->item.part->at);
    struct replica *replica =
        replica_table_find(&shard->replicas, item->item.topic_id, item->item.partition);
    if (replica && replica_check(replica, -1) == KAFKA_ERROR_NONE)
        read_time(item, replica, false);
    partition_item_done(&item->item);
}

static bool read_time(struct lag_item *item, struct replica *replica, bool may_warm)
{
    int64_t next = item->committed_offset > item->log.start_offset ? item->committed_offset
                                                                   : item->log.start_offset;
    const struct log_read read = {.offset = next,
                                  .max_bytes = BATCH_HEADER_SIZE,
                                  .min_one = true,
                                  .bound = LOG_READ_HIGH_WATERMARK};
    struct log_shard *logs = &shard_of(item->item.part->at)->logs;
    struct log_slice slice;
    uint8_t header[BATCH_HEADER_SIZE];
    if (next >= item->log.end_offset)
        return false;
    enum log_read_status status = partition_log_read(replica->log, &read, &slice);
    if (status == LOG_READ_OK) {
        if (slice.size >= BATCH_HEADER_SIZE)
            status = log_slice_copy(logs, &slice, 0, header, BATCH_HEADER_SIZE);
        if (slice.size >= BATCH_HEADER_SIZE && status == LOG_READ_OK)
            item->log.first_unread_ms = batch_is_append_time(header) ? batch_max_timestamp(header)
                                                                     : batch_base_timestamp(header);
        log_slice_release(&slice);
    }
    if (status != LOG_READ_NEEDS_IO || !may_warm)
        return false;
    item->warm = (struct log_warm){.warmed = item_warmed};
    partition_log_warm(replica->log, &read, &item->warm);
    return true;
}

static void look_at(struct partition_item *base, struct replica *replica)
{
    struct lag_item *item = container_of(base, struct lag_item, item);
    item->log = (struct group_lag_log){
        .start_offset = partition_log_start_offset(replica->log),
        .end_offset = replica_read_bound(replica, LOG_READ_HIGH_WATERMARK),
        .first_unread_ms = -1,
    };
    if (!read_time(item, replica, true))
        partition_item_done(base);
}

static void logs_part(struct part *part, struct loop *at)
{
    partition_part_run(part, at, look_at);
}

static void logs_split(struct request *request)
{
    const struct group_lag *lag = &query_of(request)->lag;
    struct partition_items *items = request_get(request, 1, sizeof(*items));
    struct lag_item *list = request_get(request, lag->partition_count, sizeof(*list));
    request->context = list;
    for (size_t i = 0; i < lag->partition_count; i++) {
        const struct group_lag_partition *partition = &lag->partitions[i];
        list[i].committed_offset = partition->committed_offset;
        partition_items_place(request, items, &list[i].item, partition->topic, partition->partition,
                              -1);
    }
    partition_items_post(request, items);
}

/* What became of the logs, for group_lag_measure. */
struct looking {
    const struct group_lag *lag;
    const struct lag_item *list;
};

static bool look(void *context, const struct group_lag_partition *partition,
                 struct group_lag_log *log)
{
    const struct looking *looking = context;
    const struct lag_item *item = &looking->list[partition - looking->lag->partitions];
    if (partition_item_answer(&item->item) != KAFKA_ERROR_NONE)
        return false;
    *log = item->log;
    return true;
}

static void logs_join(struct request *request)
{
    struct group_lag_query *query = query_of(request);
    struct looking looking = {.lag = &query->lag, .list = request->context};
    group_lag_measure(&query->lag, request_loop(request)->wall_ms, look, &looking);
    request_respond(request, &query->lag);
}

static const struct api_row logs_row = {
    .key = API_KEY_LIST_OFFSETS,
    .route = API_ROUTE_PARTITION,
    .split = logs_split,
    .part = logs_part,
    .join = logs_join,
};

/* ---- The query ------------------------------------------------------------------------------- */

static void answered(struct local_request *local, const void *response)
{
    (void)local;
    klamm_assert(response != NULL);
}

static void logs_ended(struct local_request *local)
{
    struct group_lag_query *query = local->context;
    query->done(query, KAFKA_ERROR_NONE);
}

static void committed_ended(struct local_request *local)
{
    struct group_lag_query *query = local->context;
    if (query->error != KAFKA_ERROR_NONE) {
        query->done(query, query->error);
        return;
    }
    local->ended = logs_ended;
    local_request_start(local, &query->shard->front, &logs_row, 0, query);
}

void group_lag_query_start(struct group_lag_query *query, struct shard *shard, struct view group_id)
{
    query->shard = shard;
    query->group_id = group_id;
    query->lag = (struct group_lag){.partition_count = 0};
    query->local.answered = answered;
    query->local.ended = committed_ended;
    query->local.context = query;
    arena_init(&query->arena, shard->loop->heap, MEMORY_SCRATCH, 0);
    if (shard->image)
        local_request_start(&query->local, &shard->front, &committed_row, 0, &query->group_id);
    else
        query->done(query, KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE);
}

void group_lag_query_end(struct group_lag_query *query)
{
    arena_deinit(&query->arena);
}
