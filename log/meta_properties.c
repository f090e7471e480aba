/*
 * How it works: the general reader of property files finds names and values; here they get types.
 * Names that are not known are ignored, as Kafka does. Version 0 files come from old clusters and
 * name the node broker.id.
 */
#include "log/meta_properties.h"

#include "base/text.h"
#include "config/properties.h"

static bool is_name(const struct property *property, const char *name)
{
    return view_equal(property->name, view_of_string(name));
}

/* Takes one property over; false, and *problem set, when its value is not acceptable. */
static bool take_property(const struct property *property, struct meta_properties *meta,
                          const char **problem)
{
    int64_t number;
    struct view value = text_trim(property->value);
    if (is_name(property, "version")) {
        if (!text_parse_i64(value, 0, 1, &number)) {
            *problem = "version is neither 0 nor 1";
            return false;
        }
        meta->version = (int32_t)number;
    } else if (is_name(property, "node.id") || is_name(property, "broker.id")) {
        if (!text_parse_i64(value, 0, INT32_MAX, &number)) {
            *problem = "the node id is not a number from 0 to 2147483647";
            return false;
        }
        meta->node_id = (int32_t)number;
    } else if (is_name(property, "cluster.id")) {
        if (value.size == 0 || !text_to_string(value, meta->cluster_id, sizeof(meta->cluster_id))) {
            *problem = "cluster.id is empty or too long";
            return false;
        }
    } else if (is_name(property, "directory.id")) {
        if (!uuid_parse(value, &meta->directory_id) || uuid_is_zero(meta->directory_id)) {
            *problem = "directory.id is not a directory id";
            return false;
        }
    }
    return true;
}

bool meta_properties_decode(struct view text, struct arena *scratch, struct meta_properties *meta,
                            const char **problem)
{
    struct properties properties;
    uint32_t error_line;
    *meta = (struct meta_properties){.version = -1, .node_id = -1};
    if (!properties_read(text, &properties, &error_line, scratch)) {
        *problem = "it is no properties file";
        return false;
    }
    for (size_t i = 0; i < properties.count; i++) {
        if (!take_property(&properties.items[i], meta, problem))
            return false;
    }
    if (meta->version < 0) {
        *problem = "it has no version";
        return false;
    }
    if (meta->version == 1 && (meta->cluster_id[0] == 0 || meta->node_id < 0)) {
        *problem = "version 1 needs cluster.id and node.id";
        return false;
    }
    return true;
}

size_t meta_properties_encode(const struct meta_properties *meta, char *text, size_t capacity)
{
    char number[16];
    char id[UUID_TEXT_SIZE + 1];
    struct text_builder builder;
    struct writer writer = writer_of(text, capacity);
    text_builder_init(&builder, number, sizeof(number));
    text_append_i64(&builder, meta->node_id);
    uuid_format(meta->directory_id, id);
    write_view(&writer, VIEW_LITERAL("#\n"));
    properties_write(&writer, VIEW_LITERAL("cluster.id"), view_of_string(meta->cluster_id));
    properties_write(&writer, VIEW_LITERAL("directory.id"), view_of_string(id));
    properties_write(&writer, VIEW_LITERAL("node.id"), text_builder_view(&builder));
    properties_write(&writer, VIEW_LITERAL("version"), VIEW_LITERAL("1"));
    return writer.failed ? 0 : writer.size;
}
