/*
 * Patterns of topic names, as members of consumer groups subscribe to them.
 *
 * Kafka takes RE2/J's syntax and matches whole names. Here PCRE2 stands for it, with its DFA
 * matcher: time and memory of a match are bounded by the sizes of pattern and name, nothing
 * backtracks. What PCRE2 knows beyond RE2 (look-around, back references, possessive and atomic
 * groups, verbs, ...) is refused before PCRE2 sees it, so that a pattern means the same in both.
 * A pattern that compiles to more than TOPIC_REGEX_CODE_MAX bytes is refused, which Kafka does not.
 */
#ifndef KLAMM_CONSUMER_TOPIC_REGEX_H
#define KLAMM_CONSUMER_TOPIC_REGEX_H

#include "base/bytes.h"
#include "base/memory.h"

enum { TOPIC_REGEX_CODE_MAX = 16 * 1024, TOPIC_REGEX_REPEAT_MAX = 1000 };

struct topic_regex;

/* NULL, and a sentence in *message, when it is no valid pattern. */
struct topic_regex *topic_regex_compile(struct heap *heap, struct view pattern,
                                        const char **message);
void topic_regex_free(struct topic_regex *regex);
/* Whether the pattern matches the whole name. */
bool topic_regex_matches(const struct topic_regex *regex, struct view name);
/* Bytes of its code, for sharing work out; NULL costs nothing. */
size_t topic_regex_cost(const struct topic_regex *regex);
/* NULL when it is valid, else a sentence. */
const char *topic_regex_check(struct heap *heap, struct view pattern);

#endif
