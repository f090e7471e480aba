/*
 * One log of which several nodes hold copies: the metadata log, or a partition. What any node first
 * said to be committed (below its high watermark) is fixed here, batch by batch; every other copy
 * must agree with it, for ever. Reads the disks of the nodes, not their memory.
 *
 * Invariants (simulation notes section 7: M3, M4, R1, R5):
 *  1. The batches are in order and without holes.
 *  2. A copy is compared once per life of its node; what lies below its watermark never changes.
 */
#ifndef KLAMM_TESTS_SIM_COMMITTED_LOG_H
#define KLAMM_TESTS_SIM_COMMITTED_LOG_H

#include "tests/sim/sim.h"

struct committed_batch {
    int64_t base_offset;
    int64_t last_offset;
    int32_t leader_epoch;
    uint64_t hash; /* of all its bytes */
    unsigned node; /* that said so first */
};

struct committed_log {
    struct sim *sim;
    struct heap heap;
    char directory[256]; /* on every node */
    struct committed_batch *batches;
    size_t count, capacity;
};

/* How far a node's copy is compared. */
struct committed_copy {
    int64_t checked; /* -1: not begun */
    size_t next;     /* batch of the log that comes there */
    int64_t segment; /* base offset of the file */
    uint64_t position;
};

void committed_log_init(struct committed_log *log, struct sim *sim, const char *directory);
void committed_log_deinit(struct committed_log *log);
/* The offset behind all that anybody called committed. */
int64_t committed_log_end(const struct committed_log *log);
void committed_copy_init(struct committed_copy *copy);
/*
 * Goes as far as the node's copy, of which everything below `limit` is on its disk, is what was
 * committed. False: it holds something else below `limit`.
 */
bool committed_log_agree(const struct committed_log *log, unsigned node,
                         struct committed_copy *copy, int64_t limit);
/* The node says that everything below `watermark` is committed. */
void committed_log_expose(struct committed_log *log, unsigned node, struct committed_copy *copy,
                          int64_t watermark);
/* What is from `offset` on is lost, and was allowed to be. */
void committed_log_cut(struct committed_log *log, int64_t offset);
/* How much of it the node has, of whose log everything below `written_end` is on its disk. */
int64_t committed_log_kept(const struct committed_log *log, unsigned node, int64_t written_end);
/*
 * The node was elected, or all is healed: its copy, whose log ends at `end` and is on its disk up
 * to `written_end`, has everything. `what` says why it must, for the failure.
 */
void committed_log_require_whole(const struct committed_log *log, unsigned node,
                                 int64_t written_end, int64_t end, const char *what);

#endif
