/* The command line as a table: a row per option, with what it sets and how it is explained. */
#include "bench/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum value_kind { VALUE_TEXT, VALUE_U16, VALUE_UNSIGNED, VALUE_SIZE, VALUE_DOUBLE, VALUE_INT };

struct row {
    const char *name;
    enum value_kind kind;
    size_t offset;
    const char *about;
};

#define ROW(name, kind, field, about)                                                              \
    {                                                                                              \
        name, kind, offsetof(struct bench_options, field), about                                   \
    }

static const struct row rows[] = {
    ROW("--topic", VALUE_TEXT, topic, "topic; created when it is not there (klamm-bench)"),
    ROW("--partitions", VALUE_INT, partitions, "its partitions (12; many: 288)"),
    ROW("--connections", VALUE_UNSIGNED, connections, "connections (4; many: 200)"),
    ROW("--in-flight", VALUE_UNSIGNED, in_flight, "unanswered requests a connection (5)"),
    ROW("--rate", VALUE_DOUBLE, rate, "requests/s over all, open loop; 0: closed loop (0)"),
    ROW("--records-min", VALUE_UNSIGNED, records_min, "records of a batch, least (many: 1)"),
    ROW("--records-max", VALUE_UNSIGNED, records_max, "records of a batch, most (100; many: 8)"),
    ROW("--record-size", VALUE_SIZE, record_size, "bytes of a value (1000; many: 100)"),
    ROW("--batches", VALUE_UNSIGNED, batches, "partitions written by one request (1)"),
    ROW("--seconds", VALUE_DOUBLE, seconds, "how long (10)"),
    ROW("--bytes", VALUE_SIZE, bytes, "produce: stop after so many bytes"),
    ROW("--requests", VALUE_SIZE, requests, "produce, many, stream: stop after so many"),
    ROW("--acks", VALUE_INT, acks, "0, 1 or -1 (-1)"),
    ROW("--group", VALUE_TEXT, group,
        "group: its id; commit, transaction, stream: prefix of the ids (klamm-bench)"),
    ROW("--transaction-version", VALUE_INT, transaction_version, "transaction: 1 or 2 (2)"),
    ROW("--commit-ms", VALUE_DOUBLE, commit_ms,
        "stream: time between two commits, 0: idempotent only (0)"),
    ROW("--commit-requests", VALUE_SIZE, commit_requests,
        "stream: commit after so many requests of a producer instead"),
    ROW("--protocol", VALUE_TEXT, protocol, "group: classic or consumer, KIP-848 (classic)"),
    ROW("--rounds", VALUE_UNSIGNED, rounds, "group: rebalances after the first (3)"),
    ROW("--fetch-size", VALUE_SIZE, fetch_size, "fetch: bytes asked of a partition (1048576)"),
    ROW("--broker-pid", VALUE_INT, broker_pid, "process whose CPU, memory and wake-ups are read"),
    ROW("--json", VALUE_TEXT, json_path, "file for the figures as JSON"),
    ROW("--directory", VALUE_TEXT, directory, "floors: where files are written (.)"),
};

static void usage(void)
{
    fputs("usage: klamm-bench MODE [HOST:PORT] [options]\n\n"
          "  produce   batches to a topic, bulk unless told otherwise\n"
          "  many      many producers: small keyed batches over many partitions\n"
          "  fetch     reads a topic from its beginning to its end (catch-up)\n"
          "  tail      one writer, readers at the end; latency from intended send to receipt\n"
          "  group     one group of a --protocol: a connection a member; first join, then "
          "rebalances\n"
          "  commit    offset commits, a group a connection, --batches partitions each\n"
          "  transaction  a transactional producer a connection, --batches partitions each\n"
          "  stream    producers at a --rate that commit every --commit-ms or "
          "--commit-requests,\n"
          "            or idempotent only\n"
          "  floors    what this machine can do at best, without a broker\n\n",
          stderr);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        fprintf(stderr, "  %-14s %s\n", rows[i].name, rows[i].about);
    fputs("  --config K=V   config of a created topic, may be repeated\n"
          "  --idempotent   produce, many: with producer ids and sequence numbers\n"
          "  --quiet        no progress line\n",
          stderr);
}

static bool set_mode(struct bench_options *options, const char *word)
{
    static const char *const names[] = {"produce", "many",        "fetch",  "tail",  "group",
                                        "commit",  "transaction", "stream", "floors"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(word, names[i]) == 0) {
            options->mode = (enum bench_mode)i;
            return true;
        }
    }
    fprintf(stderr, "klamm-bench: no mode \"%s\"\n", word);
    return false;
}

static void set_defaults(struct bench_options *options, enum bench_mode mode)
{
    bool many = mode == BENCH_MANY;
    *options = (struct bench_options){
        .mode = mode,
        .host = "localhost",
        .port = 9092,
        .topic = "klamm-bench",
        .partitions = many ? 288 : 12,
        .connections = many ? 200 : 4,
        .in_flight = 5,
        .records_min = many ? 1 : 100,
        .records_max = many ? 8 : 100,
        .record_size = many ? 100 : 1000,
        .batches = 1,
        .seconds = 10,
        .acks = -1,
        .fetch_size = 1 << 20,
        .directory = ".",
        .group = "klamm-bench",
        .transaction_version = 2,
        .rounds = 3,
        .protocol = "classic",
    };
    if (mode == BENCH_GROUP)
        options->connections = 1000;
    if (mode == BENCH_TRANSACTION) {
        options->records_min = options->records_max = 1;
        options->record_size = 100;
    }
    if (mode == BENCH_STREAM)
        options->rate = 1000;
    if (mode == BENCH_TAIL) {
        options->connections = 2;
        options->records_min = options->records_max = 1;
        options->record_size = 100;
        options->rate = 1000;
    }
}

