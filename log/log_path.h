/*
 * Paths of files below a log directory, built in place without allocating.
 *
 * Invariant: `text` is always terminated by NUL and never holds a cut path; what does not fit is
 * refused.
 */
#ifndef KLAMM_LOG_LOG_PATH_H
#define KLAMM_LOG_LOG_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    LOG_PATH_SIZE = 1024,   /* bytes with the NUL */
    LOG_FILE_NAME_MAX = 255 /* bytes of one name, without the NUL (NAME_MAX everywhere) */
};

struct log_path {
    char text[LOG_PATH_SIZE];
};

/* `directory` itself; false, and empty text, when it does not fit. */
bool log_path_set(struct log_path *path, const char *directory);
/* "<directory>/<name>"; false, and empty text, when it does not fit. */
bool log_path_join(struct log_path *path, const char *directory, const char *name);
/* "<directory>/<offset as 20 digits><suffix>": segment files and snapshots. offset >= 0. */
bool log_path_of_offset(struct log_path *path, const char *directory, int64_t offset,
                        const char *suffix);
/*
 * Reads a name of exactly 20 digits followed by `suffix`; false when it is anything else or does
 * not fit into 63 bits.
 */
bool log_path_parse_offset(const char *name, const char *suffix, int64_t *offset);

#endif
