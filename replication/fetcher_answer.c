/*
 * An answer to Fetch: first what it means for the session, then every partition that it names and
 * that still is what the request asked for. A partition of the session that it does not name has
 * nothing new.
 */
#include "base/assert.h"
#include "replication/fetch_session.h"
#include "replication/fetcher.h"
#include "replication/replica_table.h"

static void say(const struct fetcher *fetcher, const char *what, const char *why)
{
    log_warn(fetcher->fetchers->options.loop->diagnostics, "fetcher leader=%d: %s: %s",
             (int)fetcher->leader_id, what, why);
}

/* Whether an answer is to what the follower is now. */
static bool is_asked(const struct follower *follower)
{
    const struct follower_told *told = &follower->told;
    return follower->state == FOLLOWER_READY && told->fetch_offset == follower->fetch_offset &&
           told->leader_epoch == follower->replica->leader_epoch;
}

/* The follower that a partition of an answer is for. News for one that has changed are lost. */
static struct follower *find_follower(struct fetcher *fetcher, struct uuid topic_id, int32_t index)
{
    const struct replica *replica =
        replica_table_find(fetcher->fetchers->options.replicas, topic_id, index);
    struct follower *follower = replica ? replica->follower : NULL;
    if (!follower || follower->fetcher != fetcher || !follower->told.in_session ||
        follower->answered == fetcher->number)
        return NULL;
    follower->answered = fetcher->number;
    if (is_asked(follower))
        return follower;
    follower->told.is_stale = true;
    fetcher_note(fetcher, follower, follower->state);
    return NULL;
}

static void take_partitions(struct fetcher *fetcher, const struct fetch_response *response,
                            struct fetch_frame *frame)
{
    for (size_t i = 0; i < response->responses_count; i++) {
        const struct fetch_response_fetchable_topic_response *topic = &response->responses[i];
        for (size_t j = 0; j < topic->partitions_count; j++) {
            const struct fetch_response_partition_data *partition = &topic->partitions[j];
            struct follower *follower =
                find_follower(fetcher, topic->topic_id, partition->partition_index);
            if (follower)
                follower_take(follower, partition, frame);
        }
    }
}

/* The leader refuses the request as a whole. */
static void refused(struct fetcher *fetcher, enum kafka_error error)
{
    switch ((int)error) {
    case KAFKA_ERROR_FETCH_SESSION_ID_NOT_FOUND:
        fetcher->session_id = 0;
        fetcher_reset_session(fetcher);
        return;
    case KAFKA_ERROR_INVALID_FETCH_SESSION_EPOCH:
    case KAFKA_ERROR_FETCH_SESSION_TOPIC_ID_ERROR:
        fetcher_reset_session(fetcher);
        return;
    default:
        say(fetcher, "the leader refuses to be fetched from", kafka_error_name(error));
        fetcher_fail(fetcher);
        return;
    }
}

/* False: the answer is not one to the request. */
static bool advance_session(struct fetcher *fetcher, const struct fetch_response *response)
{
    if (!fetcher->is_full && response->session_id != fetcher->session_id)
        return false;
    if (fetcher->is_full)
        fetcher->session_id = response->session_id;
    /* Without a session every request is a full one, which asks for one again. */
    fetcher->session_epoch =
        fetcher->session_id ? fetch_session_next_epoch(fetcher->session_epoch) : 0;
    return true;
}

static bool has_records(const struct fetch_response *response)
{
    for (size_t i = 0; i < response->responses_count; i++) {
        const struct fetch_response_fetchable_topic_response *topic = &response->responses[i];
        for (size_t j = 0; j < topic->partitions_count; j++) {
            if (topic->partitions[j].records.memory.size > 0)
                return true;
        }
    }
    return false;
}

static void take_answer(struct fetcher *fetcher, struct channel_request *request,
                        const struct fetch_response *response)
{
    struct heap *heap = fetcher->fetchers->options.loop->heap;
    struct fetch_frame *frame = NULL;
    if (has_records(response)) {
        frame = heap_must_get(heap, MEMORY_SCRATCH, sizeof(*frame));
        list_push_back(&fetcher->frames, &frame->link);
        frame->fetcher = fetcher;
        frame->heap = heap;
        frame->request = request;
        frame->references = 1;
    }
    take_partitions(fetcher, response, frame);
    if (frame)
        fetch_frame_release(frame);
}

void fetcher_fetch_done(struct channel_request *request, enum channel_status status,
                        const void *answer)
{
    struct fetcher *fetcher = request->context;
    const struct fetch_response *response = answer;
    fetcher->activity = FETCHER_IDLE;
    timer_clear(&fetcher->timer);
    if (status == CHANNEL_CLOSED) { /* the address changes, or the fetcher goes */
        fetcher_reset_session(fetcher);
        return;
    }
    if (status != CHANNEL_OK) {
        if (fetcher->retry_ms == 0)
            say(fetcher, "cannot fetch", channel_status_text(status));
        fetcher_fail(fetcher);
    } else if (response->error_code != KAFKA_ERROR_NONE) {
        refused(fetcher, (enum kafka_error)response->error_code);
    } else if (!advance_session(fetcher, response)) {
        say(fetcher, "an answer of another session", "starting a new one");
        fetcher_fail(fetcher);
    } else {
        fetcher->retry_ms = 0;
        take_answer(fetcher, request, response);
        if (fetcher->session_epoch == 0)
            fetcher_reset_session(fetcher);
    }
    fetcher_wake(fetcher);
}
