/*
 * Reconciliation over every case of one member: each subset of three partitions as assigned, as
 * target, as free, as revoking and as owned, in every state. And over every case of a group: three
 * members walk from any assignment to any target in any order of heartbeats, and no partition is
 * ever held by two.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/consumer_group_reconcile.h"

enum { PARTITIONS = 3, SUBSETS = 1 << PARTITIONS, MEMBERS = 3, NOT_SAID = -1 };

static const struct uuid topic = {{1}};

struct bench {
    struct heap heap;
    struct arena arena;
    unsigned free; /* bits: nobody owns them */
    bool subscribed;
};

static bool is_subscribed(const void *context, struct uuid id)
{
    assert_true(uuid_equal(id, topic));
    return ((const struct bench *)context)->subscribed;
}

static bool is_free(const void *context, struct uuid id, int32_t partition)
{
    assert_true(uuid_equal(id, topic));
    return ((const struct bench *)context)->free >> partition & 1;
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.subscribed = true};
    heap_init_plain(&bench->heap);
    arena_init(&bench->arena, &bench->heap, MEMORY_SCRATCH, 0);
}

static const struct partition_set *set_of(struct bench *bench, unsigned bits)
{
    struct partition_set_builder builder;
    partition_set_builder_init(&builder, &bench->arena);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        if (bits >> p & 1)
            partition_set_add(&builder, topic, p);
    }
    return partition_set_finish(&builder);
}

static unsigned bits_of(const struct partition_set *set)
{
    unsigned bits = 0;
    for (int32_t p = 0; p < PARTITIONS; p++)
        bits |= (unsigned)partition_set_contains(set, topic, p) << p;
    return bits;
}

/* One case, with sets as bits. */
struct one {
    enum consumer_member_state state;
    int32_t epoch;
    unsigned assigned;
    unsigned revoking;
    unsigned target;
    int owned; /* NOT_SAID, or bits */
    bool changed;
};

struct expected {
    enum consumer_member_state state;
    int32_t epoch;
    int32_t previous;
    unsigned assigned;
    unsigned revoking;
};

enum { OLD_EPOCH = 3, PREVIOUS_EPOCH = 2, TARGET_EPOCH = 5 };

static enum reconcile_outcome run(struct bench *bench, const struct one *one,
                                  struct member_progress *next)
{
    struct reconcile_input input = {
        .progress = {one->epoch, PREVIOUS_EPOCH, one->state, set_of(bench, one->assigned),
                     set_of(bench, one->revoking)},
        .target_epoch = TARGET_EPOCH,
        .target = set_of(bench, one->target),
        .owned = one->owned == NOT_SAID ? NULL : set_of(bench, (unsigned)one->owned),
        .subscription_changed = one->changed,
        .is_subscribed = is_subscribed,
        .is_free = is_free,
        .context = bench};
    return consumer_group_reconcile(&input, &bench->arena, next);
}

/* The table of the header, said again with bits. */
static struct expected step_of(const struct one *one, unsigned free, bool subscribed)
{
    unsigned target = subscribed ? one->target : 0;
    unsigned keep = one->assigned & target;
    unsigned revoke = one->assigned & ~target;
    unsigned missing = target & ~one->assigned;
    unsigned available = missing & (free | one->revoking);
    bool holds = one->owned == NOT_SAID || ((unsigned)one->owned & revoke) != 0;
    if (revoke != 0 && holds)
        return (struct expected){MEMBER_UNREVOKED_PARTITIONS, one->epoch, one->epoch, keep, revoke};
    return (struct expected){available == missing ? MEMBER_STABLE : MEMBER_UNRELEASED_PARTITIONS,
                             TARGET_EPOCH, one->epoch, keep | available, 0};
}

static struct expected unchanged(const struct one *one)
{
    return (struct expected){one->state, one->epoch, PREVIOUS_EPOCH, one->assigned, one->revoking};
}

static struct expected trim_of(const struct one *one, bool subscribed)
{
    struct expected expected = unchanged(one);
    if (!one->changed || subscribed || one->assigned == 0)
        return expected;
    unsigned revoking = one->revoking | one->assigned;
    expected.assigned = 0;
    if (one->owned == NOT_SAID || ((unsigned)one->owned & revoking) != 0) {
        expected.state = MEMBER_UNREVOKED_PARTITIONS;
        expected.revoking = revoking;
    }
    return expected;
}

static struct expected expect(const struct one *one, unsigned free, bool subscribed)
{
    switch (one->state) {
    case MEMBER_STABLE:
        return one->epoch != TARGET_EPOCH ? step_of(one, free, subscribed)
                                          : trim_of(one, subscribed);
    case MEMBER_UNREVOKED_PARTITIONS:
        if (one->owned == NOT_SAID || ((unsigned)one->owned & one->revoking) != 0)
            return trim_of(one, subscribed);
        return step_of(one, free, subscribed);
    case MEMBER_UNRELEASED_PARTITIONS:
    case MEMBER_UNKNOWN:
        return step_of(one, free, subscribed);
    }
    fail();
    return unchanged(one);
}

