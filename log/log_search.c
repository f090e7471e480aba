/* An index lookup gives a boundary shortly before the place; headers are walked from there. */
#include "log/log_search.h"

static enum log_read_status read_status(enum storage_status status)
{
    if (status == STORAGE_OK)
        return LOG_READ_OK;
    return status == STORAGE_NOT_RESIDENT ? LOG_READ_NEEDS_IO : LOG_READ_FAILED;
}

enum log_read_status log_search_position(const struct log_search *search, int64_t offset,
                                         uint32_t *position)
{
    struct file_reader log = {search->storage, search->log, search->blocking};
    struct file_reader index = {search->storage, search->index, search->blocking};
    struct offset_entry entry;
    bool found = false;
    uint32_t from = search->floor_position;
    if (search->stored_count > 0) {
        enum storage_status status = offset_index_floor_in_file(
            &index, search->stored_count, log_search_relative(search, offset), &found, &entry);
        if (status != STORAGE_OK)
            return read_status(status);
        if (found && entry.position > from)
            from = entry.position;
    }
    if (from >= search->size)
        return LOG_READ_FAILED;
    struct segment_place place;
    enum log_read_status status =
        segment_walk_to_offset(&log, from, search->size, offset, &found, &place);
    if (status == LOG_READ_OK)
        *position = found ? place.position : search->size;
    return status;
}

enum log_read_status log_search_limit(const struct log_search *search, uint32_t position,
                                      uint32_t limit, uint32_t end, bool min_one, uint32_t *reached,
                                      int64_t *next_offset)
{
    struct file_reader log = {search->storage, search->log, search->blocking};
    struct file_reader index = {search->storage, search->index, search->blocking};
    uint32_t from = search->floor_position > position ? search->floor_position : position;
    uint32_t bound = limit < end && limit >= position ? limit : end;
    struct segment_place first;
    enum log_read_status status = segment_batch_at(&log, position, end, &first);
    if (status != LOG_READ_OK)
        return status;
    if (first.size >= bound - position) {
        bool fits = first.size == bound - position || min_one;
        *reached = fits ? position + first.size : position;
        *next_offset = fits ? first.last_offset + 1 : -1;
        return LOG_READ_OK;
    }
    if (search->stored_count > 0) {
        bool found;
        struct offset_entry entry;
        enum storage_status found_status = offset_index_floor_position_in_file(
            &index, search->stored_count, bound, &found, &entry);
        if (found_status != STORAGE_OK)
            return read_status(found_status);
        if (found && entry.position > from)
            from = entry.position;
    }
    status = segment_walk_to_limit(&log, from, bound, reached, next_offset);
    if (status != LOG_READ_OK || *next_offset >= 0)
        return status;
    /* The index entry is a boundary itself, but the batch there is larger than what is left: the
     * batch before it tells the offset. */
    from = position;
    return segment_walk_to_limit(&log, from, *reached, reached, next_offset);
}
