/*
 * Consume, transform, produce with librdkafka, exactly once: every record of the input is copied in
 * a transaction that also commits the consumed offset (KIP-98, KIP-447).
 *
 *   copier fill   BROKERS INPUT COUNT PARTITIONS [FIRST]
 *       writes records FIRST (0) to COUNT - 1
 *   copier copy   BROKERS INPUT OUTPUT GROUP ID       copies until it is killed or told to end
 *   copier verify BROKERS INPUT OUTPUT GROUP COUNT PARTITIONS
 *       waits until the output has COUNT committed records, then looks a while for too many; each
 *       must be the function of its input, exactly once, and the group's offsets must be the ends
 *       of the input
 *
 * The copier ends with status 3 when it cannot go on (fenced, an aborted transaction); whoever
 * started it starts it again.
 */
#include <librdkafka/rdkafka.h>

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 180000, BATCH_MAX = 50, VALUE_SIZE = 96, QUIET_MS = 1500, ENDED = 3 };

static volatile sig_atomic_t is_ending;

static void end_soon(int signal_number)
{
    (void)signal_number;
    is_ending = 1;
}

_Noreturn static void end(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("copier: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(status);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char message[256];
    if (rd_kafka_conf_set(conf, name, value, message, sizeof(message)) != RD_KAFKA_CONF_OK)
        end(1, "%s=%s: %s", name, value, message);
}

static rd_kafka_conf_t *conf_for(const char *brokers)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "log_level", "2");
    set(conf, "reconnect.backoff.ms", "20");
    set(conf, "reconnect.backoff.max.ms", "200");
    return conf;
}

static rd_kafka_t *create(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char message[256];
    rd_kafka_t *client = rd_kafka_new(type, conf, message, sizeof(message));
    if (!client)
        end(1, "no client: %s", message);
    return client;
}

static uint64_t transform(uint64_t number)
{
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return number ^ (number >> 27);
}

/* ---- fill ---- */

static void filled(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    (void)opaque;
    if (message->err)
        end(1, "the input could not be written: %s", rd_kafka_err2str(message->err));
}

