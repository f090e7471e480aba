/*
 * klammd --format: prepares the log directories of a node for its first start, as Kafka's storage
 * tool does, before any loop runs. A node that is its cluster's only voter, or no voter, does not
 * need it; a voter among others does, because an empty disk that joins a vote may forget one that
 * was given.
 *
 * Invariant: a directory that has meta.properties or a metadata log is never touched.
 */
#ifndef KLAMM_BROKER_FORMAT_H
#define KLAMM_BROKER_FORMAT_H

#include "base/memory.h"
#include "config/server_config.h"
#include "runtime/storage.h"

/* The voters that a dynamic quorum begins with. */
enum format_voters {
    FORMAT_VOTERS_BY_CONFIG, /* this node where it is alone, those of controller.quorum.voters */
    FORMAT_VOTERS_SELF,      /* --standalone */
    FORMAT_VOTERS_LIST,      /* --initial-controllers */
    FORMAT_VOTERS_NONE       /* --no-initial-controllers: joins a quorum that there is */
};

enum { FORMAT_FEATURES_MAX = 8 };

struct format_request {
    const struct server_config *config;
    const char *host_name;  /* of the machine: for a listener on every interface */
    struct view cluster_id; /* null: a fresh one */
    enum format_voters voters;
    struct view voter_list;                    /* id@host:port:directory-id, ... */
    struct view features[FORMAT_FEATURES_MAX]; /* name=level: other than a new cluster gets */
    size_t feature_count;
    bool ignore_formatted; /* formats the directories that are not formatted yet */
    /* How it reaches the machine: everything blocks. */
    struct storage storage;
    struct heap *heap;
    int64_t wall_ms;
    void (*entropy)(void *data, size_t size);
    /* One line about what was done, without its end. */
    void (*say)(const char *line);
};

enum format_status {
    FORMAT_DONE,
    FORMAT_BAD_USAGE, /* arguments and configuration do not go together */
    FORMAT_FAILED     /* a directory is in the way, or cannot be written */
};

/* Anything but FORMAT_DONE comes with one line in `message`. */
enum format_status format_node(const struct format_request *request, char *message,
                               size_t capacity);

#endif
