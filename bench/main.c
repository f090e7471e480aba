/* klamm-bench: one load per run; see options.c for what can be asked. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "bench/client.h"
#include "bench/floors.h"
#include "bench/loads.h"

enum { FLOOR_BYTES = 1 << 30, FLOOR_SYNCS = 400 };

void klamm_halt(const char *file, int line, const char *text)
{
    fprintf(stderr, "klamm-bench: %s:%d: %s\n", file, line, text);
    abort();
}

void load_floors(const struct bench_options *options)
{
    double receive = floor_receive_s_per_gib(options->directory, FLOOR_BYTES);
    double grow = floor_grow_s_per_gib(options->directory, FLOOR_BYTES);
    double send = floor_sendfile_s_per_gib(options->directory, FLOOR_BYTES);
    double sync_ms = floor_sync_ms(options->directory, FLOOR_SYNCS);
    printf("receive, CRC, write          %14.4g s/GiB of CPU\n", receive);
    printf("the same, file growing       %14.4g s/GiB of CPU\n", grow);
    printf("sendfile                     %14.4g s/GiB of CPU\n", send);
    printf("append 4 KiB and fdatasync   %14.4g ms (median of %d)\n", sync_ms, FLOOR_SYNCS);
    if (!options->json_path)
        return;
    FILE *file = fopen(options->json_path, "w");
    if (!file)
        bench_fail("%s cannot be written", options->json_path);
    fprintf(file,
            "{\n  \"receive_s_per_gib\": %.6g,\n  \"grow_s_per_gib\": %.6g,\n  "
            "\"sendfile_s_per_gib\": %.6g,\n"
            "  \"sync_ms\": %.6g\n}\n",
            receive, grow, send, sync_ms);
    fclose(file);
}

int main(int argc, char **argv)
{
    struct bench_options options;
    if (!bench_options_parse(&options, argc, argv))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    switch (options.mode) {
    case BENCH_PRODUCE:
    case BENCH_MANY:
        load_produce(&options);
        break;
    case BENCH_FETCH:
        load_fetch(&options);
        break;
    case BENCH_TAIL:
        load_tail(&options);
        break;
    case BENCH_GROUP:
        if (strcmp(options.protocol, "consumer") == 0)
            load_consumer_group(&options);
        else
            load_group(&options);
        break;
    case BENCH_COMMIT:
        load_commit(&options);
        break;
    case BENCH_TRANSACTION:
        load_transaction(&options);
        break;
    case BENCH_STREAM:
        load_stream(&options);
        break;
    case BENCH_FLOORS:
        load_floors(&options);
        break;
    }
    return 0;
}
