/* Snapshots, full and failing devices, damaged files: the metadata log under the controller. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "cluster/quorum/snapshot_file.h"
#include "protocol/messages/config_record.h"
#include "tests/unit/cluster/controller_fixture.h"

#define DIRECTORY "/data/__cluster_metadata-0/"

static void start_ready(struct fixture *fixture)
{
    fixture_start(fixture);
    assert_string_equal(fixture->failure, "");
    assert_true(fixture->is_ready);
}

static void create(struct fixture *fixture, unsigned number)
{
    char name[32];
    snprintf(name, sizeof(name), "topic-%u", number);
    assert_int_equal(fixture_create_topic(fixture, name, 20), KAFKA_ERROR_NONE);
}

/* The newest snapshot on the disk; false when there is none beside the first. */
static bool newest_snapshot(struct fixture *fixture, struct snapshot_id *newest, char *path,
                            size_t capacity)
{
    bool found = false;
    for (int64_t end = 1; end < 5000; end++) {
        for (int32_t epoch = 1; epoch < 4; epoch++) {
            char name[SNAPSHOT_NAME_SIZE];
            char candidate[128];
            struct snapshot_id id = {end, epoch};
            snapshot_name_format(id, SNAPSHOT_SUFFIX, name);
            snprintf(candidate, sizeof(candidate), DIRECTORY "%s", name);
            if (!memory_node_exists(&fixture->node, candidate))
                continue;
            *newest = id;
            snprintf(path, capacity, "%s", candidate);
            found = true;
        }
    }
    return found;
}

/* A copy that may be written to, in the test's arena. */
static uint8_t *copy_bytes(struct fixture *fixture, struct view bytes)
{
    uint8_t *copy = arena_get(&fixture->arena, bytes.size);
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.size);
    return copy;
}

static unsigned count_snapshots(struct fixture *fixture)
{
    struct storage_listing *listing;
    struct job_context context = memory_node_context(&fixture->node);
    assert_int_equal(
        storage_run_list(context.storage, "/data/__cluster_metadata-0", context.heap, &listing),
        STORAGE_OK);
    unsigned count = 0;
    for (size_t i = 0; i < listing->count; i++) {
        struct snapshot_id id;
        count += snapshot_name_parse(listing->entries[i].name, &id);
    }
    storage_listing_release(listing);
    return count;
}

