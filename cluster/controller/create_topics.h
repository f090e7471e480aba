/* CreateTopics (19): new topics with their partitions and settings. */
#ifndef KLAMM_CLUSTER_CONTROLLER_CREATE_TOPICS_H
#define KLAMM_CLUSTER_CONTROLLER_CREATE_TOPICS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/create_topics.h"

enum { CREATE_PARTITIONS_MAX = 10000 }; /* of one request, as in Kafka */

/*
 * One result per name of the request, in its order. Errors: TOPIC_ALREADY_EXISTS,
 * INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR,
 * INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG, INVALID_REQUEST (named twice; counts beside an
 * assignment; the metadata topic), POLICY_VIOLATION (too many
 * partitions; then for all).
 */
void decide_create_topics(struct decision *decision, const struct create_topics_request *request,
                          struct create_topics_response *response);

#endif
