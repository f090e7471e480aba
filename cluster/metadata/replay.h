/*
 * Replay: what each metadata record does to a draft. The one function through which records act,
 * live and when loading, so that every node arrives at the same image.
 *
 * Replay depends on nothing but the draft and the record: no clock, no settings, no own node id.
 *
 * Invariants:
 *  1. A record that is refused has changed nothing.
 *  2. Refused are: unknown types and versions, bytes left over, and records that contradict the
 *     image (a second topic of one name, a change of what does not exist).
 */
#ifndef KLAMM_CLUSTER_METADATA_REPLAY_H
#define KLAMM_CLUSTER_METADATA_REPLAY_H

#include "cluster/metadata/draft.h"
#include "runtime/test_points.h"

/* What a record means for metadata transactions (KIP-868). */
enum replay_mark { REPLAY_PLAIN, REPLAY_BEGIN, REPLAY_END, REPLAY_ABORT };

struct replay {
    struct image_draft *draft;
    struct arena *arena;            /* scratch for decoding; the caller resets it */
    int64_t offset;                 /* of the record */
    char problem[192];              /* why a record was refused; NUL-terminated */
    struct test_points test_points; /* of the loop (runtime/test_point.h) */
};

/* Applies the value of one record. False: refused, see `problem`. */
bool replay_record(struct replay *replay, struct view value, enum replay_mark *mark);

#endif
