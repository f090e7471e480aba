/* Encoding by type: one row per record type names its generated size and encode functions. */
#include "cluster/metadata/records.h"

#include "base/assert.h"
#include "protocol/messages/abort_transaction_record.h"
#include "protocol/messages/access_control_entry_record.h"
#include "protocol/messages/begin_transaction_record.h"
#include "protocol/messages/broker_registration_change_record.h"
#include "protocol/messages/clear_elr_record.h"
#include "protocol/messages/client_quota_record.h"
#include "protocol/messages/config_record.h"
#include "protocol/messages/delegation_token_record.h"
#include "protocol/messages/end_transaction_record.h"
#include "protocol/messages/feature_level_record.h"
#include "protocol/messages/fence_broker_record.h"
#include "protocol/messages/no_op_record.h"
#include "protocol/messages/partition_change_record.h"
#include "protocol/messages/partition_record.h"
#include "protocol/messages/producer_ids_record.h"
#include "protocol/messages/register_broker_record.h"
#include "protocol/messages/register_controller_record.h"
#include "protocol/messages/remove_access_control_entry_record.h"
#include "protocol/messages/remove_delegation_token_record.h"
#include "protocol/messages/remove_topic_record.h"
#include "protocol/messages/remove_user_scram_credential_record.h"
#include "protocol/messages/topic_record.h"
#include "protocol/messages/unfence_broker_record.h"
#include "protocol/messages/unregister_broker_record.h"
#include "protocol/messages/user_scram_credential_record.h"
#include "protocol/messages/zk_migration_state_record.h"

#define FOR_EACH_RECORD(row)                                                                       \
    row(REGISTER_BROKER, register_broker_record) row(UNREGISTER_BROKER, unregister_broker_record)  \
        row(TOPIC, topic_record) row(PARTITION, partition_record) row(CONFIG, config_record) row(  \
            PARTITION_CHANGE, partition_change_record) row(FENCE_BROKER, fence_broker_record)      \
            row(UNFENCE_BROKER, unfence_broker_record) row(REMOVE_TOPIC, remove_topic_record) row( \
                DELEGATION_TOKEN, delegation_token_record) row(USER_SCRAM_CREDENTIAL,              \
                                                               user_scram_credential_record)       \
                row(FEATURE_LEVEL, feature_level_record) row(CLIENT_QUOTA, client_quota_record)    \
                    row(PRODUCER_IDS, producer_ids_record) row(BROKER_REGISTRATION_CHANGE,         \
                                                               broker_registration_change_record)  \
                        row(ACCESS_CONTROL_ENTRY, access_control_entry_record)                     \
                            row(REMOVE_ACCESS_CONTROL_ENTRY, remove_access_control_entry_record)   \
                                row(NO_OP, no_op_record) row(ZK_MIGRATION_STATE,                   \
                                                             zk_migration_state_record)            \
                                    row(REMOVE_USER_SCRAM_CREDENTIAL,                              \
                                        remove_user_scram_credential_record)                       \
                                        row(BEGIN_TRANSACTION, begin_transaction_record)           \
                                            row(END_TRANSACTION, end_transaction_record)           \
                                                row(ABORT_TRANSACTION, abort_transaction_record)   \
                                                    row(REMOVE_DELEGATION_TOKEN,                   \
                                                        remove_delegation_token_record)            \
                                                        row(REGISTER_CONTROLLER,                   \
                                                            register_controller_record)            \
                                                            row(CLEAR_ELR, clear_elr_record)

static size_t body_size(enum metadata_record_type type, const void *message, int16_t version)
{
    switch (type) {
#define SIZE_ROW(upper, lower)                                                                     \
    case METADATA_RECORD_##upper:                                                                  \
        return lower##_size(message, version);
        FOR_EACH_RECORD(SIZE_ROW)
#undef SIZE_ROW
    }
    klamm_halt(__FILE__, __LINE__, "no such record type");
}

