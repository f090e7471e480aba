/*
 * The other members of the quorum, as this node reaches them: addresses, channels, and the one
 * message (Vote, BeginQuorumEpoch, EndQuorumEpoch) that may be under way to each.
 *
 * A member is known by its node id; a bootstrap server, whose id nobody has told yet, by a negative
 * one. Elections and fetches have a channel each, so that a vote never waits behind a long poll.
 *
 * Invariant: a message is built when it is sent, from what the quorum is then; one that could not
 * be sent because another was under way is not kept but made anew, if it still has a sense.
 */
#ifndef KLAMM_CLUSTER_QUORUM_PEERS_H
#define KLAMM_CLUSTER_QUORUM_PEERS_H

#include "base/arena.h"
#include "base/random.h"
#include "cluster/quorum/quorum.h"
#include "connection/channel.h"

struct metadata_log;

enum { QUORUM_HOST_SIZE = 256, QUORUM_BOOTSTRAP_ID = -2 /* the first bootstrap server's */ };

struct quorum_peer {
    struct list link;
    struct metadata_log *log;
    int32_t id;
    char host[QUORUM_HOST_SIZE];
    uint16_t port;
    struct channel *elections; /* NULL before the first message */
    struct channel *fetches;
    /* The message under way. */
    struct channel_request request;
    struct arena arena;
    enum quorum_message_kind sent; /* NONE: nothing is under way */
    int32_t sent_epoch;
    bool is_pre_vote;
    bool is_foreign;  /* of another cluster, as was said once */
    bool wants_again; /* something was to be sent meanwhile */
    struct timer retry;
};

struct quorum_peers {
    struct list list; /* quorum_peer.link */
    unsigned count;
    struct random_stream random;
};

void quorum_peers_init(struct metadata_log *log);
/* Closes the channels and forgets everybody. */
void quorum_peers_deinit(struct metadata_log *log);
struct quorum_peer *quorum_peer_find(const struct metadata_log *log, int32_t id);
/* The address of a node; makes it known when it was not. */
void quorum_peer_learn(struct metadata_log *log, int32_t id, struct view host, uint16_t port);
/* Any node that may know who leads, except `but` (NULL: nobody); NULL when there is none. */
struct quorum_peer *quorum_peer_any(struct metadata_log *log, const struct quorum_peer *but);
/* The channel for fetches, made on demand. */
struct channel *quorum_peer_fetches(struct quorum_peer *peer);
/* The one for messages of elections and of voters. */
struct channel *quorum_peer_elections(struct quorum_peer *peer);
/* Sends the quorum's present message to every voter that it is for. */
void quorum_peers_send(struct metadata_log *log);
/* Whether a message is under way to anybody. */
bool quorum_peers_are_talking(const struct metadata_log *log);

#endif
