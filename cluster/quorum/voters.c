/* Generated messages in, bytes out; the leader change names who voted for it. */
#include "cluster/quorum/voters.h"

#include "protocol/messages/kraft_version_record.h"
#include "protocol/messages/leader_change_message.h"

/*
 * There is a version 1, with directories. Apache Kafka 4.2 neither writes nor reads it, whatever
 * kraft.version is: it takes every LEADER_CHANGE for version 0, and does not start on another.
 */
enum { LEADER_CHANGE_WRITTEN_VERSION = 0 };

static size_t written(const struct message_writer *out)
{
    return message_writer_failed(out) ? 0 : out->bytes.size;
}

size_t voters_encode_kraft_version(int16_t kraft_version, uint8_t *bytes, size_t capacity)
{
    struct kraft_version_record record = {.kraft_version = kraft_version};
    struct message_writer out = message_writer_of(bytes, capacity);
    kraft_version_record_encode(&record, &out, 0);
    return written(&out);
}

size_t voters_encode_sole(const struct sole_voter *voter, uint8_t *bytes, size_t capacity)
{
    struct voters_record_endpoint endpoint = {voter->listener, voter->host, voter->port};
    struct voters_record_voter entry = {
        .voter_id = voter->id,
        .voter_directory_id = voter->directory_id,
        .endpoints = &endpoint,
        .endpoints_count = 1,
        .kraft_version_feature = {KRAFT_VERSION_STATIC, KRAFT_VERSION_DYNAMIC},
    };
    struct voters_record record = {.voters = &entry, .voters_count = 1};
    struct message_writer out = message_writer_of(bytes, capacity);
    voters_record_encode(&record, &out, 0);
    return written(&out);
}

size_t voters_encode_leader_change(const struct quorum *quorum, uint8_t *bytes, size_t capacity)
{
    struct leader_change_message_voter voters[QUORUM_VOTERS_MAX];
    struct leader_change_message_voter granting[QUORUM_VOTERS_MAX];
    struct leader_change_message message = {
        .leader_id = quorum->options.self.id, .voters = voters, .granting_voters = granting};
    for (uint32_t i = 0; i < quorum->voter_count; i++) {
        struct leader_change_message_voter voter = {.voter_id = quorum->voters[i].node.id};
        voters[message.voters_count++] = voter;
        if (quorum->voters[i].vote == QUORUM_VOTE_GRANTED)
            granting[message.granting_voters_count++] = voter;
    }
    struct message_writer out = message_writer_of(bytes, capacity);
    leader_change_message_encode(&message, &out, LEADER_CHANGE_WRITTEN_VERSION);
    return written(&out);
}

bool voters_decode_kraft_version(struct view value, int16_t *kraft_version)
{
    struct kraft_version_record record;
    struct reader in = reader_of(value);
    if (!kraft_version_record_decode(&record, &in, 0, NULL))
        return false;
    *kraft_version = record.kraft_version;
    return record.kraft_version >= 0;
}

static bool are_voters(const struct voters_record *record)
{
    if (record->voters_count == 0 || record->voters_count > QUORUM_VOTERS_MAX)
        return false;
    for (size_t i = 0; i < record->voters_count; i++) {
        const struct voters_record_voter *voter = &record->voters[i];
        if (voter->voter_id < 0 || voter->endpoints_count == 0)
            return false;
        for (size_t k = 0; k < i; k++)
            if (record->voters[k].voter_id == voter->voter_id)
                return false;
    }
    return true;
}

bool voters_decode(struct view value, struct voters_record *record, struct arena *arena)
{
    struct reader in = reader_of(value);
    return voters_record_decode(record, &in, 0, arena) && are_voters(record);
}

bool voters_decode_nodes(struct view value, struct heap *heap, struct quorum_node *nodes,
                         uint32_t *count)
{
    struct arena arena;
    struct voters_record record;
    arena_init(&arena, heap, MEMORY_SCRATCH, 0);
    bool ok = voters_decode(value, &record, &arena);
    *count = ok ? (uint32_t)record.voters_count : 0;
    for (uint32_t i = 0; i < *count; i++)
        nodes[i] =
            (struct quorum_node){record.voters[i].voter_id, record.voters[i].voter_directory_id};
    arena_deinit(&arena);
    return ok;
}

struct view voters_encode(const struct voters_record *record, struct arena *arena)
{
    size_t size = voters_record_size(record, 0);
    uint8_t *bytes = arena_get(arena, size);
    if (!bytes)
        return VIEW_NULL;
    struct message_writer out = message_writer_of(bytes, size);
    voters_record_encode(record, &out, 0);
    return message_writer_failed(&out) ? VIEW_NULL : view_of(bytes, size);
}

const struct voters_record_endpoint *voters_endpoint(const struct voters_record_voter *voter,
                                                     struct view listener)
{
    for (size_t i = 0; i < voter->endpoints_count; i++)
        if (view_equal(voter->endpoints[i].name, listener))
            return &voter->endpoints[i];
    return &voter->endpoints[0];
}
