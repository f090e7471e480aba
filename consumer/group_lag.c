/* Topics come in the order in which the group first committed for them. */
#include "consumer/group_lag.h"

#include "consumer/call_memory.h"
#include "consumer/classic_group.h"
#include "consumer/consumer_classic.h"

static void collect_topic(const struct group *group, const struct topic_offsets *topic,
                          struct coordinator_call *call, struct group_lag *lag)
{
    struct view name = call_copy(call, topic->topic->name);
    for (uint32_t i = 0; i < topic->count; i++) {
        const struct committed_offset *committed = &topic->list[i];
        lag->partitions[lag->partition_count++] = (struct group_lag_partition){
            .topic = name,
            .partition = committed->partition,
            .committed_offset = committed->offset,
            .commit_timestamp_ms = committed->commit_timestamp_ms,
            .is_pending = topic_offsets_are_pending(group, topic, committed->partition),
            .log_end_offset = -1,
            .lag_records = -1,
            .lag_ms = -1,
        };
    }
}

static struct view state_of(const struct group *group)
{
    switch (group->type) {
    case GROUP_SIMPLE:
        return classic_state_name(CLASSIC_EMPTY);
    case GROUP_CLASSIC:
        return classic_state_name(group->classic->state);
    case GROUP_CONSUMER:
        return consumer_classic_state_name(group);
    }
    klamm_unreachable("type of a group");
}

void group_lag(struct groups *groups, struct coordinator_call *call)
{
    const struct view *id = call->request;
    struct group_lag *lag = call->response;
    const struct group *group = groups_find(groups, *id);
    *lag = (struct group_lag){.group_id = *id,
                              .state = VIEW_LITERAL("Dead"),
                              .type = VIEW_LITERAL(""),
                              .progress_ms = -1};
    if (group) {
        lag->state = state_of(group);
        lag->type =
            group->type == GROUP_CONSUMER ? VIEW_LITERAL("consumer") : VIEW_LITERAL("classic");
        lag->progress_ms = group->offsets.progress_ms;
        lag->partitions = call_get(call, group->offsets.count, sizeof(*lag->partitions));
        map_for_each(entry, &group->offsets.topics) collect_topic(group, entry->value, call, lag);
    }
    coordinator_answer(groups->coordinator, call);
}

static void measure(struct group_lag_partition *partition, int64_t now_ms,
                    const struct group_lag_log *log)
{
    int64_t next = partition->committed_offset;
    if (next < log->start_offset)
        next = log->start_offset;
    partition->log_end_offset = log->end_offset;
    partition->lag_records = next < log->end_offset ? log->end_offset - next : 0;
    if (partition->lag_records == 0)
        partition->lag_ms = 0;
    else if (log->first_unread_ms >= 0)
        partition->lag_ms = now_ms > log->first_unread_ms ? now_ms - log->first_unread_ms : 0;
}

void group_lag_measure(struct group_lag *lag, int64_t now_ms, group_lag_look look, void *context)
{
    lag->lag_records = 0;
    lag->lag_ms = -1;
    lag->unknown_count = 0;
    for (size_t i = 0; i < lag->partition_count; i++) {
        struct group_lag_partition *partition = &lag->partitions[i];
        struct group_lag_log log;
        if (!look(context, partition, &log)) {
            lag->unknown_count++;
            continue;
        }
        measure(partition, now_ms, &log);
        lag->lag_records += partition->lag_records;
        if (partition->lag_ms > lag->lag_ms)
            lag->lag_ms = partition->lag_ms;
    }
    if (lag->lag_records == 0)
        lag->idle_ms = 0;
    else if (lag->progress_ms < 0)
        lag->idle_ms = -1;
    else
        lag->idle_ms = now_ms > lag->progress_ms ? now_ms - lag->progress_ms : 0;
}
