/*
 * What a start finds in the log directories and does not serve: directories that were on their way
 * out are removed, partitions that the metadata does not know (or does not place here) are renamed
 * to stray ones and kept.
 *
 * Strays are renamed before the node serves, so that their names are free; removing takes its time
 * in the background. One job for all directories each.
 */
#ifndef KLAMM_BROKER_SWEEP_H
#define KLAMM_BROKER_SWEEP_H

#include "base/arena.h"
#include "broker/directories.h"
#include "cluster/metadata/image.h"
#include "runtime/loop.h"

struct sweep_item;

struct sweep {
    struct job job;
    struct loop *loop;
    struct arena arena;
    struct sweep_item *items;
    size_t count;
    size_t at;                         /* the item being worked on */
    void (*done)(struct sweep *sweep); /* may be NULL */
};

enum sweep_what { SWEEP_STRAYS, SWEEP_DELETED };

struct sweep_input {
    const struct directories *directories;
    const struct image *image; /* read inside the call only */
    int32_t node_id;
};

/*
 * Decides on the control loop what is to go and starts the job; `done` follows in a later turn, or
 * before the return when nothing is.
 */
void sweep_start(struct sweep *sweep, struct loop *loop, enum sweep_what what,
                 const struct sweep_input *input, void (*done)(struct sweep *sweep));

#endif
