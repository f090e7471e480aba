/* Generated messages in, bytes out; the leader change names who voted for it. */
#include "cluster/quorum/voters.h"

#include "protocol/messages/kraft_version_record.h"
#include "protocol/messages/leader_change_message.h"
#include "protocol/messages/voters_record.h"

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
    leader_change_message_encode(&message, &out, 0);
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

bool voters_is_sole(struct view value, int32_t id, struct uuid directory_id, struct arena *arena)
{
    struct voters_record record;
    struct reader in = reader_of(value);
    return voters_record_decode(&record, &in, 0, arena) && record.voters_count == 1 &&
           record.voters[0].voter_id == id &&
           (uuid_is_zero(directory_id) || uuid_is_zero(record.voters[0].voter_directory_id) ||
            uuid_equal(record.voters[0].voter_directory_id, directory_id));
}
