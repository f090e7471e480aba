/*
 * What a partition of __transaction_state may hold, loaded by the transaction coordinator, whose
 * markers all arrive.
 *
 * A load ends ACTIVE or FAILED. After one that is ACTIVE decided transactions end, open ones time
 * out, old ids expire, and the log with what the coordinator itself wrote meanwhile loads again.
 * All memory comes home.
 */
#include "tests/fuzz/fuzz.h"

#include "base/assert.h"
#include "tests/fuzz/coordinator_log.h"
#include "transaction/transactions.h"

static struct {
    struct coordinator_fixture base;
    struct producer_ids ids;
    struct marker_writer markers;
} fixture;

static void *create(struct coordinator *coordinator)
{
    return transactions_create(coordinator, &fixture.ids, &fixture.markers);
}

static const struct coordinator_kind kind = {TRANSACTIONS_KIND, .create = create};

/* Every partition has its marker, by not saying anything else. */
static void send(void *self, struct marker_send *marker_send)
{
    (void)self;
    struct arena arena;
    arena_init(&arena, &fixture.base.other_heap, MEMORY_SCRATCH, 0);
    const struct write_txn_markers_request *request = &marker_send->request;
    struct write_txn_markers_response response;
    write_txn_markers_response_init(&response);
    response.markers_count = request->markers_count;
    response.markers = arena_get_array(&arena, response.markers_count, sizeof(*response.markers));
    for (size_t i = 0; i < response.markers_count; i++) {
        size_t count = request->markers[i].topics_count;
        response.markers[i].producer_id = request->markers[i].producer_id;
        response.markers[i].topics_count = count;
        response.markers[i].topics =
            arena_get_array(&arena, count, sizeof(*response.markers[i].topics));
        for (size_t j = 0; j < count; j++) {
            const struct write_txn_markers_request_writable_txn_marker_topic *from =
                &request->markers[i].topics[j];
            struct write_txn_markers_response_writable_txn_marker_topic_result *to =
                &response.markers[i].topics[j];
            to->name = from->name;
            to->partitions_count = from->partition_indexes_count;
            to->partitions = arena_get_array(&arena, to->partitions_count, sizeof(*to->partitions));
            for (size_t k = 0; k < to->partitions_count; k++)
                to->partitions[k].partition_index = from->partition_indexes[k];
        }
    }
    marker_send->answered(marker_send, &response);
    arena_deinit(&arena);
}

static const struct image *image(void *self)
{
    (void)self;
    return fixture.base.image;
}

static void ask(struct producer_ids *ids)
{
    (void)ids;
}

static void pass_time(int64_t ms)
{
    coordinator_fixture_advance(&fixture.base, ms);
    while (fixture.ids.is_asking) {
        producer_ids_given(&fixture.ids, fixture.ids.end ? fixture.ids.end : 5000, 10);
        coordinator_fixture_run(&fixture.base);
    }
}

static bool is_active(void)
{
    return coordinator_state(fixture.base.coordinator) == COORDINATOR_ACTIVE;
}

static void live(void)
{
    pass_time(1000);
    pass_time(40000);
    coordinator_fixture_delete_topic(&fixture.base, "orders");
    pass_time(200000);
    coordinator_fixture_reload(&fixture.base);
    klamm_assert(is_active());
    pass_time(8 * INT64_C(86400000));
    coordinator_fixture_reload(&fixture.base);
    klamm_assert(is_active());
}

void fuzz_one(const uint8_t *data, size_t size)
{
    coordinator_fixture_init(&fixture.base, &kind);
    producer_ids_init(&fixture.ids, ask);
    marker_writer_init(&fixture.markers, fixture.base.host.loop,
                       &(struct marker_host){.send = send, .image = image});
    coordinator_fixture_set_feature(&fixture.base, "transaction.version", 2);
    coordinator_fixture_set_topic(&fixture.base, "orders", 3);
    coordinator_fixture_set_topic(&fixture.base, "payments", 2);
    coordinator_log_write(&fixture.base, data, size);
    coordinator_fixture_start(&fixture.base);
    if (is_active())
        live();
    coordinator_fixture_resign(&fixture.base);
    coordinator_fixture_run(&fixture.base);
    marker_writer_deinit(&fixture.markers);
    coordinator_fixture_deinit(&fixture.base);
}

static bool is_wanted(const char *name)
{
    return strncmp(name, "Transaction", 11) == 0;
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    return coordinator_log_seed(number, data, capacity, is_wanted);
}
