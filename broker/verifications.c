/* A request to a coordinator has the form of brokers and goes to the node that coordinates. */
#include "broker/verifications.h"

#include "base/assert.h"
#include "broker/peer_request.h"
#include "broker/shard.h"
#include "coordinator/placement.h"
#include "protocol/api_keys.h"
#include "protocol/messages/add_partitions_to_txn.h"

enum {
    ADD_PARTITIONS_VERSION = 5,
    ADD_PARTITIONS_VERSION_MIN = 4,
    KEY_SIZE = UUID_SIZE + 4 + 8 + 2 + 1
};

CHANNEL_CALL(add_partitions_to_txn, API_KEY_ADD_PARTITIONS_TO_TXN);

typedef struct add_partitions_to_txn_request_add_partitions_to_txn_transaction add_request;
typedef struct add_partitions_to_txn_request_add_partitions_to_txn_topic request_topic;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result topic_result;

/* One question under way, and who waits for its answer. */
struct verification {
    struct list link;  /* fresh, or of its request */
    struct list waits; /* struct verification_wait.link */
    uint8_t key[KEY_SIZE];
    bool adds;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t partition;
    enum kafka_error error;       /* the answer */
    struct view transactional_id; /* in this block, as the topic */
    struct view topic;
    size_t held_size;
};

/* The questions about one transaction, as one request. */
struct verification_request {
    struct peer_request peer;
    struct verifications *owner;
    struct list questions; /* struct verification.link */
    struct arena arena;
    struct add_partitions_to_txn_request message;
};

static void send_fresh(struct deferred *deferred);

void verifications_init(struct verifications *verifications, struct shard *shard)
{
    *verifications = (struct verifications){.shard = shard};
    map_init(&verifications->by_key, shard->loop->heap, MEMORY_STATE, shard->loop->seed);
    list_init(&verifications->fresh);
    deferred_init(&verifications->send, send_fresh);
}

/* ---- Errors ---- */

/* A coordinator's error as producers know it. */
static enum kafka_error error_for(enum kafka_error error, enum verification_form form)
{
    /* PRODUCER_FENCED is fatal for a producer; a late batch of an older epoch need not be. */
    if (error == KAFKA_ERROR_PRODUCER_FENCED)
        return KAFKA_ERROR_INVALID_PRODUCER_EPOCH;
    if (error == KAFKA_ERROR_TRANSACTION_ABORTABLE && form == VERIFICATION_OLD)
        return KAFKA_ERROR_INVALID_TXN_STATE;
    return error;
}

enum kafka_error verification_error_of_produce(enum kafka_error error)
{
    bool is_transient =
        error == KAFKA_ERROR_CONCURRENT_TRANSACTIONS || error == KAFKA_ERROR_NETWORK_EXCEPTION ||
        error == KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS ||
        error == KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE || error == KAFKA_ERROR_NOT_COORDINATOR;
    return is_transient ? KAFKA_ERROR_NOT_ENOUGH_REPLICAS : error;
}

/* ---- Questions ---- */

static struct verification *create(struct verifications *verifications,
                                   const struct verification_question *question, const uint8_t *key)
{
    struct heap *heap = verifications->shard->loop->heap;
    size_t id_size = question->transactional_id.size;
    size_t size = sizeof(struct verification) + id_size + question->topic.size;
    struct verification *verification = heap_must_get(heap, MEMORY_STATE, size);
    verification->held_size = size;
    list_init(&verification->waits);
    memcpy(verification->key, key, KEY_SIZE);
    verification->adds = question->form == VERIFICATION_ADDS;
    verification->producer_id = question->producer_id;
    verification->producer_epoch = question->producer_epoch;
    verification->partition = question->partition;
    uint8_t *bytes = (uint8_t *)(verification + 1);
    if (id_size > 0)
        memcpy(bytes, question->transactional_id.data, id_size);
    verification->transactional_id = view_of(bytes, id_size);
    memcpy(bytes + id_size, question->topic.data, question->topic.size);
    verification->topic = view_of(bytes + id_size, question->topic.size);
    return verification;
}

