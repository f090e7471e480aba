/*
 * Typed values: parsing, checking and the canonical text, as Kafka does all three.
 *
 * Surrounding white space is dropped; booleans are "true" or "false"
 * in any case; a LIST is split at commas, its elements trimmed, and an element that is empty or
 * there twice is refused. Doubles are read without the locale and written as Java writes them.
 *
 * Invariants:
 *  1. What config_value_parse accepts, config_value_format writes in a form that parses to the same
 *     value and formats to the same text again.
 *  2. Error texts name key, value (not for PASSWORD) and what is allowed.
 */
#ifndef KLAMM_CONFIG_VALUE_H
#define KLAMM_CONFIG_VALUE_H

#include "config/definition.h"
#include "base/arena.h"

/* Texts in order. */
struct config_list {
    const struct view *items;
    size_t count;
};

struct config_value {
    enum config_type type;
    bool is_null; /* the key has no value; the union is zero */
    union {
        bool boolean;
        int64_t integer; /* INT, SHORT, LONG */
        double real;
        struct view text; /* STRING, CLASS, PASSWORD; borrowed from the parsed text */
        struct config_list list;
    };
};

/*
 * Parses `text` as a value of `row` and checks its rule. Lists and error texts are held by the
 * arena, all other text is borrowed from `text`. False with *error set when it is not allowed.
 */
bool config_value_parse(const struct config_definition *row, struct view text,
                        struct config_value *value, struct view *error, struct arena *arena);
/* Canonical text of a value, held by the arena or borrowed; null for a null value. */
struct view config_value_format(const struct config_value *value, struct arena *arena);
/* What a row allows, for people: "at least 1", "one of: a, b"; held by the arena. */
struct view config_rule_text(const struct config_definition *row, struct arena *arena);
/* Formatted text held by the arena (NUL behind it); null when refused. */
struct view config_text(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/*
 * Splits at commas and trims the elements; a blank text gives no element. False when the arena
 * refuses.
 */
bool config_split(struct view text, struct config_list *list, struct arena *arena);
/* Elements with commas between; held by the arena, null when refused. */
struct view config_join(const struct config_list *list, struct arena *arena);
/* Whether `item` is an element (same bytes). */
bool config_list_has(const struct config_list *list, struct view item);
/*
 * An ISO 8601 duration of days, hours, minutes and seconds ("P1DT2H3M4.5S"), not negative, cut to
 * milliseconds. Years, months and weeks are refused.
 */
bool config_read_duration(struct view text, int64_t *duration_ms);
/*
 * "host:port", the host in brackets when it has colons itself; host may be empty. `host` loses its
 * brackets.
 */
bool config_read_endpoint(struct view text, struct view *host, int32_t *port);

#endif
