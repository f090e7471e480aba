/*
 * One pass over the bytes. A logical line is collected first: physical lines without their comments
 * and leading white space, joined where the line ends in an odd number of backslashes. Then the
 * first unescaped separator cuts the name off, and both halves are unescaped.
 *
 * Text without a backslash is borrowed; the rest is rewritten in the arena (it only gets shorter).
 */
#include "config/properties.h"

struct cursor {
    struct view text;
    size_t next;
    uint32_t line; /* of `next`, from 1 */
};

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\f';
}

/* The next physical line without its end; false at the end of the text. */
static bool take_line(struct cursor *cursor, struct view *line)
{
    if (cursor->next >= cursor->text.size)
        return false;
    const uint8_t *start = cursor->text.data + cursor->next;
    size_t left = cursor->text.size - cursor->next;
    size_t size = 0;
    while (size < left && start[size] != '\n' && start[size] != '\r')
        size++;
    size_t end = size;
    if (end < left)
        end += start[end] == '\r' && end + 1 < left && start[end + 1] == '\n' ? 2 : 1;
    cursor->next += end;
    cursor->line++;
    *line = view_of(start, size);
    return true;
}

static struct view skip_blanks(struct view text)
{
    while (text.size > 0 && is_blank(text.data[0]))
        text = view_of(text.data + 1, text.size - 1);
    return text;
}

/* Whether the line goes on: it ends in an odd number of backslashes. */
static bool continues(struct view line)
{
    size_t count = 0;
    while (count < line.size && line.data[line.size - 1 - count] == '\\')
        count++;
    return count % 2 == 1;
}

/* Joins `line` with those that continue it. False when the arena refuses. */
static bool take_logical(struct cursor *cursor, struct view *line, struct arena *arena)
{
    while (continues(*line)) {
        struct view more;
        line->size--;
        if (!take_line(cursor, &more))
            return true;
        more = skip_blanks(more);
        uint8_t *joined = arena_get(arena, line->size + more.size);
        if (!joined)
            return false;
        memcpy(joined, line->data, line->size);
        if (more.size > 0)
            memcpy(joined + line->size, more.data, more.size);
        *line = view_of(joined, line->size + more.size);
    }
    return true;
}

/* Cuts `line` at its separator: the first unescaped '=', ':' or blank, with blanks around it. */
static void split_line(struct view line, struct view *name, struct view *value)
{
    size_t end = 0;
    while (end < line.size) {
        uint8_t byte = line.data[end];
        if (byte == '=' || byte == ':' || is_blank(byte))
            break;
        end += byte == '\\' && end + 1 < line.size ? 2 : 1;
    }
    *name = view_of(line.data, end);
    struct view rest = skip_blanks(view_of(line.data + end, line.size - end));
    if (rest.size > 0 && (rest.data[0] == '=' || rest.data[0] == ':'))
        rest = skip_blanks(view_of(rest.data + 1, rest.size - 1));
    *value = rest;
}