static bool set_value(struct bench_options *options, const struct row *row, const char *text)
{
    void *field = (char *)options + row->offset;
    char *end = NULL;
    double number = row->kind == VALUE_TEXT ? 0 : strtod(text, &end);
    if (row->kind != VALUE_TEXT && (end == text || *end != '\0')) {
        fprintf(stderr, "klamm-bench: %s takes a number, not \"%s\"\n", row->name, text);
        return false;
    }
    switch (row->kind) {
    case VALUE_TEXT:
        *(const char **)field = text;
        break;
    case VALUE_U16:
        *(uint16_t *)field = (uint16_t)number;
        break;
    case VALUE_UNSIGNED:
        *(unsigned *)field = (unsigned)number;
        break;
    case VALUE_SIZE:
        *(size_t *)field = (size_t)number;
        break;
    case VALUE_DOUBLE:
        *(double *)field = number;
        break;
    case VALUE_INT:
        *(int *)field = (int)number;
        break;
    }
    return true;
}

static bool set_address(struct bench_options *options, const char *text)
{
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof(options->host)) {
        fprintf(stderr, "klamm-bench: \"%s\" is not HOST:PORT\n", text);
        return false;
    }
    memcpy(options->host, text, (size_t)(colon - text));
    options->host[colon - text] = '\0';
    options->port = (uint16_t)strtoul(colon + 1, NULL, 10);
    return true;
}

static bool set_option(struct bench_options *options, const char *name, const char *value)
{
    if (strcmp(name, "--config") == 0) {
        if (options->config_count == sizeof(options->configs) / sizeof(options->configs[0])) {
            fputs("klamm-bench: too many --config\n", stderr);
            return false;
        }
        options->configs[options->config_count++] = value;
        return true;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].name, name) == 0)
            return set_value(options, &rows[i], value);
    fprintf(stderr, "klamm-bench: no option \"%s\"\n", name);
    return false;
}

static bool check(const struct bench_options *options)
{
    const char *wrong = NULL;
    if (options->connections < 1 || options->connections > 50000)
        wrong = "--connections takes 1 to 50000";
    else if (options->partitions < 1)
        wrong = "--partitions takes at least 1";
    else if (options->records_min < 1 || options->records_max < options->records_min)
        wrong = "--records-min takes at least 1, --records-max at least as many";
    else if (options->in_flight < 1 || options->in_flight > 1024)
        wrong = "--in-flight takes 1 to 1024";
    else if (options->batches < 1 || options->batches > (unsigned)options->partitions)
        wrong = "--batches takes 1 to the number of partitions";
    else if (options->record_size < 16 || options->record_size > 64 << 20)
        wrong = "--record-size takes 16 bytes to 64 MiB";
    else if (options->acks < -1 || options->acks > 1)
        wrong = "--acks takes -1, 0 or 1";
    else if (options->idempotent && (options->batches != 1 || options->acks != -1))
        wrong = "--idempotent takes --batches 1 and --acks -1";
    else if (options->idempotent && options->in_flight > 5)
        wrong = "--idempotent takes --in-flight up to 5";
    else if (options->transaction_version != 1 && options->transaction_version != 2)
        wrong = "--transaction-version takes 1 or 2";
    else if (options->mode == BENCH_STREAM && (options->rate <= 0 || options->in_flight > 5))
        wrong = "stream takes a --rate and --in-flight up to 5";
    else if (options->mode == BENCH_STREAM && (options->batches != 1 || options->acks != -1))
        wrong = "stream takes --batches 1 and --acks -1";
    else if (options->mode == BENCH_TRANSACTION && options->acks != -1)
        wrong = "transaction takes --acks -1";
    else if (options->commit_ms < 0)
        wrong = "--commit-ms takes at least 0";
    else if (options->commit_ms > 0 && options->commit_requests > 0)
        wrong = "--commit-ms and --commit-requests exclude each other";
    else if (strcmp(options->protocol, "classic") != 0 &&
             strcmp(options->protocol, "consumer") != 0)
        wrong = "--protocol takes classic or consumer";
    if (wrong)
        fprintf(stderr, "klamm-bench: %s\n", wrong);
    return wrong == NULL;
}

bool bench_options_parse(struct bench_options *options, int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        usage();
        return false;
    }
    if (!set_mode(options, argv[1]))
        return false;
    set_defaults(options, options->mode);
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] != '-') {
            if (!set_address(options, argv[i]))
                return false;
        } else if (strcmp(argv[i], "--quiet") == 0) {
            options->quiet = true;
        } else if (strcmp(argv[i], "--idempotent") == 0) {
            options->idempotent = true;
        } else if (i + 1 == argc) {
            fprintf(stderr, "klamm-bench: %s needs a value\n", argv[i]);
            return false;
        } else {
            if (!set_option(options, argv[i], argv[i + 1]))
                return false;
            i++;
        }
    }
    return check(options);
}
