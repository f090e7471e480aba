/* Producer state: each rule of idempotence, fencing, transactions and verification as a claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "log/producer_state.h"
#include "protocol/batch.h"

enum { DAY_MS = 86400000 };

struct fixture {
    struct heap heap;
    struct producer_state_options options;
    struct producer_state state;
    int64_t next_offset;
};

static int set_up(void **context)
{
    static struct fixture fixture;
    fixture = (struct fixture){.options = {.expiration_ms = DAY_MS}};
    heap_init_plain(&fixture.heap);
    producer_state_init(&fixture.state, &fixture.heap, &fixture.options);
    *context = &fixture;
    return 0;
}

static int tear_down(void **context)
{
    struct fixture *f = *context;
    producer_state_assert(&f->state);
    producer_state_deinit(&f->state);
    assert_int_equal(f->heap.used[MEMORY_STATE], 0);
    return 0;
}

static struct producer_batch data_batch(int64_t id, int16_t epoch, int32_t sequence, int32_t count)
{
    return (struct producer_batch){
        .producer_id = id,
        .producer_epoch = epoch,
        .first_sequence = sequence,
        .last_sequence = batch_sequence_add(sequence, count - 1),
        .timestamp_ms = 1000,
        .coordinator_epoch = -1,
    };
}

static struct producer_batch transactional(int64_t id, int16_t epoch, int32_t sequence,
                                           int32_t count)
{
    struct producer_batch batch = data_batch(id, epoch, sequence, count);
    batch.is_transactional = true;
    return batch;
}

static struct producer_batch marker(int64_t id, int16_t epoch, int32_t coordinator_epoch,
                                    enum producer_marker kind)
{
    return (struct producer_batch){
        .producer_id = id,
        .producer_epoch = epoch,
        .first_sequence = -1,
        .last_sequence = -1,
        .timestamp_ms = 2000,
        .coordinator_epoch = coordinator_epoch,
        .is_transactional = true,
        .is_control = true,
        .marker = kind,
    };
}

static enum kafka_error check(struct fixture *f, struct producer_batch batch)
{
    struct producer_duplicate duplicate;
    enum producer_origin origin =
        batch.is_control ? PRODUCER_ORIGIN_COORDINATOR : PRODUCER_ORIGIN_CLIENT;
    return producer_state_check(&f->state, &batch, origin, 0, &duplicate);
}

/* Gives the batch the next offsets and applies it without checking. */
static bool place(struct fixture *f, struct producer_batch batch,
                  struct producer_completed *completed)
{
    struct producer_completed unused;
    int32_t count = batch.is_control
                        ? 1
                        : batch_sequence_subtract(batch.last_sequence, batch.first_sequence) + 1;
    batch.first_offset = f->next_offset;
    batch.last_offset = f->next_offset + count - 1;
    f->next_offset += count;
    return producer_state_apply(&f->state, &batch, completed ? completed : &unused);
}

static void settle(struct fixture *f)
{
    producer_state_settle(&f->state, f->next_offset);
}

/* Checks, then applies and settles. */
static enum kafka_error append(struct fixture *f, struct producer_batch batch)
{
    enum kafka_error error = check(f, batch);
    if (error == KAFKA_ERROR_NONE) {
        place(f, batch, NULL);
        settle(f);
    }
    return error;
}

static void sequences_must_follow_each_other(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(append(f, data_batch(1, 0, 0, 3)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, data_batch(1, 0, 3, 1)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, data_batch(1, 0, 5, 1)), KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append(f, data_batch(1, 0, 2, 2)), KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append(f, data_batch(1, 0, 4, 1)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, data_batch(2, 0, 0, 1)), KAFKA_ERROR_NONE);
}

static void an_unknown_producer_may_begin_anywhere(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(append(f, data_batch(1, 4, 77, 1)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, data_batch(1, 4, 78, 1)), KAFKA_ERROR_NONE);
}

