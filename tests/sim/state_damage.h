/*
 * Damages the state file of a simulated log directory before a start: taken away, cut, rotten, or
 * replaced by the one of an earlier stop. A start must then do without it, and cannot do wrong.
 */
#ifndef KLAMM_TESTS_SIM_STATE_DAMAGE_H
#define KLAMM_TESTS_SIM_STATE_DAMAGE_H

#include "base/random.h"
#include "runtime/loop.h"

enum { STATE_DAMAGE_COPY_MAX = 8192 };

/* The state file of an earlier stop; lives as long as the scenario. */
struct state_damage_copy {
    uint8_t data[STATE_DAMAGE_COPY_MAX];
    size_t size;
};

struct state_damage {
    struct job job;
    struct loop *loop;
    const char *directory;
    struct state_damage_copy *copy;
    uint64_t draw;
    void (*done)(struct state_damage *damage);
};

/* On the node's loop; `done` runs in a later turn. Half of the draws leave the file as it is. */
void state_damage_start(struct state_damage *damage, struct loop *loop, const char *directory,
                        struct state_damage_copy *copy, struct random_stream *random,
                        void (*done)(struct state_damage *damage));

#endif
