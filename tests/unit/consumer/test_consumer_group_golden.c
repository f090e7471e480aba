/*
 * The records of consumer groups, and the hashes of their topics, as Apache Kafka 4.2 writes them
 * (tests/golden/record/GroupRecords.java), byte for byte.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cluster/metadata/draft.h"
#include "consumer/consumer_group_hash.h"
#include "consumer/consumer_group_records.h"
#include "tests/unit/consumer/consumer_bench.h"

enum { FILE_MAX = 16384 };

static char *read_file(const char *name, char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", GOLDEN_FOLDER, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, FILE_MAX - 1, file);
    fclose(file);
    assert_true(size > 0 && size < FILE_MAX - 1);
    text[size] = 0;
    return text;
}

/* ---- Records ---- */

struct comparison {
    struct view rest; /* of the file */
    unsigned line;
};

static void append_hex(char *to, size_t *size, struct view bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        *size += (size_t)snprintf(to + *size, 3, "%02x", bytes.data[i]);
}

/* Compares one record of the log with the next line: "name key value". */
static void compare(void *context, const struct coordinator_record *record)
{
    struct comparison *comparison = context;
    struct view line;
    assert_true(text_split(&comparison->rest, '\n', &line));
    size_t at = text_find(line, ' ');
    char expected[2048];
    memcpy(expected, line.data + at + 1, line.size - at - 1);
    expected[line.size - at - 1] = 0;
    char got[2048];
    uint8_t type[2];
    store_u16(type, (uint16_t)record->type);
    size_t size = 0;
    append_hex(got, &size, view_of(type, 2));
    append_hex(got, &size, record->key);
    got[size++] = ' ';
    if (view_is_null(record->value))
        got[size++] = '-';
    else
        append_hex(got, &size, record->value);
    got[size] = 0;
    assert_string_equal(got, expected);
    comparison->line++;
}

static const struct partition_set *set_of(struct arena *arena, struct uuid topic,
                                          const int32_t *partitions, size_t count)
{
    struct partition_set_builder builder;
    partition_set_builder_init(&builder, arena);
    for (size_t i = 0; i < count; i++)
        partition_set_add(&builder, topic, partitions[i]);
    return partition_set_finish(&builder);
}

static void put_all(struct consumer_records *batch)
{
    const struct uuid t = uuid_of_halves(0x0102030405060708, 0x1112131415161718);
    const struct uuid u = uuid_of_halves(0x0102030405060708, 0x1112131415161719);
    const struct view m1 = VIEW_LITERAL("m1");
    const struct view m2 = VIEW_LITERAL("m2");
    struct view names[] = {VIEW_LITERAL("u"), VIEW_LITERAL("t")};
    member_metadata dynamic;
    member_metadata_default(&dynamic);
    dynamic.client_id = VIEW_LITERAL("client");
    dynamic.client_host = VIEW_LITERAL("/127.0.0.1");
    dynamic.rebalance_timeout_ms = 45000;
    dynamic.subscribed_topic_regex = VIEW_LITERAL("x.*");
    assert_true(member_metadata_set_names(&dynamic, names, 2, batch->arena));
    uint8_t metadata[] = {0, 1, 2};
    struct consumer_group_member_metadata_value_classic_protocol protocol = {
        VIEW_LITERAL("range"), view_of(metadata, sizeof(metadata))};
    struct consumer_group_member_metadata_value_classic_member_metadata classic_part = {
        10000, &protocol, 1};
    member_metadata classic = dynamic;
    classic.instance_id = VIEW_LITERAL("i");
    classic.rack_id = VIEW_LITERAL("r");
    classic.rebalance_timeout_ms = 60000;
    classic.subscribed_topic_regex = VIEW_LITERAL("");
    classic.server_assignor = VIEW_LITERAL("range");
    classic.classic_member_metadata = &classic_part;
    assert_true(member_metadata_set_names(&classic, names + 1, 1, batch->arena));
    struct member_progress progress = {3, 2, MEMBER_UNREVOKED_PARTITIONS,
                                       set_of(batch->arena, t, (const int32_t[]){0, 1, 2}, 3),
                                       set_of(batch->arena, u, (const int32_t[]){7}, 1)};
    struct member_progress empty = {4, 4, MEMBER_STABLE, &partition_set_empty,
                                    &partition_set_empty};
    struct view found = VIEW_LITERAL("xa");
    put_member(batch, m1, &dynamic);
    put_member(batch, m2, &classic);
    put_group_epoch(batch, 9, 0);
    put_group_epoch(batch, 10, -5);
    put_target(batch, m1, set_of(batch->arena, t, (const int32_t[]){0, 5}, 2));
    put_target(batch, m1, &partition_set_empty);
    put_target_epoch(batch, 9);
    put_progress(batch, m1, &progress);
    put_progress(batch, m2, &empty);
    put_regex(batch, VIEW_LITERAL("x.*"), &found, 1, 77, 1234567890123);
    put_progress_tombstone(batch, m1);
    put_target_tombstone(batch, m1);
    put_target_epoch_tombstone(batch);
    put_member_tombstone(batch, m1);
    put_regex_tombstone(batch, VIEW_LITERAL("x.*"));
    put_partition_metadata_tombstone(batch);
    put_group_epoch_tombstone(batch);
}

