/*
 * How it works: a name that ends in one of the three suffixes is cut at its last '.', and what lies
 * between must be 32 hexadecimal digits; the rest is split at its last '-'.
 */
#include "log/directory_name.h"

#include "base/text.h"

enum { UNIQUE_ID_DIGITS = 32 };

static const struct {
    enum directory_kind kind;
    struct view suffix;
} kind_suffixes[] = {
    {DIRECTORY_DELETE, {(const uint8_t *)"-delete", 7}},
    {DIRECTORY_STRAY, {(const uint8_t *)"-stray", 6}},
    {DIRECTORY_FUTURE, {(const uint8_t *)"-future", 7}},
};

enum { KIND_SUFFIXES = sizeof(kind_suffixes) / sizeof(kind_suffixes[0]) };

static struct view suffix_of(enum directory_kind kind)
{
    for (size_t i = 0; i < KIND_SUFFIXES; i++) {
        if (kind_suffixes[i].kind == kind)
            return kind_suffixes[i].suffix;
    }
    return VIEW_LITERAL("");
}

static bool is_hexadecimal(struct view text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return true;
}

/* The last place of `character`, or text.size. */
static size_t find_last(struct view text, char character)
{
    for (size_t i = text.size; i > 0; i--) {
        if (text.data[i - 1] == (uint8_t)character)
            return i - 1;
    }
    return text.size;
}

/* Cuts ".<id>-<kind>" off; a name without such an end is left as it is (plain). */
static enum directory_kind cut_kind(struct view *name)
{
    for (size_t i = 0; i < KIND_SUFFIXES; i++) {
        struct view suffix = kind_suffixes[i].suffix;
        if (!text_ends_with(*name, suffix))
            continue;
        struct view head = view_of(name->data, name->size - suffix.size);
        size_t dot = find_last(head, '.');
        if (dot == head.size || head.size - dot - 1 != UNIQUE_ID_DIGITS)
            continue;
        if (!is_hexadecimal(view_of(head.data + dot + 1, UNIQUE_ID_DIGITS)))
            continue;
        *name = view_of(name->data, dot);
        return kind_suffixes[i].kind;
    }
    return DIRECTORY_PLAIN;
}

bool directory_name_parse(const char *name, struct directory_name *parsed)
{
    struct view rest = view_of_string(name);
    uint64_t partition;
    parsed->kind = cut_kind(&rest);
    size_t dash = find_last(rest, '-');
    if (dash == rest.size || dash == 0)
        return false;
    if (!text_parse_u64(view_of(rest.data + dash + 1, rest.size - dash - 1), INT32_MAX, &partition))
        return false;
    parsed->topic = view_of(rest.data, dash);
    parsed->partition = (int32_t)partition;
    return true;
}

bool directory_name_format(char text[LOG_FILE_NAME_MAX + 1], struct view topic, int32_t partition,
                           enum directory_kind kind, struct uuid id)
{
    char end[80];
    struct text_builder builder;
    text_builder_init(&builder, end, sizeof(end));
    text_append_format(&builder, "-%d", partition);
    if (kind != DIRECTORY_PLAIN) {
        text_append_char(&builder, '.');
        text_append_hex(&builder, view_of(id.bytes, UUID_SIZE));
        text_append(&builder, suffix_of(kind));
    }
    size_t topic_size = topic.size;
    if (topic_size + builder.size > LOG_FILE_NAME_MAX) {
        if (kind != DIRECTORY_DELETE && kind != DIRECTORY_STRAY)
            return false;
        topic_size = LOG_FILE_NAME_MAX - builder.size;
    }
    if (topic_size == 0 || partition < 0)
        return false;
    memcpy(text, topic.data, topic_size);
    memcpy(text + topic_size, end, builder.size + 1);
    return true;
}
