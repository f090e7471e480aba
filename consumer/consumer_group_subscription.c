#include "consumer/consumer_group_subscription.h"

#include "base/assert.h"
#include "base/sort.h"
#include "consumer/consumer_group_hash.h"

/* The place of a name that only the joining member has, or UINT32_MAX. */
static uint32_t find_new(const struct group_subscription *subscription, struct view name)
{
    uint32_t low = subscription->known_count;
    uint32_t high = subscription->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = view_compare(subscription->uses[middle].name, name);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return UINT32_MAX;
}

static struct topic_use *find_use(const struct group_subscription *subscription, struct view name)
{
    const struct subscribed_topic *known = map_get(&subscription->consumer->subscribed, name);
    uint32_t place = known ? known->place : find_new(subscription, name);
    return place == UINT32_MAX ? NULL : &subscription->uses[place];
}

static bool gather_uses(struct group_subscription *subscription,
                        const struct subscription_change *change, struct arena *arena)
{
    const struct consumer_group *consumer = subscription->consumer;
    size_t joining = change->joining ? change->joining->subscribed_topic_names_count : 0;
    subscription->uses = arena_get_array(arena, map_count(&consumer->subscribed) + joining,
                                         sizeof(*subscription->uses));
    if (!subscription->uses)
        return false;
    map_for_each(entry, &consumer->subscribed)
    {
        struct subscribed_topic *known = entry->value;
        known->place = subscription->count;
        subscription->uses[subscription->count++] = (struct topic_use){
            .name = known->name, .uses = known->by_name + known->by_regex, .known = known};
    }
    subscription->known_count = subscription->count;
    for (size_t i = 0; i < joining; i++) {
        struct view name = change->joining->subscribed_topic_names[i];
        const struct subscribed_topic *known = map_get(&consumer->subscribed, name);
        if (known)
            subscription->uses[known->place].uses++;
        else
            subscription->uses[subscription->count++] = (struct topic_use){.name = name, .uses = 1};
    }
    return true;
}

/* How many of the leaving members go from a pattern for good. */
static uint32_t leaving_from(const struct consumer_regex *regex,
                             const struct subscription_change *change)
{
    uint32_t leaving = 0;
    for (size_t i = 0; i < change->leaving_count; i++)
        leaving += change->leaving[i]->regex == regex;
    if (change->joining && view_equal(member_metadata_regex(change->joining), regex->pattern))
        leaving--; /* one of them comes back, or a new one comes */
    return leaving;
}

static bool is_lost(const struct consumer_regex *regex, const struct subscription_change *change)
{
    return regex->subscribers == leaving_from(regex, change);
}

static void take_leaving(struct group_subscription *subscription,
                         const struct subscription_change *change)
{
    for (size_t i = 0; i < change->leaving_count; i++) {
        const struct consumer_member *member = change->leaving[i];
        for (size_t t = 0; t < member->metadata->subscribed_topic_names_count; t++)
            subscription->uses[member->topics[t]->place].uses--;
    }
    map_for_each(entry, &subscription->consumer->regexes)
    {
        const struct consumer_regex *regex = entry->value;
        if (!regex->resolved || regex->subscribers == 0 || !is_lost(regex, change))
            continue;
        for (uint32_t t = 0; t < regex->topic_count; t++)
            subscription->uses[regex->topics[t]->place].uses--;
    }
}

static int compare_ids(const void *a, const void *b, void *context)
{
    (void)context;
    const struct topic_use *left = *(struct topic_use *const *)a;
    const struct topic_use *right = *(struct topic_use *const *)b;
    return uuid_compare(left->topic->id, right->topic->id);
}

static int compare_names(const void *a, const void *b, void *context)
{
    (void)context;
    const struct topic_use *left = *(struct topic_use *const *)a;
    const struct topic_use *right = *(struct topic_use *const *)b;
    return view_compare(left->name, right->name);
}

static bool hash_of(const struct group_subscription *subscription, const struct topic_use *use,
                    struct arena *arena, int64_t *hash)
{
    uint64_t version = subscription->consumer->groups->consumer.topics_version;
    if (use->known && use->known->hash_version == version) {
        *hash = use->known->hash;
        return true;
    }
    if (!consumer_topic_hash(subscription->image, use->topic, arena, hash))
        return false;
    if (use->known) {
        use->known->hash = *hash;
        use->known->hash_version = version;
    }
    return true;
}

