/*
 * Reading the tab-separated recordings under tests/golden/config/.
 */
#ifndef KLAMM_TESTS_UNIT_CONFIG_GOLDEN_H
#define KLAMM_TESTS_UNIT_CONFIG_GOLDEN_H

#include "base/arena.h"

#define GOLDEN_FIELDS_MAX 8

/* One line; fields point into the text. */
struct golden_line {
    struct view fields[GOLDEN_FIELDS_MAX];
    size_t count;
};

struct golden {
    struct view text;
    size_t next;
};

/* Reads the whole file; fails the test when it cannot. */
struct golden golden_open(const char *name, struct arena *arena);
/* The next line that is not a comment; false at the end. */
bool golden_next(struct golden *golden, struct golden_line *line);
/* 'text' without its quotes; null when it has none. */
struct view golden_unquote(struct view field);

#endif