static void fill(char **argv, uint64_t first)
{
    uint64_t count = strtoull(argv[4], NULL, 10);
    int partitions = atoi(argv[5]);
    rd_kafka_conf_t *conf = conf_for(argv[2]);
    set(conf, "enable.idempotence", "true");
    rd_kafka_conf_set_dr_msg_cb(conf, filled);
    rd_kafka_t *producer = create(RD_KAFKA_PRODUCER, conf);
    for (uint64_t number = first; number < count; number++) {
        char value[VALUE_SIZE];
        int size = snprintf(value, sizeof(value), "%" PRIu64, number);
        while (rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(argv[3]),
                                 RD_KAFKA_V_PARTITION((int)(number % (uint64_t)partitions)),
                                 RD_KAFKA_V_VALUE(value, (size_t)size),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                 RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(producer, 100);
        rd_kafka_poll(producer, 0);
    }
    if (rd_kafka_flush(producer, WAIT_MS))
        end(1, "the input could not be written");
    rd_kafka_destroy(producer);
}

/* ---- copy ---- */

struct copier {
    rd_kafka_t *consumer;
    rd_kafka_t *producer;
    const char *output;
    rd_kafka_topic_partition_list_t *offsets; /* consumed in this transaction, plus one */
    int count;
};

/* Repeats what may be repeated; anything else ends the process, whose successor cleans up. */
static void must(struct copier *copier, rd_kafka_error_t *error, const char *what)
{
    if (!error)
        return;
    fprintf(stderr, "copier: %s: %s\n", what, rd_kafka_error_string(error));
    if (rd_kafka_error_txn_requires_abort(error))
        rd_kafka_abort_transaction(copier->producer, WAIT_MS);
    _Exit(ENDED);
}

static void copy_message(struct copier *copier, const rd_kafka_message_t *message)
{
    char number_text[VALUE_SIZE], value[VALUE_SIZE];
    if (message->len >= sizeof(number_text))
        end(1, "a strange input");
    memcpy(number_text, message->payload, message->len);
    number_text[message->len] = 0;
    uint64_t number = strtoull(number_text, NULL, 10);
    int size = snprintf(value, sizeof(value), "%" PRIu64 " %" PRIu64, number, transform(number));
    rd_kafka_resp_err_t error = rd_kafka_producev(
        copier->producer, RD_KAFKA_V_TOPIC(copier->output),
        RD_KAFKA_V_PARTITION(message->partition), RD_KAFKA_V_VALUE(value, (size_t)size),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (error) {
        fprintf(stderr, "copier: produce: %s\n", rd_kafka_err2str(error));
        _Exit(ENDED);
    }
    const char *topic = rd_kafka_topic_name(message->rkt);
    rd_kafka_topic_partition_t *place =
        rd_kafka_topic_partition_list_find(copier->offsets, topic, message->partition);
    if (!place)
        place = rd_kafka_topic_partition_list_add(copier->offsets, topic, message->partition);
    place->offset = message->offset + 1;
    copier->count++;
}

static void commit(struct copier *copier)
{
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(copier->consumer);
    rd_kafka_error_t *error;
    while ((error = rd_kafka_send_offsets_to_transaction(copier->producer, copier->offsets, group,
                                                         WAIT_MS)) &&
           rd_kafka_error_is_retriable(error))
        rd_kafka_error_destroy(error);
    must(copier, error, "offsets");
    while ((error = rd_kafka_commit_transaction(copier->producer, WAIT_MS)) &&
           rd_kafka_error_is_retriable(error))
        rd_kafka_error_destroy(error);
    must(copier, error, "commit");
    rd_kafka_consumer_group_metadata_destroy(group);
}

static void copy_some(struct copier *copier)
{
    copier->count = 0;
    copier->offsets = rd_kafka_topic_partition_list_new(4);
    rd_kafka_message_t *message;
    while (copier->count < BATCH_MAX && !is_ending &&
           (message = rd_kafka_consumer_poll(copier->consumer, copier->count ? 5 : 200))) {
        if (message->err) {
            fprintf(stderr, "copier: consume: %s\n", rd_kafka_message_errstr(message));
            if (rd_kafka_fatal_error(copier->consumer, NULL, 0))
                _Exit(ENDED);
        } else {
            if (copier->count == 0)
                must(copier, rd_kafka_begin_transaction(copier->producer), "begin");
            copy_message(copier, message);
        }
        rd_kafka_message_destroy(message);
    }
    if (copier->count > 0)
        commit(copier);
    rd_kafka_topic_partition_list_destroy(copier->offsets);
}

static void copy(char **argv)
{
    struct copier copier = {.output = argv[4]};
    rd_kafka_conf_t *conf = conf_for(argv[2]);
    set(conf, "group.id", argv[5]);
    set(conf, "group.instance.id", argv[6]);
    set(conf, "session.timeout.ms", "10000");
    set(conf, "isolation.level", "read_committed");
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "earliest");
    copier.consumer = create(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(copier.consumer);
    conf = conf_for(argv[2]);
    set(conf, "transactional.id", argv[6]);
    set(conf, "linger.ms", "1");
    copier.producer = create(RD_KAFKA_PRODUCER, conf);
    must(&copier, rd_kafka_init_transactions(copier.producer, WAIT_MS), "init");
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, argv[3], RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(copier.consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    while (!is_ending)
        copy_some(&copier);
    rd_kafka_consumer_close(copier.consumer);
    rd_kafka_destroy(copier.consumer);
    rd_kafka_destroy(copier.producer);
}

/* ---- verify ---- */

static void take(const rd_kafka_message_t *message, uint8_t *seen, uint64_t count, int partitions)
{
    char value[VALUE_SIZE];
    uint64_t number, result;
    if (message->len >= sizeof(value))
        end(1, "a strange output");
    memcpy(value, message->payload, message->len);
    value[message->len] = 0;
    if (sscanf(value, "%" SCNu64 " %" SCNu64, &number, &result) != 2 || number >= count)
        end(1, "a strange output: %s", value);
    if (result != transform(number))
        end(1, "wrong result for %" PRIu64, number);
    if ((int)(number % (uint64_t)partitions) != message->partition)
        end(1, "%" PRIu64 " is in partition %d", number, (int)message->partition);
    if (seen[number])
        end(1, "%" PRIu64 " twice, again at partition %d offset %" PRId64, number,
            (int)message->partition, message->offset);
    seen[number] = 1;
}

static void check_offsets(rd_kafka_t *consumer, const char *input, int partitions)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, input, i);
    rd_kafka_resp_err_t error = rd_kafka_committed(consumer, list, WAIT_MS);
    if (error)
        end(1, "committed: %s", rd_kafka_err2str(error));
    for (int i = 0; i < partitions; i++) {
        int64_t low, high;
        if (rd_kafka_query_watermark_offsets(consumer, input, i, &low, &high, WAIT_MS))
            end(1, "no watermarks");
        if (list->elems[i].offset != high)
            end(1, "partition %d: committed %" PRId64 ", end %" PRId64, i, list->elems[i].offset,
                high);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

static void verify(char **argv)
{
    uint64_t count = strtoull(argv[6], NULL, 10), found = 0;
    int partitions = atoi(argv[7]);
    rd_kafka_conf_t *conf = conf_for(argv[2]);
    set(conf, "group.id", argv[5]);
    set(conf, "isolation.level", "read_committed");
    set(conf, "enable.auto.commit", "false");
    rd_kafka_t *consumer = create(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, argv[4], i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    uint8_t *seen = calloc(count, 1);
    int64_t deadline = now_ms() + WAIT_MS, quiet_since = now_ms();
    while (now_ms() < deadline && (found < count || now_ms() - quiet_since < QUIET_MS)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
        if (!message)
            continue;
        if (!message->err) {
            take(message, seen, count, partitions);
            found++;
            quiet_since = now_ms();
        }
        rd_kafka_message_destroy(message);
    }
    if (found < count)
        end(1, "%" PRIu64 " of %" PRIu64 " were copied", found, count);
    check_offsets(consumer, argv[3], partitions);
    printf("each of %" PRIu64 " exactly once\n", found);
    free(seen);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

int main(int argc, char **argv)
{
    signal(SIGTERM, end_soon);
    if ((argc == 6 || argc == 7) && strcmp(argv[1], "fill") == 0)
        fill(argv, argc == 7 ? strtoull(argv[6], NULL, 10) : 0);
    else if (argc == 7 && strcmp(argv[1], "copy") == 0)
        copy(argv);
    else if (argc == 8 && strcmp(argv[1], "verify") == 0)
        verify(argv);
    else
        end(1, "usage: see the source");
    return 0;
}
