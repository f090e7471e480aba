/*
 * The rules of the wire that are the same in all messages, shown on messages that have the case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/messages/api_versions.h"
#include "protocol/messages/consumer_group_heartbeat.h"
#include "protocol/messages/fetch.h"
#include "protocol/messages/find_coordinator.h"
#include "protocol/messages/metadata.h"
#include "protocol/messages/partition_change_record.h"
#include "protocol/messages/produce.h"
#include "protocol/messages/request_header.h"
#include "protocol/messages/sasl_authenticate.h"

static struct heap heap;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
    return 0;
}

#define BYTES(...)                                                                                 \
    ((struct view){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

static bool decode_metadata_request(struct view bytes, int16_t version,
                                    struct metadata_request *request)
{
    struct reader reader = reader_of(bytes);
    return metadata_request_decode(request, &reader, version, &arena);
}

static void null_and_empty_arrays_are_told_apart(void **state)
{
    (void)state;
    struct metadata_request request;
    assert_true(decode_metadata_request(BYTES(0xff, 0xff, 0xff, 0xff), 1, &request));
    assert_null(request.topics);
    assert_true(decode_metadata_request(BYTES(0, 0, 0, 0), 1, &request));
    assert_non_null(request.topics);
    assert_int_equal(request.topics_count, 0);
    assert_true(decode_metadata_request(BYTES(0x00, 0, 0, 0), 12, &request));
    assert_null(request.topics);
}

static void null_is_malformed_where_it_is_not_allowed(void **state)
{
    (void)state;
    struct metadata_request request;
    assert_false(decode_metadata_request(BYTES(0xff, 0xff, 0xff, 0xff), 0, &request));
    /* One topic with a null name, which version 1 does not have. */
    assert_false(decode_metadata_request(BYTES(0, 0, 0, 1, 0xff, 0xff), 1, &request));
    assert_false(decode_metadata_request(BYTES(0xff, 0xff, 0xff, 0xfe), 1, &request));
}

static void a_null_that_the_version_lacks_is_written_as_empty(void **state)
{
    (void)state;
    struct metadata_request request;
    metadata_request_init(&request);
    request.topics = NULL;
    uint8_t bytes[8];
    struct message_writer writer = message_writer_of(bytes, sizeof(bytes));
    metadata_request_encode(&request, &writer, 0);
    assert_false(message_writer_failed(&writer));
    assert_true(view_equal(view_of(bytes, writer.bytes.size), BYTES(0, 0, 0, 0)));
}

static void absent_fields_get_their_defaults(void **state)
{
    (void)state;
    struct metadata_request request;
    memset(&request, 0x5a, sizeof(request));
    assert_true(decode_metadata_request(BYTES(0, 0, 0, 0), 0, &request));
    assert_true(request.allow_auto_topic_creation);
    assert_false(request.include_topic_authorized_operations);
}

static void values_that_a_version_cannot_carry_fail_the_encode(void **state)
{
    (void)state;
    struct metadata_request request;
    metadata_request_init(&request);
    request.allow_auto_topic_creation = false;
    uint8_t bytes[64];
    struct message_writer writer = message_writer_of(bytes, sizeof(bytes));
    metadata_request_encode(&request, &writer, 3);
    assert_true(message_writer_failed(&writer));
    writer = message_writer_of(bytes, sizeof(bytes));
    metadata_request_encode(&request, &writer, 4);
    assert_false(message_writer_failed(&writer));
}

static void ignorable_values_are_dropped(void **state)
{
    (void)state;
    struct metadata_response response;
    metadata_response_init(&response);
    response.throttle_time_ms = 7;
    response.cluster_id = VIEW_LITERAL("cluster");
    uint8_t bytes[64];
    struct message_writer writer = message_writer_of(bytes, sizeof(bytes));
    metadata_response_encode(&response, &writer, 0);
    assert_false(message_writer_failed(&writer));
    assert_true(view_equal(view_of(bytes, writer.bytes.size), BYTES(0, 0, 0, 0, 0, 0, 0, 0)));
}

static void counts_beyond_the_input_take_no_memory(void **state)
{
    (void)state;
    struct metadata_request request;
    assert_false(decode_metadata_request(BYTES(0x7f, 0xff, 0xff, 0xff, 0, 0), 1, &request));
    /* Three topics need six bytes at least, five are left. */
    assert_false(decode_metadata_request(BYTES(0, 0, 0, 3, 0, 0, 0, 0, 0), 1, &request));
    assert_int_equal(arena.held, 0);
}

static void unknown_tags_are_skipped(void **state)
{
    (void)state;
    struct metadata_request request;
    assert_true(
        decode_metadata_request(BYTES(1, 1, 0, 0, 2, 5, 3, 9, 9, 9, 200, 1, 0), 9, &request));
    assert_true(request.allow_auto_topic_creation);
    assert_int_equal(request.topics_count, 0);
}

