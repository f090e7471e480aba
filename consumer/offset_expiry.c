/*
 * A sweep looks at a bounded number of offsets a turn and goes on in the next. Tombstones are
 * gathered in batches; while one is being filled the state does not change, so a group that does
 * not fit is looked at again behind the append. A batch that the log refuses ends the sweep: the
 * next one finds the same offsets.
 */
#include "consumer/offset_expiry.h"

#include "base/assert.h"
#include "consumer/classic_record.h"
#include "consumer/classic_subscription.h"
#include "consumer/consumer_classic.h"

enum { OFFSETS_PER_TURN = 10000, NEXT_TURN_MS = 1 };

/* How the offsets of one group age. */
struct aging {
    const struct group *group;
    int64_t now_ms;
    int64_t retention_ms;
    int64_t base_ms; /* the age of all; -1: each has its own, the time of its commit */
    bool never;      /* the group's offsets do not expire now */
    bool has_subscription;
    struct classic_subscription subscription;
};

static void aging_of_classic(struct aging *aging)
{
    const struct classic_group *classic = aging->group->classic;
    if (!classic->protocol_type.data)
        return;
    if (classic->state == CLASSIC_EMPTY) {
        aging->base_ms = classic->state_since_ms;
        return;
    }
    aging->never = classic->state != CLASSIC_STABLE || !classic_group_has_consumers(classic);
    if (aging->never)
        return;
    aging->has_subscription = true;
    classic_subscription_init(&aging->subscription, classic);
    aging->never = !aging->subscription.is_known;
}

static void aging_init(struct aging *aging, const struct group *group)
{
    const struct groups *groups = group->groups;
    *aging = (struct aging){
        .group = group,
        .now_ms = coordinator_loop(groups->coordinator)->wall_ms,
        .retention_ms = groups_settings(groups)->offsets_retention_minutes * 60000LL,
        .base_ms = -1,
    };
    if (group->type == GROUP_CLASSIC)
        aging_of_classic(aging);
}

static void aging_deinit(struct aging *aging)
{
    if (aging->has_subscription)
        classic_subscription_deinit(&aging->subscription);
}

static bool is_read(const struct aging *aging, struct view topic)
{
    if (aging->group->type == GROUP_CONSUMER)
        return consumer_classic_subscribes(aging->group, topic);
    return aging->has_subscription && classic_subscription_has(&aging->subscription, topic);
}

static bool is_expired(const struct aging *aging, const struct topic_offsets *topic,
                       const struct committed_offset *committed)
{
    if (topic_offsets_are_pending(aging->group, topic, committed->partition))
        return false;
    int64_t expire_ms = committed_offset_expire_ms(committed);
    if (expire_ms >= 0)
        return aging->now_ms >= expire_ms;
    int64_t base_ms = aging->base_ms >= 0 ? aging->base_ms : committed->commit_timestamp_ms;
    return aging->now_ms - base_ms >= aging->retention_ms;
}

enum swept { SWEPT_SOME_STAY, SWEPT_ALL, SWEPT_BATCH_FULL };

static enum swept sweep_offsets(const struct aging *aging, struct coordinator_records *records)
{
    enum swept result = SWEPT_ALL;
    map_for_each(entry, &aging->group->offsets.topics)
    {
        const struct topic_offsets *topic = entry->value;
        bool keeps = topic->pending > 0 || is_read(aging, topic->topic->name);
        if (keeps)
            result = SWEPT_SOME_STAY;
        for (uint32_t i = 0; i < topic->count && !(keeps && topic->pending == 0); i++) {
            if (!is_expired(aging, topic, &topic->list[i])) {
                result = SWEPT_SOME_STAY;
                continue;
            }
            if (!group_offsets_have_room(records, aging->group, topic))
                return SWEPT_BATCH_FULL;
            group_offsets_put_tombstone(records, aging->group->id, topic->topic->name,
                                        topic->list[i].partition);
        }
    }
    return result;
}

