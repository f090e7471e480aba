/*
 * This node as a controller of its cluster: registered with the active one (ControllerRegistration,
 * KIP-919), which checks features against all controllers and tells clients where each listens.
 *
 * Whenever the metadata of this node shows that another process or nobody is registered as this
 * controller, the active one is asked; pauses between requests grow and are never reset, so that
 * two processes with one node id do not fill the log with their quarrel. A controller that becomes
 * the active one registers itself first of all (controller.c), so nothing is asked at once.
 * Control loop only.
 *
 * Invariants:
 *  1. At most one request is under way.
 *  2. Nothing is asked while the cluster's metadata.version has no such records.
 */
#ifndef KLAMM_CLUSTER_ENROLMENT_H
#define KLAMM_CLUSTER_ENROLMENT_H

#include "cluster/controller/features.h"
#include "cluster/controller_channel.h"
#include "cluster/metadata/publisher.h"
#include "protocol/messages/controller_registration.h"

struct enrolment_options {
    struct loop *loop;
    struct controller_channel *channel; /* used for nothing else */
    struct publisher *publisher;
    int32_t controller_id;
    struct uuid incarnation;
    /* Where this controller listens; borrowed for good. */
    struct view listener;
    struct view host;
    uint16_t port;
};

struct enrolment {
    struct enrolment_options options;
    struct publisher_waiter next; /* the version behind the newest */
    struct controller_call call;
    struct controller_registration_request request;
    struct controller_registration_request_listener listener;
    struct controller_registration_request_feature features[CONTROLLER_FEATURE_COUNT];
    struct timer pause; /* nothing is asked while it is set */
    uint64_t pause_ns;  /* the last one; 0: there was none */
    bool is_started;
    bool is_asking;
    bool was_enrolled;  /* the metadata has shown the registration of this process */
    int16_t last_error; /* each kind is logged once */
};

/* `enrolment` stays where it is until enrolment_stop. */
void enrolment_start(struct enrolment *enrolment, const struct enrolment_options *options);
/*
 * Fine when it was never started. The channel is closed before; a request that runs on this node
 * itself is still answered.
 */
void enrolment_stop(struct enrolment *enrolment);

#endif
