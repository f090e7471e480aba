/*
 * The table of APIs: keys, names, versions, listeners. Its rows are generated from the schemas.
 *
 * Invariants:
 *  1. version_min <= version_max, and every version between is stable and can be decoded and
 * encoded.
 *  2. The advertised range contains the served one and differs from it only for Produce, which
 *     tells clients 0 as its minimum although 3 is the first one served (old librdkafka would turn
 *     off features otherwise).
 */
#ifndef KLAMM_PROTOCOL_API_INFO_H
#define KLAMM_PROTOCOL_API_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/api_keys.h"

struct api_info {
    int16_t key;
    const char *name; /* Kafka's, such as "ListOffsets" */
    int16_t version_min;
    int16_t version_max;
    int16_t advertised_min;
    int16_t advertised_max;
    int16_t flexible_since; /* INT16_MAX: never */
    bool is_broker_listener;
    bool is_controller_listener;
};

/* The row of an API, or NULL when there is none with this key. */
const struct api_info *api_info_find(int16_t key);
/* All rows in order of their keys. */
const struct api_info *api_info_at(size_t index);
size_t api_info_count(void);
/* The API's name, or "unknown". */
const char *api_info_name(int16_t key);

/* Whether requests of this version can be decoded. */
bool api_info_is_served(const struct api_info *info, int16_t version);
/* The version of request_header and of response_header that goes with a version of the API. */
int16_t api_info_request_header_version(const struct api_info *info, int16_t version);
int16_t api_info_response_header_version(const struct api_info *info, int16_t version);

#endif
