/* IncrementalAlterConfigs (44) and AlterConfigs (33): settings of topics, brokers, groups, metrics.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_ALTER_CONFIGS_H
#define KLAMM_CLUSTER_CONTROLLER_ALTER_CONFIGS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/alter_configs.h"
#include "protocol/messages/incremental_alter_configs.h"

/*
 * One result per resource. Errors beside those of config/alter.h: UNKNOWN_TOPIC_OR_PARTITION,
 * INVALID_REQUEST (a resource or a key twice, a type that has no settings, an unknown broker id).
 */
void decide_incremental_alter_configs(struct decision *decision,
                                      const struct incremental_alter_configs_request *request,
                                      struct incremental_alter_configs_response *response);
/* The old form: what is named becomes the whole set of the resource. */
void decide_alter_configs(struct decision *decision, const struct alter_configs_request *request,
                          struct alter_configs_response *response);

#endif
