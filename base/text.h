/*
 * Text without locale and without terminators: numbers parsed from views within bounds, and a
 * builder that formats into a buffer of the caller.
 *
 * Invariants:
 *  1. A parser takes the whole view or refuses it; the result is written only on success.
 *  2. A builder never writes past its capacity; what did not fit is dropped and `truncated` is set.
 */
#ifndef KLAMM_BASE_TEXT_H
#define KLAMM_BASE_TEXT_H

#include "base/bytes.h"

/* Decimal with an optional sign, in [minimum, maximum]. No blanks, no empty text. */
bool text_parse_i64(struct view text, int64_t minimum, int64_t maximum, int64_t *value);
/* Decimal digits only, at most `maximum`. */
bool text_parse_u64(struct view text, uint64_t maximum, uint64_t *value);
/* `true` or `false` in any case, as Kafka's settings take them. */
bool text_parse_boolean(struct view text, bool *value);
/*
 * Decimal, with optional sign, fraction and exponent; finite. Exact for up to 15 digits and small
 * exponents, which is what settings and quotas are.
 */
bool text_parse_double(struct view text, double *value);
/* Hexadecimal digits in pairs into `size` bytes; false when the text is not exactly that long. */
bool text_parse_hex(struct view text, void *bytes, size_t size);

/* Without blanks (space, tab, CR, LF, FF) at both ends. */
struct view text_trim(struct view text);
/* The same letters, ASCII case ignored. */
bool text_equal_any_case(struct view a, struct view b);
/* Whether `text` begins (ends) with `part`. */
bool text_starts_with(struct view text, struct view part);
bool text_ends_with(struct view text, struct view part);
/*
 * Cuts the part before the next `separator` off `*rest`. Returns false when nothing is left; "a,,b"
 * gives three parts, an empty text gives one empty part, a null text none.
 */
bool text_split(struct view *rest, char separator, struct view *part);
/* The first place of `character`, or text.size. */
size_t text_find(struct view text, char character);
/* Copies into a NUL-terminated buffer; false when it does not fit or holds a NUL itself. */
bool text_to_string(struct view text, char *buffer, size_t capacity);

struct text_builder {
    char *data;
    size_t capacity; /* bytes, including one for the final NUL */
    size_t size;     /* bytes, without the final NUL */
    bool truncated;
};

/* Starts an empty text in a buffer of capacity > 0 bytes; the buffer is NUL-terminated at all
 * times. */
void text_builder_init(struct text_builder *builder, char *buffer, size_t capacity);
/* Appends; what does not fit is cut. */
void text_append(struct text_builder *builder, struct view text);
void text_append_string(struct text_builder *builder, const char *text);
void text_append_char(struct text_builder *builder, char character);
void text_append_i64(struct text_builder *builder, int64_t value);
void text_append_u64(struct text_builder *builder, uint64_t value);
/* Decimal, zero-padded on the left to at least `digits` (at most 20). */
void text_append_padded(struct text_builder *builder, uint64_t value, unsigned digits);
/* Two lower-case digits a byte. */
void text_append_hex(struct text_builder *builder, struct view bytes);
/* The shortest of up to 17 digits that reads back as the same number; `.0` behind whole numbers. */
void text_append_double(struct text_builder *builder, double value);
/* As snprintf formats, without locale-dependent conversions. */
void text_append_format(struct text_builder *builder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What was built so far; good until the next append. */
static inline struct view text_builder_view(const struct text_builder *builder)
{
    return view_of(builder->data, builder->size);
}

#endif
