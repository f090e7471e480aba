/*
 * A call waits, is sent, and either ends or goes back to the front of those that wait. Everything
 * is started by `pump`, in the deferred phase: it looks who leads, takes back what is under way to
 * somebody else, and sends while there is room. After a failed attempt `retry` holds it off, unless
 * another controller gets known.
 */
#include "cluster/controller_channel.h"

#include "base/assert.h"

static const uint64_t ATTEMPT_TIMEOUT_NS = UINT64_C(5000000000);
static const uint64_t RETRY_NS = UINT64_C(50000000);

/* ---- Deadlines ---- */

static struct controller_call *call_of(struct list *link)
{
    return container_of(link, struct controller_call, link);
}

static void leave_sent(struct controller_call *call)
{
    list_remove(&call->link);
    call->owner->sent_count--;
}

static void finish(struct controller_call *call, enum channel_status status, const void *response)
{
    call->done(call, status, response);
}

static uint64_t earliest_deadline(const struct list *calls, uint64_t earliest)
{
    list_for_each(link, calls)
    {
        const struct controller_call *call = call_of(link);
        if (!call->is_local && call->deadline_ns < earliest)
            earliest = call->deadline_ns;
    }
    return earliest;
}

static void set_deadline(struct controller_channel *channel)
{
    uint64_t earliest = earliest_deadline(&channel->waiting, UINT64_MAX);
    earliest = earliest_deadline(&channel->sent, earliest);
    timer_clear(&channel->deadline);
    if (earliest == UINT64_MAX || channel->is_closed)
        return;
    uint64_t now_ns = channel->loop->now_ns;
    loop_set_timer(channel->loop, &channel->deadline, earliest > now_ns ? earliest - now_ns : 0);
}

/* A late call, taken out of its list; NULL when there is none. */
static struct controller_call *take_late(struct controller_channel *channel)
{
    list_for_each_safe(link, after, &channel->waiting)
    {
        if (call_of(link)->deadline_ns <= channel->loop->now_ns) {
            list_remove(link);
            return call_of(link);
        }
    }
    list_for_each_safe(link, after, &channel->sent)
    {
        struct controller_call *call = call_of(link);
        if (!call->is_local && call->deadline_ns <= channel->loop->now_ns) {
            channel_cancel(&call->request);
            leave_sent(call);
            return call;
        }
    }
    return NULL;
}

static void deadline_passed(struct timer *timer)
{
    struct controller_channel *channel = container_of(timer, struct controller_channel, deadline);
    for (struct controller_call *call; (call = take_late(channel)) != NULL;)
        finish(call, CHANNEL_TIMED_OUT, NULL);
    set_deadline(channel);
    loop_defer(channel->loop, &channel->pump);
}

/* ---- Sending ---- */

static void repeat_later(struct controller_channel *channel, struct controller_call *call)
{
    list_push_front(&channel->waiting, &call->link);
    channel->repeated++;
    if (!timer_is_set(&channel->retry))
        loop_set_timer(channel->loop, &channel->retry, channel->options.retry_ns);
}

static bool is_answer(const struct controller_call *call, const void *response)
{
    return call->error_of(response) != KAFKA_ERROR_NOT_CONTROLLER;
}

/* An attempt is over and the call is in no list. */
static void attempt_ended(struct controller_call *call, enum channel_status status,
                          const void *response)
{
    struct controller_channel *channel = call->owner;
    bool is_lost = status == CHANNEL_DISCONNECTED || status == CHANNEL_TIMED_OUT ||
                   (status == CHANNEL_OK && !is_answer(call, response));
    if (channel->is_closed && (is_lost || status != CHANNEL_OK))
        finish(call, CHANNEL_CLOSED, NULL);
    else if (is_lost && call->deadline_ns <= channel->loop->now_ns)
        finish(call, CHANNEL_TIMED_OUT, NULL);
    else if (is_lost)
        repeat_later(channel, call);
    else
        finish(call, status, status == CHANNEL_OK ? response : NULL);
    set_deadline(channel);
    loop_defer(channel->loop, &channel->pump);
}

static void remote_done(struct channel_request *request, enum channel_status status,
                        const void *response)
{
    struct controller_call *call = container_of(request, struct controller_call, request);
    leave_sent(call);
    call->version = request->message_version;
    attempt_ended(call, status, response);
}

void controller_call_answered(struct controller_call *call, const void *response)
{
    klamm_assert(call->is_local);
    call->is_local = false;
    leave_sent(call);
    attempt_ended(call, response ? CHANNEL_OK : CHANNEL_DISCONNECTED, response);
}

static void send_remote(struct controller_channel *channel, struct controller_call *call)
{
    uint64_t timeout_ns =
        call->attempt_timeout_ns ? call->attempt_timeout_ns : channel->options.attempt_timeout_ns;
    call->request = (struct channel_request){
        .call = call->api,
        .message = call->message,
        .version_min = call->version_min,
        .version_max = call->version_max,
        .timeout_ns = timeout_ns,
        .done = remote_done,
    };
    channel_send(channel->channel, &call->request);
}

static bool is_own(const struct controller_channel *channel, int32_t node_id)
{
    return node_id == channel->options.node_id;
}

static void send(struct controller_channel *channel, struct controller_call *call)
{
    bool is_own_call = is_own(channel, channel->leader_id);
    if (is_own_call && call->here) {
        call->here(call);
        return;
    }
    list_push_back(&channel->sent, &call->link);
    channel->sent_count++;
    call->version = call->version_max;
    call->is_local = is_own_call;
    if (call->is_local)
        channel->options.host.local(channel->options.host.self, call);
    else
        send_remote(channel, call);
}

