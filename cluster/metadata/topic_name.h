/* What a topic may be called. */
#ifndef KLAMM_CLUSTER_METADATA_TOPIC_NAME_H
#define KLAMM_CLUSTER_METADATA_TOPIC_NAME_H

#include "base/bytes.h"

enum { TOPIC_NAME_SIZE_MAX = 249 };

/*
 * What is wrong with a name, or NULL: 1 to 249 bytes of ASCII letters, digits, '.', '_' and '-',
 * and neither "." nor "..". The answer to the client is INVALID_TOPIC_EXCEPTION.
 */
const char *topic_name_fault(struct view name);

#endif
