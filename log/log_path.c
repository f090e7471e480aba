/*
 * How it works: lengths are measured first, then everything is copied once; a path that does not
 * fit leaves the empty text, which no storage call accepts by accident.
 */
#include "log/log_path.h"

#include <string.h>

enum { OFFSET_DIGITS = 20 };

bool log_path_set(struct log_path *path, const char *directory)
{
    size_t size = strlen(directory);
    path->text[0] = 0;
    if (size + 1 > sizeof(path->text))
        return false;
    memcpy(path->text, directory, size + 1);
    return true;
}

bool log_path_join(struct log_path *path, const char *directory, const char *name)
{
    size_t directory_size = strlen(directory);
    size_t name_size = strlen(name);
    path->text[0] = 0;
    if (directory_size + 1 + name_size + 1 > sizeof(path->text))
        return false;
    memcpy(path->text, directory, directory_size);
    path->text[directory_size] = '/';
    memcpy(path->text + directory_size + 1, name, name_size + 1);
    return true;
}

bool log_path_of_offset(struct log_path *path, const char *directory, int64_t offset,
                        const char *suffix)
{
    char name[LOG_FILE_NAME_MAX + 1];
    size_t suffix_size = strlen(suffix);
    path->text[0] = 0;
    if (offset < 0 || OFFSET_DIGITS + suffix_size > LOG_FILE_NAME_MAX)
        return false;
    uint64_t rest = (uint64_t)offset;
    for (int i = OFFSET_DIGITS - 1; i >= 0; i--) {
        name[i] = (char)('0' + rest % 10);
        rest /= 10;
    }
    memcpy(name + OFFSET_DIGITS, suffix, suffix_size + 1);
    return log_path_join(path, directory, name);
}

bool log_path_parse_offset(const char *name, const char *suffix, int64_t *offset)
{
    uint64_t value = 0;
    for (int i = 0; i < OFFSET_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(name[i] - '0');
        if (value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (strcmp(name + OFFSET_DIGITS, suffix) != 0)
        return false;
    *offset = (int64_t)value;
    return true;
}