/* What is under way to the former leader begins anew; what runs here ends here. */
static void take_back_sent(struct controller_channel *channel)
{
    struct list *link = channel->sent.previous;
    while (link != &channel->sent) {
        struct controller_call *call = call_of(link);
        link = link->previous;
        if (call->is_local)
            continue;
        channel_cancel(&call->request);
        leave_sent(call);
        list_push_front(&channel->waiting, &call->link);
        channel->repeated++;
    }
}

static bool is_where_it_goes(const struct controller_channel *channel,
                             const struct controller_address *address)
{
    return channel->channel && address->port == channel->port &&
           view_equal(address->host, view_of(channel->host, channel->host_size));
}

static void connect_to(struct controller_channel *channel, const struct controller_address *address)
{
    if (is_where_it_goes(channel, address))
        return;
    memcpy(channel->host, address->host.data, address->host.size);
    channel->host_size = address->host.size;
    channel->port = address->port;
    struct view host = view_of(channel->host, channel->host_size);
    if (channel->channel) {
        channel_set_address(channel->channel, host, channel->port);
        return;
    }
    struct channel_options options = {
        .loop = channel->loop,
        .host = host,
        .port = channel->port,
        .client_id = channel->options.client_id,
        .in_flight_max = channel->options.in_flight_max,
        .request_timeout_ns = channel->options.attempt_timeout_ns,
        .backoff_ns = channel->options.retry_ns,
    };
    channel->channel = channel_create(&options);
}

/* Whether there is somebody to send to. */
static bool find_leader(struct controller_channel *channel)
{
    struct controller_address found = {.node_id = -1};
    const struct controller_channel_host *host = &channel->options.host;
    if (!host->leader(host->self, &found))
        return false;
    bool is_here = is_own(channel, found.node_id);
    if (!is_here && (found.host.size == 0 || found.host.size > sizeof(channel->host)))
        return false;
    bool is_same = channel->has_leader && found.node_id == channel->leader_id &&
                   found.epoch == channel->leader_epoch &&
                   (is_here || is_where_it_goes(channel, &found));
    if (is_same)
        return true;
    take_back_sent(channel);
    if (!is_here)
        connect_to(channel, &found);
    channel->has_leader = true;
    channel->leader_id = found.node_id;
    channel->leader_epoch = found.epoch;
    return true;
}

/* After the close. */
static void refuse_waiting(struct controller_channel *channel)
{
    struct list refused;
    list_init(&refused);
    list_splice_back(&refused, &channel->waiting);
    struct list *link;
    while ((link = list_pop_front(&refused)) != NULL)
        finish(call_of(link), CHANNEL_CLOSED, NULL);
}

static void pump(struct deferred *deferred)
{
    struct controller_channel *channel = container_of(deferred, struct controller_channel, pump);
    if (channel->is_closed)
        refuse_waiting(channel);
    if (channel->is_closed || timer_is_set(&channel->retry))
        return;
    bool has_calls = !list_is_empty(&channel->waiting) || !list_is_empty(&channel->sent);
    if (!has_calls)
        return;
    /* What is decided at once may make this wait again, or end this node's leadership. */
    while (find_leader(channel)) {
        if (list_is_empty(&channel->waiting) || timer_is_set(&channel->retry) ||
            channel->sent_count == channel->options.in_flight_max)
            return;
        send(channel, call_of(list_pop_front(&channel->waiting)));
    }
    if (!list_is_empty(&channel->waiting))
        loop_set_timer(channel->loop, &channel->retry, channel->options.retry_ns);
}

static void retry_due(struct timer *timer)
{
    struct controller_channel *channel = container_of(timer, struct controller_channel, retry);
    loop_defer(channel->loop, &channel->pump);
}

/* ---- For callers ---- */

void controller_channel_init(struct controller_channel *channel,
                             const struct controller_channel_options *options)
{
    *channel = (struct controller_channel){.options = *options, .loop = options->loop};
    if (channel->options.in_flight_max == 0)
        channel->options.in_flight_max = 1;
    if (channel->options.attempt_timeout_ns == 0)
        channel->options.attempt_timeout_ns = ATTEMPT_TIMEOUT_NS;
    if (channel->options.retry_ns == 0)
        channel->options.retry_ns = RETRY_NS;
    list_init(&channel->waiting);
    list_init(&channel->sent);
    deferred_init(&channel->pump, pump);
    timer_init(&channel->retry, retry_due);
    timer_init(&channel->deadline, deadline_passed);
}

void controller_channel_send(struct controller_channel *channel, struct controller_call *call)
{
    call->owner = channel;
    call->is_local = false;
    call->version = -1;
    call->deadline_ns =
        call->timeout_ns > 0 ? channel->loop->now_ns + call->timeout_ns : UINT64_MAX;
    list_push_back(&channel->waiting, &call->link);
    set_deadline(channel);
    loop_defer(channel->loop, &channel->pump);
}

void controller_channel_cancel(struct controller_call *call)
{
    klamm_assert(!call->is_local);
    struct controller_channel *channel = call->owner;
    bool is_sent = false;
    list_for_each(link, &channel->sent) is_sent |= link == &call->link;
    if (is_sent) {
        channel_cancel(&call->request);
        leave_sent(call);
    } else {
        list_remove(&call->link);
    }
    set_deadline(channel);
    loop_defer(channel->loop, &channel->pump);
}

void controller_channel_leader_changed(struct controller_channel *channel)
{
    timer_clear(&channel->retry);
    loop_defer(channel->loop, &channel->pump);
}

void controller_channel_close(struct controller_channel *channel)
{
    if (channel->is_closed)
        return;
    channel->is_closed = true;
    take_back_sent(channel);
    timer_clear(&channel->retry);
    timer_clear(&channel->deadline);
    if (channel->channel)
        channel_close(channel->channel);
    channel->channel = NULL;
    refuse_waiting(channel);
}
