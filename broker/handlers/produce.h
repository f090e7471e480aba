/*
 * A Produce under way: what the connection's loop (produce.c) and the owning loops (produce_part.c)
 * share.
 *
 * Every partition of the request is an item; the items of one shard are one part. The part goes
 * home with its last item, so the frame, in which the batches lie, is in use until then.
 */
#ifndef KLAMM_BROKER_HANDLERS_PRODUCE_H
#define KLAMM_BROKER_HANDLERS_PRODUCE_H

#include "base/buffer.h"
#include "broker/request.h"
#include "broker/verifications.h"
#include "protocol/record_validation.h"
#include "replication/replica.h"

struct produce_part;
struct produce_validation;

struct produce_item {
    struct replica_append append;
    struct produce_part *part; /* NULL: refused at home */
    struct produce_item *next; /* of the same part */
    struct uuid topic_id;
    int32_t partition;
    uint8_t *records; /* in the frame; NULL when there are none */
    size_t records_size;
    struct buffer replacement; /* a rebuilt batch, until it is written */
    struct replica_turn turn;
    struct verification_wait verification; /* of the first batch of a transaction */
    struct produce_validation *validation; /* a job's; NULL: validated on the loop */
    enum kafka_error error;
    const char *message;
    struct record_error *record_errors; /* in the part's arena */
    int32_t record_error_count;
    int64_t base_offset;
    int64_t append_time_ms;
    int64_t log_start_offset;
};

struct produce_part {
    struct part part;
    struct produce_item *first;
    struct produce_item **last;
    unsigned waiting; /* items that are not finished, and one while the part begins */
    int16_t acks;
    int16_t version;
    struct view transactional_id; /* null: none */
    struct loop *at;
};

/* The row's `part`. */
void produce_part_run(struct part *base, struct loop *at);

#endif
