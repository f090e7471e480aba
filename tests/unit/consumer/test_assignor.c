/*
 * Assignors, judged by properties over random groups, and by brute force over small ones:
 * everything assigned once, to subscribers; counts even; no more moves than needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "consumer/assignor.h"

enum { TOPICS_MAX = 6, MEMBERS_MAX = 8, PARTITIONS_MAX = 9 };

struct bench {
    struct heap heap;
    struct arena arena;
    struct random_stream random;
    struct assignor_topic topics[TOPICS_MAX];
    struct assignor_member members[MEMBERS_MAX];
    uint32_t places[MEMBERS_MAX][TOPICS_MAX];
    char ids[MEMBERS_MAX][8];
    struct assignor_input input;
};

static void bench_init(struct bench *bench, uint64_t seed)
{
    memset(bench, 0, sizeof(*bench));
    heap_init_plain(&bench->heap);
    arena_init(&bench->arena, &bench->heap, MEMORY_SCRATCH, 0);
    random_init(&bench->random, seed, 1);
    bench->input.topics = bench->topics;
    bench->input.members = bench->members;
}

static void bench_deinit(struct bench *bench)
{
    arena_deinit(&bench->arena);
    assert_int_equal(bench->heap.used[MEMORY_SCRATCH], 0);
}

static struct uuid topic_id(uint32_t number)
{
    return uuid_of_halves(7, number + 1);
}

static uint32_t below(struct bench *bench, uint32_t bound)
{
    return (uint32_t)random_below(&bench->random, bound);
}

static void add_member(struct bench *bench, bool homogeneous, bool is_static)
{
    uint32_t m = bench->input.member_count++;
    struct assignor_member *member = &bench->members[m];
    memcpy(bench->ids[m], "m0", 3);
    bench->ids[m][1] = (char)('0' + m);
    *member = (struct assignor_member){.id = view_of(bench->ids[m], 2),
                                       .topics = bench->places[m],
                                       .target = &partition_set_empty};
    if (is_static)
        member->instance_id = view_of(bench->ids[MEMBERS_MAX - 1 - m], 2);
    for (uint32_t t = 0; t < bench->input.topic_count; t++) {
        if (homogeneous || below(bench, 3) > 0)
            bench->places[m][member->topic_count++] = t;
    }
}

static void fill(struct bench *bench, bool homogeneous)
{
    bench->input.topic_count = 1 + below(bench, TOPICS_MAX);
    bench->input.member_count = 0;
    for (uint32_t t = 0; t < bench->input.topic_count; t++)
        bench->topics[t] = (struct assignor_topic){topic_id(t), 1 + below(bench, PARTITIONS_MAX)};
    uint32_t members = 1 + below(bench, MEMBERS_MAX);
    for (uint32_t m = 0; m < members; m++)
        add_member(bench, homogeneous, below(bench, 2) == 0);
}

static bool subscribes(const struct assignor_member *member, uint32_t topic)
{
    for (uint32_t i = 0; i < member->topic_count; i++) {
        if (member->topics[i] == topic)
            return true;
    }
    return false;
}

/* Invariants 1 and 2 of the result. */
static void assert_covers(const struct assignor_input *input, const struct partition_set **sets)
{
    uint32_t given = 0;
    for (uint32_t m = 0; m < input->member_count; m++)
        given += sets[m]->partition_count;
    uint32_t expected = 0;
    for (uint32_t t = 0; t < input->topic_count; t++) {
        uint32_t subscribers = 0;
        for (uint32_t m = 0; m < input->member_count; m++)
            subscribers += subscribes(&input->members[m], t);
        for (uint32_t p = 0; p < input->topics[t].partition_count; p++) {
            uint32_t owners = 0;
            for (uint32_t m = 0; m < input->member_count; m++) {
                if (!partition_set_contains(sets[m], input->topics[t].id, (int32_t)p))
                    continue;
                owners++;
                assert_true(subscribes(&input->members[m], t));
            }
            assert_int_equal(owners, subscribers > 0);
        }
        expected += subscribers > 0 ? input->topics[t].partition_count : 0;
    }
    assert_int_equal(given, expected);
}

static uint32_t kept(const struct partition_set *before, const struct partition_set *after)
{
    uint32_t count = 0;
    for (uint32_t t = 0; t < before->topic_count; t++) {
        const struct partition_set_topic *topic = &before->topics[t];
        for (uint32_t i = 0; i < topic->count; i++)
            count += partition_set_contains(after, topic->id, partition_set_of(before, topic)[i]);
    }
    return count;
}

