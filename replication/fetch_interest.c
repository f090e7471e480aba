/*
 * Watches fire once. One that fires makes its interest due, which puts the watch back when it is
 * looked at again; nothing is lost in between, because whoever is due is looked at in any case.
 *
 * What was found is taken for told only when the next request comes: until then the request may
 * still look again, and drop what it had found before.
 */
#include "replication/fetch_interest.h"

#include "base/assert.h"

void fetch_interests_init(struct fetch_interests *interests, struct loop *loop)
{
    *interests = (struct fetch_interests){.loop = loop};
    list_init(&interests->all);
    list_init(&interests->due);
}

static bool is_follower(const struct fetch_interests *interests)
{
    return interests->asker.replica_id >= 0;
}

static void make_due(struct fetch_interest *interest)
{
    interest->has_nothing = false;
    if (!list_is_linked(&interest->due_link))
        list_push_back(&interest->owner->due, &interest->due_link);
}

/* From here on the follower's position is what it names. */
static void stop_resting(struct fetch_interest *interest)
{
    const struct fetch_interests *owner = interest->owner;
    if (interest->is_resting)
        replica_follower_stirs(interest->replica, owner->asker.replica_id, &owner->asked_ns);
    interest->is_resting = false;
}

static void unwatch(struct fetch_interest *interest)
{
    stop_resting(interest);
    replica_unwatch(&interest->moved);
    replica_unwatch(&interest->news);
}

/* ---- What replicas say ---- */

static void replica_moved(struct replica_watch *watch)
{
    struct fetch_interest *interest = container_of(watch, struct fetch_interest, moved);
    struct fetch_interests *interests = interest->owner;
    stop_resting(interest);
    make_due(interest);
    if (interests->waker)
        loop_defer(interests->loop, interests->waker);
}

/* Goes with the next answer; nobody is woken for it. */
static void replica_has_news(struct replica_watch *watch)
{
    make_due(container_of(watch, struct fetch_interest, news));
}

static void watch(struct fetch_interest *interest, struct replica *replica)
{
    interest->replica = replica;
    if (!is_follower(interest->owner)) {
        if (!list_is_linked(&interest->moved.link))
            replica_watch(replica, &interest->moved);
        return;
    }
    if (!list_is_linked(&interest->moved.link))
        replica_watch_end(replica, &interest->moved);
    if (!list_is_linked(&interest->news.link))
        replica_watch(replica, &interest->news);
}

/* ---- Interests ---- */

void fetch_ask_fill(struct fetch_ask *ask, struct view topic, struct uuid topic_id,
                    const struct fetch_request_fetch_partition *asked)
{
    ask->topic = topic;
    ask->topic_id = topic_id;
    ask->partition = asked->partition;
    ask->max_bytes = asked->partition_max_bytes;
    ask->leader_epoch = asked->current_leader_epoch;
    ask->last_fetched_epoch = asked->last_fetched_epoch;
    ask->fetch_offset = asked->fetch_offset;
    ask->log_start_offset = asked->log_start_offset;
}

void fetch_interest_begin(struct fetch_interests *interests, struct fetch_interest *interest,
                          struct fetch_ask *ask)
{
    *interest = (struct fetch_interest){
        .owner = interests,
        .ask = ask,
        .moved.fired = replica_moved,
        .news.fired = replica_has_news,
        .told_high_watermark = -1,
        .told_log_start = -1,
    };
    list_link_init(&interest->due_link);
    list_link_init(&interest->moved.link);
    list_link_init(&interest->news.link);
    list_push_back(&interests->all, &interest->link);
}

void fetch_interest_ask(struct fetch_interest *interest)
{
    const struct fetch_ask *ask = interest->ask;
    unwatch(interest);
    interest->topic_id = ask->placed_id;
    interest->partition = ask->partition;
    interest->max_bytes = ask->max_bytes;
    interest->leader_epoch = ask->leader_epoch;
    interest->last_fetched_epoch = ask->last_fetched_epoch;
    interest->fetch_offset = ask->fetch_offset;
    interest->log_start_offset = ask->log_start_offset;
    make_due(interest);
}

