/* The copy is laid out in two walks: one that counts, one that writes. */
#include "consumer/member_metadata.h"

#include "base/assert.h"
#include "base/sort.h"

typedef struct consumer_group_member_metadata_value_classic_member_metadata classic_metadata;
typedef struct consumer_group_member_metadata_value_classic_protocol classic_protocol;

void member_metadata_default(member_metadata *metadata)
{
    consumer_group_member_metadata_value_init(metadata);
    metadata->instance_id = VIEW_NULL;
    metadata->rack_id = VIEW_NULL;
    metadata->server_assignor = VIEW_NULL;
    metadata->client_id = VIEW_LITERAL("");
    metadata->client_host = VIEW_LITERAL("");
    metadata->subscribed_topic_regex = VIEW_LITERAL("");
}

/* Where the next bytes of a copy belong; with no memory behind it, it counts. */
struct layout {
    uint8_t *data;
    size_t used;
};

static void *place(struct layout *layout, size_t size, size_t alignment)
{
    layout->used = (layout->used + alignment - 1) / alignment * alignment;
    void *place = layout->data ? layout->data + layout->used : NULL;
    layout->used += size;
    return place;
}

static struct view place_view(struct layout *layout, struct view view)
{
    if (view_is_null(view))
        return VIEW_NULL;
    /* One byte at least, so that an empty text is not null. */
    uint8_t *bytes = place(layout, view.size ? view.size : 1, 1);
    if (bytes && view.size)
        memcpy(bytes, view.data, view.size);
    return view_of(bytes, view.size);
}

static classic_metadata *place_classic(struct layout *layout, const classic_metadata *classic)
{
    if (!classic)
        return NULL;
    classic_metadata *copy = place(layout, sizeof(*copy), _Alignof(classic_metadata));
    size_t count = classic->supported_protocols_count;
    classic_protocol *protocols =
        place(layout, (count ? count : 1) * sizeof(*protocols), _Alignof(classic_protocol));
    for (size_t i = 0; i < count; i++) {
        struct view name = place_view(layout, classic->supported_protocols[i].name);
        struct view metadata = place_view(layout, classic->supported_protocols[i].metadata);
        if (protocols)
            protocols[i] = (classic_protocol){name, metadata};
    }
    if (copy)
        *copy = (classic_metadata){classic->session_timeout_ms, protocols, count};
    return copy;
}

static void lay_out(struct layout *layout, const member_metadata *from)
{
    member_metadata *copy = place(layout, sizeof(*copy), _Alignof(member_metadata));
    size_t count = from->subscribed_topic_names_count;
    struct view *names = place(layout, (count ? count : 1) * sizeof(*names), _Alignof(struct view));
    classic_metadata *classic = place_classic(layout, from->classic_member_metadata);
    member_metadata to = *from;
    to.classic_member_metadata = classic;
    to.subscribed_topic_names = names;
    to.instance_id = place_view(layout, from->instance_id);
    to.rack_id = place_view(layout, from->rack_id);
    to.client_id = place_view(layout, from->client_id);
    to.client_host = place_view(layout, from->client_host);
    to.subscribed_topic_regex = place_view(layout, from->subscribed_topic_regex);
    to.server_assignor = place_view(layout, from->server_assignor);
    for (size_t i = 0; i < count; i++) {
        struct view name = place_view(layout, from->subscribed_topic_names[i]);
        if (names)
            names[i] = name;
    }
    if (copy)
        *copy = to;
}

member_metadata *member_metadata_copy(struct heap *heap, const member_metadata *metadata,
                                      size_t *size)
{
    struct layout layout = {NULL, 0};
    lay_out(&layout, metadata);
    *size = layout.used;
    void *block = heap_must_get(heap, MEMORY_STATE, *size);
    layout = (struct layout){block, 0};
    lay_out(&layout, metadata);
    klamm_assert(layout.used == *size);
    return block;
}

bool member_metadata_names_equal(const member_metadata *a, const member_metadata *b)
{
    if (a->subscribed_topic_names_count != b->subscribed_topic_names_count)
        return false;
    for (size_t i = 0; i < a->subscribed_topic_names_count; i++) {
        if (!view_equal(a->subscribed_topic_names[i], b->subscribed_topic_names[i]))
            return false;
    }
    return true;
}

static bool classic_equal(const classic_metadata *a, const classic_metadata *b)
{
    if (!a || !b)
        return a == b;
    if (a->session_timeout_ms != b->session_timeout_ms ||
        a->supported_protocols_count != b->supported_protocols_count)
        return false;
    for (size_t i = 0; i < a->supported_protocols_count; i++) {
        if (!view_equal(a->supported_protocols[i].name, b->supported_protocols[i].name) ||
            !view_equal(a->supported_protocols[i].metadata, b->supported_protocols[i].metadata))
            return false;
    }
    return true;
}

bool member_metadata_equal(const member_metadata *a, const member_metadata *b)
{
    return view_equal(a->instance_id, b->instance_id) && view_equal(a->rack_id, b->rack_id) &&
           view_equal(a->client_id, b->client_id) && view_equal(a->client_host, b->client_host) &&
           view_equal(a->subscribed_topic_regex, b->subscribed_topic_regex) &&
           view_equal(a->server_assignor, b->server_assignor) &&
           a->rebalance_timeout_ms == b->rebalance_timeout_ms &&
           member_metadata_names_equal(a, b) &&
           classic_equal(a->classic_member_metadata, b->classic_member_metadata);
}

static int compare_views(const void *a, const void *b, void *context)
{
    (void)context;
    return view_compare(*(const struct view *)a, *(const struct view *)b);
}

bool member_metadata_set_names(member_metadata *metadata, const struct view *names, size_t count,
                               struct arena *arena)
{
    struct view *sorted = arena_get(arena, count * sizeof(*sorted));
    void *scratch = arena_get(arena, count * sizeof(*sorted));
    if (!sorted || !scratch)
        return false;
    if (count)
        memcpy(sorted, names, count * sizeof(*sorted));
    sort_stable(sorted, count, sizeof(*sorted), scratch, compare_views, NULL);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || view_compare(sorted[kept - 1], sorted[i]) != 0)
            sorted[kept++] = sorted[i];
    }
    metadata->subscribed_topic_names = sorted;
    metadata->subscribed_topic_names_count = kept;
    return true;
}
