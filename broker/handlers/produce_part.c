/*
 * Produce on the owner: an item is validated, patched in place and appended; it is finished when
 * its acknowledgement rule is met (replication/replica.h).
 *
 * Validation that has to unfold or fold records (another codec, keys of a compacted topic) and is
 * larger than JOB_WORK_MIN runs as a job, with a turn in the order of the partition's appends;
 * everything else is validated right here when it is the item's turn.
 *
 * Before the first batch of a transaction its coordinator is asked (broker/verifications.h,
 * KIP-890); the item takes its place in the order of appends when the answer is there.
 */
#include "broker/handlers/produce.h"

#include "base/assert.h"
#include "broker/shard.h"
#include "replication/replica_table.h"
#include "runtime/test_point.h"

enum { ZSTD_SINCE_VERSION = 7, UNFOLD_FACTOR = 256, UNFOLD_LIMIT = 128 * 1024 * 1024 };
enum { JOB_WORK_MIN = 64 * 1024 }; /* bytes */

/* A validation in a job; stays until its replacement is written, because that is in its heap. */
struct produce_validation {
    struct job job;
    struct produce_item *item;
    struct record_rules rules;
    struct record_validation result;
};

static void finish_item(struct produce_item *item)
{
    struct produce_part *part = item->part;
    if (item->replacement.data)
        buffer_deinit(&item->replacement);
    if (item->validation)
        heap_put(part->at->heap, MEMORY_SCRATCH, item->validation, sizeof(*item->validation));
    item->validation = NULL;
    if (--part->waiting == 0)
        part_done(&part->part, part->at);
}

static void take_offsets(struct produce_item *item)
{
    const struct log_append *append = &item->append.append;
    item->base_offset = append->base_offset;
    item->append_time_ms = append->append_time_ms;
    item->log_start_offset = append->log_start_offset;
}

static void item_acknowledged(struct replica_append *append)
{
    struct produce_item *item = container_of(append, struct produce_item, append);
    item->error = append->error;
    if (item->error == KAFKA_ERROR_NONE)
        take_offsets(item);
    finish_item(item);
}

static struct record_rules rules_of(const struct topic_config *config, int64_t now_ms)
{
    struct record_rules rules = {
        .from_client = true,
        .compacted = config->cleanup_compact,
        .append_time = config->message_timestamp_type == TOPIC_TIMESTAMP_LOG_APPEND,
        .now_ms = now_ms,
        .before_max_ms = config->message_timestamp_before_max_ms,
        .after_max_ms = config->message_timestamp_after_max_ms,
        .batch_size_max = (size_t)config->max_message_bytes,
        .segment_size_max = (size_t)config->segment_bytes,
    };
    size_t unfolded = (size_t)config->max_message_bytes * UNFOLD_FACTOR;
    rules.decompressed_size_max = unfolded < UNFOLD_LIMIT ? unfolded : UNFOLD_LIMIT;
    rules.convert = config->compression_type != TOPIC_COMPRESSION_PRODUCER;
    if (!rules.convert)
        return rules;
    rules.codec = (enum compression_codec)config->compression_type;
    switch (config->compression_type) {
    case TOPIC_COMPRESSION_GZIP:
        rules.level = config->compression_gzip_level;
        break;
    case TOPIC_COMPRESSION_LZ4:
        rules.level = config->compression_lz4_level;
        break;
    case TOPIC_COMPRESSION_ZSTD:
        rules.level = config->compression_zstd_level;
        break;
    case TOPIC_COMPRESSION_NONE:
    case TOPIC_COMPRESSION_SNAPPY:
    case TOPIC_COMPRESSION_PRODUCER:
        break;
    }
    return rules;
}

static void keep_record_errors(struct produce_item *item, const struct record_validation *result)
{
    item->message = result->message;
    if (result->error_count == 0)
        return;
    size_t size = (size_t)result->error_count * sizeof(*item->record_errors);
    item->record_errors = arena_get(&item->part->part.arena, size);
    if (!item->record_errors)
        return;
    memcpy(item->record_errors, result->errors, size);
    item->record_error_count = result->error_count;
}

/* Checks that need no record: what was sent at all, and what its version may carry. */
static enum kafka_error check_header(const struct produce_item *item)
{
    if (item->records_size < BATCH_HEADER_SIZE || batch_magic(item->records) != BATCH_MAGIC)
        return KAFKA_ERROR_NONE; /* record_validate names what is wrong */
    uint16_t attributes = batch_attributes(item->records);
    if ((attributes & BATCH_ATTRIBUTE_CODEC_MASK) == COMPRESSION_ZSTD &&
        item->part->version < ZSTD_SINCE_VERSION)
        return KAFKA_ERROR_UNSUPPORTED_COMPRESSION_TYPE;
    return KAFKA_ERROR_NONE;
}

