/* The sole voter's step function and its file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/quorum/quorum.h"

static struct quorum_effects step(struct quorum *quorum, enum quorum_event_kind kind,
                                  int64_t offset)
{
    struct quorum_event event = {.kind = kind, .offset = offset, .epoch = quorum->epoch};
    struct quorum_effects effects;
    quorum_step(quorum, &event, &effects);
    return effects;
}

static struct quorum_effects start(struct quorum *quorum, int32_t file_epoch, int32_t last_epoch,
                                   int64_t log_end, int64_t snapshot_end)
{
    struct quorum_options options = {.self = {.id = 1},
                                     .election_timeout_ns = 1000,
                                     .fetch_timeout_ns = 2000,
                                     .backoff_max_ns = 1000};
    quorum_init(quorum, &options);
    struct quorum_event event = {
        .kind = QUORUM_EVENT_STARTED, .voters = &options.self, .voter_count = 1};
    quorum_state_init(&event.started.file, 1);
    event.started.file.leader_epoch = file_epoch;
    event.started.last_epoch = last_epoch;
    event.started.log_end = log_end;
    event.started.snapshot_end = snapshot_end;
    struct quorum_effects effects;
    quorum_step(quorum, &event, &effects);
    return effects;
}

static void the_epoch_is_persisted_before_a_record_carries_it(void **state)
{
    (void)state;
    struct quorum quorum;
    struct quorum_effects effects = start(&quorum, 3, 5, 100, 40);
    assert_true(effects.persist);
    assert_false(effects.append_change);
    assert_int_equal(quorum.persisted.leader_epoch, 6);
    assert_int_equal(quorum.persisted.leader_id, 1);
    effects = step(&quorum, QUORUM_EVENT_PERSISTED, 0);
    assert_true(effects.append_change);
    assert_false(effects.committed);
}

static void the_epoch_rises_above_file_and_log(void **state)
{
    (void)state;
    const struct {
        int32_t file, log, epoch;
    } cases[] = {{0, 0, 1}, {5, 2, 6}, {2, 5, 6}, {7, 7, 8}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct quorum quorum;
        start(&quorum, cases[i].file, cases[i].log, 10, 0);
        assert_int_equal(quorum.epoch, cases[i].epoch);
    }
}

static void nothing_is_committed_before_the_own_epoch(void **state)
{
    (void)state;
    struct quorum quorum;
    start(&quorum, 1, 1, 100, 40);
    step(&quorum, QUORUM_EVENT_PERSISTED, 0);
    assert_int_equal(quorum.epoch_start_offset, 100);
    struct quorum_effects effects = step(&quorum, QUORUM_EVENT_FLUSHED, 100);
    assert_false(effects.committed);
    assert_int_equal(quorum.high_watermark, 40);
    step(&quorum, QUORUM_EVENT_APPENDED, 103);
    effects = step(&quorum, QUORUM_EVENT_FLUSHED, 103);
    assert_true(effects.committed);
    assert_true(effects.activated);
    assert_int_equal(quorum.high_watermark, 103);
}

static void the_high_watermark_follows_the_flushed_end(void **state)
{
    (void)state;
    struct quorum quorum;
    start(&quorum, 0, 0, 0, 0);
    step(&quorum, QUORUM_EVENT_PERSISTED, 0);
    step(&quorum, QUORUM_EVENT_APPENDED, 3);
    assert_true(step(&quorum, QUORUM_EVENT_FLUSHED, 3).activated);
    step(&quorum, QUORUM_EVENT_APPENDED, 10);
    assert_int_equal(quorum.high_watermark, 3);
    struct quorum_effects effects = step(&quorum, QUORUM_EVENT_FLUSHED, 8);
    assert_true(effects.committed);
    assert_false(effects.activated);
    assert_int_equal(quorum.high_watermark, 8);
    assert_false(step(&quorum, QUORUM_EVENT_FLUSHED, 8).committed);
    step(&quorum, QUORUM_EVENT_CUT, 8);
    assert_int_equal(quorum.log_end, 8);
    step(&quorum, QUORUM_EVENT_RESIGN, 0);
    assert_false(quorum.is_active);
    assert_false(step(&quorum, QUORUM_EVENT_FLUSHED, 8).committed);
}

static void a_late_persist_of_a_resigned_voter_appends_nothing(void **state)
{
    (void)state;
    struct quorum quorum;
    start(&quorum, 0, 0, 0, 0);
    step(&quorum, QUORUM_EVENT_RESIGN, 0);
    assert_false(step(&quorum, QUORUM_EVENT_PERSISTED, 0).append_change);
}

static void both_file_versions_read_as_kafka_writes_them(void **state)
{
    (void)state;
    struct quorum_state found;
    assert_true(quorum_state_decode(
        VIEW_LITERAL("{\"leaderId\":1,\"leaderEpoch\":4,\"votedId\":-1,\"votedDirectoryId\":"
                     "\"AAAAAAAAAAAAAAAAAAAAAA\",\"data_version\":1}"),
        &found));
    assert_int_equal(found.leader_epoch, 4);
    assert_int_equal(found.version, 1);
    struct view old = VIEW_LITERAL(
        "{\"clusterId\":\"\",\"leaderId\":-1,\"leaderEpoch\":9,\"votedId\":2,\"appliedOffset\":0,"
        "\"currentVoters\":[{\"voterId\":1},{\"voterId\":2}],\"data_version\":0}");
    assert_true(quorum_state_decode(old, &found));
    assert_int_equal(found.voted_id, 2);
    assert_int_equal(found.voter_count, 2);
    char text[QUORUM_STATE_SIZE_MAX];
    size_t size = quorum_state_encode(&found, text, sizeof(text));
    assert_true(view_equal(view_of(text, size), old));
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    const char *damaged[] = {
        "",
        "{",
        "{}",
        "{\"leaderId\":1}",
        "{\"leaderId\":1,\"leaderEpoch\":-2,\"votedId\":-1,\"data_version\":1}",
        "{\"leaderId\":1,\"leaderEpoch\":4,\"votedId\":-1,\"data_version\":7}",
        "{\"leaderId\":99999999999,\"leaderEpoch\":4,\"votedId\":-1,\"data_version\":1}",
        "{\"leaderId\":1,\"leaderEpoch\":4,\"votedId\":-1,\"data_version\":1} x",
        "{\"currentVoters\":[{\"id\":1}],\"leaderEpoch\":4,\"data_version\":0}",
        "{\"leaderId\":1,\"leaderEpoch\":4,\"votedDirectoryId\":\"short\",\"data_version\":1}",
    };
    struct quorum_state found;
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++)
        assert_false(quorum_state_decode(view_of_string(damaged[i]), &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_epoch_is_persisted_before_a_record_carries_it),
        cmocka_unit_test(the_epoch_rises_above_file_and_log),
        cmocka_unit_test(nothing_is_committed_before_the_own_epoch),
        cmocka_unit_test(the_high_watermark_follows_the_flushed_end),
        cmocka_unit_test(a_late_persist_of_a_resigned_voter_appends_nothing),
        cmocka_unit_test(both_file_versions_read_as_kafka_writes_them),
        cmocka_unit_test(a_damaged_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
