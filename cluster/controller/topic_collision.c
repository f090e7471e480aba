/* See the header. */
#include "cluster/controller/topic_collision.h"

#include "cluster/metadata/topic_name.h"

enum { SPELLED_PLACES_MAX = 8 }; /* 255 lookups at most */

static uint8_t folded(uint8_t c)
{
    return c == '.' ? '_' : c;
}

static bool names_collide(struct view a, struct view b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (folded(a.data[i]) != folded(b.data[i]))
            return false;
    }
    return true;
}

static size_t first_special(struct view name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '.' || name.data[i] == '_')
            return i;
    }
    return name.size;
}

/* Everything that can collide shares what stands before the first special character. */
static const struct image_topic *walk_prefix(const struct image *image, struct view name)
{
    size_t special = first_special(name);
    struct view prefix = view_of(name.data, special);
    struct image_topic_walk walk;
    image_topic_walk_start(image, prefix, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic;
         topic = image_topic_walk_next(&walk)) {
        if (topic->name.size < special || memcmp(topic->name.data, prefix.data, special) != 0)
            return NULL;
        if (names_collide(topic->name, name) && !view_equal(topic->name, name))
            return topic;
    }
    return NULL;
}

/* Every other spelling of a name whose special characters stand at `places`. */
static const struct image_topic *try_spellings(const struct image *image, struct view name,
                                               const size_t *places, size_t place_count)
{
    uint8_t spelling[TOPIC_NAME_SIZE_MAX];
    for (uint32_t choice = 1; choice < 1u << place_count; choice++) {
        memcpy(spelling, name.data, name.size);
        for (size_t i = 0; i < place_count; i++) {
            if (choice >> i & 1)
                spelling[places[i]] = name.data[places[i]] == '.' ? '_' : '.';
        }
        const struct image_topic *topic = image_topic_by_name(image, view_of(spelling, name.size));
        if (topic)
            return topic;
    }
    return NULL;
}

const struct image_topic *topic_name_collision(const struct image *image, struct view name)
{
    size_t places[SPELLED_PLACES_MAX];
    size_t count = 0;
    for (size_t i = first_special(name); i < name.size; i++) {
        if (name.data[i] != '.' && name.data[i] != '_')
            continue;
        if (count == SPELLED_PLACES_MAX || name.size > TOPIC_NAME_SIZE_MAX)
            return walk_prefix(image, name);
        places[count++] = i;
    }
    return try_spellings(image, name, places, count);
}
