/*
 * Java .properties files: reading with line numbers, and writing.
 *
 * A key ends at the first unescaped '=', ':' or white space; a line that ends in an odd number of
 * backslashes goes on in the next; '#' and '!' begin comments; \t \n \r \f and \uXXXX are decoded.
 * Bytes are UTF-8 (Kafka's loader assumes Latin-1; our files are what editors write today).
 */
#ifndef KLAMM_CONFIG_PROPERTIES_H
#define KLAMM_CONFIG_PROPERTIES_H

#include "base/arena.h"

struct property {
    struct view name;
    struct view value; /* empty when the line has none; never null */
    uint32_t line;     /* of the first physical line, counted from 1 */
};

struct properties {
    struct property *items; /* in file order; repeated names stay, the last one counts */
    size_t count;
};

/*
 * Reads a whole file. Names and values are held by the arena or borrowed from `text`. False when a
 * \u escape is malformed (then *error_line names the line) or the arena refuses (error_line 0).
 */
bool properties_read(struct view text, struct properties *properties, uint32_t *error_line,
                     struct arena *arena);
/* Appends "name=value\n" with what must be escaped escaped; fails the writer when full. */
void properties_write(struct writer *writer, struct view name, struct view value);

#endif