/* Takes over what validation says; on success `append` has the bytes to write. */
static enum kafka_error take_result(struct produce_item *item,
                                    const struct record_validation *result)
{
    if (result->error != KAFKA_ERROR_NONE) {
        keep_record_errors(item, result);
        return result->error;
    }
    struct log_append *append = &item->append.append;
    append->data = item->records;
    append->size = item->records_size;
    if (result->action == RECORD_ACTION_STAMP)
        record_validation_stamp(result, append->data, append->size);
    if (result->action == RECORD_ACTION_REPLACE) {
        append->data = item->replacement.data;
        append->size = item->replacement.size;
    }
    return KAFKA_ERROR_NONE;
}

static enum kafka_error prepare(struct produce_item *item, const struct replica *replica,
                                struct loop *at)
{
    if (item->validation)
        return take_result(item, &item->validation->result);
    struct record_rules rules = rules_of(replica_config(replica), at->wall_ms);
    struct record_validation result;
    struct view records = view_of(item->records, item->records_size);
    buffer_init(&item->replacement, at->heap, MEMORY_SCRATCH, 0);
    record_validate(records, &rules, at->heap, &item->replacement, &result);
    return take_result(item, &result);
}

/* Kafka names the log's start with what it finds inside a batch, but not with all other errors. */
static bool tells_log_start(const struct produce_item *item)
{
    size_t size;
    struct view records = view_of(item->records, item->records_size);
    if (batch_parse(records, &size) != BATCH_OK || size != records.size)
        return false;
    return item->error != KAFKA_ERROR_UNSUPPORTED_COMPRESSION_TYPE &&
           item->error != KAFKA_ERROR_CORRUPT_MESSAGE &&
           item->error != KAFKA_ERROR_MESSAGE_TOO_LARGE &&
           item->error != KAFKA_ERROR_RECORD_LIST_TOO_LARGE &&
           item->error != KAFKA_ERROR_KAFKA_STORAGE_ERROR;
}

static void refuse_item(struct produce_item *item, const struct replica *replica)
{
    if (tells_log_start(item))
        item->log_start_offset = partition_log_start_offset(replica->log);
    finish_item(item);
}

/* The item's turn: everything before it on this partition is appended or refused. */
static void append_item(struct produce_item *item, struct replica *replica)
{
    item->error = prepare(item, replica, item->part->at);
    if (item->error != KAFKA_ERROR_NONE) {
        refuse_item(item, replica);
        return;
    }
    item->append.acks = item->part->acks;
    item->append.done = item_acknowledged;
    item->append.append.origin = LOG_APPEND_CLIENT;
    if (!replica_append(replica, &item->append))
        return;
    if (item->append.error == KAFKA_ERROR_NONE) {
        item_acknowledged(&item->append);
    } else {
        item->error = item->append.error;
        refuse_item(item, replica);
    }
}

static void item_turn(struct replica_turn *turn, struct replica *replica)
{
    struct produce_item *item = container_of(turn, struct produce_item, turn);
    item->error = replica ? replica_check(replica, -1) : KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (item->error == KAFKA_ERROR_NONE)
        append_item(item, replica);
    else
        finish_item(item);
}

static enum job_progress validate_step(struct job *job, const struct job_context *context)
{
    struct produce_validation *validation = container_of(job, struct produce_validation, job);
    struct produce_item *item = validation->item;
    buffer_init(&item->replacement, context->heap, MEMORY_SCRATCH, 0);
    record_validate(view_of(item->records, item->records_size), &validation->rules, context->heap,
                    &item->replacement, &validation->result);
    return JOB_FINISHED;
}

static void validated(struct job *job)
{
    struct produce_validation *validation = container_of(job, struct produce_validation, job);
    replica_turn_ready(&validation->item->turn);
}

/* Queues the item; true when that was necessary. */
static bool take_turn(struct produce_item *item, struct replica *replica, struct loop *at)
{
    struct record_rules rules = rules_of(replica_config(replica), at->wall_ms);
    struct view records = view_of(item->records, item->records_size);
    bool is_work = item->records_size >= JOB_WORK_MIN &&
                   record_validation_work_size(records, &rules) >= JOB_WORK_MIN;
    if (!is_work && !replica_is_turn_needed(replica))
        return false;
    item->turn.go = item_turn;
    replica_turn_begin(replica, &item->turn);
    if (!is_work) {
        replica_turn_ready(&item->turn);
        return true;
    }
    struct produce_validation *validation =
        heap_get_zeroed(at->heap, MEMORY_SCRATCH, sizeof(*validation));
    klamm_assert(validation != NULL);
    validation->item = item;
    validation->rules = rules;
    validation->job.step = validate_step;
    validation->job.done = validated;
    validation->job.job_class = JOB_COMPUTE;
    item->validation = validation;
    loop_start_job(at, &validation->job);
    return true;
}

/* ---- Verification ---- */

