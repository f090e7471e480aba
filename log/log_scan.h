/*
 * Reading a log file batch by batch, in bounded pieces, inside a job.
 *
 * Invariant: `position` is always the start of a batch, or the end.
 */
#ifndef KLAMM_LOG_LOG_SCAN_H
#define KLAMM_LOG_LOG_SCAN_H

#include "base/bytes.h"
#include "base/memory.h"
#include "runtime/storage.h"

enum { LOG_SCAN_PIECE = 1024 * 1024 }; /* bytes of one read */

struct log_scan {
    struct heap *heap;
    struct storage_file *file; /* NULL: not open */
    uint64_t size;             /* bytes of the file that are looked at */
    uint64_t position;         /* of the next batch */
    uint8_t *buffer;
    size_t capacity;
    size_t used;   /* bytes in the buffer */
    size_t passed; /* of these, before `position` */
    /*
     * Set by the caller at any time: records are not looked at. A batch may then be given by its
     * header alone (a view of BATCH_HEADER_SIZE bytes); control batches are always whole.
     */
    bool skims;
    unsigned skim_reads_left; /* of the piece at work */
    size_t last_size;         /* bytes of the batch before */
};

enum log_scan_result {
    LOG_SCAN_BATCH, /* *batch is the next one, borrowed until the next call */
    LOG_SCAN_PAUSE, /* the piece is used up: call again in the next step */
    LOG_SCAN_END,   /* nothing is left */
    LOG_SCAN_BAD,   /* what is at `position` is no whole batch of magic 2 */
    LOG_SCAN_FAILED /* the device failed */
};

/* Opens for reading and writing; `size` limits what is looked at (UINT64_MAX: all). */
enum storage_status log_scan_open(struct log_scan *scan, struct storage storage, struct heap *heap,
                                  const char *path, uint64_t position, uint64_t size);
/* Whether the next call reads: *budget counts the pieces that this step may still read. */
enum log_scan_result log_scan_next(struct log_scan *scan, struct storage storage, unsigned *budget,
                                   struct view *batch);
/* Closes the file; the buffer stays for the next one. */
void log_scan_close(struct log_scan *scan, struct storage storage);
/* Gives the buffer back; the file must be closed. */
void log_scan_deinit(struct log_scan *scan);

#endif
