/*
 * What ConsumerGroupHeartbeat checks before it looks at a group (KIP-848).
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_HEARTBEAT_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_HEARTBEAT_H

#include "config/server_config.h"
#include "protocol/errors.h"
#include "protocol/messages/consumer_group_heartbeat.h"

/*
 * INVALID_REQUEST or UNSUPPORTED_ASSIGNOR, with a sentence for the client in *message; NONE when
 * the request can be carried out.
 */
enum kafka_error consumer_heartbeat_validate(const struct consumer_group_heartbeat_request *request,
                                             int16_t version,
                                             const struct broker_settings *settings,
                                             const char **message);

#endif
