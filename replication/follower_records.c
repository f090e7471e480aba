/* One pass over the batches; the first that is not good ends it. */
#include "replication/follower_records.h"

#include "base/assert.h"

const char *follower_records_text(enum follower_records_result result)
{
    switch (result) {
    case FOLLOWER_RECORDS_OK:
        return "fetched records, offset";
    case FOLLOWER_RECORDS_NONE:
        return "fetched no whole batch, offset";
    case FOLLOWER_RECORDS_FORMAT:
        return "fetched what is no record batch of format 2, offset";
    case FOLLOWER_RECORDS_CORRUPT:
        return "fetched a batch with a wrong checksum, offset";
    case FOLLOWER_RECORDS_ORDER:
        return "fetched a batch that does not follow its log, offset";
    case FOLLOWER_RECORDS_EPOCH:
        return "fetched a batch of an epoch that cannot be, offset";
    }
    klamm_unreachable("records result");
}

/* Where the next batch may begin, and from which epoch it may be. */
struct place {
    int64_t next_offset;
    int32_t epoch;
    bool may_begin_earlier;
};

static bool is_in_order(const uint8_t *batch, const struct place *place)
{
    int64_t base_offset = batch_base_offset(batch);
    int32_t delta = batch_last_offset_delta(batch);
    if (base_offset < 0 || delta < 0 || base_offset > INT64_MAX - INT32_MAX - 1)
        return false;
    if (base_offset >= place->next_offset)
        return true;
    return place->may_begin_earlier && base_offset + delta >= place->next_offset;
}

static enum follower_records_result check_batch(struct view batch, const struct place *place,
                                                int32_t leader_epoch)
{
    if (!is_in_order(batch.data, place))
        return FOLLOWER_RECORDS_ORDER;
    int32_t epoch = batch_leader_epoch(batch.data);
    if (epoch < place->epoch || epoch > leader_epoch)
        return FOLLOWER_RECORDS_EPOCH;
    return batch_crc_is_valid(batch) ? FOLLOWER_RECORDS_OK : FOLLOWER_RECORDS_CORRUPT;
}

enum follower_records_result follower_records_check(struct view field,
                                                    const struct follower_records_bounds *bounds,
                                                    struct follower_records *found)
{
    struct place place = {bounds->next_offset, bounds->last_epoch, bounds->may_begin_earlier};
    struct view rest = field;
    struct view batch;
    enum batch_parse_result parsed;
    enum follower_records_result result = FOLLOWER_RECORDS_OK;
    *found =
        (struct follower_records){.batches = view_of(field.data, 0), .offset = bounds->next_offset};
    while ((parsed = batch_next(&rest, &batch)) == BATCH_OK) {
        result = check_batch(batch, &place, bounds->leader_epoch);
        if (result != FOLLOWER_RECORDS_OK)
            break;
        int64_t last_offset = batch_last_offset(batch.data);
        if (found->batches.size == 0)
            found->first_offset = batch_base_offset(batch.data);
        else if (last_offset - found->first_offset > INT32_MAX)
            break; /* one append, one segment: the rest comes with the next answer */
        found->batches.size += batch.size;
        place = (struct place){last_offset + 1, batch_leader_epoch(batch.data), false};
    }
    if (found->batches.size > 0)
        return FOLLOWER_RECORDS_OK;
    if (result != FOLLOWER_RECORDS_OK)
        return result;
    return parsed == BATCH_NEED_MORE ? FOLLOWER_RECORDS_NONE : FOLLOWER_RECORDS_FORMAT;
}
