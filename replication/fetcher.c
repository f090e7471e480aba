/*
 * Life of a fetcher and its turns: after everything that may let a request leave, fetcher_wake
 * defers one look (advance), which sends ListOffsets for those that are lost, else Fetch, or arms
 * the timer for what it waits for.
 */
#include "replication/fetcher.h"

#include "base/assert.h"
#include "protocol/api_info.h"
#include "replication/fetchers_internal.h"

CHANNEL_CALL(fetch, API_KEY_FETCH);

#define NS_PER_MS UINT64_C(1000000)

enum { FORGOTTEN_PURPOSE = 0x666f72 }; /* of the random seed */

/* ---- Life ---- */

static struct loop *loop_of(const struct fetcher *fetcher)
{
    return fetcher->fetchers->options.loop;
}

static void advance(struct fetcher *fetcher);

static void woken(struct deferred *deferred)
{
    advance(container_of(deferred, struct fetcher, deferred));
}

static void timer_fired(struct timer *timer)
{
    struct fetcher *fetcher = container_of(timer, struct fetcher, timer);
    fetcher->has_waited = fetcher->activity == FETCHER_IDLE && fetcher->settling > 0;
    fetcher_wake(fetcher);
}

struct fetcher *fetcher_create(struct fetchers *fetchers, int32_t leader_id,
                               enum topic_durability durability)
{
    struct loop *loop = fetchers->options.loop;
    struct fetcher *fetcher = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*fetcher));
    fetcher->fetchers = fetchers;
    fetcher->leader_id = leader_id;
    fetcher->durability = durability;
    list_init(&fetcher->followers);
    list_init(&fetcher->changed);
    list_init(&fetcher->unready);
    list_init(&fetcher->lost);
    list_init(&fetcher->frames);
    map_init(&fetcher->forgotten, loop->heap, MEMORY_STATE,
             loop_random_seed(loop, FORGOTTEN_PURPOSE));
    arena_init(&fetcher->arena, loop->heap, MEMORY_SCRATCH, 0);
    timer_init(&fetcher->timer, timer_fired);
    deferred_init(&fetcher->deferred, woken);
    list_push_back(&fetchers->fetchers, &fetcher->link);
    return fetcher;
}

static void drop_channel(struct fetcher *fetcher)
{
    if (fetcher->channel)
        channel_close(fetcher->channel);
    fetcher->channel = NULL;
    heap_put(loop_of(fetcher)->heap, MEMORY_STATE, fetcher->host, fetcher->host_size);
    fetcher->host = NULL;
    fetcher->host_size = 0;
}

void fetcher_destroy(struct fetcher *fetcher)
{
    struct heap *heap = loop_of(fetcher)->heap;
    klamm_assert(list_is_empty(&fetcher->followers));
    if (fetcher->express)
        fetcher_destroy(fetcher->express);
    if (fetcher->main) {
        fetcher->main->express = NULL;
        fetcher_wake(fetcher->main);
    }
    list_remove(&fetcher->link);
    drop_channel(fetcher);
    for (struct list *link; (link = list_pop_front(&fetcher->frames)) != NULL;)
        container_of(link, struct fetch_frame, link)->fetcher = NULL; /* goes with its appends */
    fetcher_reset_session(fetcher);
    map_deinit(&fetcher->forgotten);
    arena_deinit(&fetcher->arena);
    timer_clear(&fetcher->timer);
    list_remove(&fetcher->deferred.link);
    heap_put(heap, MEMORY_STATE, fetcher, sizeof(*fetcher));
}

void fetcher_set_address(struct fetcher *fetcher, struct view host, uint16_t port)
{
    struct loop *loop = loop_of(fetcher);
    bool is_known = host.size > 0;
    if (is_known && fetcher->channel && fetcher->port == port &&
        view_equal(view_of(fetcher->host, fetcher->host_size), host))
        return;
    if (!is_known && !fetcher->channel)
        return;
    drop_channel(fetcher);
    fetcher->not_before_ns = 0;
    fetcher->retry_ms = 0;
    if (!is_known)
        return;
    fetcher->host = heap_must_get(loop->heap, MEMORY_STATE, host.size);
    memcpy(fetcher->host, host.data, host.size);
    fetcher->host_size = host.size;
    fetcher->port = port;
    const struct channel_options options = {
        .loop = loop,
        .host = host,
        .port = port,
        .client_id = VIEW_LITERAL("klamm-follower"),
        .request_timeout_ns = ((uint64_t)fetcher->fetchers->options.socket_timeout_ms +
                               (uint64_t)fetcher->fetchers->options.wait_max_ms) *
                              NS_PER_MS,
    };
    fetcher->channel = channel_create(&options);
    fetcher_wake(fetcher);
}

