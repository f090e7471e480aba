/*
 * What a broker process costs while it is under load, read from /proc from outside; the same
 * figures for any broker on this machine.
 */
#ifndef KLAMM_BENCH_BROKER_COST_H
#define KLAMM_BENCH_BROKER_COST_H

#include <stdbool.h>
#include <stdint.h>

struct broker_cost {
    double user_s; /* CPU seconds of all threads */
    double system_s;
    uint64_t sleeps; /* voluntary context switches of all threads: each is a later wake-up */
    uint64_t resident_bytes;
    uint64_t anonymous_bytes; /* resident without files: what the process itself holds */
};

/* False when there is no such process. */
bool broker_cost_read(int pid, struct broker_cost *cost);

#endif