static void tags_that_do_not_rise_are_malformed(void **state)
{
    (void)state;
    struct metadata_request request;
    assert_false(decode_metadata_request(BYTES(1, 1, 0, 0, 2, 5, 0, 5, 0), 9, &request));
    assert_false(decode_metadata_request(BYTES(1, 1, 0, 0, 2, 5, 0, 4, 0), 9, &request));
    assert_true(decode_metadata_request(BYTES(1, 1, 0, 0, 2, 5, 0, 6, 0), 9, &request));
}

static void a_known_tag_must_fill_its_size(void **state)
{
    (void)state;
    struct partition_change_record record;
    uint8_t bytes[64] = {0};
    /* Partition 4, a topic id, one tag: 1 (leader) with its four bytes. */
    bytes[3] = 4;
    const uint8_t tags[] = {1, 1, 4, 0, 0, 0, 9};
    memcpy(bytes + 20, tags, sizeof(tags));
    struct reader reader = reader_of(view_of(bytes, 20 + sizeof(tags)));
    assert_true(partition_change_record_decode(&record, &reader, 0, &arena));
    assert_int_equal(record.leader, 9);
    assert_null(record.isr);
    assert_int_equal(record.leader_recovery_state, -1);
    bytes[22] = 5; /* the tag claims five bytes */
    reader = reader_of(view_of(bytes, 20 + sizeof(tags) + 1));
    assert_false(partition_change_record_decode(&record, &reader, 0, &arena));
    bytes[22] = 3;
    reader = reader_of(view_of(bytes, 20 + sizeof(tags)));
    assert_false(partition_change_record_decode(&record, &reader, 0, &arena));
}

static void tagged_fields_with_their_default_are_left_out(void **state)
{
    (void)state;
    struct partition_change_record record;
    partition_change_record_init(&record);
    record.partition_id = 1;
    assert_int_equal(partition_change_record_size(&record, 0), 4 + 16 + 1);
    record.leader = 3;
    assert_int_equal(partition_change_record_size(&record, 0), 4 + 16 + 1 + 2 + 4);
}

static void the_client_id_of_a_header_is_never_compact(void **state)
{
    (void)state;
    struct request_header header;
    struct view bytes = BYTES(0, 18, 0, 3, 0, 0, 0, 9, 0, 2, 'm', 'e', 0);
    struct reader reader = reader_of(bytes);
    assert_true(request_header_decode(&header, &reader, 2, &arena));
    assert_int_equal(header.request_api_key, 18);
    assert_int_equal(header.correlation_id, 9);
    assert_true(view_equal(header.client_id, VIEW_LITERAL("me")));
    assert_int_equal(reader_left(&reader), 0);
}

static void strings_above_the_limit_are_refused(void **state)
{
    (void)state;
    static uint8_t input[40000];
    struct find_coordinator_request request;
    find_coordinator_request_init(&request);
    request.key = view_of(input, MESSAGE_STRING_SIZE_MAX + 1);
    uint8_t *bytes = arena_get(&arena, sizeof(input));
    struct message_writer writer = message_writer_of(bytes, sizeof(input));
    find_coordinator_request_encode(&request, &writer, 3);
    assert_true(message_writer_failed(&writer));
    /* 0x8001 - 1 = 32768 bytes, as a compact length. */
    memset(input, 'x', sizeof(input));
    input[0] = 0x81, input[1] = 0x80, input[2] = 0x02;
    struct reader reader = reader_of(view_of(input, sizeof(input)));
    assert_false(find_coordinator_request_decode(&request, &reader, 3, &arena));
    input[0] = 0x80;
    reader = reader_of(view_of(input, sizeof(input)));
    input[3 + MESSAGE_STRING_SIZE_MAX + 1] = 0;
    assert_true(find_coordinator_request_decode(&request, &reader, 3, &arena));
    assert_int_equal(request.key.size, MESSAGE_STRING_SIZE_MAX);
}

static void structs_that_can_be_null_have_a_byte_in_front(void **state)
{
    (void)state;
    struct consumer_group_heartbeat_response response;
    consumer_group_heartbeat_response_init(&response);
    size_t size_of_null = consumer_group_heartbeat_response_size(&response, 0);
    struct consumer_group_heartbeat_response_assignment assignment;
    consumer_group_heartbeat_response_assignment_init(&assignment);
    response.assignment = &assignment;
    uint8_t bytes[64];
    struct message_writer writer = message_writer_of(bytes, sizeof(bytes));
    consumer_group_heartbeat_response_encode(&response, &writer, 0);
    assert_false(message_writer_failed(&writer));
    assert_int_equal(writer.bytes.size, size_of_null + 2); /* empty array, no tags */
    struct consumer_group_heartbeat_response copy;
    struct reader reader = reader_of(view_of(bytes, writer.bytes.size));
    assert_true(consumer_group_heartbeat_response_decode(&copy, &reader, 0, &arena));
    assert_non_null(copy.assignment);
    assert_int_equal(copy.assignment->topic_partitions_count, 0);
}

