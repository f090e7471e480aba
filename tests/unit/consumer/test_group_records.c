/*
 * Records as Kafka writes them (tests/golden/groups/, recorded), as older and newer versions write
 * them, and as nobody should: loaded, and written again.
 */
#include "tests/unit/consumer/group_bench.h"

#include <stdio.h>

#include "base/text.h"
#include "consumer/classic_record.h"
#include "protocol/messages/group_metadata_key.h"
#include "protocol/messages/group_metadata_value.h"
#include "protocol/messages/offset_commit_key.h"
#include "protocol/messages/offset_commit_value.h"

enum { RECORD_SIZE_MAX = 4096 };

struct bytes {
    uint8_t data[RECORD_SIZE_MAX];
    size_t size;
};

static void write_record(struct view key, struct view value)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.leader_epoch = bench()->leader_epoch;
    coordinator_fixture_write(bench(), &options, key, value);
}

/* ---- Kafka's own ---- */

static struct view parse_hex(const char *text, struct bytes *bytes)
{
    bytes->size = strlen(text) / 2;
    assert_true(bytes->size <= sizeof(bytes->data));
    assert_true(text_parse_hex(view_of_string(text), bytes->data, bytes->size));
    return view_of(bytes->data, bytes->size);
}

/* The last value of the group's record. */
static struct bytes last_group_value;

enum { RECORDED = 7, RECORDED_TO_FIRST_GROUP = 6 };

static void load_recorded(int limit)
{
    FILE *file = fopen(GOLDEN_FOLDER "/classic.hex", "r");
    assert_non_null(file);
    static char line[4 * RECORD_SIZE_MAX], key_text[2 * RECORD_SIZE_MAX],
        value_text[2 * RECORD_SIZE_MAX];
    int count = 0, type;
    while (count < limit && fgets(line, sizeof(line), file)) {
        struct bytes key, value;
        assert_int_equal(sscanf(line, "%d %8191s %8191s", &type, key_text, value_text), 3);
        struct view key_view = parse_hex(key_text, &key);
        assert_int_equal(load_i16(key.data), type);
        bool is_tombstone = strcmp(value_text, "null") == 0;
        struct view value_view = is_tombstone ? VIEW_NULL : parse_hex(value_text, &value);
        write_record(key_view, value_view);
        if (type == 2)
            last_group_value = value;
        count++;
    }
    fclose(file);
    assert_int_equal(count, limit);
    coordinator_fixture_reload(bench());
}

static void kafkas_records_are_read(void **state)
{
    (void)state;
    group_bench_start();
    load_recorded(RECORDED);
    assert_state("golden", "Stable");
    const struct classic_group *classic = bench_classic("golden");
    assert_int_equal(classic->generation, 2);
    assert_int_equal(classic_group_size(classic), 2);
    const struct classic_member *one = classic_member_by_instance(classic, VIEW_LITERAL("one"));
    assert_true(view_equal(owned_view(one->assignment), VIEW_LITERAL("half of it")));
    assert_int_equal(one->session_timeout_ms, 10000);
    assert_int_equal(one->rebalance_timeout_ms, 20000);
    assert_ptr_equal(classic->leader, one);
    static const int64_t offsets[] = {2, 12, 10, 11};
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(committed("golden", "topic", i), offsets[i]);
    const struct topic_offsets *topic =
        group_offsets_topic(bench_group("golden"), VIEW_LITERAL("topic"));
    assert_true(committed_offset_expire_ms(topic_offsets_find(topic, 0)) > INT64_C(1) << 40);
    assert_int_equal(topic_offsets_find(topic, 1)->topic_id, OFFSET_TOPIC_CURRENT);
    assert_int_equal(topic_offsets_find(topic, 2)->topic_id, OFFSET_TOPIC_ANY);
    assert_true(view_equal(committed_offset_metadata(topic_offsets_find(topic, 2)),
                           VIEW_LITERAL("gr\xc3\xbc\xc3\x9f"
                                        "e")));
    group_bench_end();
}

static void keep_group_value(void *context, const struct coordinator_record *record)
{
    struct bytes *bytes = context;
    if (record->type != 2)
        return;
    bytes->size = record->value.size;
    memcpy(bytes->data, record->value.data, record->value.size);
}

