/*
 * Finding places in one segment from its files: plain data in, a position out; on a loop from
 * memory, inside a job blocking.
 */
#ifndef KLAMM_LOG_LOG_SEARCH_H
#define KLAMM_LOG_LOG_SEARCH_H

#include "log/partition_log.h"
#include "log/segment.h"
#include "runtime/storage.h"

struct log_search {
    struct storage storage;
    bool blocking;
    struct storage_file *log;
    struct storage_file *index; /* may be NULL when stored_count is 0 */
    int64_t base_offset;
    uint32_t size;           /* bytes of the log that may be looked at */
    uint32_t stored_count;   /* entries to search in the index file */
    uint32_t floor_position; /* a batch boundary known to lie before what is searched */
};

/* The offset relative to the segment, within what an index can say. */
static inline uint32_t log_search_relative(const struct log_search *search, int64_t offset)
{
    int64_t relative = offset - search->base_offset;
    return relative < 0 ? 0 : relative > INT32_MAX ? INT32_MAX : (uint32_t)relative;
}

/* Where the first batch begins whose last offset is >= `offset`; the size when there is none. */
enum log_read_status log_search_position(const struct log_search *search, int64_t offset,
                                         uint32_t *position);
/*
 * The last batch boundary at or below `limit` and `end`, from the boundary `position` on. When not
 * even the first batch fits: behind it with `min_one`, else `position`. *next_offset is the offset
 * behind the boundary.
 */
enum log_read_status log_search_limit(const struct log_search *search, uint32_t position,
                                      uint32_t limit, uint32_t end, bool min_one, uint32_t *reached,
                                      int64_t *next_offset);

#endif
