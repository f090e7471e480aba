/*
 * What a leader checks in a batch before it appends it, and what it must change in it: checks 14 to
 * 22 of Kafka's produce path, in Kafka's order (LogValidator and UnifiedLog of Kafka 4.2).
 *
 * Kafka decodes every batch. Here records are looked at only when the header cannot decide: a
 * compacted topic needs keys, a time limit may be broken, another codec is asked for, or the caller
 * wants every record checked. A header that is taken on trust is still bounded: its record count
 * cannot be more than its bytes could unfold to.
 *
 * Known differences from Kafka: an uncompressed batch whose offset deltas are not 0, 1, 2, ... is
 * rebuilt (Kafka stores it); a codec that fails, or is unknown, gives INVALID_RECORD (Kafka answers
 * UNKNOWN_SERVER_ERROR); part of a second batch behind the first is refused (Kafka drops it); at
 * most RECORD_ERRORS_MAX records are named.
 *
 * Invariants:
 *  1. Pure and re-entrant: reads the batch, writes only into `result` and `output`, keeps nothing.
 *  2. On an error nothing is to be appended, and `output` is as it was.
 *  3. A replacement is a valid batch with base offset 0, at most batch_size_max bytes.
 */
#ifndef KLAMM_PROTOCOL_RECORD_VALIDATION_H
#define KLAMM_PROTOCOL_RECORD_VALIDATION_H

#include "protocol/batch.h"
#include "protocol/compression.h"
#include "protocol/errors.h"

/* Records named in one answer: enough to find the fault, and no larger answer than request. */
enum { RECORD_ERRORS_MAX = 100 };

struct record_rules {
    bool from_client;             /* else a coordinator: offset 0, counts and sequences not asked */
    bool compacted;               /* every record needs a key */
    bool append_time;             /* message.timestamp.type=LogAppendTime */
    bool every_record;            /* decode even where the header could decide */
    bool convert;                 /* compression.type other than `producer`: to codec and level */
    enum compression_codec codec; /* with convert */
    int level;                    /* with convert */
    int64_t now_ms;               /* append time, and what the limits count from */
    int64_t before_max_ms;        /* message.timestamp.before.max.ms */
    int64_t after_max_ms;         /* message.timestamp.after.max.ms */
    size_t batch_size_max;        /* max.message.bytes */
    size_t segment_size_max;      /* segment.bytes */
    size_t decompressed_size_max; /* bytes that the records may unfold to */
};

enum record_action {
    RECORD_ACTION_KEEP,   /* append the bytes as they are */
    RECORD_ACTION_STAMP,  /* write the timestamp first: record_validation_stamp */
    RECORD_ACTION_REPLACE /* append `replacement` instead */
};

struct record_error {
    int32_t index; /* of the record in its batch */
    const char *message;
};

struct record_validation {
    enum kafka_error error;
    const char *message; /* a constant sentence, or NULL */
    enum record_action action;
    bool append_time;                              /* STAMP: set append time, else create time */
    int64_t max_timestamp_ms;                      /* of the batch as it is to be appended */
    struct view replacement;                       /* in `output`; good until that grows */
    int32_t error_count;                           /* records named in `errors` */
    struct record_error errors[RECORD_ERRORS_MAX]; /* [error_count] are set */
};

/*
 * Checks the records field of one partition of a request: exactly one batch, nothing behind it.
 * `scratch` serves decoding; a replacement is appended to `output`. Returns result->error.
 */
enum kafka_error record_validate(struct view records, const struct record_rules *rules,
                                 struct heap *scratch, struct buffer *output,
                                 struct record_validation *result);
/* Carries out RECORD_ACTION_STAMP on the bytes that were validated. */
void record_validation_stamp(const struct record_validation *result, uint8_t *batch, size_t size);
/*
 * Bytes of decoding and encoding that record_validate would do, by the header: 0 when it decides,
 * else the batch's size. The caller makes a job of it above its limit. At least 61 bytes of batch.
 */
size_t record_validation_work_size(struct view batch, const struct record_rules *rules);

#endif