static void names_of_snapshots_are_kafkas(void **state)
{
    (void)state;
    char name[SNAPSHOT_NAME_SIZE];
    struct snapshot_id id = {123, 4};
    snapshot_name_format(id, SNAPSHOT_SUFFIX, name);
    assert_string_equal(name, "00000000000000000123-0000000004.checkpoint");
    struct snapshot_id found;
    assert_true(snapshot_name_parse(name, &found));
    assert_int_equal(found.end_offset, 123);
    assert_int_equal(found.epoch, 4);
    const char *others[] = {
        "00000000000000000123-0000000004.checkpoint.part",
        "00000000000000000123-0000000004.checkpoint.deleted",
        "0000000000000000123-0000000004.checkpoint",
        "00000000000000000123_0000000004.checkpoint",
        "99999999999999999999-0000000004.checkpoint",
        "00000000000000000123-9999999999.checkpoint",
        "leader-epoch-checkpoint",
        "",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(snapshot_name_parse(others[i], &found));
}

static void a_snapshot_and_the_log_behind_it_give_everything_back(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.config.settings.metadata_log_max_record_bytes_between_snapshots = 10000;
    start_ready(&fixture);
    for (unsigned i = 0; i < 30; i++)
        create(&fixture, i);
    struct snapshot_id newest;
    char path[128];
    assert_true(newest_snapshot(&fixture, &newest, path, sizeof(path)));
    /* It is on the disk before anything relies on it. */
    assert_false(view_is_null(memory_node_durable_file(&fixture.node, path)));
    fixture_crash(&fixture);
    start_ready(&fixture);
    const struct image *image = fixture_image(&fixture);
    assert_int_equal(image->topics_by_name.count, 30);
    assert_int_equal(image->partition_count, 600);
    /* The log begins at the snapshot before, which is kept in case the newest one is damaged. */
    int64_t log_start = partition_log_start_offset(fixture.controller.log.log);
    assert_in_range(log_start, 1, newest.end_offset);
    assert_int_equal(count_snapshots(&fixture), 2);
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void a_damaged_snapshot_stops_the_start_with_a_reason(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.config.settings.metadata_log_max_record_bytes_between_snapshots = 10000;
    start_ready(&fixture);
    for (unsigned i = 0; i < 10; i++)
        create(&fixture, i);
    fixture_stop(&fixture);
    struct snapshot_id newest;
    char path[128];
    assert_true(newest_snapshot(&fixture, &newest, path, sizeof(path)));
    struct view good = memory_node_file(&fixture.node, path);
    uint8_t *rotten = copy_bytes(&fixture, good);
    rotten[good.size / 2] ^= 0x10;
    memory_node_put_file(&fixture.node, path, view_of(rotten, good.size));
    fixture_start(&fixture);
    assert_false(fixture.is_ready);
    assert_string_not_equal(fixture.failure, "");
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void a_snapshot_cut_short_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.config.settings.metadata_log_max_record_bytes_between_snapshots = 10000;
    start_ready(&fixture);
    for (unsigned i = 0; i < 10; i++)
        create(&fixture, i);
    fixture_stop(&fixture);
    struct snapshot_id newest;
    char path[128];
    assert_true(newest_snapshot(&fixture, &newest, path, sizeof(path)));
    struct view good = memory_node_file(&fixture.node, path);
    uint8_t *copy = copy_bytes(&fixture, good);
    memory_node_put_file(&fixture.node, path, view_of(copy, good.size - 75));
    fixture_start(&fixture);
    assert_false(fixture.is_ready);
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void a_failed_sync_ends_the_node_and_acknowledges_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    start_ready(&fixture);
    uint64_t shown = fixture.publisher.shown_version;
    memory_node_fail(&fixture.node, STORAGE_SYNC, 0, STORAGE_IO);
    fixture_try_topic(&fixture, "lost", 1);
    assert_string_not_equal(fixture.failure, "");
    assert_int_equal(fixture.publisher.shown_version, shown);
    fixture_crash(&fixture);
    fixture.failure[0] = '\0';
    start_ready(&fixture);
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void a_full_device_takes_back_only_what_it_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    start_ready(&fixture);
    create(&fixture, 1);
    const struct image *before = fixture_image(&fixture);
    memory_node_fail(&fixture.node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
    assert_int_equal(fixture_create_topic(&fixture, "refused", 3), KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    assert_string_equal(fixture.failure, "");
    assert_ptr_equal(fixture_image(&fixture), before);
    /* Space returns: the log says so by itself, after a while. */
    for (int i = 0; i < 100 && fixture_create_topic(&fixture, "refused", 3) != 0; i++)
        memory_node_advance(&fixture.node, 1000000000);
    assert_non_null(image_topic_by_name(fixture_image(&fixture), VIEW_LITERAL("refused")));
    fixture_stop(&fixture);
    assert_true(fixture.is_clean);
    start_ready(&fixture);
    assert_int_equal(fixture_image(&fixture)->topics_by_name.count, 2);
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void closing_waits_for_what_was_appended(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    start_ready(&fixture);
    fixture.node.hold = true;
    fixture_try_topic(&fixture, "late", 1);
    controller_close(&fixture.controller);
    fixture.node.hold = false;
    while (memory_node_held(&fixture.node) > 0)
        memory_node_complete(&fixture.node, 0);
    memory_node_run(&fixture.node);
    assert_true(fixture.is_closed);
    publisher_deinit(&fixture.publisher);
    start_ready(&fixture);
    assert_non_null(image_topic_by_name(fixture_image(&fixture), VIEW_LITERAL("late")));
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

/* A record that is appended and not written yet. */
static void append_setting(struct fixture *fixture)
{
    struct config_record record = {CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""),
                                   VIEW_LITERAL("log.retention.ms"), VIEW_LITERAL("1000")};
    struct decision decision;
    fixture_decide(fixture, &decision);
    decision_add(&decision, METADATA_RECORD_CONFIG, &record);
    assert_int_equal(controller_append(&fixture->controller, &decision), KAFKA_ERROR_NONE);
}

static void closing_ends_although_the_last_records_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum storage_operation operation;
        enum storage_status status;
    } troubles[] = {
        {STORAGE_WRITE, STORAGE_NO_SPACE}, {STORAGE_WRITE, STORAGE_IO}, {STORAGE_SYNC, STORAGE_IO}};
    for (size_t i = 0; i < 3; i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        start_ready(&fixture);
        append_setting(&fixture);
        memory_node_fail(&fixture.node, troubles[i].operation, 0, troubles[i].status);
        fixture_stop(&fixture);
        memory_node_fail(&fixture.node, troubles[i].operation, 0, STORAGE_OK);
        start_ready(&fixture);
        fixture_stop(&fixture);
        fixture_deinit(&fixture);
    }
}

/* What has to be true after any trouble: the node starts, and what was acknowledged is there. */
static void recover_and_check(struct fixture *fixture, unsigned acknowledged)
{
    fixture_crash(fixture);
    memory_node_fail(&fixture->node, STORAGE_SYNC, 0, STORAGE_OK);
    memory_node_fail(&fixture->node, STORAGE_WRITE, 0, STORAGE_OK);
    memory_node_fail(&fixture->node, STORAGE_RENAME, 0, STORAGE_OK);
    memory_node_fail(&fixture->node, STORAGE_SYNC_DIRECTORY, 0, STORAGE_OK);
    start_ready(fixture);
    for (unsigned i = 0; i < acknowledged; i++) {
        char name[32];
        snprintf(name, sizeof(name), "topic-%u", i);
        const struct image_topic *topic =
            image_topic_by_name(fixture_image(fixture), view_of_string(name));
        assert_non_null(topic);
        assert_int_equal(topic->partition_count, 20);
    }
    fixture_stop(fixture);
}

static void a_failure_and_a_power_cut_at_any_call_lose_nothing_acknowledged(void **state)
{
    (void)state;
    static const enum storage_operation operations[] = {STORAGE_SYNC, STORAGE_WRITE, STORAGE_RENAME,
                                                        STORAGE_SYNC_DIRECTORY};
    for (size_t kind = 0; kind < 4; kind++) {
        for (int after = 0; after < 40; after++) {
            struct fixture fixture;
            fixture_init(&fixture);
            fixture.config.settings.metadata_log_max_record_bytes_between_snapshots = 4000;
            memory_node_fail(&fixture.node, operations[kind], after, STORAGE_IO);
            unsigned acknowledged = 0;
            fixture_start(&fixture);
            while (fixture.is_ready && fixture.failure[0] == '\0' && acknowledged < 12) {
                char name[32];
                snprintf(name, sizeof(name), "topic-%u", acknowledged);
                enum kafka_error error = fixture_create_topic(&fixture, name, 20);
                if (error != KAFKA_ERROR_NONE)
                    break;
                acknowledged++;
            }
            /* Half of the nodes come to an orderly end before the power goes. */
            if (after % 2)
                fixture_stop(&fixture);
            recover_and_check(&fixture, acknowledged);
            fixture_deinit(&fixture);
        }
    }
}

static void a_start_that_fails_at_any_call_gives_everything_back(void **state)
{
    (void)state;
    static const enum storage_operation operations[] = {STORAGE_OPEN, STORAGE_SYNC, STORAGE_WRITE,
                                                        STORAGE_RENAME, STORAGE_SYNC_DIRECTORY};
    for (size_t kind = 0; kind < sizeof(operations) / sizeof(operations[0]); kind++) {
        bool is_ready = false;
        for (int after = 0; !is_ready; after++) {
            struct fixture fixture;
            fixture_init(&fixture);
            memory_node_fail(&fixture.node, operations[kind], after, STORAGE_IO);
            fixture_start(&fixture);
            is_ready = fixture.is_ready;
            fixture_stop(&fixture);
            fixture_deinit(&fixture);
            assert_true(after < 40);
        }
    }
}

static void a_stop_at_any_moment_of_the_start_ends(void **state)
{
    (void)state;
    for (size_t steps = 0; steps < 20; steps++) {
        struct fixture fixture;
        fixture_init(&fixture);
        fixture.node.hold = true;
        fixture_begin(&fixture);
        /* Jobs run in one go; what the log and its committer ask of the device is let through. */
        for (size_t i = 0; i < steps; i++) {
            memory_node_run(&fixture.node);
            if (memory_node_held(&fixture.node) > 0)
                memory_node_complete(&fixture.node, 0);
        }
        controller_close(&fixture.controller);
        fixture.node.hold = false;
        while (memory_node_held(&fixture.node) > 0)
            memory_node_complete(&fixture.node, 0);
        memory_node_run(&fixture.node);
        assert_true(fixture.is_closed);
        publisher_deinit(&fixture.publisher);
        start_ready(&fixture);
        fixture_stop(&fixture);
        fixture_deinit(&fixture);
    }
}

static void leftovers_of_interrupted_writes_are_removed(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    start_ready(&fixture);
    fixture_stop(&fixture);
    const char *leftover = DIRECTORY "00000000000000000009-0000000001.checkpoint.part";
    memory_node_put_file(&fixture.node, leftover, VIEW_LITERAL("x"));
    start_ready(&fixture);
    assert_false(memory_node_exists(&fixture.node, leftover));
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static bool is_name_durable(const struct memory_node *node, const char *path)
{
    for (const struct memory_name *name = node->names; name; name = name->next)
        if (strcmp(name->path, path) == 0)
            return name->durable != NULL;
    return false;
}

/*
 * bootstrap.checkpoint says that formatting is through. A power cut may keep it, whoever was killed
 * before, and take every name that was not made durable earlier.
 */
static void what_says_that_it_is_formatted_comes_after_all_else(void **state)
{
    (void)state;
    bool is_formatted = false;
    for (int after = 0; !is_formatted; after++) {
        struct fixture fixture;
        fixture_init(&fixture);
        memory_node_fail(&fixture.node, STORAGE_SYNC_DIRECTORY, after, STORAGE_IO);
        fixture_start(&fixture);
        is_formatted = fixture.is_ready;
        if (memory_node_exists(&fixture.node, "/data/bootstrap.checkpoint"))
            assert_true(is_name_durable(&fixture.node, "/data/__cluster_metadata-0"));
        fixture_crash(&fixture);
        fixture_deinit(&fixture);
        assert_true(after < 40);
    }
}

static void an_unformatted_directory_is_refused_where_formatting_is_not_allowed(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.may_not_format = true;
    fixture_start(&fixture);
    assert_false(fixture.is_ready);
    assert_string_not_equal(fixture.failure, "");
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void silent_followers_are_forgotten_and_voters_are_not(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    start_ready(&fixture);
    struct metadata_log *log = &fixture.controller.log;
    struct quorum_node voter = {.id = fixture.config.node_id};
    struct quorum_node silent = {.id = 77};
    struct quorum_node heard = {.id = 78};
    followers_fetched(log, voter, 1);
    followers_fetched(log, silent, 1);
    for (int minute = 0; minute < 7; minute++) {
        followers_fetched(log, heard, 1);
        assert_true(minute > 5 || followers_find(log, silent));
        memory_node_advance(&fixture.node, UINT64_C(60000000000));
    }
    assert_null(followers_find(log, silent));
    assert_non_null(followers_find(log, heard));
    assert_non_null(followers_find(log, voter));
    assert_int_equal(log->follower_count, 2);
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_snapshots_are_kafkas),
        cmocka_unit_test(a_snapshot_and_the_log_behind_it_give_everything_back),
        cmocka_unit_test(a_damaged_snapshot_stops_the_start_with_a_reason),
        cmocka_unit_test(a_snapshot_cut_short_is_refused),
        cmocka_unit_test(a_failed_sync_ends_the_node_and_acknowledges_nothing),
        cmocka_unit_test(a_full_device_takes_back_only_what_it_refused),
        cmocka_unit_test(closing_waits_for_what_was_appended),
        cmocka_unit_test(closing_ends_although_the_last_records_are_refused),
        cmocka_unit_test(a_failure_and_a_power_cut_at_any_call_lose_nothing_acknowledged),
        cmocka_unit_test(a_start_that_fails_at_any_call_gives_everything_back),
        cmocka_unit_test(a_stop_at_any_moment_of_the_start_ends),
        cmocka_unit_test(leftovers_of_interrupted_writes_are_removed),
        cmocka_unit_test(silent_followers_are_forgotten_and_voters_are_not),
        cmocka_unit_test(what_says_that_it_is_formatted_comes_after_all_else),
        cmocka_unit_test(an_unformatted_directory_is_refused_where_formatting_is_not_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
