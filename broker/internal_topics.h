/* How the cluster's own topics are made when they are needed first. */
#ifndef KLAMM_BROKER_INTERNAL_TOPICS_H
#define KLAMM_BROKER_INTERNAL_TOPICS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/create_topics.h"

/*
 * Fills what CreateTopics would have to say for the internal topic `name`, __consumer_offsets or
 * __transaction_state: partitions, settings and replication factor as configured. What
 * the user did not size gets as many replicas as there are brokers, at most three.
 */
void internal_topic_fill(struct decision *decision, struct view name,
                         struct create_topics_request_creatable_topic *topic);

#endif
