/*
 * The simulator: many nodes, their disks and the network between them in one process, on virtual
 * time, all drawn from one seed. It is the second implementation of the seams of runtime/.
 *
 * Nodes run the same code as in production: a boot function per loop. Clients are nodes too, that
 * boot a client instead of a broker. Hosts are called "node-0", "node-1", ... in order of adding.
 *
 * Invariants:
 *  1. Everything that happens follows from the seed and the calls made on the simulator: equal
 * seeds and calls give equal sim_hash.
 *  2. A crashed node keeps nothing but its disk. After a process crash the disk shows what was
 *     written; after a power cut only what was synced is certain, and of the rest any part, sector
 * by sector and name by name, may be there or not.
 *  3. Whatever the seams do not promise (order of independent completions, delays, cuts of streams,
 *     how many arrivals a turn sees) is drawn.
 */
#ifndef KLAMM_TESTS_SIM_SIM_H
#define KLAMM_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "runtime/loop.h"
#include "runtime/test_points.h"

struct sim;

/* Chances are in a million, per call. All zero: a kind world. */
struct sim_faults {
    uint32_t append_pending; /* an append answers PENDING */
    uint32_t read_miss;      /* read_now answers NOT_RESIDENT */
    uint32_t read_error;     /* a read fails with STORAGE_IO */
    uint32_t write_error;    /* an append or write fails with STORAGE_IO after some of it */
    uint32_t sync_error;     /* a sync fails; what it should have synced may never be */
    uint32_t no_space;       /* an append or write fails with STORAGE_NO_SPACE after some of it */
    uint32_t stream_reset;   /* a segment of a stream resets it instead of arriving */
    uint64_t disk_capacity;  /* bytes of all files together; 0: no limit */
    uint32_t storage_slow;   /* factor of storage delays; 0: 1 */
    struct test_points test_points; /* taken when a node starts */
};

struct sim_node_spec {
    unsigned loops; /* control included */
    void (*boot)(struct loop *loop, void *argument);
    void (*stop_requested)(struct loop *control); /* sim_stop; may be NULL */
    void *argument;                               /* outlives crashes */
    bool chatty;                                  /* log lines go to standard error */
};

struct sim *sim_create(uint64_t seed);
void sim_destroy(struct sim *sim);
/* Adds a node that does not run yet; returns its number. */
unsigned sim_add_node(struct sim *sim, const struct sim_node_spec *spec);
struct sim_faults *sim_node_faults(struct sim *sim, unsigned node);

/* Starts a node that does not run: boots its loops in turns of their own. */
void sim_start(struct sim *sim, unsigned node);
/* The process ends; its disk shows all that was written. Does nothing when it does not run. */
void sim_crash(struct sim *sim, unsigned node);
/* The machine ends. Works on a node that does not run too. */
void sim_power_cut(struct sim *sim, unsigned node);
/* Calls stop_requested in a turn of the control loop. */
void sim_stop(struct sim *sim, unsigned node);
/* For the node's code: its orderly end, after the current turn (the simulator's node_stop). */
void sim_node_stop(struct loop *loop, int status);
bool sim_is_running(const struct sim *sim, unsigned node);
/* The status of the last sim_node_stop of this node; -1 before. */
int sim_exit_status(const struct sim *sim, unsigned node);
/*
 * The node dies at its storage call number `calls` from now (1: the next one), either before or
 * after the call took effect. 0 takes the order back.
 */
void sim_crash_at_storage_call(struct sim *sim, unsigned node, uint64_t calls, bool power_cut);

/*
 * SIGSTOP for so long: no code of the node runs, its kernel and the network go on, and afterwards
 * all its timers are late. Ends early by sim_resume, or with the process.
 */
void sim_pause(struct sim *sim, unsigned node, uint64_t duration_ns);
void sim_resume(struct sim *sim, unsigned node);
bool sim_is_paused(const struct sim *sim, unsigned node);
/*
 * From now on its monotonic clock gains so many millionths, and its wall clock is wrong by so many
 * milliseconds (at once: a step).
 */
