/*
 * meta.properties of a log directory: which cluster, node and directory it belongs to.
 *
 * Version 1 has node.id, version 0 broker.id; version 0 may lack every id. Written in version 1.
 */
#ifndef KLAMM_LOG_META_PROPERTIES_H
#define KLAMM_LOG_META_PROPERTIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/uuid.h"

#define META_PROPERTIES_FILE_NAME "meta.properties"

enum { META_CLUSTER_ID_MAX = 255, META_PROPERTIES_SIZE_MAX = 2048 };

struct meta_properties {
    int32_t version;
    int32_t node_id;                          /* -1: not given */
    char cluster_id[META_CLUSTER_ID_MAX + 1]; /* empty: not given */
    struct uuid directory_id;                 /* zero: not given */
};

/* Reads the text; `scratch` for parsing. false, and *problem a text without newline, when it is
 * invalid. */
bool meta_properties_decode(struct view text, struct arena *scratch, struct meta_properties *meta,
                            const char **problem);
/* Writes version 1; returns the size, at most META_PROPERTIES_SIZE_MAX. Needs all fields. */
size_t meta_properties_encode(const struct meta_properties *meta, char *text, size_t capacity);

#endif