/* ---- Followers ---- */

void fetcher_add(struct fetcher *fetcher, struct follower *follower)
{
    list_remove(&follower->link);
    list_push_back(&fetcher->followers, &follower->link);
    fetcher->follower_count++;
    follower->fetcher = fetcher;
    follower->told = (struct follower_told){0};
    follower->answered = fetcher->number;
    /* In the session from before, perhaps, which has told things to the follower before. */
    struct view key = view_of(follower->replica->key, REPLICA_KEY_SIZE);
    struct forgotten_partition *old = map_remove(&fetcher->forgotten, key);
    if (old) {
        heap_put(loop_of(fetcher)->heap, MEMORY_STATE, old, sizeof(*old));
        follower->told = (struct follower_told){
            .in_session = true, .is_stale = true, .leader_epoch = -1, .fetch_offset = -1};
        fetcher->session_count++;
    }
    if (follower->state == FOLLOWER_SETTLING)
        fetcher->settling++;
    fetcher_note(fetcher, follower, follower->state);
}

void fetcher_remove(struct fetcher *fetcher, struct follower *follower)
{
    klamm_assert(follower->fetcher == fetcher);
    list_remove(&follower->link);
    list_remove(&follower->queue_link);
    list_remove(&follower->lost_link);
    fetcher->follower_count--;
    if (follower->state == FOLLOWER_SETTLING)
        fetcher->settling--;
    if (follower->told.in_session) {
        fetcher->session_count--;
        fetcher_forget(fetcher, follower->replica);
    }
    follower->told = (struct follower_told){0};
    follower->fetcher = NULL;
    fetcher_wake(fetcher);
}

static bool is_told(const struct follower *follower)
{
    const struct follower_told *told = &follower->told;
    return told->in_session && told->fetch_offset == follower->fetch_offset &&
           told->leader_epoch == follower->replica->leader_epoch &&
           told->last_fetched_epoch == follower->last_fetched_epoch &&
           told->log_start_offset == partition_log_start_offset(follower->replica->log);
}

void fetcher_note(struct fetcher *fetcher, struct follower *follower, enum follower_state before)
{
    enum follower_state state = follower->state;
    fetcher->settling += (state == FOLLOWER_SETTLING) - (before == FOLLOWER_SETTLING);
    list_remove(&follower->queue_link);
    list_remove(&follower->lost_link);
    if (state == FOLLOWER_READY && follower->told.is_stale)
        fetcher->lost_news = true;
    if (state == FOLLOWER_READY && !is_told(follower))
        list_push_back(&fetcher->changed, &follower->queue_link);
    else if (state != FOLLOWER_READY && follower->told.in_session)
        list_push_back(&fetcher->unready, &follower->queue_link);
    if (state == FOLLOWER_LOST)
        list_push_back(&fetcher->lost, &follower->lost_link);
    fetcher_wake(fetcher);
}

void fetcher_wake(struct fetcher *fetcher)
{
    loop_defer(loop_of(fetcher), &fetcher->deferred);
}

/* ---- Turns ---- */

void fetcher_fail(struct fetcher *fetcher)
{
    uint32_t limit = (uint32_t)fetcher->fetchers->options.backoff_ms;
    uint32_t wait = fetcher->retry_ms ? fetcher->retry_ms * 2 : FETCHER_RETRY_MS_MIN;
    fetcher->retry_ms = wait < limit ? wait : limit;
    fetcher->not_before_ns = loop_of(fetcher)->now_ns + fetcher->retry_ms * NS_PER_MS;
    fetcher_reset_session(fetcher);
}

static uint32_t frame_count(const struct fetcher *fetcher)
{
    uint32_t count = 0;
    list_for_each(link, &fetcher->frames) count++;
    return count;
}

/* Whether what the last answer brought is through, or was waited for long enough. */
static bool is_settled(struct fetcher *fetcher)
{
    if (frame_count(fetcher) >= FETCHER_FRAMES_MAX)
        return false; /* the release of a frame looks again */
    if (fetcher->settling == 0 || fetcher->has_waited)
        return true;
    if (!timer_is_set(&fetcher->timer))
        loop_set_timer(loop_of(fetcher), &fetcher->timer, FETCHER_SETTLE_MS_MAX * NS_PER_MS);
    return false;
}