static void a_group_is_written_as_kafka_writes_it(void **state)
{
    (void)state;
    group_bench_start();
    load_recorded(RECORDED_TO_FIRST_GROUP); /* one member: of several the order is not said */
    assert_int_equal(classic_record_write(bench_classic("golden")), KAFKA_ERROR_NONE);
    bench_run();
    struct bytes written = {.size = 0};
    coordinator_fixture_each(bench(), keep_group_value, &written);
    assert_int_equal(written.size, last_group_value.size);
    assert_memory_equal(written.data, last_group_value.data, written.size);
    group_bench_end();
}

/* ---- Other versions ---- */

static struct view offset_key(struct bytes *bytes, int16_t type, int32_t partition)
{
    struct offset_commit_key key = {VIEW_LITERAL("g"), VIEW_LITERAL("topic"), partition};
    struct message_writer writer = message_writer_of(bytes->data, sizeof(bytes->data));
    write_i16(&writer.bytes, type);
    offset_commit_key_encode(&key, &writer, 0);
    assert_false(message_writer_failed(&writer));
    return view_of(bytes->data, writer.bytes.size);
}

static struct view offset_value(struct bytes *bytes, int16_t version, int64_t offset)
{
    struct offset_commit_value value;
    offset_commit_value_init(&value);
    value.offset = offset;
    value.metadata = VIEW_LITERAL("text");
    struct message_writer writer = message_writer_of(bytes->data, sizeof(bytes->data));
    write_i16(&writer.bytes, version);
    offset_commit_value_encode(&value, &writer, version);
    assert_false(message_writer_failed(&writer));
    return view_of(bytes->data, writer.bytes.size);
}

static void every_version_of_an_offset_is_read(void **state)
{
    (void)state;
    group_bench_start();
    struct bytes key, value;
    for (int16_t version = 0; version <= 4; version++)
        for (int16_t type = 0; type <= 1; type++)
            write_record(offset_key(&key, type, version * 2 + type),
                         offset_value(&value, version, 100 + version));
    coordinator_fixture_reload(bench());
    for (int32_t i = 0; i < 10; i++)
        assert_int_equal(committed("g", "topic", i), 100 + i / 2);
    group_bench_end();
}

static struct view group_key(struct bytes *bytes)
{
    struct group_metadata_key key = {VIEW_LITERAL("g")};
    struct message_writer writer = message_writer_of(bytes->data, sizeof(bytes->data));
    write_i16(&writer.bytes, 2);
    group_metadata_key_encode(&key, &writer, 0);
    return view_of(bytes->data, writer.bytes.size);
}

static struct view group_value(struct bytes *bytes, int16_t version,
                               const struct group_metadata_value *value)
{
    struct message_writer writer = message_writer_of(bytes->data, sizeof(bytes->data));
    write_i16(&writer.bytes, version);
    group_metadata_value_encode(value, &writer, version);
    assert_false(message_writer_failed(&writer));
    return view_of(bytes->data, writer.bytes.size);
}

static void every_version_of_a_group_is_read(void **state)
{
    (void)state;
    for (int16_t version = 0; version <= 4; version++) {
        group_bench_start();
        struct group_metadata_value_member_metadata member;
        group_metadata_value_member_metadata_init(&member);
        member.member_id = VIEW_LITERAL("m");
        member.session_timeout = 7000;
        if (version >= 1)
            member.rebalance_timeout = 9000;
        member.subscription = VIEW_LITERAL("s");
        member.assignment = VIEW_LITERAL("a");
        struct group_metadata_value value;
        group_metadata_value_init(&value);
        value.protocol_type = VIEW_LITERAL("consumer");
        value.protocol = VIEW_LITERAL("range");
        value.leader = VIEW_LITERAL("m");
        value.generation = 5;
        value.members = &member;
        value.members_count = 1;
        struct bytes key_bytes, value_bytes;
        write_record(group_key(&key_bytes), group_value(&value_bytes, version, &value));
        coordinator_fixture_reload(bench());
        const struct classic_group *classic = bench_classic("g");
        assert_int_equal(classic->generation, 5);
        assert_int_equal(classic->state, CLASSIC_STABLE);
        assert_int_equal(classic->leader->rebalance_timeout_ms, version >= 1 ? 9000 : 7000);
        assert_int_equal(heartbeat_error("g", "m", 5), 0);
        group_bench_end();
    }
}