static void make_key(const struct verification_question *question, uint8_t *key)
{
    memcpy(key, question->topic_id.bytes, UUID_SIZE);
    store_u32(key + UUID_SIZE, (uint32_t)question->partition);
    store_u64(key + UUID_SIZE + 4, (uint64_t)question->producer_id);
    store_u16(key + UUID_SIZE + 12, (uint16_t)question->producer_epoch);
    key[UUID_SIZE + 14] = question->form == VERIFICATION_ADDS;
}

/* The question under way about the same, or NULL. */
static struct verification *find_same(const struct verifications *verifications,
                                      struct view transactional_id, const uint8_t *key)
{
    struct verification *found = map_get(&verifications->by_key, view_of(key, KEY_SIZE));
    return found && view_equal(found->transactional_id, transactional_id) ? found : NULL;
}

bool verifications_join(struct verifications *verifications,
                        const struct verification_question *question,
                        struct verification_wait *wait)
{
    uint8_t key[KEY_SIZE];
    make_key(question, key);
    struct verification *verification = find_same(verifications, question->transactional_id, key);
    if (!verification)
        return false;
    wait->form = question->form;
    list_push_back(&verification->waits, &wait->link);
    return true;
}

void verifications_ask(struct verifications *verifications,
                       const struct verification_question *question, struct verification_wait *wait)
{
    if (verifications_join(verifications, question, wait))
        return;
    uint8_t key[KEY_SIZE];
    make_key(question, key);
    struct verification *verification = create(verifications, question, key);
    bool added =
        map_put(&verifications->by_key, view_of(verification->key, KEY_SIZE), verification);
    klamm_assert(added);
    list_push_back(&verifications->fresh, &verification->link);
    loop_defer(verifications->shard->loop, &verifications->send);
    verifications->asked++;
    wait->form = question->form;
    list_push_back(&verification->waits, &wait->link);
}

/*
 * The waits first leave the table, so that whoever asks inside `done` asks anew. Those behind it
 * then wait for that answer too: what they asked for may be settled already, and they would
 * overtake it.
 */
static void finish(struct verifications *verifications, struct verification *verification)
{
    struct map_entry *entry =
        map_find(&verifications->by_key, view_of(verification->key, KEY_SIZE));
    if (entry && entry->value == verification)
        map_remove_entry(&verifications->by_key, entry);
    struct verification *again = NULL;
    struct list *link;
    while ((link = list_pop_front(&verification->waits))) {
        if (again) {
            list_push_back(&again->waits, link);
            continue;
        }
        struct verification_wait *wait = container_of(link, struct verification_wait, link);
        wait->done(wait, error_for(verification->error, wait->form));
        again = find_same(verifications, verification->transactional_id, verification->key);
    }
    heap_put(verifications->shard->loop->heap, MEMORY_STATE, verification, verification->held_size);
}

/* ---- Requests ---- */

/* Without a response: NETWORK_EXCEPTION, upon which producers try again. */
static enum kafka_error answer_for(const struct add_partitions_to_txn_response *response,
                                   const struct verification *verification)
{
    if (!response || response->results_by_transaction_count != 1)
        return KAFKA_ERROR_NETWORK_EXCEPTION;
    if (response->error_code != KAFKA_ERROR_NONE)
        return (enum kafka_error)response->error_code;
    const struct add_partitions_to_txn_response_add_partitions_to_txn_result *result =
        &response->results_by_transaction[0];
    for (size_t i = 0; i < result->topic_results_count; i++) {
        const topic_result *topic = &result->topic_results[i];
        if (!view_equal(topic->name, verification->topic))
            continue;
        for (size_t j = 0; j < topic->results_by_partition_count; j++) {
            if (topic->results_by_partition[j].partition_index == verification->partition)
                return (enum kafka_error)topic->results_by_partition[j].partition_error_code;
        }
    }
    return KAFKA_ERROR_NETWORK_EXCEPTION;
}

static void take_response(struct verification_request *request,
                          const struct add_partitions_to_txn_response *response)
{
    list_for_each(link, &request->questions)
    {
        struct verification *verification = container_of(link, struct verification, link);
        verification->error = answer_for(response, verification);
    }
    struct list *link;
    while ((link = list_pop_front(&request->questions)))
        finish(request->owner, container_of(link, struct verification, link));
}

static void answered(struct peer_request *peer, const void *response)
{
    take_response(container_of(peer, struct verification_request, peer), response);
}

