/*
 * Parsing goes by type, then rule.c checks what the row allows; formatting goes by type alone.
 */
#include "config/value.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/text.h"
#include "config/rule.h"

struct view config_text(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    klamm_assert(wanted >= 0);
    char *text = arena_get(arena, (size_t)wanted + 1);
    if (!text)
        return VIEW_NULL;
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)wanted + 1, format, arguments);
    va_end(arguments);
    return view_of(text, (size_t)wanted);
}

bool config_split(struct view text, struct config_list *list, struct arena *arena)
{
    *list = (struct config_list){NULL, 0};
    text = text_trim(text);
    if (text.size == 0)
        return true;
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == ',';
    struct view *items = arena_get_array(arena, count, sizeof(*items));
    if (!items)
        return false;
    struct view part;
    for (size_t i = 0; i < count && text_split(&text, ',', &part); i++)
        items[i] = text_trim(part);
    *list = (struct config_list){items, count};
    return true;
}

struct view config_join(const struct config_list *list, struct arena *arena)
{
    size_t size = list->count > 0 ? list->count - 1 : 0;
    for (size_t i = 0; i < list->count; i++)
        size += list->items[i].size;
    uint8_t *text = arena_get(arena, size);
    if (!text)
        return VIEW_NULL;
    struct writer writer = writer_of(text, size);
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            write_u8(&writer, ',');
        write_view(&writer, list->items[i]);
    }
    return view_of(text, size);
}

bool config_list_has(const struct config_list *list, struct view item)
{
    for (size_t i = 0; i < list->count; i++) {
        if (view_equal(list->items[i], item))
            return true;
    }
    return false;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Takes up to nine digits behind a decimal point; *milliseconds gets the first three. */
static void take_fraction(struct view *text, int64_t *milliseconds)
{
    size_t size = 0;
    *milliseconds = 0;
    while (size < 9 && size < text->size && is_digit(text->data[size]))
        size++;
    for (size_t i = 0; i < 3; i++)
        *milliseconds = *milliseconds * 10 + (i < size ? text->data[i] - '0' : 0);
    *text = view_of(text->data + size, text->size - size);
}

/*
 * Takes a part such as "12H" (seconds also "4.5S") off the front of `text`. A part with another
 * letter, or none, is left and counts as zero. False when the number is too large.
 */
static bool take_part(struct view *text, char letter, int64_t unit_ms, int64_t *total_ms,
                      unsigned *parts)
{
    struct view rest = *text;
    int64_t fraction_ms = 0;
    size_t size = 0;
    while (size < rest.size && is_digit(rest.data[size]))
        size++;
    struct view digits = view_of(rest.data, size);
    rest = view_of(rest.data + size, rest.size - size);
    if (letter == 's' && rest.size > 0 && rest.data[0] == '.') {
        rest = view_of(rest.data + 1, rest.size - 1);
        take_fraction(&rest, &fraction_ms);
    }
    if (size == 0 || rest.size == 0 || (rest.data[0] | 0x20) != letter)
        return true;
    uint64_t number;
    if (!text_parse_u64(digits, (uint64_t)(INT64_MAX / unit_ms), &number))
        return false;
    if ((int64_t)number * unit_ms > INT64_MAX - *total_ms - fraction_ms)
        return false;
    *total_ms += (int64_t)number * unit_ms + fraction_ms;
    *text = view_of(rest.data + 1, rest.size - 1);
    *parts += 1;
    return true;
}

bool config_read_duration(struct view text, int64_t *duration_ms)
{
    int64_t total_ms = 0;
    unsigned days = 0;
    unsigned parts = 0;
    if (text.size == 0 || (text.data[0] | 0x20) != 'p')
        return false;
    text = view_of(text.data + 1, text.size - 1);
    if (!take_part(&text, 'd', INT64_C(86400000), &total_ms, &days))
        return false;
    if (text.size > 0 && (text.data[0] | 0x20) == 't') {
        text = view_of(text.data + 1, text.size - 1);
        if (!take_part(&text, 'h', 3600000, &total_ms, &parts) ||
            !take_part(&text, 'm', 60000, &total_ms, &parts) ||
            !take_part(&text, 's', 1000, &total_ms, &parts) || parts == 0)
            return false;
    }
    if (text.size > 0 || days + parts == 0)
        return false;
    *duration_ms = total_ms;
    return true;
}

bool config_read_endpoint(struct view text, struct view *host, int32_t *port)
{
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    int64_t number;
    if (colon == 0 ||
        !text_parse_i64(view_of(text.data + colon, text.size - colon), 0, 65535, &number))
        return false;
    struct view name = view_of(text.data, colon - 1);
    bool bracketed = name.size >= 2 && name.data[0] == '[' && name.data[name.size - 1] == ']';
    if (bracketed)
        name = view_of(name.data + 1, name.size - 2);
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.data[i];
        if (byte <= ' ' || byte == '/' || byte == '@' || byte == '[' || byte == ']' ||
            (byte == ':' && !bracketed))
            return false;
    }
    *host = name;
    *port = (int32_t)number;
    return true;
}