static void assert_even(const struct assignor_input *input, const struct partition_set **sets)
{
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t m = 0; m < input->member_count; m++) {
        uint32_t count = sets[m]->partition_count;
        least = count < least ? count : least;
        most = count > most ? count : most;
    }
    assert_true(most - least <= 1);
}

/*
 * The most partitions that any even assignment could leave where they are: a member that has `had`
 * keeps at most its quota, and `extra` members may have one more. Tries every choice of those.
 */
static uint32_t most_kept(const struct assignor_input *input)
{
    uint32_t total = 0;
    for (uint32_t t = 0; t < input->topic_count; t++)
        total += input->topics[t].partition_count;
    uint32_t quota = total / input->member_count;
    uint32_t extra = total % input->member_count;
    uint32_t best = 0;
    for (uint32_t choice = 0; choice < 1u << input->member_count; choice++) {
        if ((uint32_t)__builtin_popcount(choice) != extra)
            continue;
        uint32_t sum = 0;
        for (uint32_t m = 0; m < input->member_count; m++) {
            uint32_t share = quota + (choice >> m & 1);
            uint32_t had = 0;
            for (uint32_t t = 0; t < input->topic_count; t++) {
                for (uint32_t p = 0; p < input->topics[t].partition_count; p++)
                    had += partition_set_contains(input->members[m].target, input->topics[t].id,
                                                  (int32_t)p);
            }
            sum += had < share ? had : share;
        }
        best = sum > best ? sum : best;
    }
    return best;
}

static void take_over(struct bench *bench, const struct partition_set **sets)
{
    for (uint32_t m = 0; m < bench->input.member_count; m++)
        bench->members[m].target = sets[m];
}

/* Members that stay or not, topics that grow or shrink; targets as they were. */
static void disturb(struct bench *bench, bool homogeneous)
{
    for (uint32_t t = 0; t < bench->input.topic_count; t++) {
        if (below(bench, 4) == 0)
            bench->topics[t].partition_count = 1 + below(bench, PARTITIONS_MAX);
    }
    uint32_t gone = below(bench, bench->input.member_count + 1);
    if (gone < bench->input.member_count && bench->input.member_count > 1)
        bench->members[gone].target = &partition_set_empty; /* left, another took its id */
    if (bench->input.member_count < MEMBERS_MAX && below(bench, 2) == 0)
        add_member(bench, homogeneous, false);
}

static void uniform_is_even_and_moves_least(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct bench bench;
        bench_init(&bench, seed);
        fill(&bench, true);
        for (unsigned round = 0; round < 4; round++) {
            const struct partition_set **sets =
                assignor_assign(ASSIGNOR_UNIFORM, &bench.input, &bench.arena);
            assert_covers(&bench.input, sets);
            assert_even(&bench.input, sets);
            uint32_t stayed = 0;
            for (uint32_t m = 0; m < bench.input.member_count; m++)
                stayed += kept(bench.members[m].target, sets[m]);
            assert_int_equal(stayed, most_kept(&bench.input));
            take_over(&bench, sets);
            disturb(&bench, true);
        }
        bench_deinit(&bench);
    }
}

/* No partition could move to a subscriber that has two less. */
static void assert_settled(const struct assignor_input *input, const struct partition_set **sets)
{
    for (uint32_t t = 0; t < input->topic_count; t++) {
        for (uint32_t from = 0; from < input->member_count; from++) {
            if (!partition_set_find_topic(sets[from], input->topics[t].id))
                continue;
            for (uint32_t to = 0; to < input->member_count; to++) {
                if (subscribes(&input->members[to], t))
                    assert_true(sets[from]->partition_count <= sets[to]->partition_count + 1);
            }
        }
    }
}

static void uniform_settles_where_subscriptions_differ(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct bench bench;
        bench_init(&bench, seed);
        fill(&bench, false);
        for (unsigned round = 0; round < 4; round++) {
            const struct partition_set **sets =
                assignor_assign(ASSIGNOR_UNIFORM, &bench.input, &bench.arena);
            assert_covers(&bench.input, sets);
            assert_settled(&bench.input, sets);
            take_over(&bench, sets);
            /* Nothing has changed: nothing moves. */
            const struct partition_set **again =
                assignor_assign(ASSIGNOR_UNIFORM, &bench.input, &bench.arena);
            for (uint32_t m = 0; m < bench.input.member_count; m++)
                assert_true(partition_set_equal(sets[m], again[m]));
            disturb(&bench, false);
        }
        bench_deinit(&bench);
    }
}

