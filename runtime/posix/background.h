/*
 * How background jobs stay out of the loops' way where cores are few.
 *
 * Their threads are nicer by 10, which decides how a core that both want is shared. It does not
 * decide when: once the thread has the core, a loop in the middle of its turn gets it back at the
 * next tick, and ticks are 4 ms apart on common kernels. So a background job works in slices of
 * BACKGROUND_SLICE_NS and offers its core at the end of each (sched_yield): at once its own again
 * when nobody waits. Measured with a loop of 100 us turns, 5,000 a second, and a busy background
 * thread on one core (docs/benchmarks.md): losses of more than 1 ms went from 4 to 22 in 2.4 s to
 * none, at the same progress.
 *
 * Invariants:
 *  1. Between two offers lies at most a slice, plus one piece of a read or write or what one other
 *     system call takes, plus what a step does without calling job_give_way (runtime/job.h).
 *  2. Everything here belongs to the thread that runs the job.
 */
#ifndef KLAMM_RUNTIME_POSIX_BACKGROUND_H
#define KLAMM_RUNTIME_POSIX_BACKGROUND_H

#include <stdint.h>

#include "runtime/job.h"
#include "runtime/storage.h"

#define BACKGROUND_SLICE_NS UINT64_C(250000)

/* Bytes of one system call: to copy, 50 to 100 us; to let go of in memory, up to 250 us. */
enum { BACKGROUND_PIECE = 256 * 1024, BACKGROUND_DROP = 2 * 1024 * 1024 };

/* One running job; zeroed, it offers its core at the first call. */
struct background {
    uint64_t slice_end_ns;
    uint64_t offers; /* how often the core was offered */
};

struct job_pace background_pace(struct background *background);
/*
 * Like host_storage_blocking, in pieces and giving way. What is written in large buffers is sent to
 * the device at once, and what is unlinked leaves the memory before its name goes.
 */
struct storage storage_background(struct background *background);

#endif
