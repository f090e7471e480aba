/*
 * How it works: two lines of "name: value". Readers split at a colon followed by blanks; other
 * lines are not accepted, so that a file of another version is seen as such.
 */
#include "log/partition_metadata.h"

#include "base/assert.h"
#include "base/text.h"
#include "log/checkpoint_file.h"
#include "log/file_content.h"
#include "log/log_path.h"

enum { PARTITION_METADATA_FILE_SIZE_MAX = 1024 };

size_t partition_metadata_encode(struct uuid topic_id, char text[PARTITION_METADATA_SIZE + 1])
{
    char id[UUID_TEXT_SIZE + 1];
    struct text_builder builder;
    klamm_assert(!uuid_is_zero(topic_id));
    uuid_format(topic_id, id);
    text_builder_init(&builder, text, PARTITION_METADATA_SIZE + 1);
    text_append_format(&builder, "version: 0\ntopic_id: %s", id);
    klamm_assert(!builder.truncated);
    return builder.size;
}

/* The value of a line "<name>: <value>", or null. */
static struct view value_of(struct view line, struct view name)
{
    if (!text_starts_with(line, name) || line.size <= name.size || line.data[name.size] != ':')
        return VIEW_NULL;
    return text_trim(view_of(line.data + name.size + 1, line.size - name.size - 1));
}

bool partition_metadata_decode(struct view text, struct uuid *topic_id)
{
    struct view version = value_of(checkpoint_next_line(&text), VIEW_LITERAL("version"));
    struct view id = value_of(checkpoint_next_line(&text), VIEW_LITERAL("topic_id"));
    *topic_id = UUID_ZERO;
    if (text_trim(text).size != 0 || view_is_null(version) || view_is_null(id))
        return false;
    return view_equal(version, VIEW_LITERAL("0")) && uuid_parse(id, topic_id) &&
           !uuid_is_zero(*topic_id);
}

enum storage_status partition_metadata_load(struct storage storage, const char *directory,
                                            struct heap *scratch, struct uuid *topic_id,
                                            bool *valid)
{
    struct log_path path;
    struct file_content content;
    *topic_id = UUID_ZERO;
    *valid = false;
    if (!log_path_join(&path, directory, PARTITION_METADATA_FILE_NAME))
        return STORAGE_LIMIT;
    enum storage_status status =
        file_content_read(storage, path.text, scratch, PARTITION_METADATA_FILE_SIZE_MAX, &content);
    if (status == STORAGE_NOT_EMPTY)
        return STORAGE_OK; /* far too long: damaged */
    if (status != STORAGE_OK)
        return status;
    *valid = partition_metadata_decode(file_content_view(&content), topic_id);
    file_content_release(&content);
    return STORAGE_OK;
}

enum storage_status partition_metadata_write(struct storage storage, const char *directory,
                                             struct uuid topic_id)
{
    char text[PARTITION_METADATA_SIZE + 1];
    size_t size = partition_metadata_encode(topic_id, text);
    return file_content_replace(storage, directory, PARTITION_METADATA_FILE_NAME,
                                view_of(text, size));
}
