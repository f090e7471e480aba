/* In which log directory a partition is made, and in which one a path lies. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "broker/directories.h"

enum { COUNT = 3, PARTITIONS = 200 };

static struct log_directory_found found[COUNT];
static struct directory_shard shards[COUNT];
static const struct directories directories = {COUNT, found};
static const struct uuid topic = {.bytes = {7}};
static const struct uuid unassigned = {.bytes = {[15] = 1}};
static const struct uuid lost = {.bytes = {[15] = 2}};

static struct uuid id_of(unsigned index)
{
    return uuid_of_halves(9, index);
}

static int init(void **state)
{
    (void)state;
    static const char *const paths[COUNT] = {"/a", "/b", "/ab"};
    for (unsigned i = 0; i < COUNT; i++) {
        found[i] = (struct log_directory_found){.meta = {.directory_id = id_of(i)}};
        shards[i] = (struct directory_shard){.index = i};
        assert_true(log_path_set(&found[i].path, paths[i]));
    }
    return 0;
}

static int choose(struct uuid named, int32_t partition)
{
    return directories_choose(&directories, shards, named, topic, partition);
}

/* How many of many partitions get each directory. */
static void spread(struct uuid named, int counts[COUNT])
{
    for (int i = 0; i < COUNT; i++)
        counts[i] = 0;
    for (int32_t partition = 0; partition < PARTITIONS; partition++) {
        int place = choose(named, partition);
        assert_in_range(place, 0, COUNT - 1);
        counts[place]++;
    }
}

static void the_directory_that_is_named_gets_the_log(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(choose(id_of(i), 0), i);
    shards[1].is_failed = true; /* the caller sees that it does not work */
    assert_int_equal(choose(id_of(1), 0), 1);
}

static void new_logs_are_spread_over_what_works(void **state)
{
    (void)state;
    int counts[COUNT];
    spread(unassigned, counts);
    for (int i = 0; i < COUNT; i++)
        assert_true(counts[i] > PARTITIONS / 6);
    found[0].is_failed = true;  /* since the start */
    shards[2].is_failed = true; /* since a while */
    spread(unassigned, counts);
    assert_int_equal(counts[1], PARTITIONS);
    shards[1].is_failed = true;
    assert_int_equal(choose(unassigned, 0), -1);
}

static void a_log_that_may_lie_in_a_failed_directory_is_not_made_again(void **state)
{
    (void)state;
    int counts[COUNT];
    spread(id_of(77), counts); /* its directory is gone for good */
    spread(lost, counts);
    shards[2].is_failed = true;
    assert_int_equal(choose(id_of(77), 0), -1);
    assert_int_equal(choose(lost, 0), -1);
    shards[2].is_failed = false;
    found[2].is_failed = true;
    assert_int_equal(choose(id_of(77), 0), -1);
}

static void a_path_lies_in_one_directory(void **state)
{
    (void)state;
    assert_int_equal(directories_find_path(&directories, "/a/t-0"), 0);
    assert_int_equal(directories_find_path(&directories, "/ab/t-0"), 2);
    assert_int_equal(directories_find_path(&directories, "/abc/t-0"), -1);
    assert_int_equal(directories_find_path(&directories, "/"), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, init)
    const struct CMUnitTest tests[] = {
        TEST(the_directory_that_is_named_gets_the_log),
        TEST(new_logs_are_spread_over_what_works),
        TEST(a_log_that_may_lie_in_a_failed_directory_is_not_made_again),
        TEST(a_path_lies_in_one_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
