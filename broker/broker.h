/*
 * What all loops of the process share. Filled before the loops run; afterwards only read.
 *
 * Invariant: nothing reachable from here changes while loops run, except the control loop's own
 * state behind `control`, which only the control loop touches.
 */
#ifndef KLAMM_BROKER_BROKER_H
#define KLAMM_BROKER_BROKER_H

#include "broker/directories.h"
#include "config/server_config.h"
#include "runtime/diagnostics.h"

struct control;
struct coordinator_kind;

struct broker {
    const struct server_config *config;
    const struct diagnostics *diagnostics;
    const char *host_name;   /* of the machine; NULL: nobody but the machine itself needs it */
    unsigned shard_count;    /* loops 1 .. shard_count */
    uint64_t request_memory; /* bytes of frames and unsent answers of the whole node */
    size_t open_files_limit; /* log files that one shard keeps open */
    const struct directories *directories; /* set before the first image is published */
    struct uuid incarnation;               /* as this process registers; likewise */
    /* [COORDINATOR_SLOTS], for tests; NULL: those of coordinator_kinds.c */
    const struct coordinator_kind *const *coordinator_kinds;
    struct control *control; /* a name for messages; touched on the control loop only */
};

#endif
