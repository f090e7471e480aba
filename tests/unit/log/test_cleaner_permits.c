/* Permits for compactions: how many at a time, whose turn it is, and a limit that changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log/cleaner_permits.h"
#include "tests/unit/log/memory_node.h"

enum { CLEANERS = 2 };

struct asking {
    struct cleaner_permit permit;
    unsigned granted;
    unsigned home;
};

struct fixture {
    struct memory_node node;
    struct cleaner_permits permits;
    struct asking cleaners[CLEANERS]; /* on loops 1 and 2 */
};

static void granted(struct cleaner_permit *permit)
{
    container_of(permit, struct asking, permit)->granted++;
}

static void came_home(struct cleaner_permit *permit)
{
    container_of(permit, struct asking, permit)->home++;
}

static void fixture_begin(struct fixture *fixture, unsigned limit)
{
    *fixture = (struct fixture){0};
    memory_node_init(&fixture->node);
    cleaner_permits_init(&fixture->permits, memory_node_loop(&fixture->node, 0), limit);
    for (unsigned i = 0; i < CLEANERS; i++)
        fixture->cleaners[i].permit =
            (struct cleaner_permit){.permits = &fixture->permits,
                                    .loop = memory_node_loop(&fixture->node, i + 1),
                                    .granted = granted,
                                    .home = came_home};
}

static void ask(struct fixture *fixture, unsigned i, double ratio, int64_t overdue_ms)
{
    fixture->cleaners[i].permit.need =
        (struct compaction_need){.ratio = ratio, .overdue_ms = overdue_ms};
    cleaner_permit_ask(&fixture->cleaners[i].permit);
}

static void one_waits_until_the_other_is_back(void **state)
{
    static struct fixture fixture;
    (void)state;
    fixture_begin(&fixture, 1);
    ask(&fixture, 0, 0.5, 0);
    memory_node_run(&fixture.node);
    ask(&fixture, 1, 0.9, 0);
    memory_node_run(&fixture.node);
    assert_int_equal(fixture.cleaners[0].granted, 1);
    assert_int_equal(fixture.cleaners[1].granted, 0);
    cleaner_permit_return(&fixture.cleaners[0].permit);
    memory_node_run(&fixture.node);
    assert_int_equal(fixture.cleaners[0].home, 1);
    assert_int_equal(fixture.cleaners[1].granted, 1);
    memory_node_deinit(&fixture.node);
}

static void who_is_granted_hears_whether_others_wait(void **state)
{
    static struct fixture fixture;
    (void)state;
    fixture_begin(&fixture, 0);
    ask(&fixture, 0, 0.9, 0);
    ask(&fixture, 1, 0.5, 0);
    memory_node_run(&fixture.node);
    cleaner_permits_set_limit(&fixture.permits, 1);
    memory_node_run(&fixture.node);
    assert_int_equal(fixture.cleaners[0].granted, 1);
    assert_true(fixture.cleaners[0].permit.others_wait);
    cleaner_permit_return(&fixture.cleaners[0].permit);
    memory_node_run(&fixture.node);
    assert_int_equal(fixture.cleaners[1].granted, 1);
    assert_false(fixture.cleaners[1].permit.others_wait);
    cleaner_permit_return(&fixture.cleaners[1].permit);
    memory_node_run(&fixture.node);
    fixture.cleaners[0].permit.due = 2; /* one more on its own loop */
    ask(&fixture, 0, 0.9, 0);
    memory_node_run(&fixture.node);
    assert_int_equal(fixture.cleaners[0].granted, 2);
    assert_true(fixture.cleaners[0].permit.others_wait);
    memory_node_deinit(&fixture.node);
}

static void the_most_urgent_is_first_when_one_becomes_free(void **state)
{
    static const struct {
        double ratio[CLEANERS];
        int64_t overdue_ms[CLEANERS];
        unsigned first;
    } cases[] = {{{0.5, 0.6}, {0, 0}, 1},
                 {{0.7, 0.6}, {0, 0}, 0},
                 {{0.9, 0.1}, {0, 1}, 1},
                 {{0.1, 0.9}, {5, 3}, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct fixture fixture;
        fixture_begin(&fixture, 0); /* no cleaner threads: everybody waits */
        for (unsigned k = 0; k < CLEANERS; k++)
            ask(&fixture, k, cases[i].ratio[k], cases[i].overdue_ms[k]);
        memory_node_run(&fixture.node);
        assert_int_equal(fixture.cleaners[0].granted + fixture.cleaners[1].granted, 0);
        cleaner_permits_set_limit(&fixture.permits, 1);
        memory_node_run(&fixture.node);
        assert_int_equal(fixture.cleaners[cases[i].first].granted, 1);
        assert_int_equal(fixture.cleaners[1 - cases[i].first].granted, 0);
        cleaner_permits_set_limit(&fixture.permits, 2);
        memory_node_run(&fixture.node);
        assert_int_equal(fixture.cleaners[1 - cases[i].first].granted, 1);
        memory_node_deinit(&fixture.node);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_waits_until_the_other_is_back),
        cmocka_unit_test(who_is_granted_hears_whether_others_wait),
        cmocka_unit_test(the_most_urgent_is_first_when_one_becomes_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
