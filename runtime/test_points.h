/*
 * Which test points (runtime/test_point.h) are on: a bit each. A value to be handed on; who only
 * carries it needs no more than this.
 */
#ifndef KLAMM_RUNTIME_TEST_POINTS_H
#define KLAMM_RUNTIME_TEST_POINTS_H

#include <stdint.h>

enum { TEST_POINT_WORDS = 2 };

struct test_points {
    uint64_t words[TEST_POINT_WORDS]; /* all zero, as in the shipped build: none */
};

#endif
