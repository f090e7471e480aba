/* What the sources of this folder share. */
#ifndef KLAMM_COORDINATOR_COORDINATOR_INTERNAL_H
#define KLAMM_COORDINATOR_COORDINATOR_INTERNAL_H

#include "coordinator/lifecycle.h"
#include "protocol/batch_builder.h"
#include "replication/replica.h"

struct coordinator_load;

struct coordinator {
    struct coordinator_host *host;
    const struct coordinator_kind *kind;
    struct replica *replica;
    const struct image *image;
    enum compression_codec codec;
    enum coordinator_state state;
    void *kind_state;    /* NULL: FAILED or CLOSED */
    int32_t epoch;       /* leader epoch of the load */
    int64_t end_offset;  /* the state is the replay of the log below it (not while LOADING) */
    bool is_loaded;      /* LOADING: only the image is missing */
    bool is_stale;       /* ACTIVE: the log was moved by others; `reload` is under way */
    struct list waits;   /* struct coordinator_wait.link, by required_offset */
    struct list batches; /* struct coordinator_batch.link: accepted, not yet acknowledged */
    struct replica_watch watch;
    struct timer timeout; /* of the first call in `waits` */
    struct deferred reload;
    /* Failed appends since the last commit; from the second on appends are refused for a while. */
    unsigned failures;
    uint64_t retry_at_ns;
    struct coordinator_load *load; /* while LOADING, until is_loaded */
};

/* One batch from its first record until the replica has acknowledged it. */
struct coordinator_batch {
    struct list link;
    struct coordinator *coordinator; /* NULL: nobody wants to hear of it any more */
    struct heap *heap;
    struct batch_builder builder;
    struct buffer key; /* encoded, of the record in the making */
    struct buffer value;
    struct replica_append append;
};

/* What requests are answered in a state: NONE, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR. */
enum kafka_error coordinator_refusal(const struct coordinator *coordinator);
/* The error that clients of a coordinator understand. */
enum kafka_error coordinator_map_error(enum kafka_error error);

/* The state is not what the log says any more: whoever waits is told, and it is loaded anew. */
void coordinator_break(struct coordinator *coordinator, enum kafka_error error, const char *reason);

void coordinator_batch_destroy(struct coordinator_batch *batch);

/* Loading from the log start; ends in coordinator_load_done or coordinator_load_failed. */
void coordinator_load_start(struct coordinator *coordinator);
/* Gives up without a word. */
void coordinator_load_stop(struct coordinator *coordinator);
void coordinator_load_done(struct coordinator *coordinator, int64_t end_offset);
void coordinator_load_failed(struct coordinator *coordinator);
/* One turn's share of all loads of a loop. */
void coordinator_load_turn(struct deferred *deferred);

#endif
