/* Loading from logs that another version, compaction or a device has left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/coordinator/coordinator_fixture.h"
#include "tests/unit/coordinator/note_kind.h"

static struct coordinator_fixture test;
static struct arena arena;

static void begin(void)
{
    *note_counts() = (struct note_kind_counts){0};
    coordinator_fixture_init(&test, &note_kind);
    coordinator_fixture_start(&test);
    arena_init(&arena, &test.other_heap, MEMORY_SCRATCH, 0);
}

static void end(void)
{
    arena_deinit(&arena);
    coordinator_fixture_deinit(&test);
    assert_int_equal(note_counts()->created, note_counts()->destroyed);
}

static struct notes *notes(void)
{
    return coordinator_fixture_state(&test);
}

static void write_note(const struct batch_options *options, int32_t number, int64_t text)
{
    coordinator_fixture_write(&test, options, note_key(&arena, number), note_value(&arena, text));
}

static void every_codec_is_read(void **state)
{
    (void)state;
    begin();
    for (int codec = 0; codec < COMPRESSION_CODECS; codec++) {
        struct batch_options options = fixture_options();
        options.codec = (enum compression_codec)codec;
        options.level = compression_level_default(options.codec);
        write_note(&options, codec, 100 + codec);
    }
    coordinator_fixture_reload(&test);
    for (int codec = 0; codec < COMPRESSION_CODECS; codec++)
        assert_int_equal(notes()->texts[codec], 100 + codec);
    assert_int_equal(notes()->last_timestamp_ms, test.log.node.wall_ms);
    end();
}

static void a_codec_for_the_topic_compresses_what_is_appended(void **state)
{
    (void)state;
    *note_counts() = (struct note_kind_counts){0};
    coordinator_fixture_init(&test, &note_kind);
    test.config.settings.offsets_topic_compression_codec = COMPRESSION_ZSTD;
    coordinator_fixture_start(&test);
    arena_init(&arena, &test.other_heap, MEMORY_SCRATCH, 0);
    assert_int_equal(note_write(notes(), 0, 500, 7), KAFKA_ERROR_NONE);
    assert_int_equal(notes()->texts[499], 7);
    assert_int_equal(notes()->last_offset, 499);
    coordinator_fixture_run(&test);
    struct view file =
        memory_node_file(&test.log.node, FIXTURE_DIRECTORY "/00000000000000000000.log");
    assert_true(file.size < 5000);
    assert_int_equal(batch_codec(file.data), COMPRESSION_ZSTD);
    coordinator_fixture_reload(&test);
    assert_int_equal(notes()->replayed, 500);
    assert_int_equal(notes()->texts[499], 7);
    end();
}

static void a_long_log_is_loaded_piece_by_piece(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 40; i++) {
        assert_int_equal(note_write(notes(), i * 50, 50, i), KAFKA_ERROR_NONE);
        for (int more = 0; more < 4; more++)
            assert_int_equal(note_write(notes(), 0, 300, i), KAFKA_ERROR_NONE);
    }
    coordinator_fixture_run(&test);
    coordinator_fixture_resign(&test);
    uint64_t turns = memory_node_loop(&test.log.node, 1)->counters.turns;
    coordinator_fixture_reload(&test);
    assert_int_equal(notes()->replayed, 40 * 1250);
    assert_int_equal(notes()->texts[1999], 39);
    assert_int_equal(test.host.counters.loads, 2);
    assert_true(test.host.counters.loaded_bytes > 2000000);
    assert_true(memory_node_loop(&test.log.node, 1)->counters.turns - turns >
                test.host.counters.loaded_bytes / (512 * 1024));
    end();
}

static void a_log_that_is_not_in_memory_is_warmed(void **state)
{
    (void)state;
    begin();
    assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&test);
    coordinator_fixture_resign(&test);
    test.log.node.cold = true;
    coordinator_fixture_reload(&test); /* it never gets warm: this is said and ends */
    assert_int_equal(coordinator_state(test.coordinator), COORDINATOR_FAILED);
    test.log.node.cold = false;
    coordinator_fixture_reload(&test);
    assert_int_equal(notes()->texts[1], 10);
    assert_int_equal(test.host.counters.failed_loads, 1);
    end();
}

static void resigning_while_the_device_works_is_fine(void **state)
{
    (void)state;
    begin();
    assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&test);
    coordinator_fixture_resign(&test);
    test.log.node.cold = true;
    struct coordinator *coordinator = coordinator_create(&(struct coordinator_options){
        .host = &test.host, .kind = &note_kind, .replica = test.replica, .image = test.image});
    struct loop *loop = memory_node_loop(&test.log.node, 1);
    loop_turn_timers(loop);
    assert_int_equal(coordinator_state(coordinator), COORDINATOR_LOADING);
    coordinator_resign(coordinator);
    memory_node_run(&test.log.node);
    test.log.node.cold = false;
    end();
}