static void records_are_those_of_kafka(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct consumer_records batch;
    consumer_records_begin(&batch, coordinator_fixture_state(&bench.fixture), VIEW_LITERAL("g"),
                           &bench.fixture.arena);
    put_all(&batch);
    assert_int_equal(coordinator_append(&batch.records), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&bench.fixture);
    static char text[FILE_MAX];
    struct comparison comparison = {view_of_string(read_file("records.hex", text)), 0};
    coordinator_fixture_each(&bench.fixture, compare, &comparison);
    assert_int_equal(comparison.line, 17);
    assert_int_equal(comparison.rest.size, 0);
    consumer_bench_deinit(&bench);
}

/* ---- Hashes ---- */

static const char *rack_of(int32_t broker)
{
    static const char *const racks[] = {NULL,
                                        "rack1",
                                        "r\xc3\xa4"
                                        "ck\xf0\x9f\x98\x80",
                                        "rack3",
                                        NULL,
                                        "rack5"};
    return racks[broker];
}

static const struct image *image_of(struct heap *heap)
{
    static const char *const names[] = {"a", "b", "topic-with-a-long-name"};
    static const int32_t counts[] = {1, 3, 70};
    const struct image *empty = image_create_empty(heap, VIEW_LITERAL("cluster"));
    struct image_draft draft;
    draft_begin(&draft, empty);
    image_release(empty);
    for (int32_t b = 0; b < 6; b++) {
        const struct image_node node = {.id = b, .rack = view_of_string(rack_of(b))};
        draft_set_broker(&draft, &node);
    }
    for (uint64_t t = 0; t < 3; t++) {
        struct uuid id = uuid_of_halves(0x0102030405060708, t + 1);
        assert_true(draft_add_topic(&draft, view_of_string(names[t]), id));
        for (int32_t p = 0; p < counts[t]; p++) {
            int32_t replicas[] = {p % 6, (p + 1) % 6, (p + 2) % 6};
            const struct partition_state partition = {
                .leader = p % 6, .replicas = {replicas, 3}, .isr = {replicas, 1}};
            assert_true(draft_set_partition(&draft, id, p, &partition));
        }
    }
    return draft_finish(&draft, NULL);
}

static void hashes_are_those_of_kafka(void **state)
{
    (void)state;
    struct heap heap;
    heap_init_plain(&heap);
    struct arena arena;
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    const struct image *image = image_of(&heap);
    static char text[FILE_MAX];
    struct view rest = view_of_string(read_file("hashes.tsv", text));
    struct view line;
    int64_t hashes[8];
    size_t count = 0;
    while (text_split(&rest, '\n', &line) && line.size > 0) {
        struct view name;
        struct view partitions;
        int64_t expected;
        assert_true(text_split(&line, '\t', &name) && text_split(&line, '\t', &partitions));
        assert_true(text_parse_i64(line, INT64_MIN, INT64_MAX, &expected));
        int64_t hash;
        if (view_equal(name, VIEW_LITERAL("group"))) {
            assert_true(consumer_group_hash(hashes, count, &arena, &hash));
        } else {
            const struct image_topic *topic = image_topic_by_name(image, name);
            assert_true(consumer_topic_hash(image, topic, &arena, &hash));
            hashes[count++] = hash;
        }
        assert_true(hash == expected);
    }
    assert_int_equal(count, 3);
    int64_t none = 1;
    assert_true(consumer_group_hash(NULL, 0, &arena, &none));
    assert_true(none == 0);
    image_release(image);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_those_of_kafka),
        cmocka_unit_test(hashes_are_those_of_kafka),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
