/*
 * Records as Kafka writes them (tests/golden/transactions/, recorded): loaded one after the other
 * and written again, and what no record may be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/text.h"
#include "tests/unit/transaction/transaction_fixture.h"

enum { RECORD_SIZE_MAX = 1024, RECORDED = 20 };

struct bytes {
    uint8_t data[RECORD_SIZE_MAX];
    size_t size;
};

static struct view parse_hex(const char *text, struct bytes *bytes)
{
    bytes->size = strlen(text) / 2;
    assert_true(bytes->size <= sizeof(bytes->data));
    assert_true(text_parse_hex(view_of_string(text), bytes->data, bytes->size));
    return view_of(bytes->data, bytes->size);
}

/* The value as this coordinator would write it after taking it over. */
static struct view write_again(struct view recorded, struct arena *arena)
{
    struct heap *heap = &fixture.base.other_heap;
    struct reader reader = reader_of(recorded);
    int16_t version = read_i16(&reader);
    struct transaction_log_value value;
    assert_true(transaction_log_value_decode(&value, &reader, version, arena));
    assert_int_equal(reader_left(&reader), 0);
    struct transaction *transaction = transaction_create(NULL, heap, VIEW_LITERAL("t"));
    assert_true(transaction_from_record(transaction, heap, &value));
    transaction_assert(transaction);
    transaction_to_record(transaction, arena, &value);
    if (transaction->status == TRANSACTION_EMPTY)
        value.transaction_partitions = NULL;
    size_t size = transaction_log_value_size(&value, version);
    uint8_t *bytes = arena_get(arena, size + 2);
    store_u16(bytes, (uint16_t)version);
    struct message_writer writer = message_writer_of(bytes + 2, size);
    transaction_log_value_encode(&value, &writer, version);
    assert_false(message_writer_failed(&writer));
    transaction_destroy(transaction, heap);
    return view_of(bytes, size + 2);
}

static void load(struct view key, struct view value)
{
    struct batch_options options = fixture_options();
    coordinator_fixture_resign(&fixture.base);
    coordinator_fixture_write(&fixture.base, &options, key, value);
    coordinator_fixture_reload(&fixture.base);
}

static void kafkas_records_are_read_and_written_again(void **state)
{
    (void)state;
    transaction_fixture_begin();
    /* The markers of what is decided stay in the air, so that nothing is written in between. */
    fixture.holds_markers = true;
    coordinator_fixture_set_topic(&fixture.base, "topic", 4);
    FILE *file = fopen(GOLDEN_FOLDER "/records.hex", "r");
    assert_non_null(file);
    char key_text[2 * RECORD_SIZE_MAX], value_text[2 * RECORD_SIZE_MAX];
    unsigned statuses = 0;
    int count = 0;
    while (fscanf(file, "%2047s %2047s", key_text, value_text) == 2) {
        struct bytes key, value;
        parse_hex(key_text, &key);
        parse_hex(value_text, &value);
        load(view_of(key.data, key.size), view_of(value.data, value.size));
        assert_int_equal(coordinator_state(fixture.base.coordinator), COORDINATOR_ACTIVE);
        const struct transaction *transaction =
            transactions_find(transactions(), view_of(key.data + 4, key.size - 4));
        assert_non_null(transaction);
        struct arena arena;
        arena_init(&arena, &fixture.base.other_heap, MEMORY_SCRATCH, 0);
        struct view again = write_again(view_of(value.data, value.size), &arena);
        assert_int_equal(again.size, value.size);
        assert_memory_equal(again.data, value.data, value.size);
        arena_deinit(&arena);
        statuses |= 1u << value.data[16];
        count++;
        transaction_fixture_answer_markers(-1);
    }
    fclose(file);
    assert_int_equal(count, RECORDED);
    assert_int_equal(statuses, (1u << TRANSACTION_STATUS_COUNT) - 1);
    transaction_fixture_end();
}

static void what_cannot_be_a_record_fails_the_load(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        const char *value;
    } rows[] = {
        {"0000000174", "0001"},                 /* cut short */
        {"0000000574", "00010000000000000000"}, /* a key that promises more */
        {"0000000174", "0002000000000000000000000000ea600000000001a217325284ffffffffffffffff00"},
        {"0000000174", "0001000000000000000000000000ea600600000001a217325284ffffffffffffffff00"},
        {"0000000174", "0001000000000000000000000000ea60ff00000001a217325284ffffffffffffffff00"},
        {"0000000174", "0001ffffffffffffffff00000000ea600000000001a217325284ffffffffffffffff00"},
        {"0000000174", "00010000000000000000ffff0000ea600000000001a217325284ffffffffffffffff00"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bytes key, value;
        transaction_fixture_begin();
        parse_hex(rows[i].key, &key);
        parse_hex(rows[i].value, &value);
        load(view_of(key.data, key.size), view_of(value.data, value.size));
        assert_int_equal(coordinator_state(fixture.base.coordinator), COORDINATOR_FAILED);
        transaction_fixture_end();
    }
}

static void records_that_compaction_has_thinned_are_read(void **state)
{
    (void)state;
    transaction_fixture_begin();
    /* Ongoing over ongoing: what lay between is gone, and with it the partitions of the first. */
    struct bytes key, value;
    parse_hex("0000000174", &key);
    parse_hex("0001000000000000000000000000ea60010205646174610200000003"
              "00000001a21732530b000001a21732530b00",
              &value);
    load(view_of(key.data, key.size), view_of(value.data, value.size));
    parse_hex("0001000000000000000000000000ea60010205646174610200000001"
              "00000001a21732540b000001a21732540b00",
              &value);
    load(view_of(key.data, key.size), view_of(value.data, value.size));
    const struct transaction *transaction = transaction_named("t");
    assert_true(transaction_has_partition(transaction, VIEW_LITERAL("data"), 1));
    assert_false(transaction_has_partition(transaction, VIEW_LITERAL("data"), 3));
    /* A tombstone of an id that is gone already. */
    parse_hex("0000000175", &key);
    load(view_of(key.data, key.size), VIEW_NULL);
    assert_non_null(transaction_named("t"));
    transaction_fixture_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafkas_records_are_read_and_written_again),
        cmocka_unit_test(what_cannot_be_a_record_fails_the_load),
        cmocka_unit_test(records_that_compaction_has_thinned_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