static void send_fetch(struct fetcher *fetcher)
{
    int16_t version = fetcher->fetchers->fetch_version;
    fetcher->activity = FETCHER_FETCHING;
    fetcher->sent_ns = loop_of(fetcher)->now_ns;
    fetcher->number++;
    fetcher->fetchers->counters.requests++;
    fetcher->fetchers->counters.full_requests += fetcher->is_full;
    fetcher->request = (struct channel_request){
        .call = &fetch_call,
        .message = &fetcher->fetch,
        /* Where the replica stands in the message changes with 15, so the range may not cross it.
         */
        .version_min = version >= 15 ? 15 : 13,
        .version_max = version,
        .done = fetcher_fetch_done,
        .context = fetcher,
    };
    channel_send(fetcher->channel, &fetcher->request);
}

/* While the leader holds the request: those that have to be told go where they are asked for now.
 */
static void hand_over(struct fetcher *fetcher)
{
    if (fetcher->main || list_is_empty(&fetcher->changed))
        return;
    struct loop *loop = loop_of(fetcher);
    uint64_t due_ns = fetcher->sent_ns + FETCHER_EXPRESS_AFTER_MS * NS_PER_MS;
    if (loop->now_ns < due_ns) {
        loop_set_timer(loop, &fetcher->timer, due_ns - loop->now_ns);
        return;
    }
    if (!fetcher->express) {
        fetcher->express =
            fetcher_create(fetcher->fetchers, fetcher->leader_id, fetcher->durability);
        fetcher->express->main = fetcher;
        fetcher_set_address(fetcher->express, view_of(fetcher->host, fetcher->host_size),
                            fetcher->port);
    }
    while (!list_is_empty(&fetcher->changed)) {
        struct follower *follower =
            container_of(fetcher->changed.next, struct follower, queue_link);
        fetcher_remove(fetcher, follower);
        fetcher_add(fetcher->express, follower);
    }
}

/* Takes the followers of the express fetcher back. False: its request is under way. */
static bool absorb(struct fetcher *fetcher)
{
    struct fetcher *express = fetcher->express;
    if (!express)
        return true;
    if (express->activity != FETCHER_IDLE)
        return false;
    while (!list_is_empty(&express->followers)) {
        struct follower *follower = container_of(express->followers.next, struct follower, link);
        fetcher_remove(express, follower);
        fetcher_add(fetcher, follower);
    }
    fetcher_destroy(express);
    return true;
}

static void advance(struct fetcher *fetcher)
{
    struct fetchers *fetchers = fetcher->fetchers;
    if (fetcher->follower_count == 0 && !fetcher->express) {
        fetcher_destroy(fetcher);
        return;
    }
    if (fetcher->activity == FETCHER_FETCHING)
        hand_over(fetcher);
    if (fetcher->activity != FETCHER_IDLE || !absorb(fetcher))
        return;
    if (fetcher->main && fetcher->main->activity == FETCHER_IDLE) {
        fetcher_wake(fetcher->main); /* which takes the followers back */
        return;
    }
    if (!fetcher->channel || fetchers->broker_epoch < 0)
        return;
    uint64_t now_ns = loop_of(fetcher)->now_ns;
    if (now_ns < fetcher->not_before_ns) {
        loop_set_timer(loop_of(fetcher), &fetcher->timer, fetcher->not_before_ns - now_ns);
        return;
    }
    if (!is_settled(fetcher))
        return;
    timer_clear(&fetcher->timer);
    fetcher->has_waited = false;
    if (!fetcher_ask_offsets(fetcher) && fetcher_build_request(fetcher))
        send_fetch(fetcher);
}

/* ---- Frames ---- */

void fetch_frame_hold(struct fetch_frame *frame)
{
    if (frame->request)
        channel_keep_frame(frame->request, &frame->frame);
    frame->request = NULL;
    frame->references++;
}

void fetch_frame_release(struct fetch_frame *frame)
{
    klamm_assert(frame->references > 0);
    if (--frame->references > 0)
        return;
    list_remove(&frame->link);
    if (frame->fetcher)
        fetcher_wake(frame->fetcher);
    if (!frame->request)
        channel_release_frame(&frame->frame);
    heap_put(frame->heap, MEMORY_SCRATCH, frame, sizeof(*frame));
}
