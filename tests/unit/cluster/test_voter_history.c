/* The sets of voters by offset: what holds after appends, cuts and snapshots. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/quorum/voter_history.h"
#include "cluster/quorum/voters.h"

struct fixture {
    struct heap heap;
    struct arena arena;
    struct voter_history history;
};

static void begin(struct fixture *fixture)
{
    heap_init_plain(&fixture->heap);
    arena_init(&fixture->arena, &fixture->heap, MEMORY_SCRATCH, 0);
    voter_history_init(&fixture->history, &fixture->heap);
}

static void end(struct fixture *fixture)
{
    voter_history_deinit(&fixture->history);
    arena_deinit(&fixture->arena);
    for (size_t i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(fixture->heap.used[i], 0);
}

/* A record with the voters 1 to `count`; `first` changes the id of the first. */
static struct view record_of(struct fixture *fixture, size_t count, int32_t first)
{
    struct voters_record_voter *voters =
        arena_get_array(&fixture->arena, count + 1, sizeof(*voters));
    static struct voters_record_endpoint endpoint = {
        {(const uint8_t *)"CONTROLLER", 10}, {(const uint8_t *)"localhost", 9}, 9093};
    assert_non_null(voters);
    for (size_t i = 0; i < count; i++) {
        voters[i].voter_id = i == 0 ? first : (int32_t)i + 1;
        voters[i].voter_directory_id = uuid_of_halves(7, i + 1);
        voters[i].endpoints = &endpoint;
        voters[i].endpoints_count = 1;
    }
    struct voters_record record = {.voters = voters, .voters_count = count};
    struct view value = voters_encode(&record, &fixture->arena);
    assert_false(view_is_null(value));
    return value;
}

static struct view version_of(struct fixture *fixture, int16_t version)
{
    uint8_t *bytes = arena_get(&fixture->arena, 16);
    return view_of(bytes, voters_encode_kraft_version(version, bytes, 16));
}

static void the_newest_record_holds_until_it_is_cut(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct voter_history *history = &fixture.history;
    assert_int_equal(voter_history_last(history)->count, 0);
    assert_true(voter_history_add_version(history, 1, version_of(&fixture, 1)));
    assert_true(voter_history_add_voters(history, 2, record_of(&fixture, 2, 1)));
    assert_true(voter_history_add_voters(history, 10, record_of(&fixture, 3, 1)));
    struct quorum_node third = {3, uuid_of_halves(7, 3)};
    assert_int_equal(voter_history_last(history)->count, 3);
    assert_int_equal(voter_history_last(history)->offset, 10);
    assert_false(voter_history_was_voter(history, third));
    assert_int_equal(voter_history_at(history, 10)->count, 2);
    assert_int_equal(voter_history_at(history, 11)->count, 3);
    voter_history_cut(history, 11);
    assert_int_equal(voter_history_last(history)->count, 3);
    voter_history_cut(history, 10);
    assert_int_equal(voter_history_last(history)->count, 2);
    assert_int_equal(voter_history_last(history)->kraft_version, 1);
    voter_history_cut(history, 0);
    assert_int_equal(voter_history_last(history)->count, 0);
    assert_int_equal(voter_history_last(history)->kraft_version, 0);
    end(&fixture);
}

static void a_snapshot_takes_the_place_of_what_was_before(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct voter_history *history = &fixture.history;
    struct view version = version_of(&fixture, 1);
    assert_true(voter_history_restart(history, -1, version, record_of(&fixture, 1, 1)));
    assert_int_equal(voter_history_last(history)->offset, -1);
    assert_true(voter_history_add_voters(history, 5, record_of(&fixture, 2, 1)));
    assert_true(voter_history_add_voters(history, 9, record_of(&fixture, 3, 1)));
    voter_history_forget_before(history, 8);
    assert_int_equal(voter_history_at(history, 0)->count, 2); /* the oldest that is left */
    assert_true(voter_history_restart(history, 99, version, record_of(&fixture, 4, 1)));
    assert_int_equal(voter_history_last(history)->count, 4);
    voter_history_cut(history, 100);
    assert_int_equal(voter_history_last(history)->offset, 99);
    end(&fixture);
}

static void malformed_records_change_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct voter_history *history = &fixture.history;
    assert_true(voter_history_add_voters(history, 1, record_of(&fixture, 2, 1)));
    struct view good = record_of(&fixture, 3, 1);
    assert_false(voter_history_add_voters(history, 2, record_of(&fixture, 0, 1)));
    assert_false(voter_history_add_voters(history, 2, record_of(&fixture, 3, 3))); /* 3 is twice */
    assert_false(voter_history_add_voters(history, 2, record_of(&fixture, 3, -1)));
    assert_false(
        voter_history_add_voters(history, 2, record_of(&fixture, QUORUM_VOTERS_MAX + 1, 1)));
    for (size_t size = 0; size < good.size; size++)
        assert_false(voter_history_add_voters(history, 2, view_of(good.data, size)));
    assert_false(voter_history_add_version(history, 2, VIEW_LITERAL("")));
    assert_int_equal(voter_history_last(history)->offset, 1);
    assert_int_equal(voter_history_last(history)->count, 2);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_record_holds_until_it_is_cut),
        cmocka_unit_test(a_snapshot_takes_the_place_of_what_was_before),
        cmocka_unit_test(malformed_records_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
