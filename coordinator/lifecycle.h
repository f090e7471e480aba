/*
 * The life of a coordinator: created over a replica that leads, loaded, active, resigned. For the
 * table of a loop (coordinators.h) and for tests; kinds need coordinator.h only.
 *
 *     create -> LOADING -> ACTIVE -> resign
 *                  ^  |        |
 *                  |  v        v an accepted append failed, or somebody else wrote into the log
 *               (again)  FAILED: the log cannot be read or replayed, or the replica does not lead
 */
#ifndef KLAMM_COORDINATOR_LIFECYCLE_H
#define KLAMM_COORDINATOR_LIFECYCLE_H

#include "coordinator/coordinator.h"
#include "log/log_shard.h"
#include "protocol/compression.h"

/* Counters of the coordinators of a loop; plain values, summed on scrape. */
struct coordinator_counters {
    uint64_t loads; /* finished */
    uint64_t failed_loads;
    uint64_t reloads; /* because an append failed or the log had moved */
    uint64_t loaded_records;
    uint64_t loaded_bytes;
    uint64_t load_ms;     /* of all loads together */
    uint64_t load_ms_max; /* of the longest */
    uint64_t unknown_records;
    uint64_t appends; /* batches */
    uint64_t appended_records;
    uint64_t refused_appends;
    uint64_t failed_appends; /* accepted, then lost */
    uint64_t answers;
    uint64_t timed_out_answers;
};

/* What the coordinators of one loop share. */
struct coordinator_host {
    struct loop *loop;
    struct heap *heap;
    struct log_shard *logs;
    const struct server_config *config; /* borrowed */
    struct coordinator_counters counters;
    struct list loads; /* struct coordinator_load.link: wait for their share of a turn */
    struct deferred load_turn;
};

void coordinator_host_init(struct coordinator_host *host, struct loop *loop, struct heap *heap,
                           struct log_shard *logs, const struct server_config *config);
/* All coordinators have resigned. */
void coordinator_host_deinit(struct coordinator_host *host);

struct coordinator_options {
    struct coordinator_host *host;
    const struct coordinator_kind *kind;
    struct replica *replica;      /* LEADING; must outlive the coordinator */
    const struct image *image;    /* what the loop shows now; NULL: nothing yet */
    enum compression_codec codec; /* of the batches that it appends */
};

/* Begins to load. */
struct coordinator *coordinator_create(const struct coordinator_options *options);
/* The loop shows another image, whose pointers live until the next call. */
void coordinator_set_image(struct coordinator *coordinator, const struct image *image,
                           const struct image_delta *delta);
/* The replica leads with another epoch: loads anew when it is a newer one. */
void coordinator_lead(struct coordinator *coordinator);
/*
 * Ends and frees the coordinator: everybody who waits is told NOT_COORDINATOR. To be called before
 * the replica is detached. Not from inside a function of the kind.
 */
void coordinator_resign(struct coordinator *coordinator);

/* Asserts invariant 2 of coordinator.h and that waits are above the high watermark. */
void coordinator_assert(const struct coordinator *coordinator);

#endif
