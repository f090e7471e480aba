/* A scan for what RE2 does not have, then PCRE2. */
#include "consumer/topic_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/assert.h"

struct topic_regex {
    struct heap *heap;
    pcre2_general_context *context;
    pcre2_code *code;
    pcre2_match_data *match;
    int *workspace;
    size_t workspace_count;
    size_t code_size; /* bytes */
};

/* ---- What RE2 has ---------------------------------------------------------------------------- */

struct scan {
    struct view pattern;
    size_t at;
    bool repeatable; /* what stands before may be repeated */
};

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_octal(const struct scan *scan, size_t at)
{
    return at < scan->pattern.size && scan->pattern.data[at] >= '0' &&
           scan->pattern.data[at] <= '7';
}

static bool starts_with(const struct scan *scan, const char *text)
{
    size_t size = strlen(text);
    return scan->pattern.size - scan->at >= size &&
           memcmp(scan->pattern.data + scan->at, text, size) == 0;
}

/* At a backslash. */
static const char *scan_escape(struct scan *scan, bool in_class)
{
    if (scan->at + 1 == scan->pattern.size)
        return "The regular expression ends with a backslash.";
    uint8_t c = scan->pattern.data[scan->at + 1];
    scan->repeatable = true;
    if (c == 'Q' && !in_class) {
        scan->at += 2;
        while (scan->at < scan->pattern.size && !starts_with(scan, "\\E"))
            scan->at++;
        scan->at += scan->at < scan->pattern.size ? 2 : 0;
        return NULL;
    }
    if (c >= '1' && c <= '7' && !is_octal(scan, scan->at + 2))
        return "The regular expression has a back reference.";
    const char *known = in_class ? "aftnrvdDsSwWpPx01234567" : "aftnrvdDsSwWpPx01234567AbBz";
    if (c >= 0x80 || (is_letter_or_digit(c) && !strchr(known, c)))
        return "The regular expression has an unknown escape.";
    scan->at += 2;
    return NULL;
}

/* At '[': up to behind its end. */
static const char *scan_class(struct scan *scan)
{
    scan->at++;
    if (starts_with(scan, "^"))
        scan->at++;
    bool first = true;
    while (scan->at < scan->pattern.size) {
        uint8_t c = scan->pattern.data[scan->at];
        if (c == ']' && !first) {
            scan->at++;
            scan->repeatable = true;
            return NULL;
        }
        first = false;
        if (c == '\\') {
            const char *message = scan_escape(scan, true);
            if (message)
                return message;
        } else if (starts_with(scan, "[:")) {
            scan->at += 2;
            while (scan->at < scan->pattern.size && !starts_with(scan, ":]"))
                scan->at++;
            scan->at += scan->at < scan->pattern.size ? 2 : 0;
        } else {
            scan->at++;
        }
    }
    return "The regular expression has an unclosed [.";
}

/* At '('. */
static const char *scan_group(struct scan *scan)
{
    scan->at++;
    scan->repeatable = false;
    if (starts_with(scan, "*"))
        return "The regular expression repeats nothing.";
    if (!starts_with(scan, "?"))
        return NULL;
    scan->at++;
    if (starts_with(scan, "P<") ||
        (starts_with(scan, "<") && !starts_with(scan, "<=") && !starts_with(scan, "<!")))
        return NULL; /* a name; PCRE2 checks it */
    while (scan->at < scan->pattern.size && strchr("imsU-", scan->pattern.data[scan->at]))
        scan->at++;
    if (!starts_with(scan, ":") && !starts_with(scan, ")"))
        return "The regular expression has a group of an unknown kind.";
    scan->at += starts_with(scan, ":") ? 1 : 0;
    return NULL;
}

/* Reads a number of at most five digits. */
static bool scan_number(struct scan *scan, uint32_t *number)
{
    size_t start = scan->at;
    *number = 0;
    while (scan->at < scan->pattern.size && scan->at - start < 5 &&
           scan->pattern.data[scan->at] >= '0' && scan->pattern.data[scan->at] <= '9')
        *number = *number * 10 + (scan->pattern.data[scan->at++] - '0');
    return scan->at > start;
}

/* At '{': whether {n}, {n,} or {n,m} stands here (else it is a plain character). */
static bool scan_repeat(struct scan *scan, uint32_t *most)
{
    struct scan ahead = *scan;
    ahead.at++;
    uint32_t low;
    if (!scan_number(&ahead, &low))
        return false;
    *most = low;
    if (starts_with(&ahead, ",")) {
        ahead.at++;
        uint32_t high;
        if (scan_number(&ahead, &high))
            *most = high > low ? high : low;
    }
    if (!starts_with(&ahead, "}"))
        return false;
    ahead.at++;
    *scan = ahead;
    return true;
}