void sim_set_clock(struct sim *sim, unsigned node, int32_t rate_ppm, int64_t wall_error_ms);

/*
 * One direction of the network between two nodes. While it is cut nothing gets through: not bytes,
 * not the ends of streams, not the making of connections (that needs both directions). Nobody is
 * told. When it heals, what was sent arrives late.
 */
void sim_cut(struct sim *sim, unsigned from, unsigned to, bool is_cut);
/* Delays of this direction are between a quarter of this and this from now on; 0: as usual. */
void sim_slow_down(struct sim *sim, unsigned from, unsigned to, uint64_t delay_max_ns);
/* Ends all that sim_cut and sim_slow_down did. */
void sim_heal_network(struct sim *sim);

/* Calls back behind every event of a node, outside of it; NULL: no more. */
void sim_watch(struct sim *sim, void (*watch)(void *context, unsigned node), void *context);

/* Runs the next event; false when there is none. */
bool sim_step(struct sim *sim);
/* Runs events up to this time; the clock stands there afterwards. */
void sim_run_until(struct sim *sim, uint64_t time_ns);
/* Runs until `reached` or the time limit; true when reached. */
bool sim_run_to(struct sim *sim, bool (*reached)(void *context), void *context, uint64_t limit_ns);
/* Calls back outside of all nodes after a delay. */
void sim_after(struct sim *sim, uint64_t delay_ns, void (*run)(struct sim *sim, void *context),
               void *context);

uint64_t sim_now_ns(const struct sim *sim);
uint64_t sim_seed(const struct sim *sim);
uint64_t sim_hash(const struct sim *sim);
uint64_t sim_event_count(const struct sim *sim);
/* The scenario's own stream of random numbers. */
struct random_stream *sim_random(struct sim *sim);
/* Folds something the scenario saw into the hash. */
void sim_note(struct sim *sim, const void *data, size_t size);
/* The number of the node that a loop belongs to, and the simulator it lives in. */
unsigned sim_node_of(const struct loop *loop);
struct sim *sim_of(const struct loop *loop);
/* Bytes that the running node holds in all heaps. */
uint64_t sim_node_memory(const struct sim *sim, unsigned node);

/* What a file holds now, as the node would read it; NULL when there is none. */
const uint8_t *sim_file(const struct sim *sim, unsigned node, const char *path, uint64_t *size);
/* The name of the directory's entry number `index`, in order; NULL behind the last. */
const char *sim_file_name(const struct sim *sim, unsigned node, const char *path, size_t index);
/* What the file would hold after a power cut that keeps nothing more. */
const uint8_t *sim_platter_file(const struct sim *sim, unsigned node, const char *path,
                                uint64_t *size);
/* Puts a file there, durable with all directories above it; the node must not run. */
void sim_put_file(struct sim *sim, unsigned node, const char *path, const void *data, size_t size);
/* Its disk, for calls from outside that do their work at once; the node must not run. */
struct storage sim_blocking_storage(struct sim *sim, unsigned node);
/* A new, empty disk; the node must not run. */
void sim_wipe_disk(struct sim *sim, unsigned node);
/* Two machines get each other's disk; neither node may run. */
void sim_swap_disks(struct sim *sim, unsigned one, unsigned other);
/* All files with their sizes in the cache and on the platter, to standard error. */
void sim_print_files(const struct sim *sim, unsigned node);
/* Changes a byte of a file as rot would, in memory and on the platter. */
bool sim_rot(struct sim *sim, unsigned node, const char *path, uint64_t offset, uint8_t flip);

/* Ends the run as failed; does not return. Also what klamm_halt does here. */
_Noreturn void sim_fail(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Runs `body`; false when it failed, with the reason in sim_failure. */
bool sim_guard(struct sim *sim, void (*body)(struct sim *sim, void *argument), void *argument);
const char *sim_failure(const struct sim *sim);

/* sim_fail unless `condition`. */
#define sim_require(sim, condition, ...)                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sim_fail((sim), __VA_ARGS__);                                                          \
    } while (0)

#endif