static void check(struct bench *bench, const struct one *one)
{
    struct member_progress next;
    enum reconcile_outcome outcome = run(bench, one, &next);
    if (one->state == MEMBER_UNKNOWN && one->owned != 0) {
        assert_int_equal(outcome, RECONCILE_FENCED);
        return;
    }
    assert_int_equal(outcome, RECONCILE_DONE);
    struct expected expected = expect(one, bench->free, bench->subscribed);
    if (one->state == MEMBER_UNKNOWN && expected.state == MEMBER_UNREVOKED_PARTITIONS)
        expected.epoch = TARGET_EPOCH;
    assert_int_equal(next.state, expected.state);
    assert_int_equal(next.epoch, expected.epoch);
    assert_int_equal(next.previous_epoch, expected.previous);
    assert_int_equal(bits_of(next.assigned), expected.assigned);
    assert_int_equal(bits_of(next.revoking), expected.revoking);
}

static void every_case_of_one_member_follows_the_table(void **state)
{
    (void)state;
    static const enum consumer_member_state states[] = {
        MEMBER_STABLE, MEMBER_UNREVOKED_PARTITIONS, MEMBER_UNRELEASED_PARTITIONS, MEMBER_UNKNOWN};
    struct bench bench;
    bench_init(&bench);
    for (unsigned i = 0; i < 4 * 2 * 2 * 2; i++) {
        struct one one = {.state = states[i % 4],
                          .epoch = i / 4 % 2 ? OLD_EPOCH : TARGET_EPOCH,
                          .changed = i / 8 % 2};
        bench.subscribed = i / 16 % 2;
        for (unsigned sets = 0; sets < SUBSETS * SUBSETS * SUBSETS * SUBSETS; sets++) {
            one.assigned = sets % SUBSETS;
            one.revoking = sets / SUBSETS % SUBSETS;
            one.target = sets / SUBSETS / SUBSETS % SUBSETS;
            bench.free = sets / SUBSETS / SUBSETS / SUBSETS;
            if ((one.assigned & one.revoking) | (bench.free & (one.assigned | one.revoking)))
                continue; /* cannot be */
            for (one.owned = NOT_SAID; one.owned < SUBSETS; one.owned++)
                check(&bench, &one);
            arena_reset(&bench.arena);
        }
    }
    arena_deinit(&bench.arena);
}

/* ---- A group --------------------------------------------------------------------------------- */

struct model_member {
    struct one one;
    unsigned client; /* what the client itself still uses */
};

/* One heartbeat: the member learns its assignment, and gives up what is not in it. */
static bool beat(struct bench *bench, struct model_member *members, unsigned place)
{
    struct model_member *member = &members[place];
    unsigned held = 0;
    for (unsigned m = 0; m < MEMBERS; m++)
        held |= members[m].one.assigned | members[m].one.revoking;
    bench->free = ~held & (SUBSETS - 1);
    member->one.owned = (int)member->client;
    struct member_progress next;
    assert_int_equal(run(bench, &member->one, &next), RECONCILE_DONE);
    struct one before = member->one;
    member->one.state = next.state;
    member->one.epoch = next.epoch;
    member->one.assigned = bits_of(next.assigned);
    member->one.revoking = bits_of(next.revoking);
    unsigned client = member->client;
    member->client = member->one.assigned;
    arena_reset(&bench->arena);
    return client != member->client || before.state != member->one.state ||
           before.epoch != member->one.epoch || before.assigned != member->one.assigned ||
           before.revoking != member->one.revoking;
}

static void assert_exclusive(const struct model_member *members)
{
    for (unsigned a = 0; a < MEMBERS; a++) {
        for (unsigned b = a + 1; b < MEMBERS; b++) {
            assert_int_equal(members[a].client & members[b].client, 0);
            assert_int_equal((members[a].one.assigned | members[a].one.revoking) &
                                 (members[b].one.assigned | members[b].one.revoking),
                             0);
        }
    }
}

/* Owner of each partition as base-4 digits (3: nobody). */
static unsigned bits_for(unsigned owners, unsigned member)
{
    unsigned bits = 0;
    for (unsigned p = 0; p < PARTITIONS; p++)
        bits |= (unsigned)(((owners >> 2 * p) & 3) == member) << p;
    return bits;
}

static void no_partition_is_held_twice_on_the_way_to_any_target(void **state)
{
    (void)state;
    static const unsigned orders[6][MEMBERS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct bench bench;
    bench_init(&bench);
    for (unsigned from = 0; from < 64; from++) {
        for (unsigned to = 0; to < 64; to++) {
            for (unsigned order = 0; order < 6; order++) {
                struct model_member members[MEMBERS];
                for (unsigned m = 0; m < MEMBERS; m++) {
                    members[m] = (struct model_member){.one = {.state = MEMBER_STABLE,
                                                               .epoch = OLD_EPOCH,
                                                               .assigned = bits_for(from, m),
                                                               .target = bits_for(to, m)},
                                                       .client = bits_for(from, m)};
                }
                bool moved = true;
                for (unsigned round = 0; moved; round++) {
                    moved = false;
                    assert_true(round < 8); /* it settles */
                    for (unsigned i = 0; i < MEMBERS; i++) {
                        moved |= beat(&bench, members, orders[order][i]);
                        assert_exclusive(members);
                    }
                }
                for (unsigned m = 0; m < MEMBERS; m++) {
                    assert_int_equal(members[m].one.state, MEMBER_STABLE);
                    assert_int_equal(members[m].one.epoch, TARGET_EPOCH);
                    assert_int_equal(members[m].one.assigned, members[m].one.target);
                }
            }
        }
    }
    arena_deinit(&bench.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_of_one_member_follows_the_table),
        cmocka_unit_test(no_partition_is_held_twice_on_the_way_to_any_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