/* A whole number of the type's width. */
static bool parse_integer(enum config_type type, struct view text, int64_t *value)
{
    int64_t minimum = type == CONFIG_SHORT ? INT16_MIN : type == CONFIG_INT ? INT32_MIN : INT64_MIN;
    int64_t maximum = type == CONFIG_SHORT ? INT16_MAX : type == CONFIG_INT ? INT32_MAX : INT64_MAX;
    return text_parse_i64(text, minimum, maximum, value);
}

/* Parses by type alone. */
static bool parse_type(struct view text, struct config_value *value, struct arena *arena)
{
    switch (value->type) {
    case CONFIG_BOOLEAN:
        return text_parse_boolean(text, &value->boolean);
    case CONFIG_INT:
    case CONFIG_SHORT:
    case CONFIG_LONG:
        return parse_integer(value->type, text, &value->integer);
    case CONFIG_DOUBLE:
        return text_parse_double(text, &value->real);
    case CONFIG_LIST:
        return config_split(text, &value->list, arena);
    case CONFIG_STRING:
    case CONFIG_CLASS:
    case CONFIG_PASSWORD:
        value->text = text;
        return true;
    case CONFIG_UNKNOWN:
        break;
    }
    klamm_unreachable("a row of unknown type");
}

/* Longer values are cut in messages. */
#define SHOWN_VALUE_SIZE_MAX 200

static struct view refusal_text(const struct config_definition *row, struct view text,
                                struct view reason, struct arena *arena)
{
    struct view shown = config_is_sensitive(row) ? VIEW_LITERAL("[hidden]") : text;
    bool cut = shown.size > SHOWN_VALUE_SIZE_MAX;
    return config_text(arena, "%.*s = %.*s%s: %.*s", (int)row->name.size, row->name.data,
                       (int)(cut ? SHOWN_VALUE_SIZE_MAX : shown.size), shown.data, cut ? "..." : "",
                       (int)reason.size, reason.data);
}

bool config_value_parse(const struct config_definition *row, struct view text,
                        struct config_value *value, struct view *error, struct arena *arena)
{
    struct view reason = VIEW_NULL;
    *value = (struct config_value){.type = row->type};
    text = text_trim(text);
    if (!parse_type(text, value, arena)) {
        reason = config_rule_text(row, arena);
    } else if (config_rule_check(row, value, &reason, arena)) {
        return true;
    }
    *error = refusal_text(row, text, reason, arena);
    return false;
}

/*
 * Writes a double as Java does: the fewest digits that read back as the same number, with a point
 * and at least one digit behind it; as a power of ten below 0.001 and from ten million on.
 */
static struct view format_real(double value, struct arena *arena)
{
    char digits[40];
    double again = 0;
    for (int precision = 0; precision <= 16; precision++) {
        (void)snprintf(digits, sizeof(digits), "%.*e", precision, value);
        if (text_parse_double(view_of_string(digits), &again) && again == value)
            break;
    }
    struct view mantissa = view_of_string(digits);
    size_t exponent_at = text_find(mantissa, 'e');
    int64_t exponent = 0;
    (void)text_parse_i64(view_of_string(digits + exponent_at + 1), -400, 400, &exponent);
    bool has_point = text_find(mantissa, '.') < exponent_at;
    double size = value < 0 ? -value : value;
    if (size != 0 && (size < 1e-3 || size >= 1e7)) {
        return config_text(arena, "%.*s%sE%d", (int)exponent_at, digits, has_point ? "" : ".0",
                           (int)exponent);
    }
    /* Plain notation: as many places as the digits need, at least one. */
    int fraction = has_point ? (int)exponent_at - 2 - (value < 0) : 0;
    int places = fraction - (int)exponent;
    return config_text(arena, "%.*f", places < 1 ? 1 : places, value);
}

struct view config_value_format(const struct config_value *value, struct arena *arena)
{
    if (value->is_null)
        return VIEW_NULL;
    switch (value->type) {
    case CONFIG_BOOLEAN:
        return value->boolean ? VIEW_LITERAL("true") : VIEW_LITERAL("false");
    case CONFIG_INT:
    case CONFIG_SHORT:
    case CONFIG_LONG:
        return config_text(arena, "%lld", (long long)value->integer);
    case CONFIG_DOUBLE:
        return format_real(value->real, arena);
    case CONFIG_LIST:
        return config_join(&value->list, arena);
    case CONFIG_STRING:
    case CONFIG_CLASS:
    case CONFIG_PASSWORD:
        return value->text;
    case CONFIG_UNKNOWN:
        break;
    }
    klamm_unreachable("a value of unknown type");
}
