/*
 * What every decision of the controller gets, and gives.
 *
 * A decision is a pure function: it reads the newest image and the request, fills a response, and
 * appends records. It changes nothing. The caller (controller_commit) appends the records as one
 * batch, and lets the response go when they are committed and shown.
 *
 * Invariants:
 *  1. Equal image, request, settings, random state and offsets give equal records and response; of
 *     the quorum only whether kraft.version can be raised is asked.
 *  2. Whatever is refused leaves no record behind; a response may therefore carry errors for some
 *     items and records for others.
 *  3. Records and response lie in `arena`, or borrow from the request and the image; the image must
 *     live until the response is encoded.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_DECISION_H
#define KLAMM_CLUSTER_CONTROLLER_DECISION_H

#include "base/random.h"
#include "cluster/metadata/image.h"
#include "cluster/metadata/records.h"
#include "config/server_config.h"
#include "protocol/errors.h"
#include "runtime/test_points.h"

struct metadata_log;

struct decision {
    const struct image *image;
    const struct server_config *config;
    struct random_stream *random;
    struct arena *arena;
    struct metadata_records records;
    int64_t next_offset; /* of the first record, if there is any */
    int16_t version;     /* of the request, where its meaning depends on it */
    bool failed;         /* memory ran out: nothing may be committed */
    /* Where kraft.version can be raised (kraft_upgrade.h); NULL: nowhere. Read only. */
    const struct metadata_log *log;
    bool raises_kraft_version;      /* to 1, before the records */
    struct test_points test_points; /* of the loop (runtime/test_point.h) */
};

void decision_init(struct decision *decision, const struct image *image,
                   const struct server_config *config, struct random_stream *random,
                   struct arena *arena, int64_t next_offset);

/* Appends a record in the version for the finalized metadata.version. */
void decision_add(struct decision *decision, enum metadata_record_type type, const void *message);
/* Zeroed memory; never NULL (memory that is refused ends the node: requests were admitted). */
void *decision_get(struct decision *decision, size_t count, size_t size);
/* Formatted text in the arena. */
struct view decision_text(struct decision *decision, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A fresh random id whose text does not begin with '-'. */
struct uuid decision_new_id(struct decision *decision);
/* The stored settings of a resource as a set; empty when there are none. */
struct config_set decision_config_set(struct decision *decision, enum config_resource_type type,
                                      struct view name);
/* The broker layers that stand behind topic settings; `sets` must live as long as the layers. */
struct decision_layers {
    struct config_set broker;
    struct config_set cluster;
    struct config_layers layers;
};
void decision_fill_layers(struct decision *decision, struct decision_layers *layers);
/* min.insync.replicas of a topic: its own, the cluster's, or the file's. */
int32_t decision_min_isr(struct decision *decision, struct view topic);
/* unclean.leader.election.enable of a topic: its own, this node's, the cluster's, or the file's. */
bool decision_is_unclean_allowed(struct decision *decision, struct view topic);

#endif
