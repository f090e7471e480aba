/*
 * An open file of the posix storage, and the blocking form of every request.
 *
 * Invariants:
 *  1. `size` is what appends, writes and truncates of this process made it; the one loop or job
 * that writes changes it, others may read it.
 *  2. `poisoned` is never taken back.
 */
#ifndef KLAMM_RUNTIME_POSIX_FILE_H
#define KLAMM_RUNTIME_POSIX_FILE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "runtime/storage.h"

struct storage_file {
    int descriptor;
    atomic_bool poisoned;
    _Atomic uint64_t size; /* bytes */
    uint64_t device;
    atomic_bool waits; /* the file system knows no reads without waiting */
};

/* The status of an errno; unknown ones are STORAGE_IO. */
enum storage_status file_status_of(int error);
/* Runs a request to its end on the calling thread and sets its status. */
void file_run(struct storage_request *request);
enum storage_status file_append(struct storage_file *file, const struct storage_buffer *buffers,
                                size_t buffer_count);
/*
 * Whether a range is in memory, so that reading it does not wait for the device. A guess in the
 * cheap direction: where the kernel cannot count pages some of them stand for their neighbours, and
 * where it cannot tell at all the answer is yes.
 */
bool file_is_resident(struct storage_file *file, uint64_t offset, size_t size);
/* Sends what was written there to the device, without waiting for it; promises nothing. */
void file_start_writing(struct storage_file *file, uint64_t offset, uint64_t size);
/* Blocking: reads the range of a descriptor into nothing, so that it is in memory afterwards. */
void file_warm(int descriptor, uint64_t offset, uint64_t size);
enum storage_status file_read_now(struct storage_file *file, uint64_t offset, void *data,
                                  size_t size);

#endif