/* Whether the group itself may go when its offsets have. */
static bool is_abandoned(const struct group *group)
{
    switch (group->type) {
    case GROUP_SIMPLE:
        return true;
    case GROUP_CLASSIC:
        return group->classic->state == CLASSIC_EMPTY && map_count(&group->classic->pending) == 0;
    case GROUP_CONSUMER:
        return consumer_classic_is_empty(group);
    }
    klamm_unreachable("type of a group");
}

static enum swept sweep_group(const struct group *group, struct coordinator_records *records)
{
    struct aging aging;
    aging_init(&aging, group);
    enum swept result = aging.never ? SWEPT_SOME_STAY : sweep_offsets(&aging, records);
    aging_deinit(&aging);
    if (result != SWEPT_ALL || !is_abandoned(group))
        return result;
    if (group->type == GROUP_CONSUMER)
        consumer_classic_put_tombstones(records, group);
    else
        classic_record_put_tombstone(records, group->id);
    return result;
}

static bool flush(struct groups *groups, struct coordinator_records *records)
{
    enum kafka_error error = coordinator_append(records);
    coordinator_records_begin(records, groups->coordinator);
    if (error != KAFKA_ERROR_NONE)
        log_warn(coordinator_loop(groups->coordinator)->diagnostics,
                 "expired offsets stay for now partition=%d error=%s",
                 coordinator_partition(groups->coordinator), kafka_error_name(error));
    return error == KAFKA_ERROR_NONE;
}

static void set_timer_ms(struct groups *groups, int64_t delay_ms)
{
    loop_set_timer(coordinator_loop(groups->coordinator), &groups->expiry,
                   (uint64_t)delay_ms * 1000000u);
}

static void sweep_fired(struct timer *timer)
{
    struct groups *groups = container_of(timer, struct groups, expiry);
    struct coordinator_records records;
    coordinator_records_begin(&records, groups->coordinator);
    uint64_t seen = 0;
    bool goes_on = true;
    struct map_entry *entry = map_live_from(&groups->by_id, groups->sweep_place);
    while (entry && goes_on && seen < OFFSETS_PER_TURN) {
        const struct group *group = entry->value;
        seen += group->offsets.count + 1;
        while (goes_on && sweep_group(group, &records) == SWEPT_BATCH_FULL)
            goes_on = flush(groups, &records);
        entry = map_next(&groups->by_id, entry);
    }
    /* The table may grow meanwhile and move its entries: whom that skips the next sweep finds. */
    groups->sweep_place = entry ? (uint32_t)(entry - groups->by_id.entries) : 0;
    if (!flush(groups, &records) || !goes_on || !entry) {
        groups->sweep_place = 0;
        set_timer_ms(groups, groups_settings(groups)->offsets_retention_check_interval_ms);
    } else {
        set_timer_ms(groups, NEXT_TURN_MS);
    }
}

void offset_expiry_start(struct groups *groups)
{
    timer_init(&groups->expiry, sweep_fired);
    set_timer_ms(groups, groups_settings(groups)->offsets_retention_check_interval_ms);
}

void offset_expiry_topic_deleted(struct groups *groups, const struct image_topic *topic)
{
    const struct image *image = coordinator_image(groups->coordinator);
    const struct image_topic *newer = image_topic_by_name(image, topic->name);
    struct uuid but = newer ? newer->id : UUID_ZERO;
    struct coordinator_records records;
    coordinator_records_begin(&records, groups->coordinator);
    bool goes_on = true;
    map_for_each(entry, &groups->by_id)
    {
        const struct group *group = entry->value;
        const struct topic_offsets *offsets = group_offsets_topic(group, topic->name);
        while (goes_on && offsets && !topic_offsets_put_tombstones(&records, group, offsets, but)) {
            goes_on = flush(groups, &records);
            offsets = group_offsets_topic(group, topic->name);
        }
    }
    flush(groups, &records);
}
