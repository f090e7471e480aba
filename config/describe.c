/*
 * The keys shown are those of the table and, besides, what is stored without being listed there:
 * entries with a listener prefix, keys of other versions, internal keys that someone did set.
 *
 * A key's synonyms are its chain (config/layers.h). Kafka drops from its front what stands before
 * the first text of the key's primary broker name, and takes the source from what is left; so a
 * topic's retention.ms that comes from log.retention.hours alone shows no synonyms and "default".
 * We do the same, because tools compare the two.
 */
#include "config/describe.h"

#include "base/sort.h"
#include "config/layers.h"
#include "config/server_config.h"

static int compare_views(const void *a, const void *b, void *context)
{
    (void)context;
    return view_compare(*(const struct view *)a, *(const struct view *)b);
}

/* Sorted copies of the wanted keys: a request may name very many. */
static bool sort_wanted(const struct config_describe_request *request, struct view **wanted,
                        struct arena *arena)
{
    size_t count = request->key_count;
    struct view *scratch = arena_get_array(arena, count, sizeof(*scratch));
    *wanted = arena_get_array(arena, count, sizeof(**wanted));
    if (!*wanted || !scratch)
        return false;
    if (count > 0)
        memcpy(*wanted, request->keys, count * sizeof(**wanted));
    sort_stable(*wanted, count, sizeof(**wanted), scratch, compare_views, NULL);
    return true;
}

static bool is_wanted(const struct view *wanted, size_t count, struct view name)
{
    size_t at = sort_lower_bound(wanted, count, sizeof(*wanted), &name, compare_views, NULL);
    return count == 0 || (at < count && view_equal(wanted[at], name));
}

/* The broker key whose text must come first, null when no broker key stands behind the row. */
static struct view primary_name(struct view name, const struct config_definition *row)
{
    if (!row || row->scope == CONFIG_SCOPE_BROKER)
        return name;
    return row->synonym_count > 0 ? row->synonyms[0].name : VIEW_NULL;
}

/* Whether the resource itself has a text for the key (topic, group or metrics override). */
static bool has_override(const struct config_chain *chain, const struct config_definition *row)
{
    return row && row->scope != CONFIG_SCOPE_BROKER && chain->count > 0 &&
           chain->steps[0].row == row && chain->steps[0].source != CONFIG_SOURCE_DEFAULT;
}

/* Takes out of the chain what Kafka does not show. */
static void trim_chain(struct config_chain *chain, struct view name,
                       const struct config_definition *row,
                       const struct config_describe_request *request)
{
    bool override = has_override(chain, row);
    struct view primary = primary_name(name, row);
    bool dropping = !view_is_null(primary);
    size_t kept = 0;
    for (size_t i = 0; i < chain->count; i++) {
        struct config_step step = chain->steps[i];
        bool own = override && i == 0;
        bool own_default = step.source == CONFIG_SOURCE_DEFAULT && view_is_null(primary);
        dropping = dropping && (own || !view_equal(step.name, primary));
        if (!own && dropping)
            continue;
        /* The default of a key that no broker key stands behind: only groups show it. */
        if (own_default && (request->scope != CONFIG_SCOPE_GROUP || override))
            continue;
        if (step.source == CONFIG_SOURCE_DEFAULT && step.row->dynamic_only)
            continue;
        if (request->cluster_default && step.source != CONFIG_SOURCE_DYNAMIC_CLUSTER)
            continue;
        chain->steps[kept++] = step;
    }
    chain->count = kept;
}

/*
 * The resource's own override is shown as the value is, what stands behind it as it was written;
 * Kafka answers so.
 */
static struct view shown_text(const struct config_step *step,
                              const struct config_described *described)
{
    bool override = step->source == CONFIG_SOURCE_TOPIC || step->source == CONFIG_SOURCE_GROUP ||
                    step->source == CONFIG_SOURCE_CLIENT_METRICS;
    return described->is_sensitive ? VIEW_NULL : override ? described->value : step->text;
}

static bool fill_synonyms(const struct config_chain *chain, struct config_described *described,
                          struct arena *arena)
{
    described->synonyms = arena_get_array(arena, chain->count, sizeof(*described->synonyms));
    if (!described->synonyms)
        return false;
    for (size_t i = 0; i < chain->count; i++)
        described->synonyms[i] = (struct config_described_synonym){
            chain->steps[i].name, shown_text(&chain->steps[i], described), chain->steps[i].source};
    described->synonym_count = chain->count;
    return true;
}

static bool is_read_only(struct view name, const struct config_definition *row)
{
    if (!row || row->dynamic_only || !view_equal(name, row->name))
        return true;
    return row->scope == CONFIG_SCOPE_BROKER && row->dynamic == CONFIG_READ_ONLY;
}

