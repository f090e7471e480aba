/*
 * The small files of a log directory, and names in it; the first byte chooses which. What is
 * accepted is written again and reads the same.
 */
#include "tests/fuzz/fuzz.h"

#include "base/assert.h"
#include "base/random.h"
#include "base/text.h"
#include "cluster/quorum/quorum_state.h"
#include "log/checkpoint_file.h"
#include "log/directory_name.h"
#include "log/leader_epochs.h"
#include "log/meta_properties.h"
#include "log/partition_metadata.h"

enum { FORMATS = 6, TEXT_SIZE_MAX = 64 * 1024 };

static void check_checkpoint(struct view text, struct heap *heap)
{
    struct arena arena;
    struct checkpoint checkpoint, again;
    arena_init(&arena, heap, MEMORY_SCRATCH, 0);
    if (checkpoint_decode(text, &arena, &checkpoint)) {
        size_t size = checkpoint_size(checkpoint.entries, checkpoint.count);
        uint8_t *data = arena_get(&arena, size);
        checkpoint_encode(checkpoint.entries, checkpoint.count, data);
        klamm_assert(checkpoint_decode(view_of(data, size), &arena, &again));
        klamm_assert(again.count == checkpoint.count);
        for (size_t i = 0; i < again.count; i++) {
            const struct checkpoint_entry *a = &checkpoint.entries[i];
            const struct checkpoint_entry *b = &again.entries[i];
            klamm_assert(view_equal(a->topic, b->topic));
            klamm_assert(a->partition == b->partition);
            klamm_assert(a->offset == b->offset);
            (void)checkpoint_find(&again, a->topic, a->partition, -1);
        }
    }
    arena_deinit(&arena);
}

static void check_leader_epochs(struct view text, struct heap *heap)
{
    static char written[4 * TEXT_SIZE_MAX];
    struct leader_epochs epochs, again;
    leader_epochs_init(&epochs);
    leader_epochs_init(&again);
    if (leader_epochs_decode(&epochs, heap, text)) {
        klamm_assert(leader_epochs_text_size_max(&epochs) <= sizeof(written));
        size_t size = leader_epochs_encode(&epochs, written, sizeof(written));
        klamm_assert(leader_epochs_decode(&again, heap, view_of(written, size)));
        klamm_assert(again.count == epochs.count);
        for (uint32_t i = 0; i < again.count; i++) {
            klamm_assert(again.entries[i].epoch == epochs.entries[i].epoch);
            klamm_assert(again.entries[i].start_offset == epochs.entries[i].start_offset);
            (void)leader_epochs_end_of(&epochs, epochs.entries[i].epoch, INT64_MAX);
        }
    } else {
        klamm_assert(epochs.count == 0);
    }
    leader_epochs_deinit(&epochs, heap);
    leader_epochs_deinit(&again, heap);
}

static void check_partition_metadata(struct view text)
{
    struct uuid id, again;
    char written[PARTITION_METADATA_SIZE + 1];
    if (!partition_metadata_decode(text, &id))
        return;
    klamm_assert(!uuid_is_zero(id));
    size_t size = partition_metadata_encode(id, written);
    klamm_assert(partition_metadata_decode(view_of(written, size), &again));
    klamm_assert(uuid_equal(id, again));
}

static void check_meta_properties(struct view text, struct heap *heap)
{
    struct arena arena;
    struct meta_properties meta, again;
    const char *problem = NULL;
    char written[META_PROPERTIES_SIZE_MAX];
    arena_init(&arena, heap, MEMORY_SCRATCH, 0);
    if (!meta_properties_decode(text, &arena, &meta, &problem)) {
        klamm_assert(problem);
    } else if (meta.version == 1 && meta.node_id >= 0 && meta.cluster_id[0] &&
               !uuid_is_zero(meta.directory_id)) {
        size_t size = meta_properties_encode(&meta, written, sizeof(written));
        klamm_assert(size <= sizeof(written));
        klamm_assert(meta_properties_decode(view_of(written, size), &arena, &again, &problem));
        klamm_assert(strcmp(again.cluster_id, meta.cluster_id) == 0);
        klamm_assert(again.node_id == meta.node_id);
        klamm_assert(uuid_equal(again.directory_id, meta.directory_id));
    }
    arena_deinit(&arena);
}

