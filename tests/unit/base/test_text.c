/* Parsing at and beyond every bound, and formatting into buffers that are too small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"

static void integers_are_taken_whole_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t minimum, maximum;
        bool fits;
        int64_t value;
    } cases[] = {
        {"0", 0, 10, true, 0},
        {"10", 0, 10, true, 10},
        {"11", 0, 10, false, 0},
        {"-1", 0, 10, false, 0},
        {"-1", -1, 10, true, -1},
        {"+7", 0, 10, true, 7},
        {"007", 0, 10, true, 7},
        {"", 0, 10, false, 0},
        {"-", -10, 10, false, 0},
        {"--1", -10, 10, false, 0},
        {" 1", 0, 10, false, 0},
        {"1 ", 0, 10, false, 0},
        {"1x", 0, 10, false, 0},
        {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
        {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
        {"99999999999999999999999", INT64_MIN, INT64_MAX, false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = 77;
        assert_int_equal(text_parse_i64(view_of_string(cases[i].text), cases[i].minimum,
                                        cases[i].maximum, &value),
                         cases[i].fits);
        assert_int_equal(value, cases[i].fits ? cases[i].value : 77);
    }
    uint64_t number;
    assert_true(text_parse_u64(VIEW_LITERAL("18446744073709551615"), UINT64_MAX, &number));
    assert_int_equal(number, UINT64_MAX);
    assert_false(text_parse_u64(VIEW_LITERAL("18446744073709551616"), UINT64_MAX, &number));
    assert_false(text_parse_u64(VIEW_NULL, UINT64_MAX, &number));
    assert_false(text_parse_u64(VIEW_LITERAL("9"), 5, &number));
}

static void doubles_are_taken_whole_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
        double value;
    } cases[] = {
        {"0", true, 0},
        {"0.5", true, 0.5},
        {".25", true, 0.25},
        {"3.", true, 3},
        {"-1.5", true, -1.5},
        {"1e3", true, 1000},
        {"1E-3", true, 0.001},
        {"0.1", true, 0.1},
        {"1e400", false, 0},
        {"1e309", false, 0},
        {"", false, 0},
        {".", false, 0},
        {"1e", false, 0},
        {"e5", false, 0},
        {"1.2.3", false, 0},
        {"nan", false, 0},
        {"inf", false, 0},
        {"1 ", false, 0},
        {"-", false, 0},
        {"1e-390", true, 0},
        {"9007199254740993", true, 9007199254740992.0},
        {"123456789012345678901234567890", true, 123456789012345678901234567890.0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double value = 77;
        assert_int_equal(text_parse_double(view_of_string(cases[i].text), &value), cases[i].fits);
        assert_true(value == (cases[i].fits ? cases[i].value : 77));
    }
}

static void booleans_and_hex(void **state)
{
    (void)state;
    bool value = false;
    uint8_t bytes[2];
    assert_true(text_parse_boolean(VIEW_LITERAL("TRUE"), &value) && value);
    assert_true(text_parse_boolean(VIEW_LITERAL("false"), &value) && !value);
    assert_false(text_parse_boolean(VIEW_LITERAL("yes"), &value));
    assert_false(text_parse_boolean(VIEW_NULL, &value));
    assert_true(text_parse_hex(VIEW_LITERAL("0aFf"), bytes, 2));
    assert_int_equal(bytes[0], 0x0a);
    assert_int_equal(bytes[1], 0xff);
    assert_false(text_parse_hex(VIEW_LITERAL("0aF"), bytes, 2));
    assert_false(text_parse_hex(VIEW_LITERAL("0aFf0"), bytes, 2));
    assert_false(text_parse_hex(VIEW_LITERAL("0aFg"), bytes, 2));
}

static void views_are_cut_and_compared(void **state)
{
    (void)state;
    struct view rest = VIEW_LITERAL("a,,bc");
    struct view part;
    static const char *const parts[] = {"a", "", "bc"};
    for (int i = 0; i < 3; i++) {
        assert_true(text_split(&rest, ',', &part));
        assert_true(view_equal(part, view_of_string(parts[i])));
    }
    assert_false(text_split(&rest, ',', &part));
    rest = VIEW_LITERAL("");
    assert_true(text_split(&rest, ',', &part));
    assert_int_equal(part.size, 0);
    assert_false(text_split(&rest, ',', &part));
    assert_true(view_equal(text_trim(VIEW_LITERAL(" \t x y\r\n")), VIEW_LITERAL("x y")));
    assert_int_equal(text_trim(VIEW_LITERAL("  ")).size, 0);
    assert_true(text_equal_any_case(VIEW_LITERAL("SASL_ssl"), VIEW_LITERAL("sasl_SSL")));
    assert_false(text_equal_any_case(VIEW_LITERAL("a"), VIEW_LITERAL("ab")));
    assert_true(text_starts_with(VIEW_LITERAL("log.dirs"), VIEW_LITERAL("log.")));
    assert_false(text_starts_with(VIEW_LITERAL("log"), VIEW_LITERAL("log.")));
    assert_true(text_ends_with(VIEW_LITERAL("00.log"), VIEW_LITERAL(".log")));
    assert_false(text_ends_with(VIEW_LITERAL("log"), VIEW_LITERAL(".log")));
    assert_int_equal(text_find(VIEW_LITERAL("a=b"), '='), 1);
    assert_int_equal(text_find(VIEW_LITERAL("ab"), '='), 2);
}

static void strings_have_room_and_no_inner_end(void **state)
{
    (void)state;
    char buffer[4];
    assert_true(text_to_string(VIEW_LITERAL("abc"), buffer, 4));
    assert_string_equal(buffer, "abc");
    assert_false(text_to_string(VIEW_LITERAL("abcd"), buffer, 4));
    assert_false(text_to_string(view_of("a\0b", 3), buffer, 4));
    assert_true(text_to_string(VIEW_NULL, buffer, 4));
    assert_string_equal(buffer, "");
}

static void the_builder_formats(void **state)
{
    (void)state;
    char buffer[200];
    struct text_builder builder;
    text_builder_init(&builder, buffer, sizeof(buffer));
    text_append_i64(&builder, INT64_MIN);
    text_append_char(&builder, ' ');
    text_append_u64(&builder, UINT64_MAX);
    text_append_char(&builder, ' ');
    text_append_padded(&builder, 42, 20);
    text_append_char(&builder, ' ');
    text_append_hex(&builder, view_of("\x00\xfe", 2));
    text_append_format(&builder, " %d-%s ", 5, "x");
    text_append_double(&builder, 0.1);
    text_append_char(&builder, ' ');
    text_append_double(&builder, 3);
    text_append_char(&builder, ' ');
    text_append_double(&builder, 1.0 / 3);
    assert_string_equal(buffer, "-9223372036854775808 18446744073709551615 00000000000000000042 "
                                "00fe 5-x 0.1 3.0 0.3333333333333333");
    assert_false(builder.truncated);
    assert_int_equal(text_builder_view(&builder).size, builder.size);
}

static void the_builder_cuts_what_does_not_fit(void **state)
{
    (void)state;
    char buffer[6];
    struct text_builder builder;
    text_builder_init(&builder, buffer, sizeof(buffer));
    text_append_string(&builder, "abc");
    assert_false(builder.truncated);
    text_append_string(&builder, "defg");
    assert_true(builder.truncated);
    assert_string_equal(buffer, "abcde");
    text_append_format(&builder, "%s", "more");
    assert_string_equal(buffer, "abcde");
    text_builder_init(&builder, buffer, sizeof(buffer));
    text_append_format(&builder, "%s", "exact");
    assert_false(builder.truncated);
    text_append_format(&builder, "%d", 1);
    assert_true(builder.truncated);
    assert_string_equal(buffer, "exact");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_taken_whole_or_refused),
        cmocka_unit_test(doubles_are_taken_whole_or_refused),
        cmocka_unit_test(booleans_and_hex),
        cmocka_unit_test(views_are_cut_and_compared),
        cmocka_unit_test(strings_have_room_and_no_inner_end),
        cmocka_unit_test(the_builder_formats),
        cmocka_unit_test(the_builder_cuts_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
