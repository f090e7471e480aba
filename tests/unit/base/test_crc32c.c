/* Known vectors (RFC 3720, appendix B.4), and both implementations side by side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/crc32c.h"
#include "base/random.h"

static void known_vectors_match(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t rising[32];
    for (int i = 0; i < 32; i++) {
        ones[i] = 0xff;
        rising[i] = (uint8_t)i;
    }
    const struct {
        const void *data;
        size_t size;
        uint32_t crc;
    } vectors[] = {
        {"", 0, 0},
        {"123456789", 9, 0xe3069283},
        {zeros, 32, 0x8a9136aa},
        {ones, 32, 0x62a8ab43},
        {rising, 32, 0x46dd794e},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        assert_int_equal(crc32c(0, vectors[i].data, vectors[i].size), vectors[i].crc);
        assert_int_equal(crc32c_portable(0, vectors[i].data, vectors[i].size), vectors[i].crc);
    }
}

static void both_agree_on_every_size_and_alignment(void **state)
{
    (void)state;
    static uint8_t data[2048];
    struct random_stream random;
    random_init(&random, 1, 0);
    random_fill(&random, data, sizeof(data));
    for (size_t size = 0; size < 700; size++) {
        size_t start = size % 17;
        uint32_t seed = (uint32_t)random_u64(&random);
        assert_int_equal(crc32c(seed, data + start, size),
                         crc32c_portable(seed, data + start, size));
    }
}

static void a_checksum_chains(void **state)
{
    (void)state;
    static const char text[] = "the castle hill was hidden, veiled in mist and darkness";
    uint32_t whole = crc32c(0, text, sizeof(text));
    for (size_t cut = 0; cut <= sizeof(text); cut++)
        assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, sizeof(text) - cut), whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_vectors_match),
        cmocka_unit_test(both_agree_on_every_size_and_alignment),
        cmocka_unit_test(a_checksum_chains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