static bool hash_topics(struct group_subscription *subscription, struct topic_use **existing,
                        void *scratch, struct arena *arena)
{
    int64_t *hashes = arena_get(arena, subscription->topic_count * sizeof(*hashes));
    if (!hashes)
        return false;
    sort_stable(existing, subscription->topic_count, sizeof(*existing), scratch, compare_names,
                NULL);
    for (uint32_t t = 0; t < subscription->topic_count; t++) {
        if (!hash_of(subscription, existing[t], arena, &hashes[t]))
            return false;
    }
    return consumer_group_hash(hashes, subscription->topic_count, arena, &subscription->hash);
}

bool group_subscription_compute(const struct consumer_group *consumer,
                                const struct subscription_change *change, struct arena *arena,
                                struct group_subscription *subscription)
{
    *subscription = (struct group_subscription){
        .consumer = consumer, .image = coordinator_image(consumer->groups->coordinator)};
    if (!gather_uses(subscription, change, arena))
        return false;
    take_leaving(subscription, change);
    struct topic_use **existing = arena_get(arena, subscription->count * sizeof(*existing));
    void *scratch = arena_get(arena, subscription->count * sizeof(*existing));
    subscription->topics = arena_get(arena, subscription->count * sizeof(*subscription->topics));
    if (!existing || !scratch || !subscription->topics)
        return false;
    for (uint32_t i = 0; i < subscription->count; i++) {
        struct topic_use *use = &subscription->uses[i];
        if (use->uses > 0)
            use->topic = image_topic_by_name(subscription->image, use->name);
        if (use->topic)
            existing[subscription->topic_count++] = use;
    }
    sort_stable(existing, subscription->topic_count, sizeof(*existing), scratch, compare_ids, NULL);
    for (uint32_t t = 0; t < subscription->topic_count; t++) {
        existing[t]->place = t;
        subscription->topics[t] =
            (struct assignor_topic){existing[t]->topic->id, existing[t]->topic->partition_count};
    }
    return hash_topics(subscription, existing, scratch, arena);
}

bool group_subscription_lost_patterns(const struct consumer_group *consumer,
                                      const struct subscription_change *change, struct arena *arena,
                                      struct view **patterns, size_t *count)
{
    *count = 0;
    *patterns = arena_get_array(arena, map_count(&consumer->regexes), sizeof(**patterns));
    if (!*patterns)
        return false;
    map_for_each(entry, &consumer->regexes)
    {
        const struct consumer_regex *regex = entry->value;
        if (regex->subscribers > 0 && is_lost(regex, change))
            (*patterns)[(*count)++] = regex->pattern;
    }
    return true;
}

static void mark(uint64_t *marks, const struct topic_use *use)
{
    if (use && use->topic)
        marks[use->place / 64] |= UINT64_C(1) << use->place % 64;
}

const uint32_t *group_subscription_places(const struct group_subscription *subscription,
                                          const member_metadata *metadata,
                                          struct subscribed_topic *const *known,
                                          struct arena *arena, uint32_t *count)
{
    *count = 0;
    uint32_t words = (subscription->topic_count + 63) / 64;
    uint64_t *marks = arena_get_array(arena, words, sizeof(*marks));
    if (!marks)
        return NULL;
    for (size_t i = 0; i < metadata->subscribed_topic_names_count; i++)
        mark(marks, known ? &subscription->uses[known[i]->place]
                          : find_use(subscription, metadata->subscribed_topic_names[i]));
    const struct consumer_regex *regex =
        consumer_group_find_regex(subscription->consumer, member_metadata_regex(metadata));
    for (uint32_t i = 0; regex && i < regex->topic_count; i++)
        mark(marks, &subscription->uses[regex->topics[i]->place]);
    uint32_t found = 0;
    for (uint32_t w = 0; w < words; w++)
        found += (uint32_t)__builtin_popcountll(marks[w]);
    uint32_t *places = arena_get(arena, found * sizeof(*places));
    if (!places)
        return NULL;
    for (uint32_t w = 0; w < words; w++) {
        for (uint64_t left = marks[w]; left; left &= left - 1)
            places[(*count)++] = w * 64 + (uint32_t)__builtin_ctzll(left);
    }
    klamm_assert(*count == found);
    return places;
}
