/*
 * What a partition of __consumer_offsets may hold, loaded by the group coordinator.
 *
 * A load ends ACTIVE or FAILED. After one that is ACTIVE time passes, topics come and go, and the
 * log with what the coordinator itself wrote meanwhile loads again. All memory comes home.
 */
#include "tests/fuzz/fuzz.h"

#include "base/assert.h"
#include "consumer/groups.h"
#include "tests/fuzz/coordinator_log.h"

static struct coordinator_fixture fixture;

static bool is_active(void)
{
    return coordinator_state(fixture.coordinator) == COORDINATOR_ACTIVE;
}

void fuzz_one(const uint8_t *data, size_t size)
{
    coordinator_fixture_init(&fixture, &groups_kind);
    coordinator_fixture_set_topic(&fixture, "orders", 3);
    coordinator_log_write(&fixture, data, size);
    coordinator_fixture_start(&fixture);
    if (is_active()) {
        coordinator_fixture_set_topic(&fixture, "payments", 2);
        coordinator_fixture_advance(&fixture, 1000);
        coordinator_fixture_advance(&fixture, 50000);
        coordinator_fixture_delete_topic(&fixture, "orders");
        coordinator_fixture_advance(&fixture, 700000);
        coordinator_fixture_reload(&fixture);
        klamm_assert(is_active());
        coordinator_fixture_advance(&fixture, 8 * INT64_C(86400000));
        coordinator_fixture_reload(&fixture);
        klamm_assert(is_active());
    }
    coordinator_fixture_deinit(&fixture);
}

/* What is served, and one type that is skipped. */
static bool is_wanted(const char *name)
{
    return strncmp(name, "Transaction", 11) != 0 && strncmp(name, "Share", 5) != 0 &&
           (strncmp(name, "Streams", 7) != 0 || strcmp(name, "StreamsGroupTopologyKey") == 0);
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    return coordinator_log_seed(number, data, capacity, is_wanted);
}