static void body_encode(enum metadata_record_type type, const void *message,
                        struct message_writer *out, int16_t version)
{
    switch (type) {
#define ENCODE_ROW(upper, lower)                                                                   \
    case METADATA_RECORD_##upper:                                                                  \
        lower##_encode(message, out, version);                                                     \
        return;
        FOR_EACH_RECORD(ENCODE_ROW)
#undef ENCODE_ROW
    }
    klamm_halt(__FILE__, __LINE__, "no such record type");
}

bool metadata_frame_read(struct reader *in, struct metadata_frame *frame)
{
    uint32_t frame_version = read_uvarint(in);
    frame->type = read_uvarint(in);
    uint32_t version = read_uvarint(in);
    if (in->failed || frame_version != METADATA_FRAME_VERSION || version > INT16_MAX)
        return false;
    frame->version = (int16_t)version;
    return true;
}

void metadata_records_init(struct metadata_records *records, struct arena *arena)
{
    *records = (struct metadata_records){.arena = arena};
}

static bool make_room(struct metadata_records *records)
{
    if (records->count < records->capacity)
        return true;
    size_t capacity = records->capacity ? 2 * records->capacity : 16;
    struct view *values = arena_get(records->arena, capacity * sizeof(*values));
    if (!values)
        return false;
    if (records->count)
        memcpy(values, records->values, records->count * sizeof(*values));
    records->values = values;
    records->capacity = capacity;
    return true;
}

bool metadata_records_add(struct metadata_records *records, enum metadata_record_type type,
                          int16_t version, const void *message)
{
    if (!make_room(records))
        return false;
    size_t size = 1 + uvarint_size((uint32_t)type) + uvarint_size((uint32_t)version) +
                  body_size(type, message, version);
    uint8_t *data = arena_get(records->arena, size);
    if (!data)
        return false;
    struct message_writer out = message_writer_of(data, size);
    write_uvarint(&out.bytes, METADATA_FRAME_VERSION);
    write_uvarint(&out.bytes, (uint32_t)type);
    write_uvarint(&out.bytes, (uint32_t)version);
    body_encode(type, message, &out, version);
    if (message_writer_failed(&out))
        return false;
    klamm_assert(out.bytes.size == size);
    records->values[records->count++] = view_of(data, size);
    records->size += size;
    return true;
}

bool metadata_records_add_value(struct metadata_records *records, struct view value)
{
    struct view copy = arena_copy(records->arena, value);
    if (view_is_null(copy) || !make_room(records))
        return false;
    records->values[records->count++] = copy;
    records->size += copy.size;
    return true;
}

int16_t metadata_record_version(enum metadata_record_type type, int16_t level)
{
    if (type == METADATA_RECORD_REGISTER_BROKER)
        return level >= 17 ? 3 : level >= 8 ? 2 : level >= 7 ? 1 : 0;
    if (type == METADATA_RECORD_BROKER_REGISTRATION_CHANGE)
        return level >= 17 ? 2 : level >= 7 ? 1 : 0;
    if (type == METADATA_RECORD_PARTITION || type == METADATA_RECORD_PARTITION_CHANGE)
        return level >= 23 ? 2 : level >= 17 ? 1 : 0;
    return 0;
}

void metadata_records_cut(struct metadata_records *records, size_t count)
{
    klamm_assert(count <= records->count);
    while (records->count > count)
        records->size -= records->values[--records->count].size;
}

bool metadata_records_build(const struct metadata_records *records, size_t from, size_t to,
                            struct batch_builder *builder, int64_t base_offset,
                            int32_t leader_epoch, int64_t timestamp_ms, struct view *batch)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.base_offset = base_offset;
    options.leader_epoch = leader_epoch;
    batch_builder_reset(builder, &options);
    for (size_t i = from; i < to; i++) {
        struct batch_record record = {.timestamp_ms = timestamp_ms, .value = records->values[i]};
        if (!batch_builder_append(builder, &record))
            return false;
    }
    return batch_builder_finish(builder, batch) == COMPRESSION_OK;
}
