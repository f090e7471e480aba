/* What a follower takes of the bytes that a leader sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/batch_builder.h"
#include "replication/follower_records.h"

static struct heap heap;

struct bytes {
    uint8_t data[4096];
    size_t size;
    size_t last; /* where the last batch begins */
};

static void add(struct bytes *bytes, int64_t base_offset, int32_t count, int32_t epoch)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct batch_builder builder;
    struct view batch;
    options.base_offset = base_offset;
    options.leader_epoch = epoch;
    heap_init_plain(&heap);
    batch_builder_init(&builder, &heap, 0, &options);
    for (int32_t i = 0; i < count; i++) {
        struct batch_record record = {.timestamp_ms = 1, .value = VIEW_LITERAL("value")};
        assert_true(batch_builder_append(&builder, &record));
    }
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    assert_true(bytes->size + batch.size <= sizeof(bytes->data));
    bytes->last = bytes->size;
    memcpy(bytes->data + bytes->size, batch.data, batch.size);
    bytes->size += batch.size;
    batch_builder_deinit(&builder);
}

static const struct follower_records_bounds plain = {
    .next_offset = 10, .last_epoch = 3, .leader_epoch = 5};

static enum follower_records_result check(const struct bytes *bytes,
                                          const struct follower_records_bounds *bounds,
                                          struct follower_records *found)
{
    return follower_records_check(view_of(bytes->data, bytes->size), bounds, found);
}

static void whole_batches_are_taken_and_a_part_is_left(void **state)
{
    (void)state;
    struct bytes bytes = {.size = 0};
    struct follower_records found;
    add(&bytes, 10, 2, 3);
    add(&bytes, 12, 1, 5);
    size_t whole = bytes.size;
    add(&bytes, 20, 3, 5); /* a gap of compaction before it */
    assert_int_equal(check(&bytes, &plain, &found), FOLLOWER_RECORDS_OK);
    assert_int_equal(found.batches.size, bytes.size);
    assert_int_equal(found.first_offset, 10);
    for (size_t size = whole; size < bytes.size; size++) {
        assert_int_equal(follower_records_check(view_of(bytes.data, size), &plain, &found),
                         FOLLOWER_RECORDS_OK);
        assert_int_equal(found.batches.size, whole);
    }
}

static void part_of_one_batch_is_nothing(void **state)
{
    (void)state;
    struct bytes bytes = {.size = 0};
    struct follower_records found;
    add(&bytes, 10, 2, 3);
    for (size_t size = 0; size < bytes.size; size++) {
        assert_int_equal(follower_records_check(view_of(bytes.data, size), &plain, &found),
                         FOLLOWER_RECORDS_NONE);
        assert_int_equal(found.batches.size, 0);
    }
}

/* Any one bit of a batch that follows good ones: either it is the same batch or it is left out. */
static void every_flipped_bit_is_noticed_or_harmless(void **state)
{
    (void)state;
    struct bytes bytes = {.size = 0};
    struct follower_records found;
    add(&bytes, 10, 1, 3);
    add(&bytes, 11, 3, 4);
    for (size_t bit = bytes.last * 8; bit < bytes.size * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(check(&bytes, &plain, &found), FOLLOWER_RECORDS_OK);
        size_t place = bit / 8 - bytes.last;
        /* Base offset and epoch are not under the checksum: they may go up and still be possible.
         */
        bool is_unchecked = place < 8 || (place >= 12 && place < 16);
        if (!is_unchecked)
            assert_int_equal(found.batches.size, bytes.last);
        bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_bad_first_batch_is_named(void **state)
{
    (void)state;
    struct follower_records found;
    struct bytes bytes = {.size = 0};
    add(&bytes, 10, 2, 3);
    bytes.data[bytes.size - 1] ^= 1;
    assert_int_equal(check(&bytes, &plain, &found), FOLLOWER_RECORDS_CORRUPT);
    bytes.data[16] = 1; /* magic */
    assert_int_equal(check(&bytes, &plain, &found), FOLLOWER_RECORDS_FORMAT);
    struct bytes earlier = {.size = 0};
    add(&earlier, 9, 3, 3);
    assert_int_equal(check(&earlier, &plain, &found), FOLLOWER_RECORDS_ORDER);
    struct bytes old = {.size = 0};
    add(&old, 10, 1, 2);
    assert_int_equal(check(&old, &plain, &found), FOLLOWER_RECORDS_EPOCH);
    struct bytes future = {.size = 0};
    add(&future, 10, 1, 6);
    assert_int_equal(check(&future, &plain, &found), FOLLOWER_RECORDS_EPOCH);
}

static void epochs_and_offsets_do_not_fall_within_an_answer(void **state)
{
    (void)state;
    struct follower_records found;
    struct bytes epochs = {.size = 0};
    add(&epochs, 10, 1, 5);
    add(&epochs, 11, 1, 4);
    assert_int_equal(check(&epochs, &plain, &found), FOLLOWER_RECORDS_OK);
    assert_int_equal(found.batches.size, epochs.last);
    struct bytes offsets = {.size = 0};
    add(&offsets, 10, 5, 5);
    add(&offsets, 14, 1, 5);
    assert_int_equal(check(&offsets, &plain, &found), FOLLOWER_RECORDS_OK);
    assert_int_equal(found.batches.size, offsets.last);
}

static void only_the_first_batch_of_an_empty_log_may_begin_earlier(void **state)
{
    (void)state;
    struct follower_records found;
    struct follower_records_bounds bounds = plain;
    bounds.may_begin_earlier = true;
    struct bytes straddling = {.size = 0};
    add(&straddling, 7, 4, 3);
    add(&straddling, 11, 1, 3);
    assert_int_equal(check(&straddling, &bounds, &found), FOLLOWER_RECORDS_OK);
    assert_int_equal(found.first_offset, 7);
    assert_int_equal(found.batches.size, straddling.size);
    struct bytes before = {.size = 0};
    add(&before, 7, 3, 3); /* ends just below */
    assert_int_equal(check(&before, &bounds, &found), FOLLOWER_RECORDS_ORDER);
}

/* Offsets of one segment reach 2^31 - 1 from its base; what lies farther comes next time. */
static void offsets_far_apart_are_not_taken_together(void **state)
{
    (void)state;
    struct follower_records found;
    struct bytes bytes = {.size = 0};
    add(&bytes, 10, 1, 3);
    add(&bytes, 10 + (int64_t)INT32_MAX, 1, 3);
    assert_int_equal(check(&bytes, &plain, &found), FOLLOWER_RECORDS_OK);
    assert_int_equal(found.batches.size, bytes.size);
    add(&bytes, 11 + (int64_t)INT32_MAX, 1, 3);
    assert_int_equal(check(&bytes, &plain, &found), FOLLOWER_RECORDS_OK);
    assert_int_equal(found.batches.size, bytes.last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_batches_are_taken_and_a_part_is_left),
        cmocka_unit_test(part_of_one_batch_is_nothing),
        cmocka_unit_test(every_flipped_bit_is_noticed_or_harmless),
        cmocka_unit_test(a_bad_first_batch_is_named),
        cmocka_unit_test(epochs_and_offsets_do_not_fall_within_an_answer),
        cmocka_unit_test(only_the_first_batch_of_an_empty_log_may_begin_earlier),
        cmocka_unit_test(offsets_far_apart_are_not_taken_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