enum { ABORTABLE_SINCE_VERSION = 11, ADDS_SINCE_VERSION = 12 };

static enum verification_form form_of(int16_t version)
{
    if (version >= ADDS_SINCE_VERSION)
        return VERIFICATION_ADDS;
    return version >= ABORTABLE_SINCE_VERSION ? VERIFICATION_ABORTABLE : VERIFICATION_OLD;
}

static void begin_append(struct produce_item *item, struct replica *replica, struct loop *at)
{
    if (!take_turn(item, replica, at))
        append_item(item, replica);
}

/* As Kafka, such an answer does not name the log's start. */
static void refuse_unverified(struct produce_item *item)
{
    if (item->error == KAFKA_ERROR_INVALID_TXN_STATE)
        item->message = "the partition is not part of the transaction";
    if (item->error == KAFKA_ERROR_NOT_ENOUGH_REPLICAS)
        item->message = "the transaction could not be verified";
    finish_item(item);
}

static bool verify(struct produce_item *item, struct replica *replica, struct shard *shard);

/*
 * The coordinator answered. Under transaction version 2 the question may have waited there for the
 * end of the producer's last transaction, whose marker took the guard: then it is asked again.
 */
static void verified(struct verification_wait *wait, enum kafka_error error)
{
    struct produce_item *item = container_of(wait, struct produce_item, verification);
    struct loop *at = item->part->at;
    struct replica *replica =
        replica_table_find(&shard_of(at)->replicas, item->topic_id, item->partition);
    item->error = replica ? replica_check(replica, -1) : KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (item->error != KAFKA_ERROR_NONE) {
        finish_item(item);
        return;
    }
    item->error = verification_error_of_produce(error);
    if (item->error != KAFKA_ERROR_NONE)
        refuse_unverified(item);
    else if (test_point(at, BUG_TXN_KEEP_LOST_GUARD) || !verify(item, replica, shard_of(at)))
        begin_append(item, replica, at);
}

/*
 * Asks the coordinator, when that is necessary; true: the item goes on in `verified`. Not necessary
 * is it in an open transaction, unless an earlier batch of the producer is still asking, and with a
 * guard for which it has been asked already.
 */
static bool verify(struct produce_item *item, struct replica *replica, struct shard *shard)
{
    const uint8_t *batch = item->records;
    if (!shard->producers.is_verification_enabled || item->records_size < BATCH_HEADER_SIZE ||
        batch_magic(batch) != BATCH_MAGIC || !batch_is_transactional(batch) ||
        !batch_has_producer_id(batch))
        return false;
    const struct produce_part *part = item->part;
    const struct verification_question question = {
        .transactional_id = part->transactional_id,
        .topic = replica->topic,
        .topic_id = item->topic_id,
        .partition = item->partition,
        .producer_id = batch_producer_id(batch),
        .producer_epoch = batch_producer_epoch(batch),
        .form = form_of(part->version),
    };
    uint64_t guard = partition_log_begin_verification(
        replica->log, question.producer_id, question.producer_epoch, batch_base_sequence(batch),
        question.form == VERIFICATION_ADDS);
    item->verification.done = verified;
    if (guard == 0)
        return verifications_join(&shard->verifications, &question, &item->verification);
    if (guard == item->append.append.verification_guard)
        return false;
    item->append.append.verification_guard = guard;
    verifications_ask(&shard->verifications, &question, &item->verification);
    return true;
}

/* ---- The part ---- */

static void produce_item(struct produce_item *item, struct shard *shard, struct loop *at)
{
    struct replica *replica = replica_table_find(&shard->replicas, item->topic_id, item->partition);
    item->error = replica ? replica_check(replica, -1) : KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (item->error != KAFKA_ERROR_NONE) {
        finish_item(item);
        return;
    }
    /* As Kafka: too few replicas come before what may be wrong with the records. */
    if (item->part->acks == -1 && !replica_has_enough(replica)) {
        item->error = KAFKA_ERROR_NOT_ENOUGH_REPLICAS;
        item->log_start_offset = partition_log_start_offset(replica->log);
        finish_item(item);
        return;
    }
    item->error = check_header(item);
    if (item->error != KAFKA_ERROR_NONE)
        refuse_item(item, replica);
    else if (!verify(item, replica, shard))
        begin_append(item, replica, at);
}

void produce_part_run(struct part *base, struct loop *at)
{
    struct produce_part *part = container_of(base, struct produce_part, part);
    struct shard *shard = shard_of(at);
    part->at = at;
    part->waiting = 1;
    for (const struct produce_item *item = part->first; item; item = item->next)
        part->waiting++;
    /* The last item to finish sends the part home, and with it goes the list. */
    for (struct produce_item *item = part->first, *next; item; item = next) {
        next = item->next;
        produce_item(item, shard, at);
    }
    if (--part->waiting == 0)
        part_done(&part->part, at);
}
