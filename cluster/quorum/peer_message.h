/*
 * The messages of elections on the wire, both sides: what the step function says to a generated
 * request, a response to what the step function hears, and the same for requests of others. One
 * file per message, and peer_shape.h for what all have alike.
 */
#ifndef KLAMM_CLUSTER_QUORUM_PEER_MESSAGE_H
#define KLAMM_CLUSTER_QUORUM_PEER_MESSAGE_H

#include "cluster/quorum/quorum.h"
#include "cluster/quorum/quorum_call.h"
#include "connection/channel.h"

/* An address that came with an answer. */
struct quorum_endpoint {
    int32_t id; /* QUORUM_NODE_NONE: none came */
    struct view host;
    uint16_t port;
};

struct peer_message {
    const struct channel_call *call;
    int16_t version_max;
    int16_t pre_vote_version; /* the first that can carry a pre-vote */
    /* The request for what the quorum wants to say; NULL: out of memory. */
    const void *(*build)(const struct metadata_log *log, const struct quorum_message *message,
                         struct arena *arena);
    /*
     * What a response says. False: it is not one of this partition; then `error` of the answer is
     * the one for the whole request.
     */
    bool (*hear)(const void *response, struct quorum_answer *answer,
                 struct quorum_endpoint *endpoint);
    /*
     * What a request asks, and the sender's address if it says so; NONE, or the error for the whole
     * request.
     */
    enum kafka_error (*read)(const struct metadata_log *log, const void *request, int16_t version,
                             struct quorum_message *message, struct quorum_endpoint *leader);
    /* Fills the response; answer NULL: only the error for the whole request. */
    void (*respond)(struct quorum_call *call, enum kafka_error error,
                    const struct quorum_answer *answer, const struct quorum_endpoint *leader);
};

extern const struct peer_message peer_vote;
extern const struct peer_message peer_begin_epoch;
extern const struct peer_message peer_end_epoch;

const struct peer_message *peer_message_of(enum quorum_message_kind kind);
/* Whether a request is of this cluster; a null id is of any. */
enum kafka_error peer_cluster_check(const struct metadata_log *log, struct view cluster_id);

#define PEER_TOPIC VIEW_LITERAL("__cluster_metadata")

#endif
