/*
 * Produces records with librdkafka and reads them back: content, order, headers, timestamps.
 *
 * Every record is a function of (seed, number), so the reader needs no list of what was sent.
 * Records go to partition number % partitions; within a partition their numbers must rise without a
 * gap. Most records are small; about one in a thousand is between 32 KiB and the largest size, so
 * that both the copied and the file-range path of a broker carry them.
 *
 * usage: roundtrip BROKERS TOPIC CODEC COUNT PARTITIONS SIZE_MAX create|append
 */
#include <librdkafka/rdkafka.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 300000, HEADER_COUNT_MAX = 3 };

struct options {
    const char *brokers;
    const char *topic;
    const char *codec;
    uint64_t count;
    int32_t partitions;
    size_t size_max;
    bool append_time;
};

struct expected {
    bool has_key;
    uint8_t key[32];
    size_t key_size;
    bool has_value;
    size_t value_size;
    int headers;
    int64_t timestamp_ms;
    uint64_t stream; /* of the value's bytes */
};

_Noreturn static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("roundtrip: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static uint64_t mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static struct expected expect(const struct options *options, uint64_t number, int64_t start_ms)
{
    struct expected e = {0};
    uint64_t draw = mix(number * 2 + 1);
    e.has_key = draw % 5 != 0;
    if (e.has_key)
        e.key_size = (size_t)snprintf((char *)e.key, sizeof(e.key), "key-%" PRIu64, number);
    e.has_value = (draw >> 8) % 11 != 0;
    if (e.has_value) {
        e.value_size = 10 + (draw >> 16) % 90;
        if (number % 1000 == 7) {
            size_t floor = 32 * 1024;
            e.value_size = floor + (draw >> 16) % (options->size_max - floor + 1);
        }
    }
    e.headers = (int)((draw >> 40) % (HEADER_COUNT_MAX + 1));
    e.timestamp_ms = start_ms + (int64_t)(number / 100);
    e.stream = draw;
    return e;
}

/* Half text-like, half noise, so that codecs have something to do and cannot do everything. */
static void fill_value(uint8_t *value, size_t size, uint64_t stream)
{
    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = (at / 64) % 2 ? mix(stream + at) : 0x6d6d616c6b20736eu + stream % 7;
        size_t left = size - at < 8 ? size - at : 8;
        memcpy(value + at, &word, left);
    }
}

static void header_of(const struct expected *e, int index, char *name, char *value)
{
    sprintf(name, "h%d", index);
    sprintf(value, "%" PRIx64, e->stream + (uint64_t)index);
}

static uint64_t delivered;

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    (void)opaque;
    if (message->err)
        fail("delivery: %s", rd_kafka_err2str(message->err));
    delivered++;
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char error[512];
    if (rd_kafka_conf_set(conf, key, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
        fail("%s: %s", key, error);
}

static rd_kafka_t *client(const struct options *options, rd_kafka_type_t type)
{
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", options->brokers);
    if (type == RD_KAFKA_PRODUCER) {
        set(conf, "compression.codec", options->codec);
        set(conf, "linger.ms", "5");
        set(conf, "queue.buffering.max.messages", "200000");
        set(conf, "queue.buffering.max.kbytes", "131072");
        set(conf, "message.timeout.ms", "300000");
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    } else {
        set(conf, "check.crcs", "true");
    }
    rd_kafka_t *handle = rd_kafka_new(type, conf, error, sizeof(error));
    if (!handle)
        fail("%s", error);
    return handle;
}

static void create_topic(const struct options *options)
{
    rd_kafka_t *producer = client(options, RD_KAFKA_PRODUCER);
    char error[512];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(options->topic, options->partitions, 1, error, sizeof(error));
    rd_kafka_NewTopic_set_config(topic, "message.timestamp.type",
                                 options->append_time ? "LogAppendTime" : "CreateTime");
    rd_kafka_AdminOptions_t *admin = rd_kafka_AdminOptions_new(producer, RD_KAFKA_ADMIN_OP_ANY);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(producer);
    rd_kafka_CreateTopics(producer, &topic, 1, admin, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (!event || rd_kafka_event_error(event))
        fail("create topic: %s", event ? rd_kafka_event_error_string(event) : "no answer");
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count != 1 || rd_kafka_topic_result_error(results[0]))
        fail("create topic: %s", count ? rd_kafka_topic_result_error_string(results[0]) : "none");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_destroy(producer);
}

static void send_record(rd_kafka_t *producer, const struct options *options, uint64_t number,
                        int64_t start_ms, uint8_t *value)
{
    struct expected e = expect(options, number, start_ms);
    if (e.has_value)
        fill_value(value, e.value_size, e.stream);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADER_COUNT_MAX);
    for (int i = 0; i < e.headers; i++) {
        char name[32];
        char text[32];
        header_of(&e, i, name, text);
        rd_kafka_header_add(headers, name, -1, i == 2 ? NULL : text, i == 2 ? 0 : -1);
    }
    for (;;) {
        rd_kafka_resp_err_t error = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(options->topic),
            RD_KAFKA_V_PARTITION((int32_t)(number % (uint64_t)options->partitions)),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(e.timestamp_ms),
            RD_KAFKA_V_KEY(e.has_key ? e.key : NULL, e.key_size),
            RD_KAFKA_V_VALUE(e.has_value ? value : NULL, e.value_size), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_END);
        if (!error)
            return;
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("produce: %s", rd_kafka_err2str(error));
        rd_kafka_poll(producer, 100);
    }
}

