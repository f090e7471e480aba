/*
 * Lookup is by index: keys are dense but for the hole that the APIs of ZooKeeper days left, so the
 * rows behind it are moved by its width.
 */
#include "protocol/api_info.h"

#include "protocol/api_info_rows.h"

enum { HOLE_BEGIN = 4, HOLE_END = 8 };

const struct api_info *api_info_find(int16_t key)
{
    if (key < 0 || (key >= HOLE_BEGIN && key < HOLE_END))
        return NULL;
    size_t index = (size_t)key - (key >= HOLE_END ? HOLE_END - HOLE_BEGIN : 0);
    const struct api_info *info = api_info_at(index);
    return info && info->key == key ? info : NULL;
}

const struct api_info *api_info_at(size_t index)
{
    return index < API_INFO_ROWS_COUNT ? &api_info_rows[index] : NULL;
}

size_t api_info_count(void)
{
    return API_INFO_ROWS_COUNT;
}

const char *api_info_name(int16_t key)
{
    const struct api_info *info = api_info_find(key);
    return info ? info->name : "unknown";
}

bool api_info_is_served(const struct api_info *info, int16_t version)
{
    return version >= info->version_min && version <= info->version_max;
}

int16_t api_info_request_header_version(const struct api_info *info, int16_t version)
{
    return version >= info->flexible_since ? 2 : 1;
}

int16_t api_info_response_header_version(const struct api_info *info, int16_t version)
{
    /* A client reads an ApiVersions response before it knows which versions the broker has. */
    if (info->key == API_KEY_API_VERSIONS)
        return 0;
    return version >= info->flexible_since ? 1 : 0;
}
