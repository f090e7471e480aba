/*
 * Where the logs of the leader begin and end, for followers whose offset it does not have: first
 * the ends (a follower ahead of its leader is cut), then the starts of those that are not ahead.
 */
#include "protocol/api_info.h"
#include "replication/fetcher.h"

CHANNEL_CALL(list_offsets, API_KEY_LIST_OFFSETS);

/* Special timestamps, and the highest version whose answers this needs. */
enum { TIMESTAMP_LATEST = -1, TIMESTAMP_EARLIEST = -2, VERSION_MIN = 4, VERSION_MAX = 7 };

static void add(struct list_offsets_request *request, const struct follower *follower,
                struct list_offsets_request_list_offsets_partition *partition)
{
    const struct replica *replica = follower->replica;
    struct list_offsets_request_list_offsets_topic *topic =
        request->topics_count ? &request->topics[request->topics_count - 1] : NULL;
    if (!topic || !view_equal(topic->name, replica->topic)) {
        topic = &request->topics[request->topics_count++];
        list_offsets_request_list_offsets_topic_init(topic);
        topic->name = arena_copy(&follower->fetcher->arena, replica->topic);
        topic->partitions = partition;
    }
    topic->partitions_count++;
    list_offsets_request_list_offsets_partition_init(partition);
    partition->partition_index = replica->partition;
    partition->current_leader_epoch = replica->leader_epoch;
    partition->timestamp = follower->asks_start ? TIMESTAMP_EARLIEST : TIMESTAMP_LATEST;
}

/* The lost follower of this name, searched from behind the one before: answers keep the order. */
static struct follower *find_lost(struct fetcher *fetcher, struct view topic, int32_t partition,
                                  struct list **place)
{
    struct list *start = *place;
    struct list *link = start;
    do {
        link = link->next;
        if (link == &fetcher->lost)
            continue;
        struct follower *follower = container_of(link, struct follower, lost_link);
        if (follower->replica->partition == partition &&
            view_equal(follower->replica->topic, topic)) {
            *place = link->previous; /* the follower may leave the list */
            return follower;
        }
    } while (link != start);
    return NULL;
}

static void take_offset(struct follower *follower,
                        const struct list_offsets_response_list_offsets_partition_response *answer)
{
    /* A follower that came here meanwhile, or in another leader epoch, was not asked about. */
    if (follower->lost_number != follower->fetcher->number ||
        follower->lost_epoch != follower->replica->leader_epoch)
        return;
    follower->lost_number--;
    if (answer->error_code != KAFKA_ERROR_NONE)
        follower_refuse(follower, (enum kafka_error)answer->error_code);
    else if (answer->offset < 0)
        follower_refuse(follower, KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    else if (follower->asks_start)
        follower_found_start(follower, answer->offset);
    else
        follower_found_end(follower, answer->offset);
}

static void take_answer(struct fetcher *fetcher, const struct list_offsets_response *response)
{
    struct list *place = &fetcher->lost;
    for (size_t i = 0; i < response->topics_count; i++) {
        const struct list_offsets_response_list_offsets_topic_response *topic =
            &response->topics[i];
        for (size_t j = 0; j < topic->partitions_count; j++) {
            struct follower *follower =
                find_lost(fetcher, topic->name, topic->partitions[j].partition_index, &place);
            if (follower)
                take_offset(follower, &topic->partitions[j]);
        }
    }
}

static void offsets_done(struct channel_request *request, enum channel_status status,
                         const void *response)
{
    struct fetcher *fetcher = request->context;
    fetcher->activity = FETCHER_IDLE;
    timer_clear(&fetcher->timer);
    if (status == CHANNEL_CLOSED)
        return;
    if (status == CHANNEL_OK)
        take_answer(fetcher, response);
    else
        fetcher_fail(fetcher);
    fetcher_wake(fetcher);
}

bool fetcher_ask_offsets(struct fetcher *fetcher)
{
    if (list_is_empty(&fetcher->lost))
        return false;
    size_t count = 0;
    list_for_each(link, &fetcher->lost) count++;
    if (count > FETCHER_LOST_COUNT_MAX)
        count = FETCHER_LOST_COUNT_MAX;
    arena_reset(&fetcher->arena);
    struct list_offsets_request *message = &fetcher->list_offsets;
    list_offsets_request_init(message);
    message->replica_id = fetcher->fetchers->options.node_id;
    message->topics = arena_must_get(&fetcher->arena, count, sizeof(*message->topics));
    struct list_offsets_request_list_offsets_partition *partitions =
        arena_must_get(&fetcher->arena, count, sizeof(*partitions));
    fetcher->number++;
    size_t added = 0;
    list_for_each(link, &fetcher->lost)
    {
        struct follower *follower = container_of(link, struct follower, lost_link);
        if (added == count)
            break;
        add(message, follower, &partitions[added++]);
        follower->lost_number = fetcher->number;
        follower->lost_epoch = follower->replica->leader_epoch;
    }
    fetcher->activity = FETCHER_ASKING_OFFSETS;
    fetcher->request = (struct channel_request){
        .call = &list_offsets_call,
        .message = message,
        .version_min = VERSION_MIN,
        .version_max = VERSION_MAX,
        .done = offsets_done,
        .context = fetcher,
    };
    channel_send(fetcher->channel, &fetcher->request);
    return true;
}