/* At a repetition; a '?' behind it only asks for the shortest match. */
static const char *scan_repetition(struct scan *scan)
{
    if (!scan->repeatable)
        return "The regular expression repeats nothing, or a repetition.";
    uint32_t most = 0;
    if (starts_with(scan, "{")) {
        scan_repeat(scan, &most);
        if (most > TOPIC_REGEX_REPEAT_MAX)
            return "The regular expression repeats more than 1000 times.";
    } else {
        scan->at++;
    }
    if (starts_with(scan, "?"))
        scan->at++;
    scan->repeatable = false;
    return NULL;
}

static bool is_repetition(const struct scan *scan)
{
    struct scan ahead = *scan;
    uint32_t most;
    return starts_with(scan, "*") || starts_with(scan, "+") || starts_with(scan, "?") ||
           (starts_with(scan, "{") && scan_repeat(&ahead, &most));
}

static const char *scan_pattern(struct view pattern)
{
    struct scan scan = {.pattern = pattern};
    const char *message = NULL;
    while (!message && scan.at < pattern.size) {
        uint8_t c = pattern.data[scan.at];
        if (is_repetition(&scan)) {
            message = scan_repetition(&scan);
        } else if (c == '\\') {
            message = scan_escape(&scan, false);
        } else if (c == '[') {
            message = scan_class(&scan);
        } else if (c == '(') {
            message = scan_group(&scan);
        } else {
            scan.repeatable = c != '|';
            scan.at++;
        }
    }
    return message;
}

/* ---- PCRE2 ----------------------------------------------------------------------------------- */

/* Blocks carry their size, which the heap wants back. */
union block_size {
    size_t size;
    max_align_t alignment;
};

static void *block_get(size_t size, void *heap)
{
    union block_size *block = heap_get(heap, MEMORY_STATE, sizeof(*block) + size);
    if (!block)
        return NULL;
    block->size = sizeof(*block) + size;
    return block + 1;
}

static void block_put(void *memory, void *heap)
{
    union block_size *block = memory;
    if (block)
        heap_put(heap, MEMORY_STATE, block - 1, block[-1].size);
}

void topic_regex_free(struct topic_regex *regex)
{
    if (!regex)
        return;
    heap_put(regex->heap, MEMORY_STATE, regex->workspace,
             regex->workspace_count * sizeof(*regex->workspace));
    pcre2_match_data_free(regex->match);
    pcre2_code_free(regex->code);
    pcre2_general_context_free(regex->context);
    heap_put(regex->heap, MEMORY_STATE, regex, sizeof(*regex));
}

/* Everything that a match needs; false when memory was refused. */
static bool prepare(struct topic_regex *regex)
{
    /* Two lists of at most as many states as there are places in the code, of three ints each. */
    regex->workspace_count = regex->code_size * 6 + 64;
    regex->workspace =
        heap_get(regex->heap, MEMORY_STATE, regex->workspace_count * sizeof(*regex->workspace));
    if (!regex->workspace)
        regex->workspace_count = 0;
    regex->match = pcre2_match_data_create(1, regex->context);
    return regex->workspace && regex->match;
}

static const char *compile(struct topic_regex *regex, struct view pattern)
{
    regex->context = pcre2_general_context_create(block_get, block_put, regex->heap);
    pcre2_compile_context *options =
        regex->context ? pcre2_compile_context_create(regex->context) : NULL;
    if (!options)
        return "There is no memory to compile the regular expression.";
    int error;
    PCRE2_SIZE offset;
    regex->code = pcre2_compile(pattern.data, pattern.size,
                                PCRE2_UTF | PCRE2_ANCHORED | PCRE2_DOLLAR_ENDONLY |
                                    PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_POSSESS,
                                &error, &offset, options);
    pcre2_compile_context_free(options);
    if (!regex->code)
        return "The regular expression is not valid.";
    pcre2_pattern_info(regex->code, PCRE2_INFO_SIZE, &regex->code_size);
    if (regex->code_size > TOPIC_REGEX_CODE_MAX)
        return "The regular expression is too complex.";
    return prepare(regex) ? NULL : "There is no memory to compile the regular expression.";
}

struct topic_regex *topic_regex_compile(struct heap *heap, struct view pattern,
                                        const char **message)
{
    *message = scan_pattern(pattern);
    if (*message)
        return NULL;
    struct topic_regex *regex = heap_must_get(heap, MEMORY_STATE, sizeof(*regex));
    regex->heap = heap;
    *message = compile(regex, pattern);
    if (!*message)
        return regex;
    topic_regex_free(regex);
    return NULL;
}

const char *topic_regex_check(struct heap *heap, struct view pattern)
{
    const char *message;
    topic_regex_free(topic_regex_compile(heap, pattern, &message));
    return message;
}

bool topic_regex_matches(const struct topic_regex *regex, struct view name)
{
    int found = pcre2_dfa_match(regex->code, name.data, name.size, 0, 0, regex->match, NULL,
                                regex->workspace, regex->workspace_count);
    /* The longest match comes first; 0 only says that there was no room for the shorter ones. */
    return found >= 0 && pcre2_get_ovector_pointer(regex->match)[1] == name.size;
}

size_t topic_regex_cost(const struct topic_regex *regex)
{
    return regex ? regex->code_size : 0;
}
