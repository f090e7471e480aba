/*
 * Base64 over 128 bits: 21 characters of six bits and a last one of two, whose low four bits are
 * zero.
 */
#include "base/uuid.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { DASH_DIGIT = 62 };

struct uuid uuid_of_random(uint64_t most, uint64_t least)
{
    struct uuid id = uuid_of_halves(most, least);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

bool uuid_text_begins_with_dash(struct uuid id)
{
    return id.bytes[0] >> 2 == DASH_DIGIT;
}

void uuid_format(struct uuid id, char text[UUID_TEXT_SIZE + 1])
{
    for (unsigned i = 0; i < UUID_TEXT_SIZE; i++) {
        unsigned bit = i * 6;
        unsigned pair = (unsigned)id.bytes[bit / 8] << 8;
        if (bit / 8 + 1 < UUID_SIZE)
            pair |= id.bytes[bit / 8 + 1];
        text[i] = alphabet[pair >> (10 - bit % 8) & 0x3f];
    }
    text[UUID_TEXT_SIZE] = '\0';
}

static int digit_value(uint8_t character)
{
    if (character >= 'A' && character <= 'Z')
        return character - 'A';
    if (character >= 'a' && character <= 'z')
        return character - 'a' + 26;
    if (character >= '0' && character <= '9')
        return character - '0' + 52;
    if (character == '-')
        return DASH_DIGIT;
    return character == '_' ? 63 : -1;
}

bool uuid_parse(struct view text, struct uuid *id)
{
    *id = UUID_ZERO;
    if (text.size != UUID_TEXT_SIZE)
        return false;
    struct uuid parsed = UUID_ZERO;
    for (unsigned i = 0; i < UUID_TEXT_SIZE; i++) {
        int digit = digit_value(text.data[i]);
        if (digit < 0)
            return false;
        unsigned bit = i * 6;
        unsigned pair = (unsigned)digit << (10 - bit % 8);
        parsed.bytes[bit / 8] |= (uint8_t)(pair >> 8);
        if (bit / 8 + 1 < UUID_SIZE)
            parsed.bytes[bit / 8 + 1] |= (uint8_t)pair;
        else if ((pair & 0xff) != 0)
            return false;
    }
    *id = parsed;
    return true;
}
