/* What the sources of a replica share; for the files of this folder and tests. */
#ifndef KLAMM_REPLICATION_REPLICA_INTERNAL_H
#define KLAMM_REPLICATION_REPLICA_INTERNAL_H

#include "replication/replica.h"

/* What a replica has besides while it leads and there are other replicas. */
struct replica_leadership {
    struct list link;  /* replica_host.leaderships */
    struct list moved; /* replica_host.moved */
    struct replica *replica;
    struct list end_watches;   /* replica_watch.link: fetches of followers */
    struct list start_watches; /* replica_watch.link: who waits for the low watermark */
    struct in_sync in_sync;
    size_t held_size;
    struct remote_replica remotes[]; /* of in_sync */
};

/* ---- replica_append.c ---- */

/* Tells the heads of a list that require at most `end`. */
void replica_pop_waits(struct list *waits, int64_t end);
/* Tells those who watch to look again. */
void replica_fire_watches(struct list *watches);
/* Tells everybody who waits, and those who watch to look again. */
void replica_end_waits(struct replica *replica, enum kafka_error error);
void replica_assert_waits(const struct list *waits, int64_t end);

/* ---- replica_leader.c ---- */

/* An end may have moved: so does the high watermark, and then whoever waited is told. */
void replica_advance(struct replica *replica);
/* The other replicas of a leader, as the metadata says; `begin` says what of them is known. */
void replica_leadership_begin(struct replica *replica, const struct replica_assignment *assignment,
                              enum in_sync_begin begin);
/* The replica does not lead any more; nothing happens when there was nothing. */
void replica_leadership_end(struct replica *replica);
/* The written end has moved. */
void replica_leadership_written(struct replica_leadership *leadership);
/* The deferred work of the host: what fetches have moved. */
void replica_leadership_look(struct replica_leadership *leadership);
void replica_leadership_check_lag(struct replica_leadership *leadership);

#endif