static void sequences_wrap_to_zero(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(append(f, data_batch(1, 0, INT32_MAX - 1, 2)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, data_batch(1, 0, 1, 1)), KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append(f, data_batch(1, 0, 0, 2)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, data_batch(2, 0, INT32_MAX, 3)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, data_batch(2, 0, 2, 1)), KAFKA_ERROR_NONE);
}

static void the_last_five_batches_are_known_as_duplicates(void **context)
{
    struct fixture *f = *context;
    struct producer_duplicate duplicate;
    f->next_offset = 100;
    for (int32_t i = 0; i < 7; i++)
        assert_int_equal(append(f, data_batch(1, 0, i * 2, 2)), KAFKA_ERROR_NONE);
    for (int32_t i = 2; i < 7; i++) {
        struct producer_batch batch = data_batch(1, 0, i * 2, 2);
        assert_int_equal(
            producer_state_check(&f->state, &batch, PRODUCER_ORIGIN_CLIENT, 0, &duplicate),
            KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER);
        assert_int_equal(duplicate.first_offset, 100 + i * 2);
        assert_int_equal(duplicate.last_offset, 101 + i * 2);
        assert_int_equal(duplicate.timestamp_ms, 1000);
        assert_true(duplicate.is_settled);
    }
    assert_int_equal(check(f, data_batch(1, 0, 2, 2)), KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    /* The same start with another length is no duplicate. */
    assert_int_equal(check(f, data_batch(1, 0, 12, 1)), KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

static void duplicates_of_unwritten_batches_say_so(void **context)
{
    struct fixture *f = *context;
    struct producer_duplicate duplicate;
    struct producer_batch batch = data_batch(1, 0, 0, 2);
    place(f, batch, NULL);
    assert_int_equal(producer_state_check(&f->state, &batch, PRODUCER_ORIGIN_CLIENT, 0, &duplicate),
                     KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER);
    assert_false(duplicate.is_settled);
    settle(f);
    producer_state_check(&f->state, &batch, PRODUCER_ORIGIN_CLIENT, 0, &duplicate);
    assert_true(duplicate.is_settled);
}

static void an_older_epoch_is_fenced_and_a_newer_begins_at_zero(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(append(f, data_batch(1, 3, 0, 1)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, data_batch(1, 2, 1, 1)), KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(append(f, data_batch(1, 4, 1, 1)), KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(append(f, data_batch(1, 4, 0, 1)), KAFKA_ERROR_NONE);
    /* The epoch change forgot the cached batches. */
    assert_int_equal(append(f, data_batch(1, 4, 0, 1)), KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER);
    assert_int_equal(append(f, data_batch(1, 3, 0, 1)), KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
}

static void replication_applies_what_the_checks_would_refuse(void **context)
{
    struct fixture *f = *context;
    struct producer_duplicate duplicate;
    struct producer_batch gap = data_batch(1, 3, 10, 1);
    struct producer_batch old = data_batch(1, 2, 0, 1);
    place(f, data_batch(1, 3, 0, 1), NULL);
    assert_int_equal(
        producer_state_check(&f->state, &gap, PRODUCER_ORIGIN_REPLICATION, 0, &duplicate),
        KAFKA_ERROR_NONE);
    place(f, gap, NULL);
    assert_int_equal(
        producer_state_check(&f->state, &old, PRODUCER_ORIGIN_REPLICATION, 0, &duplicate),
        KAFKA_ERROR_NONE);
    place(f, old, NULL);
    settle(f);
    struct producer_info info;
    assert_true(producer_state_find(&f->state, 1, &info));
    assert_int_equal(info.producer_epoch, 2);
}

static void a_coordinator_skips_sequences_but_not_epochs(void **context)
{
    struct fixture *f = *context;
    struct producer_duplicate duplicate;
    struct producer_batch batch = transactional(1, 3, -1, 1);
    batch.last_sequence = -1;
    f->options.is_verification_enabled = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            producer_state_check(&f->state, &batch, PRODUCER_ORIGIN_COORDINATOR, 0, &duplicate),
            KAFKA_ERROR_NONE);
        batch.first_offset = batch.last_offset = f->next_offset++;
        struct producer_completed completed;
        producer_state_apply(&f->state, &batch, &completed);
    }
    batch.producer_epoch = 2;
    assert_int_equal(
        producer_state_check(&f->state, &batch, PRODUCER_ORIGIN_COORDINATOR, 0, &duplicate),
        KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    settle(f);
}

static void plain_data_is_refused_inside_a_transaction(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(append(f, transactional(1, 0, 0, 1)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, data_batch(1, 0, 1, 1)), KAFKA_ERROR_INVALID_TXN_STATE);
    assert_int_equal(append(f, transactional(1, 0, 1, 1)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, marker(1, 0, 0, PRODUCER_MARKER_COMMIT)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, data_batch(1, 0, 2, 1)), KAFKA_ERROR_NONE);
}

static void the_first_unstable_offset_follows_open_and_unreplicated(void **context)
{
    struct fixture *f = *context;
    struct producer_completed completed;
    assert_int_equal(producer_state_first_unstable_offset(&f->state), -1);
    f->next_offset = 10;
    place(f, transactional(1, 0, 0, 2), NULL); /* 10, 11 */
    place(f, transactional(2, 0, 0, 1), NULL); /* 12 */
    assert_int_equal(producer_state_first_unstable_offset(&f->state), 10);
    assert_true(place(f, marker(1, 0, 5, PRODUCER_MARKER_ABORT), &completed)); /* 13 */
    assert_int_equal(completed.producer_id, 1);
    assert_int_equal(completed.first_offset, 10);
    assert_int_equal(completed.last_offset, 13);
    assert_int_equal(completed.last_stable_offset, 12);
    assert_true(completed.is_aborted);
    /* Ended, but the marker may not be replicated yet. */
    assert_int_equal(producer_state_first_unstable_offset(&f->state), 10);
    producer_state_advance_high_watermark(&f->state, 13);
    assert_int_equal(producer_state_first_unstable_offset(&f->state), 10);
    producer_state_advance_high_watermark(&f->state, 14);
    assert_int_equal(producer_state_first_unstable_offset(&f->state), 12);
    assert_true(place(f, marker(2, 0, 5, PRODUCER_MARKER_COMMIT), &completed)); /* 14 */
    assert_int_equal(completed.last_stable_offset, 15);
    assert_false(completed.is_aborted);
    producer_state_advance_log_start(&f->state, 15);
    assert_int_equal(producer_state_first_unstable_offset(&f->state), -1);
    settle(f);
}

static void a_marker_without_transaction_completes_nothing(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(append(f, data_batch(1, 0, 0, 1)), KAFKA_ERROR_NONE);
    assert_false(place(f, marker(1, 1, 7, PRODUCER_MARKER_COMMIT), NULL));
    settle(f);
    struct producer_info info;
    assert_true(producer_state_find(&f->state, 1, &info));
    assert_int_equal(info.producer_epoch, 1);
    assert_int_equal(info.coordinator_epoch, 7);
    assert_int_equal(info.last_sequence, -1);
    assert_int_equal(info.timestamp_ms, 2000);
    /* A compacted control batch has no marker left and changes nothing. */
    place(f, marker(1, 9, 9, PRODUCER_MARKER_NONE), NULL);
    assert_true(producer_state_find(&f->state, 1, &info));
    assert_int_equal(info.producer_epoch, 1);
}

static void old_coordinators_and_old_producers_cannot_end_transactions(void **context)
{
    struct fixture *f = *context;
    assert_int_equal(append(f, transactional(1, 2, 0, 1)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, marker(1, 1, 5, PRODUCER_MARKER_ABORT)),
                     KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(append(f, marker(1, 2, 5, PRODUCER_MARKER_ABORT)), KAFKA_ERROR_NONE);
    assert_int_equal(append(f, marker(1, 2, 4, PRODUCER_MARKER_ABORT)),
                     KAFKA_ERROR_TRANSACTION_COORDINATOR_FENCED);
    assert_int_equal(append(f, marker(1, 2, 5, PRODUCER_MARKER_ABORT)), KAFKA_ERROR_NONE);
}

static void version_2_markers_must_raise_the_epoch(void **context)
{
    struct fixture *f = *context;
    struct producer_batch same = marker(1, 2, 5, PRODUCER_MARKER_COMMIT);
    struct producer_batch next = marker(1, 3, 5, PRODUCER_MARKER_COMMIT);
    same.transaction_version = next.transaction_version = 2;
    assert_int_equal(append(f, transactional(1, 2, 0, 1)), KAFKA_ERROR_NONE);
    assert_int_equal(check(f, same), KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(append(f, next), KAFKA_ERROR_NONE);
    /* Equal epoch and nothing open: a retry of the same marker. */
    assert_int_equal(append(f, next), KAFKA_ERROR_NONE);
}

static void a_transaction_needs_its_guard(void **context)
{
    struct fixture *f = *context;
    struct producer_duplicate duplicate;
    f->options.is_verification_enabled = true;
    struct producer_batch batch = transactional(1, 0, 0, 1);
    assert_int_equal(check(f, batch), KAFKA_ERROR_INVALID_TXN_STATE);
    uint64_t guard = producer_state_begin_verification(&f->state, 1, 0, 0, false, 0);
    assert_true(guard != 0);
    assert_int_equal(producer_state_begin_verification(&f->state, 1, 0, 0, false, 0), guard);
    assert_int_equal(check(f, batch), KAFKA_ERROR_INVALID_TXN_STATE);
    assert_int_equal(
        producer_state_check(&f->state, &batch, PRODUCER_ORIGIN_CLIENT, guard + 1, &duplicate),
        KAFKA_ERROR_INVALID_TXN_STATE);
    assert_int_equal(
        producer_state_check(&f->state, &batch, PRODUCER_ORIGIN_CLIENT, guard, &duplicate),
        KAFKA_ERROR_NONE);
    place(f, batch, NULL);
    settle(f);
    /* Open now: no guard is needed, and none is given. */
    assert_int_equal(producer_state_begin_verification(&f->state, 1, 0, 1, false, 0), 0);
    assert_int_equal(append(f, transactional(1, 0, 1, 1)), KAFKA_ERROR_NONE);
    /* The marker ends it; the old guard does not open the next one. */
    assert_int_equal(append(f, marker(1, 0, 0, PRODUCER_MARKER_ABORT)), KAFKA_ERROR_NONE);
    batch = transactional(1, 0, 2, 1);
    assert_int_equal(
        producer_state_check(&f->state, &batch, PRODUCER_ORIGIN_CLIENT, guard, &duplicate),
        KAFKA_ERROR_INVALID_TXN_STATE);
}

static void a_marker_clears_the_guard_of_a_verification_under_way(void **context)
{
    struct fixture *f = *context;
    struct producer_duplicate duplicate;
    f->options.is_verification_enabled = true;
    uint64_t guard = producer_state_begin_verification(&f->state, 1, 0, 0, false, 0);
    assert_int_equal(append(f, marker(1, 0, 0, PRODUCER_MARKER_ABORT)), KAFKA_ERROR_NONE);
    struct producer_batch batch = transactional(1, 0, 0, 1);
    assert_int_equal(
        producer_state_check(&f->state, &batch, PRODUCER_ORIGIN_CLIENT, guard, &duplicate),
        KAFKA_ERROR_INVALID_TXN_STATE);
    assert_true(producer_state_begin_verification(&f->state, 1, 0, 0, false, 0) != guard);
}

static void a_later_batch_cannot_overtake_the_one_being_verified(void **context)
{
    struct fixture *f = *context;
    struct producer_duplicate duplicate;
    f->options.is_verification_enabled = true;
    uint64_t guard = producer_state_begin_verification(&f->state, 1, 0, 5, false, 0);
    assert_int_equal(producer_state_begin_verification(&f->state, 1, 0, 0, false, 0), guard);
    struct producer_batch later = transactional(1, 0, 5, 1);
    assert_int_equal(
        producer_state_check(&f->state, &later, PRODUCER_ORIGIN_CLIENT, guard, &duplicate),
        KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    /* A higher epoch begins its own lowest sequence. */
    producer_state_begin_verification(&f->state, 1, 1, 5, false, 0);
    later.producer_epoch = 1;
    assert_int_equal(
        producer_state_check(&f->state, &later, PRODUCER_ORIGIN_CLIENT, guard, &duplicate),
        KAFKA_ERROR_NONE);
}

static void version_2_transactions_without_state_begin_at_zero(void **context)
{
    struct fixture *f = *context;
    struct producer_duplicate duplicate;
    f->options.is_verification_enabled = true;
    uint64_t guard = producer_state_begin_verification(&f->state, 1, 0, 4, true, 0);
    struct producer_batch batch = transactional(1, 0, 4, 1);
    assert_int_equal(
        producer_state_check(&f->state, &batch, PRODUCER_ORIGIN_CLIENT, guard, &duplicate),
        KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

static void idle_producers_expire_but_not_open_transactions(void **context)
{
    struct fixture *f = *context;
    f->options.is_verification_enabled = true;
    append(f, data_batch(1, 0, 0, 1));
    place(f, transactional(2, 0, 0, 1), NULL);
    producer_state_begin_verification(&f->state, 3, 0, 0, false, 1000);
    assert_int_equal(producer_state_expire(&f->state, 1000 + DAY_MS - 1), 0);
    /* Producer 2 is open and not settled either. */
    assert_int_equal(producer_state_expire(&f->state, 1000 + DAY_MS), 2);
    assert_int_equal(f->state.producer_count, 1);
    settle(f);
    assert_int_equal(producer_state_expire(&f->state, 1000 + DAY_MS), 0);
    place(f, marker(2, 0, 0, PRODUCER_MARKER_COMMIT), NULL);
    settle(f);
    assert_int_equal(producer_state_expire(&f->state, 2000 + DAY_MS), 1);
}

static void the_limit_evicts_the_longest_idle_and_spares_transactions(void **context)
{
    struct fixture *f = *context;
    f->options.producer_count_max = 3;
    place(f, transactional(1, 0, 0, 1), NULL);
    settle(f);
    for (int64_t id = 2; id <= 6; id++)
        assert_int_equal(append(f, data_batch(id, 0, 0, 1)), KAFKA_ERROR_NONE);
    struct producer_info info;
    assert_int_equal(f->state.producer_count, 3);
    assert_true(producer_state_find(&f->state, 1, &info));
    assert_false(producer_state_find(&f->state, 4, &info));
    assert_true(producer_state_find(&f->state, 6, &info));
    assert_int_equal(f->state.evicted_count, 3);
}

/* One number over everything that a producer state says. */
static uint64_t fingerprint(const struct producer_state *state)
{
    uint64_t sum =
        (uint64_t)producer_state_first_unstable_offset(state) * 31 + state->producer_count;
    const struct producer *producer = NULL;
    while ((producer = producer_state_next(state, producer)) != NULL) {
        struct producer_info i = producer_describe(producer);
        uint64_t one = (uint64_t)i.producer_id * 1000003u;
        one = one * 31 + (uint64_t)i.last_offset;
        one = one * 31 + (uint64_t)i.timestamp_ms;
        one = one * 31 + (uint64_t)i.transaction_first_offset;
        one = one * 31 + (uint32_t)i.last_sequence;
        one = one * 31 + (uint32_t)i.coordinator_epoch;
        one = one * 31 + (uint16_t)i.producer_epoch;
        for (int32_t back = 0; back < 8; back++) {
            struct producer_duplicate duplicate;
            struct producer_batch batch =
                data_batch(i.producer_id, i.producer_epoch, i.last_sequence - back, 1);
            if (producer_state_check(state, &batch, PRODUCER_ORIGIN_CLIENT, 0, &duplicate) ==
                KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER)
                one = one * 31 + (uint64_t)duplicate.last_offset;
        }
        sum += one; /* order-free: undo does not restore the order of use */
    }
    return sum;
}

static void undo_restores_the_state_before_any_batch(void **context)
{
    struct fixture *f = *context;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct random_stream random;
        random_init(&random, seed, 0);
        uint64_t before[41];
        int64_t offsets[41];
        producer_state_clear(&f->state);
        f->next_offset = 0;
        int32_t next_sequence[4] = {0};
        int16_t epoch[4] = {0};
        unsigned settled = (unsigned)random_below(&random, 20);
        for (unsigned i = 0; i < 40; i++) {
            before[i] = fingerprint(&f->state);
            offsets[i] = f->next_offset;
            unsigned id = (unsigned)random_below(&random, 4);
            unsigned what = (unsigned)random_below(&random, 8);
            if (what == 0) {
                place(f, marker(id, ++epoch[id], 1, PRODUCER_MARKER_ABORT), NULL);
                next_sequence[id] = 0;
            } else if (what < 4) {
                place(f, transactional(id, epoch[id], next_sequence[id]++, 1), NULL);
            } else {
                place(f, data_batch(id, epoch[id], next_sequence[id]++, 1), NULL);
            }
            if (i + 1 == settled)
                settle(f);
        }
        unsigned target = settled + (unsigned)random_below(&random, 40 - settled + 1);
        offsets[40] = f->next_offset;
        before[40] = fingerprint(&f->state);
        producer_state_undo(&f->state, offsets[target]);
        producer_state_assert(&f->state);
        assert_true(fingerprint(&f->state) == before[target]);
        producer_state_settle(&f->state, f->next_offset);
    }
}

static void undo_spares_what_is_settled(void **context)
{
    struct fixture *f = *context;
    append(f, data_batch(1, 0, 0, 1));
    producer_state_undo(&f->state, 0);
    assert_int_equal(f->state.producer_count, 1);
}

static void a_copy_has_the_same_producers_and_transactions(void **context)
{
    struct fixture *f = *context;
    struct producer_state copy;
    for (int32_t i = 0; i < 9; i++)
        place(f, transactional(i % 3, 0, i / 3, 1), NULL);
    place(f, marker(1, 0, 0, PRODUCER_MARKER_ABORT), NULL);
    settle(f);
    producer_state_init(&copy, &f->heap, &f->options);
    producer_state_copy(&copy, &f->state);
    producer_state_assert(&copy);
    assert_true(fingerprint(&copy) == fingerprint(&f->state));
    producer_state_deinit(&copy);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(sequences_must_follow_each_other),
        CLAIM(an_unknown_producer_may_begin_anywhere),
        CLAIM(sequences_wrap_to_zero),
        CLAIM(the_last_five_batches_are_known_as_duplicates),
        CLAIM(duplicates_of_unwritten_batches_say_so),
        CLAIM(an_older_epoch_is_fenced_and_a_newer_begins_at_zero),
        CLAIM(replication_applies_what_the_checks_would_refuse),
        CLAIM(a_coordinator_skips_sequences_but_not_epochs),
        CLAIM(plain_data_is_refused_inside_a_transaction),
        CLAIM(the_first_unstable_offset_follows_open_and_unreplicated),
        CLAIM(a_marker_without_transaction_completes_nothing),
        CLAIM(old_coordinators_and_old_producers_cannot_end_transactions),
        CLAIM(version_2_markers_must_raise_the_epoch),
        CLAIM(a_transaction_needs_its_guard),
        CLAIM(a_marker_clears_the_guard_of_a_verification_under_way),
        CLAIM(a_later_batch_cannot_overtake_the_one_being_verified),
        CLAIM(version_2_transactions_without_state_begin_at_zero),
        CLAIM(idle_producers_expire_but_not_open_transactions),
        CLAIM(the_limit_evicts_the_longest_idle_and_spares_transactions),
        CLAIM(undo_restores_the_state_before_any_batch),
        CLAIM(undo_spares_what_is_settled),
        CLAIM(a_copy_has_the_same_producers_and_transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
