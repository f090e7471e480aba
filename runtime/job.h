/*
 * Jobs: work that reads much or computes long, cut into bounded steps (1 MiB or 1 ms each).
 *
 * Invariants:
 *  1. A job is in one place: with its owner, or with the runner from loop_start_job until `done`.
 *     Steps run one after the other, never at the same time, on any worker thread.
 *  2. A step touches only the job, what the job owns, and what cannot change under it.
 *  3. `done` runs on the loop that started the job, in a later turn, exactly once; never after a
 *     crash of the node.
 *  4. A JOB_BACKGROUND job lets go of its core by itself: at least every 100 us of computing it
 *     calls job_give_way or ends its step. Being nicer is not enough: the kernel takes a core away
 * at its next tick, up to 4 ms later, and a turn of a loop that lost its core there waits for it.
 *     Blocking storage calls of such a job are cut into pieces and give way by themselves, and so
 *     does the runner between two steps.
 */
#ifndef KLAMM_RUNTIME_JOB_H
#define KLAMM_RUNTIME_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "runtime/diagnostics.h"
#include "runtime/storage.h"

enum job_progress { JOB_MORE, JOB_FINISHED };

/* Which pool of workers runs it. */
enum job_class {
    JOB_DEVICE,     /* waits for a device: recovery, cold reads, syncs, checkpoints */
    JOB_COMPUTE,    /* codec work */
    JOB_BACKGROUND, /* compaction, snapshots: never in the way of the others */
    JOB_CLASSES
};

/* The runner's answer to "has anybody else use for this core?"; plain value, good for one step. */
struct job_pace {
    void (*give_way)(void *self); /* NULL: nobody can have */
    void *self;
};

/* Costs a look at the clock most of the time. Runs nothing of the node on this thread. */
static inline void job_give_way(struct job_pace pace)
{
    if (pace.give_way)
        pace.give_way(pace.self);
}

/* What a step may use besides the job itself. */
struct job_context {
    struct storage storage; /* for this step: storage_run is allowed, storage_submit is not */
    struct heap *heap;      /* the job's own heap: blocks may stay until done and be put there */
    uint64_t now_ns;        /* monotonic, at the start of the step */
    int64_t wall_ms;
    const struct diagnostics *diagnostics;
    struct job_pace pace;
};

struct loop;

struct job {
    struct job *next; /* the runner's */
    enum job_progress (*step)(struct job *job, const struct job_context *context);
    void (*done)(struct job *job);
    enum job_class job_class;
    struct loop *loop;     /* set by loop_start_job */
    struct heap heap;      /* set by loop_start_job; a plain heap counted per job */
    atomic_bool cancelled; /* a wish: a long job looks at it between steps and finishes early */
    void *seam[2];
};

#endif