static void check_directory_name(struct view text)
{
    char name[300];
    struct directory_name parsed, again;
    if (!text_to_string(text, name, sizeof(name)) || !directory_name_parse(name, &parsed))
        return;
    klamm_assert(parsed.partition >= 0);
    char written[LOG_FILE_NAME_MAX + 1];
    if (!directory_name_format(written, parsed.topic, parsed.partition, parsed.kind, UUID_ONE))
        return;
    klamm_assert(directory_name_parse(written, &again));
    klamm_assert(again.kind == parsed.kind);
}

static void check_quorum_state(struct view text)
{
    struct quorum_state state, again;
    char written[QUORUM_STATE_SIZE_MAX];
    if (!quorum_state_decode(text, &state))
        return;
    size_t size = quorum_state_encode(&state, written, sizeof(written));
    klamm_assert(size <= sizeof(written));
    klamm_assert(quorum_state_decode(view_of(written, size), &again));
    klamm_assert(again.version == state.version);
    klamm_assert(again.leader_epoch == state.leader_epoch);
    klamm_assert(again.leader_id == state.leader_id);
    klamm_assert(again.voted_id == state.voted_id);
    klamm_assert(again.voter_count == state.voter_count);
    klamm_assert(uuid_equal(again.voted_directory_id, state.voted_directory_id));
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct heap heap;
    if (size == 0 || size > TEXT_SIZE_MAX)
        return;
    heap_init_plain(&heap);
    struct view text = view_of(data + 1, size - 1);
    switch (data[0] % FORMATS) {
    case 0:
        check_checkpoint(text, &heap);
        break;
    case 1:
        check_leader_epochs(text, &heap);
        break;
    case 2:
        check_partition_metadata(text);
        break;
    case 3:
        check_meta_properties(text, &heap);
        break;
    case 4:
        check_directory_name(text);
        break;
    default:
        check_quorum_state(text);
        break;
    }
    for (int i = 0; i < MEMORY_CLASSES; i++)
        klamm_assert(heap.used[i] == 0);
}

/* Several of each, of the shapes that Kafka writes. */
static const char *const texts[FORMATS][3] = {
    {"0\n2\ntopic 0 17\nother-topic 12 9223372036854775807\n", "0\n0\n",
     "0\n3\na 0 1\na 1 2\nb.c_d 0 3\n"},
    {"0\n3\n0 0\n4 100\n5 9000000000\n", "0\n0\n", "0\n1\n2147483647 5\n"},
    {"version: 0\ntopic_id: L7-zl8J3QX2kq1nqZbC0Xw\n",
     "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ",
     "topic_id: L7-zl8J3QX2kq1nqZbC0Xw\nversion: 0"},
    {"#\n#Fri Nov 20 17:00:00 UTC "
     "2026\ncluster.id=ij4uQmHcTSyCkjZJCJdYdw\ndirectory.id=L7-zl8J3QX2k"
     "q1nqZbC0Xw\nnode.id=1\nversion=1\n",
     "version=0\nbroker.id=3\ncluster.id=abc\n", "version=1\nnode.id=0\ncluster.id=x\n"},
    {"topic-0", "a.b-c-12.5f2b4d6c8e0a4c2e9b1d3f5a7c9e0b2d-delete",
     "topic-7.5f2b4d6c8e0a4c2e9b1d3f5a7c9e0b2d-future"},
    {"{\"clusterId\":\"\",\"leaderId\":1,\"leaderEpoch\":8,\"votedId\":-1,\"appliedOffset\":0,"
     "\"currentVoters\":[{\"voterId\":1}],\"data_version\":0}",
     "{\"leaderId\":1,\"leaderEpoch\":8,\"votedId\":-1,\"votedDirectoryId\":"
     "\"AAAAAAAAAAAAAAAAAAAAAA\","
     "\"data_version\":1}",
     "{\"leaderId\":-1,\"leaderEpoch\":0,\"votedId\":2,\"votedDirectoryId\":\"L7-"
     "zl8J3QX2kq1nqZbC0Xw\","
     "\"data_version\":1}"},
};

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    const char *text = texts[number % FORMATS][number / FORMATS % 3];
    size_t size = strlen(text);
    if (1 + size > capacity)
        return 0;
    data[0] = (uint8_t)(number % FORMATS);
    memcpy(data + 1, text, size);
    return 1 + size;
}
