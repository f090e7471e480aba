/* Patterns: what is accepted, what is refused as RE2/J refuses it, what matches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/topic_regex.h"

static const struct {
    const char *pattern;
    const char *matches;   /* NULL: nothing to try */
    const char *different; /* does not match */
} accepted[] = {
    {"orders", "orders", "orders-eu"},
    {"orders.*", "orders-eu", "old-orders"},
    {".*", "anything", NULL},
    {"a|ab", "ab", "abc"},
    {"(a|b)+c?", "abab", "abd"},
    {"^orders$", "orders", "orders2"},
    {"[a-c]{2,3}", "abc", "abcc"},
    {"x{3}", "xxx", "xx"},
    {"x{,3}", "x{,3}", "xx"},
    {"[[:alpha:]]+", "abc", "a1"},
    {"[]a]+", NULL, "b"},
    {"[^a]b", "bb", "ab"},
    {"(?i)ORDERS", "orders", "other"},
    {"(?:a|b)c", "bc", "ab"},
    {"(?P<kind>a|b)c", "ac", "cc"},
    {"(?i:AB)c", "abc", "abC"},
    {"\\Qa.b\\E", "a.b", "acb"},
    {"a\\.b", "a.b", "acb"},
    {"\\w+\\d", "abc1", "abc"},
    {"\\pL+", "abc", "1"},
    {"\\p{Greek}", NULL, "a"},
    {"a*?b", "aab", "aa"},
    {"\\x61", "a", "b"},
    {"\\141", "a", "b"},
    {"a{1000}", NULL, "a"},
    {"", NULL, "a"},
    {"\\bab\\b", "ab", "abc"},
    {"a\\z", "a", "ab"},
};

static const char *const refused[] = {
    "[",       "(",      ")",         "*",         "a**",     "a+*",   "+a",     "a{1001}",
    "a{2}{3}", "(?=a)",  "(?!a)b",    "(?<=a)b",   "(?<!a)b", "(?>a)", "(a)\\1", "\\g1",
    "\\K",     "\\G",    "\\R",       "\\X",       "\\Z",     "\\C",   "(?#a)",  "(?|a|b)",
    "(?R)",    "(?1)",   "(*UTF)a",   "(*ACCEPT)", "a\\",     "[a",    "[z-a]",  "a|*",
    "(?x)a",   "\\k<a>", "\\p{Nope}", "(?P<1>a)",  "a{10,2}", "\\8",
};

static bool matches(const char *pattern, const char *name)
{
    struct heap heap;
    heap_init_plain(&heap);
    const char *message;
    struct topic_regex *regex = topic_regex_compile(&heap, view_of_string(pattern), &message);
    assert_non_null(regex);
    bool result = topic_regex_matches(regex, view_of_string(name));
    topic_regex_free(regex);
    assert_int_equal(heap.used[MEMORY_STATE], 0);
    return result;
}

static void a_pattern_matches_whole_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        print_message("%s\n", accepted[i].pattern);
        if (accepted[i].matches)
            assert_true(matches(accepted[i].pattern, accepted[i].matches));
        if (accepted[i].different)
            assert_false(matches(accepted[i].pattern, accepted[i].different));
    }
}

static void what_re2_does_not_know_is_refused(void **state)
{
    (void)state;
    struct heap heap;
    heap_init_plain(&heap);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        print_message("%s\n", refused[i]);
        assert_non_null(topic_regex_check(&heap, view_of_string(refused[i])));
    }
    assert_int_equal(heap.used[MEMORY_STATE], 0);
}

static void a_pattern_beyond_the_bound_is_refused(void **state)
{
    (void)state;
    struct heap heap;
    heap_init_plain(&heap);
    assert_non_null(topic_regex_check(&heap, VIEW_LITERAL("((a{100}){100}){100}")));
    assert_non_null(topic_regex_check(&heap, VIEW_LITERAL("(abcdefghijklmnop){1000}")));
    assert_int_equal(heap.used[MEMORY_STATE], 0);
}

/* Patterns that make backtracking matchers take exponential time. */
static void a_match_takes_bounded_time(void **state)
{
    (void)state;
    char name[250];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    assert_false(matches("(a+)+b", name));
    assert_false(matches("(a|aa)+b", name));
    assert_false(matches("(.*)*(.*)*(.*)*b", name));
    assert_true(matches("(a?){249}a{249}", name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_matches_whole_names),
        cmocka_unit_test(what_re2_does_not_know_is_refused),
        cmocka_unit_test(a_pattern_beyond_the_bound_is_refused),
        cmocka_unit_test(a_match_takes_bounded_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