/* The value shown: typed and canonical, but the cluster's defaults as they are stored. */
static struct view shown_value(const struct config_describe_request *request,
                               const struct config_definition *row,
                               const struct config_chain *chain, struct arena *arena)
{
    if (!row || config_is_sensitive(row))
        return VIEW_NULL;
    if (request->cluster_default)
        return chain->count > 0 ? chain->steps[0].text : VIEW_NULL;
    /* A broker key shows its own value: log.retention.ms is null where only .hours is set. */
    struct config_chain own = {.count = 0};
    for (size_t i = 0; i < chain->count; i++) {
        if (row->scope != CONFIG_SCOPE_BROKER || chain->steps[i].row == row)
            own.steps[own.count++] = chain->steps[i];
    }
    struct config_value value = config_chain_value(&own, row, NULL, arena);
    return config_value_format(&value, arena);
}

/* Whether the key is shown though nobody asked for it by setting it. */
static bool is_listed(const struct config_definition *row)
{
    return row && !row->internal && !row->unlisted && !row->dynamic_only;
}

/* Fills one entry and counts it, unless the key is neither listed nor set. */
static bool describe_key(const struct config_describe_request *request, struct view name,
                         struct config_described_list *list, struct arena *arena)
{
    struct config_chain chain;
    const struct config_definition *row = request->scope == CONFIG_SCOPE_BROKER
                                              ? config_find_prefixed(name, NULL)
                                              : config_find(request->scope, name);
    config_chain_build(&chain, name, row, &request->layers);
    if (!is_listed(row) && (row || request->scope == CONFIG_SCOPE_BROKER) &&
        (chain.count == 0 || chain.steps[0].source == CONFIG_SOURCE_DEFAULT))
        return true;
    struct config_described *described = &list->items[list->count];
    *described = (struct config_described){.name = name, .source = CONFIG_SOURCE_DEFAULT};
    described->type = row ? (enum config_type)row->type : CONFIG_UNKNOWN;
    described->is_sensitive = !row || config_is_sensitive(row);
    described->is_read_only = is_read_only(name, row);
    if (row && request->with_documentation)
        described->documentation = row->documentation;
    if (request->cluster_default)
        trim_chain(&chain, name, row, request);
    described->value = shown_value(request, row, &chain, arena);
    trim_chain(&chain, name, row, request);
    if (chain.count > 0)
        described->source = chain.steps[0].source;
    list->count++;
    return !request->with_synonyms || fill_synonyms(&chain, described, arena);
}

static size_t add_names(struct view *names, size_t count, const struct config_set *set)
{
    for (size_t i = 0; set && i < set->count; i++)
        names[count++] = set->entries[i].name;
    return count;
}

static size_t set_count(const struct config_set *set)
{
    return set ? set->count : 0;
}

/* All names that the table or a layer of the resource has, sorted; each once. */
static bool collect_names(const struct config_describe_request *request, struct view **names,
                          size_t *count, struct arena *arena)
{
    const struct config_layers *layers = &request->layers;
    struct config_definitions table = config_all(request->scope);
    bool broker = request->scope == CONFIG_SCOPE_BROKER;
    size_t most = table.count + set_count(layers->topic) + set_count(layers->dynamic_broker) +
                  set_count(layers->dynamic_cluster) + set_count(layers->file);
    struct view *all = arena_get_array(arena, most, sizeof(*all));
    struct view *scratch = arena_get_array(arena, most, sizeof(*scratch));
    size_t found = 0;
    if (!all || !scratch)
        return false;
    for (size_t i = 0; !request->cluster_default && i < table.count; i++)
        all[found++] = table.rows[i].name;
    if (!broker)
        found = add_names(all, found, layers->topic);
    if (broker)
        found = add_names(all, found, layers->dynamic_cluster);
    if (broker && !request->cluster_default) {
        found = add_names(all, found, layers->dynamic_broker);
        found = add_names(all, found, layers->file);
    }
    sort_stable(all, found, sizeof(*all), scratch, compare_views, NULL);
    *count = 0;
    for (size_t i = 0; i < found; i++) {
        if (*count == 0 || !view_equal(all[*count - 1], all[i]))
            all[(*count)++] = all[i];
    }
    *names = all;
    return true;
}

bool config_describe(const struct config_describe_request *request,
                     struct config_described_list *list, struct arena *arena)
{
    struct view *names;
    size_t count;
    *list = (struct config_described_list){NULL, 0};
    struct view *wanted;
    if (!collect_names(request, &names, &count, arena) || !sort_wanted(request, &wanted, arena))
        return false;
    list->items = arena_get_array(arena, count, sizeof(*list->items));
    if (!list->items)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (is_wanted(wanted, request->key_count, names[i]) &&
            !describe_key(request, names[i], list, arena))
            return false;
    }
    return true;
}
