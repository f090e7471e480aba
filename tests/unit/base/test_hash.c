/* Keys with a pattern, such as client ids and rising numbers, spread over buckets and shards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/text.h"

enum { BUCKETS = 256, KEYS = 256 * 32 };

static void expect_spread(const unsigned *counts)
{
    for (int i = 0; i < BUCKETS; i++)
        assert_in_range(counts[i], 5, 80); /* 32 on average */
}

static void rising_numbers_spread_at_any_stride(void **state)
{
    (void)state;
    static const uint64_t seeds[] = {0, 1, 42, UINT64_MAX};
    for (unsigned shift = 0; shift < 52; shift++) {
        for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
            unsigned low[BUCKETS] = {0};
            unsigned high[BUCKETS] = {0};
            for (uint64_t key = 0; key < KEYS; key++) {
                uint64_t hash = hash_u64(seeds[i], key << shift);
                low[hash % BUCKETS]++;
                high[hash >> 56]++;
            }
            expect_spread(low);
            expect_spread(high);
        }
    }
}

static void names_that_differ_in_their_end_spread(void **state)
{
    (void)state;
    unsigned low[BUCKETS] = {0};
    unsigned high[BUCKETS] = {0};
    for (uint64_t i = 0; i < KEYS; i++) {
        char buffer[40];
        struct text_builder text;
        text_builder_init(&text, buffer, sizeof(buffer));
        text_append_string(&text, "console-consumer-");
        text_append_u64(&text, i);
        uint64_t hash = hash_bytes(7, text_builder_view(&text));
        low[hash % BUCKETS]++;
        high[hash >> 56]++;
    }
    expect_spread(low);
    expect_spread(high);
}

static void padding_and_seed_count(void **state)
{
    (void)state;
    assert_int_not_equal(hash_bytes(0, view_of("a\0", 2)), hash_bytes(0, view_of("a", 1)));
    assert_int_not_equal(hash_bytes(0, view_of("a", 1)), hash_bytes(1, view_of("a", 1)));
    assert_int_not_equal(hash_bytes(0, VIEW_NULL), hash_bytes(0, view_of("\0", 1)));
    assert_int_equal(hash_bytes(0, VIEW_NULL), hash_bytes(0, VIEW_LITERAL("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rising_numbers_spread_at_any_stride),
        cmocka_unit_test(names_that_differ_in_their_end_spread),
        cmocka_unit_test(padding_and_seed_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
