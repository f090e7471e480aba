/*
 * The length leaves room for "-<partition>" and a suffix in a file name of 255 bytes.
 */
#include "cluster/metadata/topic_name.h"

static bool is_allowed(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

const char *topic_name_fault(struct view name)
{
    if (name.size == 0)
        return "a topic name must not be empty";
    if (name.size > TOPIC_NAME_SIZE_MAX)
        return "a topic name has at most 249 bytes";
    if (view_equal(name, VIEW_LITERAL(".")) || view_equal(name, VIEW_LITERAL("..")))
        return "a topic cannot be called '.' or '..'";
    for (size_t i = 0; i < name.size; i++) {
        if (!is_allowed(name.data[i]))
            return "a topic name consists of ASCII letters, digits, '.', '_' and '-'";
    }
    return NULL;
}
