/* The places of keys, computed by Kafka's own brokers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "coordinator/placement.h"

static void keys_are_placed_as_kafka_places_them(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int32_t hash;
        int32_t partition; /* of 50 */
    } cases[] = {
        {"", 0, 0},
        {"a", 97, 47},
        {"test", 3556498, 48},
        {"my-group", -1906497762, 12},
        {"my-txn-id", 1405732511, 11},
        {"console-consumer-12345", 158455506, 6},
        {"\xd0\xb3\xd1\x80\xd1\x83\xd0\xbf\xd0\xbf\xd0\xb0", 1749938458, 8},
        {"gr\xc3\xbcppe", -1233264812, 12},
        {"\xf0\x9f\x98\x80", 1772899, 49},
        {"polygenelubricants", INT32_MIN, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct view key = view_of_string(cases[i].key);
        assert_int_equal(placement_hash(key), cases[i].hash);
        assert_int_equal(placement_partition(key, 50), cases[i].partition);
        assert_int_equal(placement_partition(key, 1), 0);
    }
}

static void bytes_that_are_no_text_count_as_replacements(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *same; /* with the pieces replaced */
    } cases[] = {
        {"\xff", "\xef\xbf\xbd"},
        {"a\xc3", "a\xef\xbf\xbd"},
        {"\xe2\x82"
         "b",
         "\xef\xbf\xbd"
         "b"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98", "\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(placement_hash(view_of_string(cases[i].bytes)),
                         placement_hash(view_of_string(cases[i].same)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_placed_as_kafka_places_them),
        cmocka_unit_test(bytes_that_are_no_text_count_as_replacements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