void fetch_interest_end(struct fetch_interest *interest)
{
    unwatch(interest);
    list_remove(&interest->due_link);
    list_remove(&interest->link);
}

struct fetch_interest *fetch_interest_create(struct fetch_interests *interests,
                                             struct fetch_ask *ask)
{
    struct fetch_interest *interest =
        heap_must_get(interests->loop->heap, MEMORY_CONNECTION, sizeof(*interest));
    fetch_interest_begin(interests, interest, ask);
    return interest;
}

void fetch_interest_destroy(struct fetch_interest *interest)
{
    struct heap *heap = interest->owner->loop->heap;
    fetch_interest_end(interest);
    heap_put(heap, MEMORY_CONNECTION, interest, sizeof(*interest));
}

struct fetch_interests *fetch_interests_create(struct loop *loop)
{
    struct fetch_interests *interests =
        heap_must_get(loop->heap, MEMORY_CONNECTION, sizeof(*interests));
    fetch_interests_init(interests, loop);
    return interests;
}

void fetch_interests_destroy(struct fetch_interests *interests)
{
    while (!list_is_empty(&interests->all))
        fetch_interest_destroy(container_of(interests->all.next, struct fetch_interest, link));
    heap_put(interests->loop->heap, MEMORY_CONNECTION, interests, sizeof(*interests));
}

/* ---- Requests ---- */

static bool is_same(const struct fetch_asker *a, const struct fetch_asker *b)
{
    return a->replica_id == b->replica_id && a->broker_epoch == b->broker_epoch &&
           a->image_version == b->image_version && a->version == b->version &&
           a->read_committed == b->read_committed;
}

static void take_for_told(struct fetch_interests *interests)
{
    struct list given;
    list_init(&given);
    list_for_each_safe(link, after, &interests->due)
    {
        struct fetch_interest *interest = container_of(link, struct fetch_interest, due_link);
        if (!interest->is_looked_at)
            continue;
        interest->is_looked_at = false;
        interest->told_high_watermark = interest->found_high_watermark;
        interest->told_log_start = interest->found_log_start;
        bool was_given = interest->has_given && !interest->ask->is_cut;
        interest->ask->is_cut = false;
        if (!interest->has_nothing && !was_given)
            continue;
        list_remove(&interest->due_link);
        if (was_given)
            list_push_back(&given, &interest->due_link);
    }
    list_splice_back(&interests->due, &given);
}

void fetch_interests_begin(struct fetch_interests *interests, const struct fetch_asker *asker)
{
    take_for_told(interests);
    interests->asked_ns = (int64_t)interests->loop->now_ns;
    if (is_same(&interests->asker, asker))
        return;
    list_for_each(link, &interests->all)
    {
        struct fetch_interest *interest = container_of(link, struct fetch_interest, link);
        unwatch(interest);
        make_due(interest);
    }
    interests->asker = *asker;
}

static void rest(struct fetch_interest *interest)
{
    const struct fetch_interests *interests = interest->owner;
    if (!is_follower(interests) || interest->is_resting)
        return;
    interest->is_resting = true;
    replica_follower_rests(interest->replica, interests->asker.replica_id, &interests->asked_ns);
}

bool fetch_interest_found(struct fetch_interest *interest, const struct fetch_found *found,
                          bool may_settle)
{
    interest->is_looked_at = true;
    interest->found_high_watermark = found->high_watermark;
    interest->found_log_start = found->log_start;
    interest->has_given = found->has_records;
    interest->has_nothing = found->has_nothing;
    bool is_news = found->high_watermark != interest->told_high_watermark ||
                   found->log_start != interest->told_log_start;
    if (!found->replica) {
        unwatch(interest);
        return true;
    }
    watch(interest, found->replica);
    if (!found->has_nothing)
        return is_news;
    rest(interest);
    if (may_settle && !is_news) {
        interest->is_looked_at = false;
        list_remove(&interest->due_link);
    }
    return is_news;
}