/* Appends a code point as UTF-8 (at most 3 bytes; \u has four digits). */
static size_t put_utf8(uint8_t *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (uint8_t)(0xc0 | code >> 6);
        to[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    to[0] = (uint8_t)(0xe0 | code >> 12);
    to[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    to[2] = (uint8_t)(0x80 | (code & 0x3f));
    return 3;
}

/* Four hexadecimal digits; false otherwise. */
static bool read_unicode(const uint8_t *from, size_t size, uint32_t *code)
{
    *code = 0;
    if (size < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        uint8_t byte = from[i];
        uint32_t digit;
        if (byte >= '0' && byte <= '9')
            digit = byte - '0';
        else if (byte >= 'a' && byte <= 'f')
            digit = byte - 'a' + 10u;
        else if (byte >= 'A' && byte <= 'F')
            digit = byte - 'A' + 10u;
        else
            return false;
        *code = *code << 4 | digit;
    }
    return true;
}

/* Decodes the escape whose letter is at `from`; returns the bytes used, 0 when malformed. */
static size_t decode_escape(const uint8_t *from, size_t size, uint8_t *to, size_t *written)
{
    uint32_t code;
    *written = 1;
    switch (from[0]) {
    case 't':
        *to = '\t';
        return 1;
    case 'n':
        *to = '\n';
        return 1;
    case 'r':
        *to = '\r';
        return 1;
    case 'f':
        *to = '\f';
        return 1;
    case 'u':
        if (!read_unicode(from + 1, size - 1, &code))
            return 0;
        *written = put_utf8(to, code);
        return 5;
    default:
        *to = from[0];
        return 1;
    }
}

enum unescape_result { UNESCAPED, UNESCAPE_MALFORMED, UNESCAPE_REFUSED };

static enum unescape_result unescape(struct view *text, struct arena *arena)
{
    if (text->size == 0 || !memchr(text->data, '\\', text->size))
        return UNESCAPED;
    /* An escape is never shorter than what it stands for: \uXXXX is 6 bytes for at most 3. */
    uint8_t *plain = arena_get(arena, text->size);
    if (!plain)
        return UNESCAPE_REFUSED;
    size_t size = 0;
    for (size_t i = 0; i < text->size;) {
        if (text->data[i] != '\\' || i + 1 == text->size) {
            /* A last backslash has nothing to escape and is dropped. */
            if (text->data[i] != '\\')
                plain[size++] = text->data[i];
            i++;
            continue;
        }
        size_t written;
        size_t used = decode_escape(text->data + i + 1, text->size - i - 1, plain + size, &written);
        if (used == 0)
            return UNESCAPE_MALFORMED;
        size += written;
        i += 1 + used;
    }
    *text = view_of(plain, size);
    return UNESCAPED;
}

/* How many properties there can be at most: one for each physical line. */
static size_t count_lines(struct view text)
{
    struct cursor cursor = {text, 0, 0};
    struct view line;
    size_t count = 0;
    while (take_line(&cursor, &line))
        count++;
    return count;
}

bool properties_read(struct view text, struct properties *properties, uint32_t *error_line,
                     struct arena *arena)
{
    struct cursor cursor = {text, 0, 0};
    struct view line;
    *error_line = 0;
    *properties =
        (struct properties){arena_get_array(arena, count_lines(text), sizeof(struct property)), 0};
    if (!properties->items)
        return false;
    while (take_line(&cursor, &line)) {
        uint32_t number = cursor.line;
        line = skip_blanks(line);
        if (line.size == 0 || line.data[0] == '#' || line.data[0] == '!')
            continue;
        struct property *property = &properties->items[properties->count];
        if (!take_logical(&cursor, &line, arena))
            return false;
        split_line(line, &property->name, &property->value);
        property->line = number;
        enum unescape_result result = unescape(&property->name, arena);
        if (result == UNESCAPED)
            result = unescape(&property->value, arena);
        if (result != UNESCAPED) {
            *error_line = result == UNESCAPE_MALFORMED ? number : 0;
            return false;
        }
        properties->count++;
    }
    return true;
}

/* Writes `text` with what would end or change it escaped. */
static void write_escaped(struct writer *writer, struct view text, bool is_name)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        const char *letters = "t\tn\nr\rf\f";
        char letter = 0;
        for (size_t j = 0; j < 8; j += 2) {
            if (byte == (uint8_t)letters[j + 1])
                letter = letters[j];
        }
        bool separator = byte == '=' || byte == ':' || byte == '#' || byte == '!' || byte == ' ';
        if (letter || byte == '\\' || (separator && (is_name || i == 0)))
            write_u8(writer, '\\');
        write_u8(writer, letter ? (uint8_t)letter : byte);
    }
}

void properties_write(struct writer *writer, struct view name, struct view value)
{
    write_escaped(writer, name, true);
    write_u8(writer, '=');
    write_escaped(writer, value, false);
    write_u8(writer, '\n');
}