/* A fetch response of two partitions whose records are elsewhere. */
static void external_records_become_splices(void **state)
{
    (void)state;
    struct fetch_response_partition_data partitions[2];
    int handles[2];
    for (int i = 0; i < 2; i++) {
        fetch_response_partition_data_init(&partitions[i]);
        partitions[i].partition_index = i;
        partitions[i].records =
            (struct records_field){.external = &handles[i], .external_size = 1000 + (uint32_t)i};
    }
    struct fetch_response_fetchable_topic_response topic;
    fetch_response_fetchable_topic_response_init(&topic);
    topic.partitions = partitions;
    topic.partitions_count = 2;
    struct fetch_response response;
    fetch_response_init(&response);
    response.responses = &topic;
    response.responses_count = 1;

    uint8_t bytes[256];
    struct splice splices[2];
    struct message_writer writer = message_writer_with_splices(bytes, sizeof(bytes), splices, 2);
    fetch_response_encode(&response, &writer, 17);
    assert_false(message_writer_failed(&writer));
    assert_int_equal(writer.bytes.size, fetch_response_size(&response, 17));
    assert_int_equal(writer.splice_count, 2);
    assert_int_equal(writer.external_size, 2001);
    assert_ptr_equal(splices[0].external, &handles[0]);
    assert_ptr_equal(splices[1].external, &handles[1]);
    assert_int_equal(splices[1].size, 1001);

    /* Put together with the external bytes it is an ordinary message. */
    uint8_t whole[256 + 2001];
    size_t size = 0, from = 0;
    for (int i = 0; i < 2; i++) {
        memcpy(whole + size, bytes + from, splices[i].position - from);
        size += splices[i].position - from;
        memset(whole + size, 'a' + i, splices[i].size);
        size += splices[i].size;
        from = splices[i].position;
    }
    memcpy(whole + size, bytes + from, writer.bytes.size - from);
    size += writer.bytes.size - from;
    struct reader reader = reader_of(view_of(whole, size));
    struct fetch_response copy;
    assert_true(fetch_response_decode(&copy, &reader, 17, &arena));
    assert_int_equal(reader_left(&reader), 0);
    struct view records = copy.responses[0].partitions[1].records.memory;
    assert_int_equal(records.size, 1001);
    assert_int_equal(records.data[0], 'b');
    assert_int_equal(records.data[1000], 'b');

    writer = message_writer_with_splices(bytes, sizeof(bytes), splices, 1);
    fetch_response_encode(&response, &writer, 17);
    assert_true(message_writer_failed(&writer));
}

static void records_point_into_the_frame(void **state)
{
    (void)state;
    struct view bytes = BYTES(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1,
                              0, 0, 0, 5, 0, 0, 0, 3, 1, 2, 3);
    struct produce_request request;
    struct reader reader = reader_of(bytes);
    assert_true(produce_request_decode(&request, &reader, 3, &arena));
    assert_int_equal(request.acks, -1);
    assert_int_equal(request.timeout_ms, 9);
    const struct records_field *records = &request.topic_data[0].partition_data[0].records;
    assert_int_equal(records->memory.size, 3);
    assert_ptr_equal(records->memory.data, bytes.data + bytes.size - 3);
}

static void a_writer_that_is_too_small_fails(void **state)
{
    (void)state;
    struct sasl_authenticate_request request;
    sasl_authenticate_request_init(&request);
    request.auth_bytes = VIEW_LITERAL("token");
    uint8_t bytes[16];
    size_t size = sasl_authenticate_request_size(&request, 2);
    for (size_t capacity = 0; capacity < size; capacity++) {
        struct message_writer writer = message_writer_of(bytes, capacity);
        sasl_authenticate_request_encode(&request, &writer, 2);
        assert_true(message_writer_failed(&writer));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(null_and_empty_arrays_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(null_is_malformed_where_it_is_not_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_null_that_the_version_lacks_is_written_as_empty, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(absent_fields_get_their_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(values_that_a_version_cannot_carry_fail_the_encode, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(ignorable_values_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_beyond_the_input_take_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_tags_are_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(tags_that_do_not_rise_are_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_known_tag_must_fill_its_size, setup, teardown),
        cmocka_unit_test_setup_teardown(tagged_fields_with_their_default_are_left_out, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_client_id_of_a_header_is_never_compact, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(strings_above_the_limit_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(structs_that_can_be_null_have_a_byte_in_front, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(external_records_become_splices, setup, teardown),
        cmocka_unit_test_setup_teardown(records_point_into_the_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(a_writer_that_is_too_small_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
