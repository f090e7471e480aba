/* The loads of klamm-bench; each connects, runs to its end and prints its report. */
#ifndef KLAMM_BENCH_LOADS_H
#define KLAMM_BENCH_LOADS_H

#include "bench/options.h"

void load_produce(const struct bench_options *options); /* also the many-producers shape */
void load_fetch(const struct bench_options *options);
void load_tail(const struct bench_options *options);
void load_group(const struct bench_options *options);
void load_consumer_group(const struct bench_options *options);
void load_commit(const struct bench_options *options);
void load_transaction(const struct bench_options *options);
void load_stream(const struct bench_options *options);
void load_floors(const struct bench_options *options);

#endif
