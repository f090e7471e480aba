/*
 * Names of partition directories: "<topic>-<partition>" and, with a 32 digit unique id, the ones on
 * their way out or in: "<topic>-<partition>.<id>-delete", "-stray", "-future".
 *
 * Invariants:
 *  1. The partition is what follows the last '-', the topic all before it (with '-' and '.').
 *  2. Delete and stray names are at most 255 bytes, by cutting the topic; future names must not be
 *     cut, because they become plain names again.
 */
#ifndef KLAMM_LOG_DIRECTORY_NAME_H
#define KLAMM_LOG_DIRECTORY_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/uuid.h"
#include "log/log_path.h"

enum directory_kind {
    DIRECTORY_PLAIN,
    DIRECTORY_DELETE, /* contents to be removed */
    DIRECTORY_STRAY,  /* not ours any more, kept aside */
    DIRECTORY_FUTURE, /* a copy being built in another log directory */
};

struct directory_name {
    struct view topic; /* borrows from the parsed text */
    int32_t partition;
    enum directory_kind kind;
};

/* "__cluster_metadata-0" belongs to the quorum; the log layer does not load it. */
#define DIRECTORY_METADATA_TOPIC "__cluster_metadata"

/* false when the name is none of a partition directory. */
bool directory_name_parse(const char *name, struct directory_name *parsed);
/* A name into `text`; `id` is used by all kinds but PLAIN. false when it does not fit. */
bool directory_name_format(char text[LOG_FILE_NAME_MAX + 1], struct view topic, int32_t partition,
                           enum directory_kind kind, struct uuid id);

#endif