/* Members come and go from record to record; the last one counts. */
static void the_last_record_of_a_group_counts(void **state)
{
    (void)state;
    group_bench_start();
    struct group_metadata_value_member_metadata members[2];
    struct group_metadata_value value;
    group_metadata_value_init(&value);
    value.protocol_type = VIEW_LITERAL("consumer");
    value.members = members;
    struct bytes key_bytes, value_bytes;
    static const struct {
        const char *ids[2], *instances[2], *protocol;
        size_t count;
    } steps[] = {
        {{"a", "b"}, {"i", NULL}, "range", 2},
        {{"c", "b"}, {"i", NULL}, "range", 2}, /* the instance under another id */
        {{"b", "c"}, {"i", NULL}, "other", 2},
        {{NULL, NULL}, {NULL, NULL}, NULL, 0},
        {{"d", "e"}, {"i", "i"}, "range", 2}, /* damaged: one instance twice */
        {{"e", NULL}, {NULL, NULL}, "", 1},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        for (size_t j = 0; j < steps[i].count; j++) {
            group_metadata_value_member_metadata_init(&members[j]);
            members[j].member_id = view_of_string(steps[i].ids[j]);
            members[j].group_instance_id = view_of_string(steps[i].instances[j]);
        }
        value.members_count = steps[i].count;
        value.protocol = view_of_string(steps[i].protocol);
        value.leader = view_of_string(steps[i].ids[0]);
        value.generation++;
        write_record(group_key(&key_bytes), group_value(&value_bytes, 3, &value));
        coordinator_fixture_reload(bench());
        const struct classic_group *classic = bench_classic("g");
        assert_int_equal(classic->generation, value.generation);
        assert_int_equal(classic_group_size(classic), steps[i].count);
        for (size_t j = 0; j < steps[i].count; j++)
            assert_non_null(classic_member_find(classic, view_of_string(steps[i].ids[j])));
    }
    group_bench_end();
}

/* ---- What does not belong there ---- */

static void a_tombstone_of_nothing_is_nothing(void **state)
{
    (void)state;
    group_bench_start();
    struct bytes bytes;
    write_record(offset_key(&bytes, 1, 0), VIEW_NULL);
    write_record(group_key(&bytes), VIEW_NULL);
    coordinator_fixture_reload(bench());
    assert_null(bench_group("g"));
    group_bench_end();
}

static void a_damaged_record_fails_the_load(void **state)
{
    (void)state;
    struct bytes key;
    static const struct {
        struct view key;
        struct view value;
    } cases[] = {
        {{NULL, 0}, {(const uint8_t *)"\0\x09", 2}},   /* a version that nobody knows */
        {{NULL, 0}, {(const uint8_t *)"\0\1\0\0", 4}}, /* cut off */
        {{NULL, 0}, {(const uint8_t *)"", 0}},         /* no version */
        {{(const uint8_t *)"\0\1\0\5g", 5}, {(const uint8_t *)"\0\1", 2}}, /* a key cut off */
        {{(const uint8_t *)"\0\2\xff\xff", 4}, {(const uint8_t *)"\0\1", 2}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        group_bench_start();
        write_record(cases[i].key.data ? cases[i].key : offset_key(&key, 1, 0), cases[i].value);
        coordinator_fixture_reload(bench());
        assert_int_equal(coordinator_state(bench()->coordinator), COORDINATOR_FAILED);
        group_bench_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kafkas_records_are_read),
        cmocka_unit_test(a_group_is_written_as_kafka_writes_it),
        cmocka_unit_test(every_version_of_an_offset_is_read),
        cmocka_unit_test(every_version_of_a_group_is_read),
        cmocka_unit_test(the_last_record_of_a_group_counts),
        cmocka_unit_test(a_tombstone_of_nothing_is_nothing),
        cmocka_unit_test(a_damaged_record_fails_the_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