static void batches_that_compaction_emptied_are_passed(void **state)
{
    (void)state;
    begin();
    struct batch_options options = fixture_options();
    write_note(&options, 1, 10);
    struct batch_builder builder;
    batch_builder_init(&builder, &test.other_heap, 0, &options);
    batch_builder_set_last_offset_delta(&builder, 9);
    struct view empty;
    assert_int_equal(batch_builder_finish(&builder, &empty), COMPRESSION_OK);
    struct log_append append = {.data = (uint8_t *)(uintptr_t)empty.data,
                                .size = empty.size,
                                .origin = LOG_APPEND_COORDINATOR,
                                .leader_epoch = test.leader_epoch};
    assert_int_equal(partition_log_append(test.log.log, &append), LOG_APPEND_QUEUED);
    memory_node_run(&test.log.node);
    batch_builder_deinit(&builder);
    write_note(&options, 2, 20);
    coordinator_fixture_reload(&test);
    assert_int_equal(notes()->texts[1], 10);
    assert_int_equal(notes()->texts[2], 20);
    assert_int_equal(notes()->last_offset, 11);
    assert_int_equal(coordinator_end_offset(test.coordinator), 12);
    end();
}

static void records_of_a_newer_version_are_skipped(void **state)
{
    (void)state;
    begin();
    struct batch_options options = fixture_options();
    static const uint8_t unknown[] = {0, 99, 1, 2, 3};
    coordinator_fixture_write(&test, &options, view_of(unknown, sizeof(unknown)), VIEW_NULL);
    coordinator_fixture_write(&test, &options, view_of(unknown, 1), VIEW_LITERAL("x"));
    write_note(&options, 1, 10);
    coordinator_fixture_reload(&test);
    assert_int_equal(notes()->texts[1], 10);
    assert_int_equal(test.host.counters.unknown_records, 2);
    end();
}

static void a_value_that_does_not_decode_fails_the_load(void **state)
{
    (void)state;
    begin();
    struct batch_options options = fixture_options();
    write_note(&options, 1, 10);
    coordinator_fixture_write(&test, &options, note_key(&arena, 2), VIEW_LITERAL("\0\x63garbage"));
    coordinator_fixture_reload(&test);
    assert_int_equal(coordinator_state(test.coordinator), COORDINATOR_FAILED);
    assert_non_null(strstr(test.log.node.last_line, "offset=1"));
    assert_int_equal(test.host.counters.failed_loads, 1);
    end();
}

static void damaged_bytes_fail_the_load(void **state)
{
    (void)state;
    begin();
    struct batch_options options = fixture_options();
    write_note(&options, 1, 10);
    struct view file =
        memory_node_file(&test.log.node, FIXTURE_DIRECTORY "/00000000000000000000.log");
    ((uint8_t *)(uintptr_t)file.data)[file.size - 3] ^= 1;
    coordinator_fixture_reload(&test);
    assert_int_equal(coordinator_state(test.coordinator), COORDINATOR_FAILED);
    assert_non_null(strstr(test.log.node.last_line, "checksum"));
    end();
}

static void the_load_waits_for_the_first_image(void **state)
{
    (void)state;
    begin();
    assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&test);
    coordinator_fixture_resign(&test);
    test.coordinator = coordinator_create(&(struct coordinator_options){
        .host = &test.host, .kind = &note_kind, .replica = test.replica});
    coordinator_fixture_run(&test);
    assert_int_equal(coordinator_state(test.coordinator), COORDINATOR_LOADING);
    coordinator_set_image(test.coordinator, test.image, NULL);
    assert_int_equal(notes()->texts[1], 10);
    assert_int_equal(notes()->images, 0);
    end();
}

static void an_answer_after_a_load_waits_for_what_was_loaded(void **state)
{
    (void)state;
    begin();
    assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&test);
    coordinator_fixture_hold(&test);
    assert_int_equal(note_write(notes(), 1, 1, 11), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&test);
    replica_lead_alone(test.replica, 7, 7);
    coordinator_lead(test.coordinator); /* written, not yet durable: it is loaded all the same */
    coordinator_fixture_run(&test);
    struct fixture_call call;
    struct note_request request = {1, -1};
    int64_t response = -2;
    fixture_call_init(&test, &call, 0, &request, &response);
    note_handle(notes(), &call.call);
    coordinator_fixture_run(&test);
    assert_int_equal(response, 11);
    assert_int_equal(call.told, 0);
    coordinator_fixture_commit(&test);
    assert_int_equal(call.told, 1);
    fixture_call_deinit(&call);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_is_read),
        cmocka_unit_test(a_codec_for_the_topic_compresses_what_is_appended),
        cmocka_unit_test(a_long_log_is_loaded_piece_by_piece),
        cmocka_unit_test(a_log_that_is_not_in_memory_is_warmed),
        cmocka_unit_test(resigning_while_the_device_works_is_fine),
        cmocka_unit_test(batches_that_compaction_emptied_are_passed),
        cmocka_unit_test(records_of_a_newer_version_are_skipped),
        cmocka_unit_test(a_value_that_does_not_decode_fails_the_load),
        cmocka_unit_test(damaged_bytes_fail_the_load),
        cmocka_unit_test(the_load_waits_for_the_first_image),
        cmocka_unit_test(an_answer_after_a_load_waits_for_what_was_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
