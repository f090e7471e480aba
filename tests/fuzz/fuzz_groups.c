/*
 * Records of __consumer_offsets in a row, as a load meets them: pieces of the input become keys and
 * values of commits, classic groups and markers, whole or made of any bytes. What is refused leaves
 * the state sound; at the end everything is given back.
 *
 * The coordinator is the target's own: replay needs a heap, a loop and settings, and no log.
 */
#include "tests/fuzz/fuzz.h"

#include "base/assert.h"
#include "base/random.h"
#include "consumer/classic_group.h"
#include "consumer/groups.h"
#include "protocol/messages/group_metadata_key.h"
#include "protocol/messages/group_metadata_value.h"
#include "protocol/messages/offset_commit_key.h"
#include "protocol/messages/offset_commit_value.h"
#include "tests/unit/coordinator/coordinator_fixture.h"

static struct coordinator_fixture fixture;

static void check_group(const struct group *group)
{
    uint64_t count = 0;
    map_for_each(entry, &group->offsets.topics)
    {
        const struct topic_offsets *topic = entry->value;
        klamm_assert(topic->count > 0 || topic->pending > 0);
        for (uint32_t i = 1; i < topic->count; i++)
            klamm_assert(topic->list[i - 1].partition < topic->list[i].partition);
        count += topic->count;
    }
    klamm_assert(count == group->offsets.count);
    if (group->type == GROUP_CLASSIC)
        classic_group_check(group->classic);
}

static struct view take_piece(struct reader *in)
{
    size_t size = read_u16(in) % 512;
    if (size > reader_left(in))
        size = reader_left(in);
    return view_of(reader_take(in, size), size);
}

/* One record; its first byte says what it is. False at the end of the input. */
static bool replay_one(void *groups, struct reader *in, int64_t offset)
{
    uint8_t what = read_u8(in);
    uint8_t producer = read_u8(in);
    if (in->failed)
        return false;
    if (what % 8 == 7) {
        struct coordinator_marker marker = {
            .producer_id = producer % 4, .commit = producer & 16, .offset = offset};
        groups_kind.replay_marker(groups, &marker);
        return true;
    }
    struct coordinator_record record = {
        .type = (int16_t)(what & 16 ? what : what % 3),
        .key = take_piece(in),
        .offset = offset,
        .producer_id = what & 32 ? producer % 4 : BATCH_NO_PRODUCER_ID,
    };
    if (what & 64)
        record.value = take_piece(in);
    (void)groups_kind.replay(groups, &record);
    return true;
}

void fuzz_one(const uint8_t *data, size_t size)
{
    if (!fixture.coordinator) {
        coordinator_fixture_init(&fixture, &groups_kind);
        coordinator_fixture_start(&fixture);
    }
    uint64_t used = fixture.heap.used[MEMORY_STATE];
    struct groups *groups = groups_kind.create(fixture.coordinator);
    struct reader in = reader_of(view_of(data, size));
    int64_t offset = 0;
    while (replay_one(groups, &in, offset++))
        continue;
    map_for_each(entry, &groups->by_id) check_group(entry->value);
    groups_kind.unload(groups, KAFKA_ERROR_NOT_COORDINATOR);
    groups_kind.destroy(groups);
    klamm_assert(fixture.heap.used[MEMORY_STATE] == used);
}

/* ---- Seeds ---- */

static struct view name_of(struct random_stream *random)
{
    static const char *const names[] = {"g", "group", "other", "", "a-member-id", "topic"};
    return view_of_string(names[random_below(random, 6)]);
}

static void write_size(struct message_writer *out, size_t size)
{
    write_u16(&out->bytes, (uint16_t)size);
}

static void seed_offset(struct random_stream *random, struct message_writer *out)
{
    struct offset_commit_key key = {name_of(random), name_of(random),
                                    (int32_t)random_below(random, 6)};
    write_size(out, offset_commit_key_size(&key, 0));
    offset_commit_key_encode(&key, out, 0);
    struct offset_commit_value value;
    offset_commit_value_init(&value);
    value.offset = (int64_t)random_below(random, 1000);
    value.metadata = name_of(random);
    int16_t version = (int16_t)random_below(random, 5);
    if (version == 4)
        value.topic_id.bytes[0] = (uint8_t)random_below(random, 3);
    write_size(out, 2 + offset_commit_value_size(&value, version));
    write_i16(&out->bytes, version);
    offset_commit_value_encode(&value, out, version);
}

static void seed_group(struct random_stream *random, struct message_writer *out)
{
    struct group_metadata_key key = {name_of(random)};
    write_size(out, group_metadata_key_size(&key, 0));
    group_metadata_key_encode(&key, out, 0);
    struct group_metadata_value_member_metadata members[3];
    struct group_metadata_value value;
    group_metadata_value_init(&value);
    value.protocol_type = VIEW_LITERAL("consumer");
    value.protocol = random_chance(random, 1, 4) ? VIEW_NULL : name_of(random);
    value.leader = name_of(random);
    value.members = members;
    value.members_count = random_below(random, 4);
    int16_t version = (int16_t)random_below(random, 5);
    for (size_t i = 0; i < value.members_count; i++) {
        group_metadata_value_member_metadata_init(&members[i]);
        members[i].member_id = name_of(random);
        if (version >= 3 && random_chance(random, 1, 2))
            members[i].group_instance_id = name_of(random);
        members[i].subscription = name_of(random);
    }
    write_size(out, 2 + group_metadata_value_size(&value, version));
    write_i16(&out->bytes, version);
    group_metadata_value_encode(&value, out, version);
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    struct random_stream random;
    random_init(&random, number, 1);
    struct message_writer out = message_writer_of(data, capacity);
    uint64_t records = random_between(&random, 1, 12);
    for (uint64_t i = 0; i < records; i++) {
        uint8_t kind = (uint8_t)random_below(&random, 4);
        uint8_t producer = (uint8_t)random_below(&random, 256);
        bool is_pending = random_chance(&random, 1, 3);
        if (kind == 3) {
            write_u8(&out.bytes, 7);
            write_u8(&out.bytes, producer);
            continue;
        }
        write_u8(&out.bytes, (uint8_t)(64 | (is_pending ? 32 : 0) | (kind == 2 ? 2 : 1)));
        write_u8(&out.bytes, producer);
        if (kind == 2)
            seed_group(&random, &out);
        else
            seed_offset(&random, &out);
    }
    return message_writer_failed(&out) ? 0 : out.bytes.size;
}
