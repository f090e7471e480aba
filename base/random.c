/*
 * xoshiro256** by Blackman and Vigna (public domain algorithm), its state filled by splitmix64 as
 * its authors advise. Bounded numbers use the multiply-and-reject method, which draws again in the
 * few cases that would make the low numbers likelier.
 */
#include "base/random.h"

#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

static uint64_t splitmix_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void random_init(struct random_stream *random, uint64_t seed, uint64_t stream)
{
    uint64_t mixed = stream;
    uint64_t state = seed ^ splitmix_next(&mixed);
    for (int i = 0; i < 4; i++)
        random->state[i] = splitmix_next(&state);
}

static uint64_t rotate_left(uint64_t value, unsigned count)
{
    return value << count | value >> (64 - count);
}

uint64_t random_u64(struct random_stream *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t random_below(struct random_stream *random, uint64_t bound)
{
    klamm_assert(bound > 0);
    uint64_t unfair = (0 - bound) % bound; /* low halves below this would be drawn once too often */
    for (;;) {
        hash_product product = (hash_product)random_u64(random) * bound;
        if ((uint64_t)product >= unfair)
            return (uint64_t)(product >> 64);
    }
}

int64_t random_between(struct random_stream *random, int64_t low, int64_t high)
{
    klamm_assert(low <= high);
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    uint64_t drawn = span == 0 ? random_u64(random) : random_below(random, span);
    return (int64_t)((uint64_t)low + drawn);
}

bool random_chance(struct random_stream *random, uint64_t count, uint64_t total)
{
    return random_below(random, total) < count;
}

void random_fill(struct random_stream *random, void *data, size_t size)
{
    uint8_t *p = data;
    while (size > 0) {
        uint8_t word[8];
        store_u64(word, random_u64(random));
        size_t piece = size < sizeof(word) ? size : sizeof(word);
        memcpy(p, word, piece);
        p += piece;
        size -= piece;
    }
}
