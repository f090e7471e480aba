/*
 * Creating topics on first use: the part of a request that asks the controller, here or, by a
 * CreateTopics of this node's own, at another node.
 *
 * Partition count and replication factor are the cluster's defaults, for the cluster's own topics
 * what is configured for them (internal_topics.h). Whether the creation worked is not reported: the
 * request looks the names up again, in an image that every shard shows. That an internal topic
 * cannot be created is said in the log, because no client is told why.
 */
#ifndef KLAMM_BROKER_AUTO_CREATE_H
#define KLAMM_BROKER_AUTO_CREATE_H

#include "broker/request.h"
#include "cluster/controller/controller.h"
#include "cluster/controller_channel.h"
#include "protocol/messages/create_topics.h"

struct auto_create {
    struct part part;
    struct view *names;
    size_t count;
    /* The control loop's. */
    struct loop *at;
    struct create_topics_request message;
    struct decision decision; /* made on this node, or only the memory of the message */
    struct controller_wait wait;
    /* When another node decides. */
    struct controller_call call;
    struct publisher_waiter shown;
    struct timer patience; /* for the image with the topics */
};

/* The row's `part`, on the control loop. */
void auto_create_run(struct part *part, struct loop *at);

#endif
