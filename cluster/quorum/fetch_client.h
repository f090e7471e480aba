/*
 * Fetching the metadata log: a follower's side of replication by pull (KIP-595).
 *
 * One Fetch is under way at a time: to the leader, or, where no leader is known, to anybody, only
 * to hear who leads. What comes is checked, appended as it is, and flushed before the next Fetch,
 * because that one tells the leader what this node holds.
 *
 * Invariants:
 *  1. An answer counts only for the epoch and the offset that were asked for.
 *  2. Nothing below the own high watermark is ever cut.
 */
#ifndef KLAMM_CLUSTER_QUORUM_FETCH_CLIENT_H
#define KLAMM_CLUSTER_QUORUM_FETCH_CLIENT_H

#include "connection/channel.h"
#include "protocol/messages/fetch.h"

struct metadata_log;
struct quorum_peer;

struct fetch_client {
    struct channel_request request;
    struct fetch_request message;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition partition;
    struct quorum_peer *peer;   /* asked now; NULL: nothing is under way */
    struct quorum_peer *failed; /* the one that did not answer last */
    int32_t epoch;
    int16_t refused; /* the last answer's error as a whole; NONE */
    struct timer backoff;
};

void fetch_client_init(struct metadata_log *log);
/* Asks, or asks somebody else, when that has a sense now. */
void fetch_client_run(struct metadata_log *log);
/* Takes back what is under way. */
void fetch_client_stop(struct metadata_log *log);

#endif