static void produce_all(const struct options *options, int64_t start_ms)
{
    rd_kafka_t *producer = client(options, RD_KAFKA_PRODUCER);
    uint8_t *value = malloc(options->size_max);
    for (uint64_t number = 0; number < options->count; number++) {
        send_record(producer, options, number, start_ms, value);
        if (number % 1000 == 0)
            rd_kafka_poll(producer, 0);
    }
    if (rd_kafka_flush(producer, WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("flush: %" PRIu64 " of %" PRIu64 " delivered", delivered, options->count);
    if (delivered != options->count)
        fail("%" PRIu64 " of %" PRIu64 " delivered", delivered, options->count);
    free(value);
    rd_kafka_destroy(producer);
}

static void check_headers(const rd_kafka_message_t *message, const struct expected *e,
                          uint64_t number)
{
    rd_kafka_headers_t *headers = NULL;
    int found = 0;
    if (!rd_kafka_message_headers(message, &headers))
        found = (int)rd_kafka_header_cnt(headers);
    if (found != e->headers)
        fail("record %" PRIu64 ": %d headers instead of %d", number, found, e->headers);
    for (int i = 0; i < found; i++) {
        char name[32];
        char text[32];
        const char *got_name;
        const void *got;
        size_t got_size;
        header_of(e, i, name, text);
        rd_kafka_header_get_all(headers, (size_t)i, &got_name, &got, &got_size);
        bool same =
            !strcmp(name, got_name) &&
            (i == 2 ? got == NULL : got_size == strlen(text) && !memcmp(got, text, got_size));
        if (!same)
            fail("record %" PRIu64 ": header %d differs", number, i);
    }
}

static void check_record(const struct options *options, const rd_kafka_message_t *message,
                         uint64_t number, int64_t start_ms, uint8_t *scratch)
{
    struct expected e = expect(options, number, start_ms);
    if ((message->key != NULL) != e.has_key ||
        (e.has_key && (message->key_len != e.key_size || memcmp(message->key, e.key, e.key_size))))
        fail("record %" PRIu64 ": key differs (partition %d offset %" PRId64 ")", number,
             message->partition, message->offset);
    if ((message->payload != NULL) != e.has_value || (e.has_value && message->len != e.value_size))
        fail("record %" PRIu64 ": value size %zu instead of %zu", number, message->len,
             e.value_size);
    if (e.has_value) {
        fill_value(scratch, e.value_size, e.stream);
        if (memcmp(message->payload, scratch, e.value_size))
            fail("record %" PRIu64 ": value differs", number);
    }
    check_headers(message, &e, number);
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    if (options->append_time) {
        int64_t now_ms = (int64_t)time(NULL) * 1000;
        if (type != RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME || timestamp_ms > now_ms + 2000 ||
            timestamp_ms < now_ms - 3600 * 1000)
            fail("record %" PRIu64 ": append time %" PRId64, number, timestamp_ms);
    } else if (type != RD_KAFKA_TIMESTAMP_CREATE_TIME || timestamp_ms != e.timestamp_ms) {
        fail("record %" PRIu64 ": timestamp %" PRId64 " instead of %" PRId64, number, timestamp_ms,
             e.timestamp_ms);
    }
}

static void consume_all(const struct options *options, int64_t start_ms)
{
    rd_kafka_t *consumer = client(options, RD_KAFKA_CONSUMER);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, options->topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer);
    uint64_t *next = calloc((size_t)options->partitions, sizeof(*next));
    uint8_t *scratch = malloc(options->size_max);
    for (int32_t partition = 0; partition < options->partitions; partition++) {
        next[partition] = (uint64_t)partition;
        if (rd_kafka_consume_start_queue(topic, partition, RD_KAFKA_OFFSET_BEGINNING, queue))
            fail("start partition %d", partition);
    }
    for (uint64_t seen = 0; seen < options->count; seen++) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, WAIT_MS);
        if (!message)
            fail("no record for 60 s after %" PRIu64 " of %" PRIu64, seen, options->count);
        if (message->err)
            fail("consume: %s", rd_kafka_message_errstr(message));
        uint64_t number = next[message->partition];
        if (message->offset != (int64_t)(number / (uint64_t)options->partitions))
            fail("partition %d: offset %" PRId64 " instead of %" PRIu64, message->partition,
                 message->offset, number / (uint64_t)options->partitions);
        check_record(options, message, number, start_ms, scratch);
        next[message->partition] += (uint64_t)options->partitions;
        rd_kafka_message_destroy(message);
    }
    for (int32_t partition = 0; partition < options->partitions; partition++)
        rd_kafka_consume_stop(topic, partition);
    free(scratch);
    free(next);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(consumer);
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fputs("usage: roundtrip BROKERS TOPIC CODEC COUNT PARTITIONS SIZE_MAX create|append\n",
              stderr);
        return 2;
    }
    struct options options = {
        .brokers = argv[1],
        .topic = argv[2],
        .codec = argv[3],
        .count = strtoull(argv[4], NULL, 10),
        .partitions = (int32_t)strtol(argv[5], NULL, 10),
        .size_max = strtoull(argv[6], NULL, 10),
        .append_time = !strcmp(argv[7], "append"),
    };
    int64_t start_ms = (int64_t)time(NULL) * 1000 - 60 * 1000;
    create_topic(&options);
    produce_all(&options, start_ms);
    consume_all(&options, start_ms);
    printf("roundtrip %s %s: %" PRIu64 " records in %d partitions agree\n", options.codec, argv[7],
           options.count, options.partitions);
    return 0;
}
