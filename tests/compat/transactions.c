/*
 * Transactions with librdkafka: what commits is seen whole, what aborts is not seen, an open
 * transaction holds readers back, and a producer that was succeeded is fenced.
 *
 * Values are "<kind> <transaction> <number>"; a reader of committed records must find exactly those
 * of kind "commit", each once and in order within its partition, and one of all records those of
 * "abort" as well.
 *
 * usage: transactions BROKERS TOPIC TRANSACTIONS PARTITIONS
 */
#include <librdkafka/rdkafka.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 180000, RECORDS = 20, QUIET_MS = 1500, VALUE_SIZE = 64 };

struct options {
    const char *brokers;
    const char *topic;
    int transactions;
    int partitions;
};

_Noreturn static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("transactions: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
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
        fail("%s=%s: %s", name, value, message);
}

static rd_kafka_t *create(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char message[256];
    rd_kafka_t *client = rd_kafka_new(type, conf, message, sizeof(message));
    if (!client)
        fail("no client: %s", message);
    return client;
}

static void check(rd_kafka_error_t *error, const char *what)
{
    if (error)
        fail("%s: %s", what, rd_kafka_error_string(error));
}

static rd_kafka_t *open_producer(const struct options *options, const char *id)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", options->brokers);
    set(conf, "transactional.id", id);
    set(conf, "linger.ms", "1");
    rd_kafka_t *producer = create(RD_KAFKA_PRODUCER, conf);
    check(rd_kafka_init_transactions(producer, WAIT_MS), "init");
    return producer;
}

static void produce(rd_kafka_t *producer, const struct options *options, const char *kind,
                    int transaction)
{
    for (int number = 0; number < RECORDS; number++) {
        char value[VALUE_SIZE];
        int size = snprintf(value, sizeof(value), "%s %d %d", kind, transaction, number);
        rd_kafka_resp_err_t error =
            rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(options->topic),
                              RD_KAFKA_V_PARTITION(number % options->partitions),
                              RD_KAFKA_V_VALUE(value, (size_t)size),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (error)
            fail("produce: %s", rd_kafka_err2str(error));
        rd_kafka_poll(producer, 0);
    }
}

static void write_transaction(rd_kafka_t *producer, const struct options *options, int transaction)
{
    bool commit = transaction % 3 != 2;
    check(rd_kafka_begin_transaction(producer), "begin");
    produce(producer, options, commit ? "commit" : "abort", transaction);
    if (commit)
        check(rd_kafka_commit_transaction(producer, WAIT_MS), "commit");
    else {
        /* librdkafka asks to end a transaction whose first partition was not added yet, which is
           an invalid state at every broker. */
        rd_kafka_flush(producer, WAIT_MS);
        check(rd_kafka_abort_transaction(producer, WAIT_MS), "abort");
    }
}

/* What a reader found. */
struct found {
    uint64_t commits;
    uint64_t aborts;
    uint64_t opens;
};

/* `next` has, by transaction and partition, the number that must come next. */
static void take(const struct options *options, struct found *found, int *next,
                 const rd_kafka_message_t *message)
{
    char kind[16], value[VALUE_SIZE];
    int transaction, number;
    memcpy(value, message->payload, message->len);
    value[message->len] = 0;
    if (sscanf(value, "%15s %d %d", kind, &transaction, &number) != 3)
        fail("strange value: %s", value);
    if (strcmp(kind, "open") == 0) {
        found->opens++;
        return;
    }
    next += transaction * options->partitions + message->partition;
    if (number != *next)
        fail("partition %d: number %d of transaction %d, not %d", (int)message->partition, number,
             transaction, *next);
    *next += options->partitions;
    if (strcmp(kind, "commit") == 0)
        found->commits++;
    else
        found->aborts++;
}

static struct found read_all(const struct options *options, const char *isolation,
                             uint64_t commits_wanted)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", options->brokers);
    set(conf, "group.id", "not-used");
    set(conf, "isolation.level", isolation);
    set(conf, "enable.auto.commit", "false");
    rd_kafka_t *consumer = create(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(options->partitions);
    for (int i = 0; i < options->partitions; i++)
        rd_kafka_topic_partition_list_add(list, options->topic, i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    struct found found = {0};
    size_t places = (size_t)options->transactions * (size_t)options->partitions;
    int *next = calloc(places, sizeof(int));
    for (size_t i = 0; i < places; i++)
        next[i] = (int)(i % (size_t)options->partitions);
    int64_t deadline = now_ms() + WAIT_MS, quiet = 0;
    /* When all is there, wait a while for what must not come. */
    while (now_ms() < deadline) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
        if (message) {
            if (message->err)
                fail("consume: %s", rd_kafka_message_errstr(message));
            take(options, &found, next, message);
            rd_kafka_message_destroy(message);
            quiet = 0;
        } else if (found.commits >= commits_wanted) {
            if (quiet == 0)
                quiet = now_ms();
            else if (now_ms() - quiet > QUIET_MS)
                break;
        }
    }
    free(next);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return found;
}

static void read_and_compare(const struct options *options, uint64_t commits, uint64_t opens)
{
    struct found found = read_all(options, "read_committed", commits);
    if (found.commits != commits || found.aborts != 0 || found.opens != 0)
        fail("read_committed: %llu of %llu commits, %llu aborted, %llu open",
             (unsigned long long)found.commits, (unsigned long long)commits,
             (unsigned long long)found.aborts, (unsigned long long)found.opens);
    found = read_all(options, "read_uncommitted", commits);
    if (found.commits != commits || found.opens != opens)
        fail("read_uncommitted: %llu of %llu commits, %llu of %llu open",
             (unsigned long long)found.commits, (unsigned long long)commits,
             (unsigned long long)found.opens, (unsigned long long)opens);
    printf("committed=%llu aborted_seen=%llu open_seen=%llu\n", (unsigned long long)commits,
           (unsigned long long)found.aborts, (unsigned long long)found.opens);
}

/* The successor aborts what its predecessor left open; the predecessor is fenced for good. */
static void succeed_open_transaction(const struct options *options, uint64_t commits)
{
    rd_kafka_t *first = open_producer(options, "succession");
    check(rd_kafka_begin_transaction(first), "begin");
    produce(first, options, "open", 0);
    rd_kafka_flush(first, WAIT_MS);
    read_and_compare(options, commits, RECORDS);
    rd_kafka_t *second = open_producer(options, "succession");
    rd_kafka_error_t *error = rd_kafka_commit_transaction(first, WAIT_MS);
    if (!error)
        fail("a fenced producer committed");
    if (!rd_kafka_error_is_fatal(error))
        fail("a fenced producer may go on: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    check(rd_kafka_begin_transaction(second), "begin");
    check(rd_kafka_abort_transaction(second, WAIT_MS), "abort");
    rd_kafka_destroy(second);
    rd_kafka_destroy(first);
    read_and_compare(options, commits, RECORDS);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        fail("usage: transactions BROKERS TOPIC TRANSACTIONS PARTITIONS");
    struct options options = {argv[1], argv[2], atoi(argv[3]), atoi(argv[4])};
    rd_kafka_t *producer = open_producer(&options, "writer");
    uint64_t commits = 0;
    int64_t begin = now_ms();
    for (int i = 0; i < options.transactions; i++) {
        write_transaction(producer, &options, i);
        commits += i % 3 != 2 ? RECORDS : 0;
    }
    printf("transactions=%d ms=%lld\n", options.transactions, (long long)(now_ms() - begin));
    rd_kafka_destroy(producer);
    read_and_compare(&options, commits, 0);
    succeed_open_transaction(&options, commits);
    return 0;
}
