/*
 * The active controller of a node: decisions become records, records become images.
 *
 * Owns the metadata log, the newest image (head: everything appended, committed or not) and the
 * writes that wait for their commit. A decision runs on the head, so that it sees what was decided
 * before it; its records are replayed into the next image before they are appended, and the image
 * is published when they are committed. All on the control loop.
 *
 * Invariants:
 *  1. What cannot be replayed is never appended.
 *  2. Images are published in order, each exactly once, and only after their commit.
 *  3. A wait ends exactly once: with NONE when every shard shows its version, or with an error when
 *     its records are gone (a full device) or the controller is not active.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_CONTROLLER_H
#define KLAMM_CLUSTER_CONTROLLER_CONTROLLER_H

#include "base/random.h"
#include "cluster/controller/controller_duties.h"
#include "cluster/controller/decision.h"
#include "cluster/metadata/publisher.h"
#include "cluster/quorum/metadata_log.h"
#include "protocol/messages/assign_replicas_to_dirs.h"
#include "protocol/messages/broker_registration.h"

/* What the owner is told; never inside a call of this module. */
struct controller_events {
    /*
     * Every shard shows committed metadata; on a node that is alone with its own registration,
     * unfenced. Called once.
     */
    void (*ready)(void *owner);
    /* Cannot start, or cannot go on; the text says why. */
    void (*failed)(void *owner, const char *text);
    /*
     * Another controller is active, or its address is known now, or this one became active or
     * ceased to be; may be NULL.
     */
    void (*leader_changed)(void *owner);
    void (*closed)(void *owner, bool clean);
};

struct controller_options {
    struct loop *loop;           /* the control loop */
    struct publisher *publisher; /* fresh: shows the image of an empty log */
    const struct server_config *config;
    const char *log_directory; /* that holds the metadata log */
    struct uuid directory_id;  /* of that directory */
    struct view cluster_id;    /* borrowed for good */
    struct view host_name;     /* for a listener on every interface; borrowed for good;
                                  null: localhost */
    bool may_format;
    /*
     * The node as a broker, without features (they are filled in here); borrowed until `ready`.
     * NULL for a node that is only a controller.
     */
    const struct broker_registration_request *registration;
    const struct controller_events *events;
    void *owner;
};

/* Somebody who waits for a write; embedded. */
struct controller_wait {
    void (*done)(struct controller_wait *wait, enum kafka_error error);
    /* Private. */
    struct publisher_waiter shown;
    struct list link; /* controller.waits, or controller.refused */
    struct controller *controller;
    enum kafka_error error;
};

struct controller {
    struct controller_options options;
    struct loop *loop;
    struct metadata_log log;
    const struct image *head; /* referenced; NULL before activation */
    struct list pending;      /* appended and not committed, oldest first */
    struct list waits;
    struct list refused; /* to be told in the deferred phase */
    struct deferred tell;
    struct deferred end; /* closes the log that failed while closing waited for it */
    struct batch_builder builder;
    struct random_stream random;
    struct controller_duties duties;
    bool is_active;
    bool is_ready;
    bool has_failed;
    bool is_closing;
    bool has_awaited_ready;
    struct uuid incarnation;
    int64_t broker_epoch; /* of the own registration, -1 before */
    struct controller_wait ready_wait;
    char host[256]; /* of the voter's endpoint */
    struct view bootstrap[8];
    struct arena bootstrap_arena;
};

/* Begins; `ready` or `failed` follows. `controller` must stay where it is. */
void controller_start(struct controller *controller, const struct controller_options *options);
/* Ends in order: what was appended is committed first (or has failed). `closed` follows. */
void controller_close(struct controller *controller);

/* Starts a decision on the head; `arena` holds records and response. False: not active. */
bool controller_decide(struct controller *controller, struct decision *decision,
                       struct arena *arena);
/*
 * Appends the decision's records as one batch and tells `wait` when every shard shows the image
 * with them; without records, when every shard shows what the decision has seen. Errors:
 * NOT_CONTROLLER, KAFKA_STORAGE_ERROR (device full), UNKNOWN_SERVER_ERROR.
 */
void controller_commit(struct controller *controller, const struct decision *decision,
                       struct controller_wait *wait);
/* The same where nobody waits for the outcome: NONE when the records were appended. */
enum kafka_error controller_append(struct controller *controller, const struct decision *decision);
/*
 * Log directories of this node failed: tells the cluster as a heartbeat does, so that nobody is
 * sent to the partitions in them. Harmless when it was said before, or when the controller is not
 * active.
 */
void controller_report_directories(struct controller *controller, const struct uuid *failed,
                                   size_t count);
/*
 * Where replicas of this node lie: what AssignReplicasToDirs does, for a node that has nobody else
 * to ask. The response may be there before it is committed.
 */
void controller_assign_directories(struct controller *controller,
                                   const struct assign_replicas_to_dirs_request *request,
                                   struct arena *arena,
                                   struct assign_replicas_to_dirs_response *response);
/* The offset up to which metadata is committed (exclusive); for DescribeQuorum. */
static inline int64_t controller_high_watermark(const struct controller *controller)
{
    return controller->log.quorum.high_watermark;
}

#endif
