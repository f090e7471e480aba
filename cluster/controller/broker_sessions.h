/*
 * What the active controller remembers about brokers beyond the image: when each was heard last,
 * how far it has read the metadata, and since when it is on its way out (KIP-631).
 *
 * All of it lives in memory: a new active controller gives every registered broker a full session.
 * Only unfenced brokers can lose their session; a fenced one has none.
 *
 * Invariants:
 *  1. Every broker of the image that was given last has an entry of its epoch, and nobody else.
 *  2. `tracked` holds the unfenced brokers, the longest silent one first.
 *  3. The node's own broker is not tracked: it lives as long as this controller does.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_BROKER_SESSIONS_H
#define KLAMM_CLUSTER_CONTROLLER_BROKER_SESSIONS_H

#include "base/list.h"
#include "base/map.h"
#include "cluster/controller/broker_heartbeat.h"
#include "cluster/controller/broker_registration.h"

enum { BROKER_OFFSET_UNKNOWN = -1 };

struct broker_session {
    struct list link; /* broker_sessions.tracked */
    int32_t id;
    int64_t epoch;
    uint64_t contact_ns;
    int64_t metadata_offset; /* the newest that the broker said it has; -1 unknown */
    int64_t shutdown_offset; /* of the last record of the batch that began its controlled shutdown;
                                -1: none began */
};

struct broker_sessions {
    struct heap *heap;
    struct map sessions; /* broker id -> struct broker_session * */
    struct list tracked;
    uint64_t timeout_ns;
    int32_t own_id; /* BROKER_NONE where the node is only a controller */
};

/* No session yet. */
void broker_sessions_init(struct broker_sessions *sessions, struct heap *heap, uint64_t timeout_ns,
                          int32_t own_id);
/* This controller becomes active: full sessions for all whom the image registers. */
void broker_sessions_claim(struct broker_sessions *sessions, const struct image *image,
                           uint64_t now_ns);
/* Forgets everything; also the end. */
void broker_sessions_renounce(struct broker_sessions *sessions);
/* Follows what the newest image says about one broker: new, gone, another epoch, fenced. */
void broker_sessions_follow(struct broker_sessions *sessions, const struct image *image, int32_t id,
                            uint64_t now_ns);
/* A broker was heard. Unknown brokers and other epochs change nothing. */
void broker_sessions_touch(struct broker_sessions *sessions, int32_t id, int64_t epoch,
                           int64_t metadata_offset, uint64_t now_ns);

/* NULL when the broker is not registered. */
const struct broker_session *broker_session_find(const struct broker_sessions *sessions,
                                                 int32_t id);
/* Whether another incarnation may not take the broker's place yet. */
bool broker_sessions_is_alive(const struct broker_sessions *sessions, const struct image *image,
                              int32_t id, uint64_t now_ns);
/* The broker that is silent for longest, when its session has ended; or NULL. */
const struct broker_session *broker_sessions_expired(const struct broker_sessions *sessions,
                                                     uint64_t now_ns);
/* When the next session ends if nobody is heard; UINT64_MAX when none can end. */
uint64_t broker_sessions_next_ns(const struct broker_sessions *sessions);
/*
 * A heartbeat on the head image: decided with what the sessions know, and remembered by them. The
 * decision must be committed, or the controller gives up.
 */
void broker_sessions_heartbeat(struct broker_sessions *sessions, struct decision *decision,
                               const struct broker_heartbeat_request *request, uint64_t now_ns,
                               struct broker_heartbeat_response *response);
/* A registration; `is_own`: by the broker of this process, which replaces its own session. */
void broker_sessions_register(const struct broker_sessions *sessions, struct decision *decision,
                              const struct broker_registration_request *request, bool is_own,
                              uint64_t now_ns, struct broker_registration_response *response);
/* Asserts invariants 1 to 3 against an image; for tests. */
void broker_sessions_check(const struct broker_sessions *sessions, const struct image *image);

#endif
