/* See the header. */
#include "cluster/controller/topic_name.h"

static bool is_allowed(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

const char *topic_name_problem(struct view name)
{
    if (name.size == 0)
        return "a topic needs a name";
    if (view_equal(name, VIEW_LITERAL(".")) || view_equal(name, VIEW_LITERAL("..")))
        return "'.' and '..' are no topic names";
    if (name.size > TOPIC_NAME_SIZE_MAX)
        return "a topic name has at most 249 characters";
    for (size_t i = 0; i < name.size; i++) {
        if (!is_allowed(name.data[i]))
            return "a topic name consists of ASCII letters, digits, '.', '_' and '-'";
    }
    return NULL;
}

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