/* Members in the order in which ranges are given: static ones by instance, then by id. */
static int rank_compare(const struct assignor_member *a, const struct assignor_member *b)
{
    bool a_static = !view_is_null(a->instance_id);
    bool b_static = !view_is_null(b->instance_id);
    if (a_static != b_static)
        return a_static ? -1 : 1;
    int order = a_static ? view_compare(a->instance_id, b->instance_id) : 0;
    return order ? order : view_compare(a->id, b->id);
}

/* How many subscribers of a topic stand before a member. */
static uint32_t rank_of(const struct assignor_input *input, uint32_t member, uint32_t topic,
                        uint32_t *subscribers)
{
    uint32_t rank = 0;
    *subscribers = 0;
    for (uint32_t m = 0; m < input->member_count; m++) {
        if (!subscribes(&input->members[m], topic))
            continue;
        ++*subscribers;
        rank += rank_compare(&input->members[m], &input->members[member]) < 0;
    }
    return rank;
}

static void range_gives_each_topic_in_ranges(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct bench bench;
        bench_init(&bench, seed);
        fill(&bench, seed % 2 == 0);
        const struct assignor_input *input = &bench.input;
        const struct partition_set **sets = assignor_assign(ASSIGNOR_RANGE, input, &bench.arena);
        assert_covers(input, sets);
        for (uint32_t t = 0; t < input->topic_count; t++) {
            for (uint32_t m = 0; m < input->member_count; m++) {
                if (!subscribes(&input->members[m], t))
                    continue;
                uint32_t subscribers;
                uint32_t rank = rank_of(input, m, t, &subscribers);
                uint32_t quota = input->topics[t].partition_count / subscribers;
                uint32_t extra = input->topics[t].partition_count % subscribers;
                uint32_t first = rank * quota + (rank < extra ? rank : extra);
                uint32_t count = quota + (rank < extra);
                for (uint32_t p = first; p < first + count; p++)
                    assert_true(partition_set_contains(sets[m], input->topics[t].id, (int32_t)p));
            }
        }
        bench_deinit(&bench);
    }
}

static void a_group_without_members_or_topics_has_no_assignment(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench, 1);
    for (unsigned assignor = 0; assignor < ASSIGNOR_COUNT; assignor++) {
        bench.input.member_count = 0;
        bench.input.topic_count = 0;
        assert_non_null(assignor_assign((enum assignor)assignor, &bench.input, &bench.arena));
        add_member(&bench, true, false);
        const struct partition_set **sets =
            assignor_assign((enum assignor)assignor, &bench.input, &bench.arena);
        assert_true(partition_set_is_empty(sets[0]));
    }
    bench_deinit(&bench);
}

/* 10,000 members on one topic, one more joins: compared by work, not by time. */
static void a_large_group_is_assigned_at_once(void **state)
{
    (void)state;
    enum { MEMBERS = 10000 };
    struct bench bench;
    bench_init(&bench, 1);
    bench.topics[0] = (struct assignor_topic){topic_id(0), MEMBERS};
    bench.input.topic_count = 1;
    struct assignor_member *members = arena_get_array(&bench.arena, MEMBERS, sizeof(*members));
    static const uint32_t place = 0;
    for (uint32_t m = 0; m < MEMBERS; m++) {
        uint8_t *id = arena_get(&bench.arena, 4);
        store_u32(id, m);
        members[m] = (struct assignor_member){.id = view_of(id, 4),
                                              .topics = &place,
                                              .topic_count = 1,
                                              .target = &partition_set_empty};
    }
    bench.input.members = members;
    bench.input.member_count = MEMBERS - 1;
    for (unsigned round = 0; round < 2; round++) {
        const struct partition_set **sets =
            assignor_assign(ASSIGNOR_UNIFORM, &bench.input, &bench.arena);
        for (uint32_t m = 0; m < bench.input.member_count; m++) {
            assert_true(sets[m]->partition_count >= 1);
            members[m].target = sets[m];
        }
        bench.input.member_count = MEMBERS;
    }
    assert_int_equal(members[0].target->partition_count, 1);
    bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_is_even_and_moves_least),
        cmocka_unit_test(uniform_settles_where_subscriptions_differ),
        cmocka_unit_test(range_gives_each_topic_in_ranges),
        cmocka_unit_test(a_group_without_members_or_topics_has_no_assignment),
        cmocka_unit_test(a_large_group_is_assigned_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
