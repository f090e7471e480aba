/* DeleteTopics (20): by name or by id. */
#ifndef KLAMM_CLUSTER_CONTROLLER_DELETE_TOPICS_H
#define KLAMM_CLUSTER_CONTROLLER_DELETE_TOPICS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/delete_topics.h"

/*
 * One result per entry, in its order; a topic that is named twice has one. Errors:
 * UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_REQUEST (named twice, by name and id at
 * once, or by neither), TOPIC_DELETION_DISABLED (before version 3 INVALID_REQUEST).
 */
void decide_delete_topics(struct decision *decision, const struct delete_topics_request *request,
                          int16_t version, struct delete_topics_response *response);

#endif
