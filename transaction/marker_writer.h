/*
 * Sends transaction markers to the leaders of partitions until every one has acknowledged.
 *
 * One per loop. A coordinator hands in a work (one decided transaction); its partitions are grouped
 * by the node that leads them, as the loop's image shows it, and queue there. A node has one request
 * in flight, filled from its queue. What cannot be written now (no leader, a retriable error, a lost
 * request) is looked up anew after a while. How a request reaches a node is the host's matter.
 *
 * Invariants:
 *  1. A partition of a work is in one of: a queue, a request in flight, the list of the delayed, or
 *     settled. `left` counts those that are not settled.
 *  2. At most one request is in flight per node.
 *  3. `done` is called once, when nothing is left or when a newer coordinator has taken over; never
 *     inside marker_writer_start, never after marker_writer_cancel.
 */
#ifndef KLAMM_TRANSACTION_MARKER_WRITER_H
#define KLAMM_TRANSACTION_MARKER_WRITER_H

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "cluster/metadata/image.h"
#include "protocol/messages/write_txn_markers.h"
#include "runtime/loop.h"

struct marker_batch;
struct marker_writer;

/* One decided transaction; embedded. */
struct marker_work {
    struct list batches; /* struct marker_batch.work_link */
    struct marker_writer *writer; /* NULL: not started */
    int64_t producer_id;
    int16_t producer_epoch;
    int8_t transaction_version;
    bool commit;
    int32_t coordinator_epoch;
    uint32_t left; /* partitions */
    bool is_fenced;
    struct list done_link; /* writer.finished */
    /* `is_fenced`: a newer coordinator or producer took over; nothing more is to be done here. */
    void (*done)(struct marker_work *work);
};

/* A request for one node; made here, in the air at the host. */
struct marker_send {
    struct write_txn_markers_request request; /* lives until `answered` */
    int32_t node;
    /* The host's call: the response, or NULL when the request was lost; perhaps inside `send`. */
    void (*answered)(struct marker_send *send, const struct write_txn_markers_response *response);
    void *context; /* the host's */
};

struct marker_host {
    void (*send)(void *self, struct marker_send *send);
    /* The image that the loop shows. */
    const struct image *(*image)(void *self);
    void *self;
};

struct marker_writer_counters {
    uint64_t requests;
    uint64_t markers;    /* partitions in them */
    uint64_t retried;    /* partitions that were looked up anew */
    uint64_t dropped;    /* partitions that exist no more */
};

struct marker_writer {
    struct loop *loop;
    struct marker_host host;
    struct map nodes;       /* node id to struct marker_node */
    struct list delayed;    /* struct marker_batch.link: to be looked up anew */
    struct list finished;   /* struct marker_work.done_link */
    struct timer retry;
    struct deferred pump;
    struct marker_writer_counters counters;
};

void marker_writer_init(struct marker_writer *writer, struct loop *loop,
                        const struct marker_host *host);
/* No request is in flight, nothing is queued. */
void marker_writer_deinit(struct marker_writer *writer);

/* Fields of the work above `batches` are the caller's before; then its partitions, then start. */
void marker_work_init(struct marker_work *work);
void marker_work_add(struct marker_writer *writer, struct marker_work *work, struct view topic,
                     const int32_t *partitions, uint32_t count);
/* `done` follows in a later turn or phase, also when there are no partitions. */
void marker_writer_start(struct marker_writer *writer, struct marker_work *work);
/* Forgets the work, whatever its state; what is in flight is ignored when it comes back. */
void marker_writer_cancel(struct marker_work *work);

#endif
