/*
 * Numbers are read digit by digit with the bound checked before each step, so nothing overflows and
 * no locale is asked. A fraction is read as an integer of up to 19 digits and a power of ten.
 */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

bool text_parse_u64(struct view text, uint64_t maximum, uint64_t *value)
{
    if (text.size == 0)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.data[i]))
            return false;
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (digit > maximum || number > (maximum - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}

/* Takes a leading sign off; true for minus. */
static bool take_sign(struct view *text)
{
    if (text->size == 0 || (text->data[0] != '-' && text->data[0] != '+'))
        return false;
    bool negative = text->data[0] == '-';
    *text = view_of(text->data + 1, text->size - 1);
    return negative;
}

bool text_parse_i64(struct view text, int64_t minimum, int64_t maximum, int64_t *value)
{
    uint64_t magnitude;
    bool negative = take_sign(&text);
    uint64_t most = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    if (!text_parse_u64(text, most, &magnitude))
        return false;
    int64_t number = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    if (number < minimum || number > maximum)
        return false;
    *value = number;
    return true;
}

bool text_parse_boolean(struct view text, bool *value)
{
    if (text_equal_any_case(text, VIEW_LITERAL("true")))
        *value = true;
    else if (text_equal_any_case(text, VIEW_LITERAL("false")))
        *value = false;
    else
        return false;
    return true;
}

/* Digits of a decimal number, with the decimal point taken out. */
struct decimal {
    uint64_t digits;
    int exponent; /* value = digits * 10^exponent */
    bool any;
};

enum { EXPONENT_LIMIT = 400 };

/* Reads digits and at most one point off the front of a text. */
static struct decimal take_decimal(struct view *text)
{
    struct decimal decimal = {0};
    bool fraction = false;
    size_t i = 0;
    for (; i < text->size; i++) {
        uint8_t c = text->data[i];
        if (c == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (!is_digit(c))
            break;
        decimal.any = true;
        bool fits = decimal.digits <= (UINT64_MAX - 9) / 10;
        if (fits)
            decimal.digits = decimal.digits * 10 + (uint64_t)(c - '0');
        decimal.exponent += (fits ? 0 : 1) - (fraction ? 1 : 0);
    }
    *text = view_of(text->data + i, text->size - i);
    return decimal;
}

bool text_parse_double(struct view text, double *value)
{
    bool negative = take_sign(&text);
    if (text.size == 0 || text.size > EXPONENT_LIMIT)
        return false;
    struct decimal decimal = take_decimal(&text);
    if (!decimal.any)
        return false;
    int64_t exponent = 0;
    if (text.size > 0) {
        if (lower(text.data[0]) != 'e')
            return false;
        if (!text_parse_i64(view_of(text.data + 1, text.size - 1), -EXPONENT_LIMIT, EXPONENT_LIMIT,
                            &exponent))
            return false;
    }
    exponent += decimal.exponent;
    long double scale = 1;
    for (int64_t i = 0; i < (exponent < 0 ? -exponent : exponent); i++)
        scale *= 10;
    long double wide = (long double)decimal.digits;
    double number = (double)(exponent < 0 ? wide / scale : wide * scale);
    if (number > 0x1.fffffffffffffp1023)
        return false;
    *value = negative ? -number : number;
    return true;
}

static int hex_digit(uint8_t c)
{
    c = lower(c);
    if (is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_parse_hex(struct view text, void *bytes, size_t size)
{
    if (text.size / 2 != size || text.size % 2 != 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (hex_digit(text.data[i]) < 0)
            return false;
    }
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] =
            (uint8_t)(hex_digit(text.data[2 * i]) << 4 | hex_digit(text.data[2 * i + 1]));
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

struct view text_trim(struct view text)
{
    while (text.size > 0 && is_blank(text.data[0]))
        text = view_of(text.data + 1, text.size - 1);
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

bool text_equal_any_case(struct view a, struct view b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    }
    return true;
}

bool text_starts_with(struct view text, struct view part)
{
    return text.size >= part.size && view_compare(view_of(text.data, part.size), part) == 0;
}

bool text_ends_with(struct view text, struct view part)
{
    return text.size >= part.size &&
           (part.size == 0 || memcmp(text.data + text.size - part.size, part.data, part.size) == 0);
}

size_t text_find(struct view text, char character)
{
    size_t i = 0;
    while (i < text.size && text.data[i] != (uint8_t)character)
        i++;
    return i;
}

bool text_split(struct view *rest, char separator, struct view *part)
{
    if (view_is_null(*rest))
        return false;
    size_t end = text_find(*rest, separator);
    *part = view_of(rest->data, end);
    *rest = end < rest->size ? view_of(rest->data + end + 1, rest->size - end - 1) : VIEW_NULL;
    return true;
}

bool text_to_string(struct view text, char *buffer, size_t capacity)
{
    if (text.size >= capacity || text_find(text, '\0') < text.size)
        return false;
    if (text.size > 0)
        memcpy(buffer, text.data, text.size);
    buffer[text.size] = '\0';
    return true;
}

void text_builder_init(struct text_builder *builder, char *buffer, size_t capacity)
{
    klamm_assert(capacity > 0);
    *builder = (struct text_builder){.data = buffer, .capacity = capacity};
    buffer[0] = '\0';
}

void text_append(struct text_builder *builder, struct view text)
{
    size_t room = builder->capacity - 1 - builder->size;
    size_t taken = text.size < room ? text.size : room;
    if (taken < text.size)
        builder->truncated = true;
    if (taken > 0)
        memcpy(builder->data + builder->size, text.data, taken);
    builder->size += taken;
    builder->data[builder->size] = '\0';
}

void text_append_string(struct text_builder *builder, const char *text)
{
    text_append(builder, view_of_string(text));
}

void text_append_char(struct text_builder *builder, char character)
{
    text_append(builder, view_of(&character, 1));
}

void text_append_padded(struct text_builder *builder, uint64_t value, unsigned digits)
{
    char reversed[20];
    unsigned count = 0;
    klamm_assert(digits <= sizeof(reversed));
    while (value > 0 || count < digits || count == 0) {
        reversed[count++] = (char)('0' + value % 10);
        value /= 10;
    }
    while (count > 0)
        text_append_char(builder, reversed[--count]);
}

void text_append_u64(struct text_builder *builder, uint64_t value)
{
    text_append_padded(builder, value, 1);
}

void text_append_i64(struct text_builder *builder, int64_t value)
{
    if (value < 0)
        text_append_char(builder, '-');
    text_append_u64(builder, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void text_append_hex(struct text_builder *builder, struct view bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        text_append_char(builder, digits[bytes.data[i] >> 4]);
        text_append_char(builder, digits[bytes.data[i] & 15]);
    }
}

void text_append_double(struct text_builder *builder, double value)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        double again = 0;
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (text_parse_double(view_of_string(text), &again) && again == value)
            break;
    }
    text_append_string(builder, text);
    struct view written = view_of_string(text);
    bool whole = true;
    for (size_t i = 0; i < written.size; i++)
        whole = whole && (is_digit(written.data[i]) || written.data[i] == '-');
    if (whole)
        text_append_string(builder, ".0");
}

void text_append_format(struct text_builder *builder, const char *format, ...)
{
    va_list arguments;
    size_t room = builder->capacity - builder->size;
    va_start(arguments, format);
    int wanted = vsnprintf(builder->data + builder->size, room, format, arguments);
    va_end(arguments);
    klamm_assert(wanted >= 0);
    if ((size_t)wanted >= room) {
        builder->truncated = true;
        builder->size = builder->capacity - 1;
    } else {
        builder->size += (size_t)wanted;
    }
}
