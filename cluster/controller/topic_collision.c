/* See the header. */
#include "cluster/controller/topic_collision.h"

static uint8_t folded(uint8_t c)
{
    return c == '.' ? '_' : c;
}

bool topic_names_collide(struct view a, struct view b)
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

bool topic_name_can_collide(struct view name)
{
    return first_special(name) < name.size;
}

const struct image_topic *topic_name_collision(const struct image *image, struct view name)
{
    size_t special = first_special(name);
    if (special == name.size)
        return NULL;
    /* Everything that can collide shares what stands before the first special character. */
    struct view prefix = view_of(name.data, special);
    struct image_topic_walk walk;
    image_topic_walk_start(image, prefix, &walk);
    for (const struct image_topic *topic = image_topic_walk_next(&walk); topic;
         topic = image_topic_walk_next(&walk)) {
        if (topic->name.size < special || memcmp(topic->name.data, prefix.data, special) != 0)
            return NULL;
        if (topic_names_collide(topic->name, name) && !view_equal(topic->name, name))
            return topic;
    }
    return NULL;
}
