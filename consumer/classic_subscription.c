/*
 * A subscription begins with its version and the topics; what newer versions add comes behind and
 * does not matter here.
 */
#include "consumer/classic_subscription.h"

#include "base/assert.h"
#include "consumer/groups.h"

/* Calls back for every topic of a subscription; false when it does not decode. */
static bool read_topics(struct view metadata, void (*topic)(void *context, struct view name),
                        void *context)
{
    struct reader in = reader_of(metadata);
    int16_t version = read_i16(&in);
    int32_t count = read_i32(&in);
    if (in.failed || version < 0 || count < 0)
        return false;
    for (int32_t i = 0; i < count && !in.failed; i++) {
        int16_t size = read_i16(&in);
        const uint8_t *name = size < 0 ? NULL : reader_take(&in, (size_t)size);
        if (!name)
            return false;
        topic(context, view_of(name, (size_t)size));
    }
    return !in.failed;
}

static void add_topic(void *context, struct view name)
{
    struct classic_subscription *subscription = context;
    struct map_entry *entry = map_add(&subscription->topics, name, NULL);
    klamm_assert(entry);
}

void classic_subscription_init(struct classic_subscription *subscription,
                               const struct classic_group *classic)
{
    map_init(&subscription->topics, classic_groups(classic)->heap, MEMORY_SCRATCH,
             classic->known.seed);
    subscription->is_known = classic_group_has_consumers(classic);
    if (classic_group_size(classic) > 0 && !classic->protocol.data)
        subscription->is_known = false;
    list_for_each(link, &classic->members)
    {
        const struct classic_member *member = container_of(link, struct classic_member, link);
        if (!subscription->is_known)
            return;
        subscription->is_known =
            read_topics(classic_member_metadata(member, owned_view(classic->protocol)), add_topic,
                        subscription);
    }
}

void classic_subscription_deinit(struct classic_subscription *subscription)
{
    map_deinit(&subscription->topics);
}

bool classic_subscription_has(const struct classic_subscription *subscription, struct view topic)
{
    return !subscription->is_known || map_find(&subscription->topics, topic) != NULL;
}
