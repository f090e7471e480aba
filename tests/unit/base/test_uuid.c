/* Text form, order and halves of base/uuid.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/uuid.h"

static void text_is_url_safe_base64(void **state)
{
    (void)state;
    static const struct {
        uint64_t most, least;
        const char *text;
    } cases[] = {
        {0, 0, "AAAAAAAAAAAAAAAAAAAAAA"},
        {0, 1, "AAAAAAAAAAAAAAAAAAAAAQ"},
        {UINT64_MAX, UINT64_MAX, "_____________________w"},
        {UINT64_C(0xf8000000000000ff), UINT64_C(0x0123456789abcdef), "-AAAAAAAAP8BI0VniavN7w"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct uuid id = uuid_of_halves(cases[i].most, cases[i].least);
        char text[UUID_TEXT_SIZE + 1];
        uuid_format(id, text);
        assert_string_equal(text, cases[i].text);
        struct uuid parsed;
        assert_true(uuid_parse(view_of_string(text), &parsed));
        assert_true(uuid_equal(id, parsed));
        assert_int_equal(uuid_most(parsed), cases[i].most);
        assert_int_equal(uuid_least(parsed), cases[i].least);
        assert_int_equal(uuid_text_begins_with_dash(id), text[0] == '-');
    }
}

static void any_id_survives_its_text(void **state)
{
    (void)state;
    struct random_stream random;
    random_init(&random, 3, 0);
    for (int i = 0; i < 1000; i++) {
        struct uuid id = uuid_of_random(random_u64(&random), random_u64(&random));
        assert_int_equal(id.bytes[6] >> 4, 4);
        assert_int_equal(id.bytes[8] >> 6, 2);
        char text[UUID_TEXT_SIZE + 1];
        struct uuid parsed;
        uuid_format(id, text);
        assert_true(uuid_parse(view_of_string(text), &parsed));
        assert_true(uuid_equal(id, parsed));
    }
}

static void text_that_is_not_canonical_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "AAAAAAAAAAAAAAAAAAAAA",    /* short */
        "AAAAAAAAAAAAAAAAAAAAAAA",  /* long */
        "AAAAAAAAAAAAAAAAAAAAAA==", /* padded */
        "AAAAAAAAAAAAAAAAAAAAAB",   /* bits beyond 128 */
        "AAAAAAAAAA+AAAAAAAAAAA",   /* the other alphabet */
        "AAAAAAAAAA AAAAAAAAAAA",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct uuid id = UUID_ONE;
        assert_false(uuid_parse(view_of_string(texts[i]), &id));
        assert_true(uuid_is_zero(id));
    }
}

static void order_is_that_of_the_bytes(void **state)
{
    (void)state;
    struct uuid low = uuid_of_halves(1, UINT64_MAX);
    struct uuid high = uuid_of_halves(2, 0);
    assert_true(uuid_compare(low, high) < 0);
    assert_true(uuid_compare(high, low) > 0);
    assert_int_equal(uuid_compare(high, high), 0);
    assert_false(uuid_is_zero(low));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_url_safe_base64),
        cmocka_unit_test(any_id_survives_its_text),
        cmocka_unit_test(text_that_is_not_canonical_is_refused),
        cmocka_unit_test(order_is_that_of_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
