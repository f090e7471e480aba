/*
 * Exact reads of one file, on a loop (from memory only) or inside a job (blocking): the searches in
 * indexes and segments are written once for both.
 */
#ifndef KLAMM_LOG_FILE_READER_H
#define KLAMM_LOG_FILE_READER_H

#include <stdbool.h>

#include "runtime/storage.h"

struct file_reader {
    struct storage storage;
    struct storage_file *file;
    bool blocking; /* inside a job */
};

/*
 * All `size` bytes at `offset`. STORAGE_NOT_RESIDENT: only on a loop, a job can read them.
 * STORAGE_IO: the device failed or the file is shorter than that.
 */
enum storage_status file_reader_read(const struct file_reader *reader, uint64_t offset, void *data,
                                     size_t size);

#endif
