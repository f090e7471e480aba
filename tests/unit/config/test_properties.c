/*
 * Property files: one table of texts and what they hold, then writing and reading back.
 */
#include "config/properties.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct heap heap;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void lines_are_read_as_java_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        const char *name; /* of the first property */
        const char *value;
        uint32_t line;
    } cases[] = {
        {"a=b", 1, "a", "b", 1},
        {"a = b \n", 1, "a", "b ", 1},
        {"a:b", 1, "a", "b", 1},
        {"a b", 1, "a", "b", 1},
        {"a : = b", 1, "a", "= b", 1},
        {"a", 1, "a", "", 1},
        {"a=", 1, "a", "", 1},
        {"=b", 1, "", "b", 1},
        {"# a=b\n! c=d\n\n  e=f", 1, "e", "f", 4},
        {"a=b\r\nc=d\r", 2, "a", "b", 1},
        {"a=b\\\n   c", 1, "a", "bc", 1},
        {"a=b\\\\\nc=d", 2, "a", "b\\", 1},
        {"a=b\\", 1, "a", "b", 1},
        {"a=b\\\n# no comment", 1, "a", "b# no comment", 1},
        {"a\\=b\\ c=d", 1, "a=b c", "d", 1},
        {"a=\\t\\n\\r\\f\\q\\\\", 1, "a", "\t\n\r\fq\\", 1},
        {"a=\\u00e4\\u20AC\\u0041", 1, "a",
         "\xc3\xa4\xe2\x82\xac"
         "A",
         1},
        {"a=b=c:d", 1, "a", "b=c:d", 1},
        {"", 0, NULL, NULL, 0},
        {"\n\n#", 0, NULL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct properties properties;
        uint32_t error_line;
        assert_true(
            properties_read(view_of_string(cases[i].text), &properties, &error_line, &arena));
        assert_int_equal(properties.count, cases[i].count);
        if (cases[i].count == 0)
            continue;
        assert_true(view_equal(properties.items[0].name, view_of_string(cases[i].name)));
        assert_true(view_equal(properties.items[0].value, view_of_string(cases[i].value)));
        assert_int_equal(properties.items[0].line, cases[i].line);
    }
}

static void a_malformed_escape_names_its_line(void **state)
{
    (void)state;
    static const char *const texts[] = {"a=b\nc=\\u12", "a=b\nc=\\u12G4", "a=b\nc\\u=1",
                                        "a=b\nc=\\u"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct properties properties;
        uint32_t error_line = 0;
        assert_false(properties_read(view_of_string(texts[i]), &properties, &error_line, &arena));
        assert_int_equal(error_line, 2);
    }
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"plain",       " lead",       "a=b:c#d!e", "tab\there",
                                        "line\nbreak", "back\\slash", "end\\",     "",
                                        "#x",          "\r\f"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++) {
            char text[256];
            struct writer writer = writer_of(text, sizeof(text));
            struct properties properties;
            uint32_t error_line;
            properties_write(&writer, view_of_string(texts[i]), view_of_string(texts[j]));
            assert_false(writer.failed);
            assert_true(
                properties_read(view_of(text, writer.size), &properties, &error_line, &arena));
            assert_int_equal(properties.count, 1);
            assert_true(view_equal(properties.items[0].name, view_of_string(texts[i])));
            assert_true(view_equal(properties.items[0].value, view_of_string(texts[j])));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_as_java_reads_them),
        cmocka_unit_test(a_malformed_escape_names_its_line),
        cmocka_unit_test(what_is_written_reads_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