static void ended(struct peer_request *peer)
{
    struct verification_request *request = container_of(peer, struct verification_request, peer);
    arena_deinit(&request->arena);
    heap_put(request->owner->shard->loop->heap, MEMORY_SCRATCH, request, sizeof(*request));
}

static bool is_same_transaction(const struct verification *a, const struct verification *b)
{
    return a->producer_id == b->producer_id && a->producer_epoch == b->producer_epoch &&
           a->adds == b->adds && view_equal(a->transactional_id, b->transactional_id);
}

/* Moves the first fresh question and all that go with it into the request. */
static size_t take(struct verifications *verifications, struct verification_request *request)
{
    size_t count = 0;
    const struct verification *first = NULL;
    list_for_each_safe(link, after, &verifications->fresh)
    {
        struct verification *verification = container_of(link, struct verification, link);
        if (!first)
            first = verification;
        if (!is_same_transaction(first, verification))
            continue;
        list_remove(link);
        list_push_back(&request->questions, link);
        count++;
    }
    return count;
}

static void add_partition(add_request *transaction, struct arena *arena, size_t capacity,
                          const struct verification *verification)
{
    request_topic *topic = NULL;
    for (size_t i = 0; i < transaction->topics_count && !topic; i++) {
        if (view_equal(transaction->topics[i].name, verification->topic))
            topic = &transaction->topics[i];
    }
    if (!topic) {
        topic = &transaction->topics[transaction->topics_count++];
        topic->name = arena_copy(arena, verification->topic);
        topic->partitions = arena_must_get(arena, capacity, sizeof(*topic->partitions));
    }
    topic->partitions[topic->partitions_count++] = verification->partition;
}

static void fill(struct verification_request *request, size_t count)
{
    const struct verification *first =
        container_of(request->questions.next, struct verification, link);
    add_request *transaction = arena_must_get(&request->arena, 1, sizeof(*transaction));
    transaction->transactional_id = arena_copy(&request->arena, first->transactional_id);
    transaction->producer_id = first->producer_id;
    transaction->producer_epoch = first->producer_epoch;
    transaction->verify_only = !first->adds;
    transaction->topics = arena_must_get(&request->arena, count, sizeof(*transaction->topics));
    list_for_each(link, &request->questions) add_partition(
        transaction, &request->arena, count, container_of(link, struct verification, link));
    add_partitions_to_txn_request_init(&request->message);
    request->message.transactions = transaction;
    request->message.transactions_count = 1;
}

/* Who coordinates the transaction, where that is another node; else this one, which knows best
 * what is wrong with it. */
static int32_t coordinator_node(const struct shard *shard, struct view transactional_id)
{
    int32_t own = shard->broker->config->node_id;
    const struct image_topic *topic =
        image_topic_by_name(shard->image, coordinator_slot_topic(COORDINATOR_TRANSACTIONS));
    if (!topic || topic->partition_count == 0)
        return own;
    const struct image_partition *partition = image_topic_partition(
        topic, placement_partition(transactional_id, (int32_t)topic->partition_count));
    return partition && partition->leader >= 0 ? partition->leader : own;
}

static void send(struct shard *shard, struct verification_request *request)
{
    request->peer = (struct peer_request){
        .purpose = PEER_VERIFICATIONS,
        .call = &add_partitions_to_txn_call,
        .message = &request->message,
        .version_min = ADD_PARTITIONS_VERSION_MIN,
        .version_max = ADD_PARTITIONS_VERSION,
        .answered = answered,
        .ended = ended,
    };
    peer_request_send(&request->peer, shard,
                      coordinator_node(shard, request->message.transactions[0].transactional_id));
}

static void send_fresh(struct deferred *deferred)
{
    struct verifications *verifications = container_of(deferred, struct verifications, send);
    struct shard *shard = verifications->shard;
    while (!list_is_empty(&verifications->fresh)) {
        struct verification_request *request =
            heap_must_get(shard->loop->heap, MEMORY_SCRATCH, sizeof(*request));
        request->owner = verifications;
        list_init(&request->questions);
        arena_init(&request->arena, shard->loop->heap, MEMORY_SCRATCH, 0);
        fill(request, take(verifications, request));
        verifications->requests++;
        send(shard, request);
    }
}
