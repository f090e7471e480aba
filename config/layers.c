/*
 * Layers outside, synonyms inside: a dynamic entry of any synonym wins over the file, and within a
 * layer the finer unit (log.retention.ms before .minutes before .hours) wins.
 */
#include "config/layers.h"

#include "base/assert.h"

static void add_step(struct config_chain *chain, const struct config_step *asked, struct view text,
                     enum config_source source)
{
    if (view_is_null(text))
        return;
    klamm_assert(chain->count < CONFIG_CHAIN_MAX);
    struct config_step *step = &chain->steps[chain->count++];
    *step = *asked;
    step->text = text;
    step->source = source;
}

/*
 * The i-th broker key to ask: the name itself when it is a broker's (then, behind a prefix, the
 * plain key), and the synonyms. False behind the last.
 */
static bool asked_key(struct view name, const struct config_definition *row, size_t i,
                      struct config_step *step)
{
    *step = (struct config_step){.name = name, .row = row, .factor = 1};
    if (!row)
        return i == 0;
    if (row->scope == CONFIG_SCOPE_BROKER) {
        if (i-- == 0)
            return true;
        step->name = row->name;
        if (!view_equal(name, row->name) && i-- == 0)
            return true;
    }
    if (i >= row->synonym_count)
        return false;
    step->name = row->synonyms[i].name;
    step->row = config_find(CONFIG_SCOPE_BROKER, step->name);
    step->factor = row->synonyms[i].factor;
    return true;
}

static void add_layer(struct config_chain *chain, struct view name,
                      const struct config_definition *row, const struct config_set *set,
                      enum config_source source)
{
    struct config_step asked;
    for (size_t i = 0; asked_key(name, row, i, &asked); i++)
        add_step(chain, &asked, config_set_get(set, asked.name), source);
}

/*
 * A group key without an override takes what the broker's file has for all groups of that type:
 * the key of the same name behind "group.".
 */
static struct view group_default(const struct config_definition *row,
                                 const struct config_layers *layers)
{
    uint8_t name[128];
    struct writer writer = writer_of(name, sizeof(name));
    write_view(&writer, VIEW_LITERAL("group."));
    write_view(&writer, row->name);
    struct view text = config_set_get(layers->file, view_of(name, writer.size));
    return view_is_null(text) ? row->default_value : text;
}

static void add_defaults(struct config_chain *chain, struct view name,
                         const struct config_definition *row, const struct config_layers *layers)
{
    struct config_step asked;
    for (size_t i = 0; asked_key(name, row, i, &asked); i++) {
        /* A prefixed name has no default of its own. */
        if (asked.row && view_equal(asked.name, asked.row->name))
            add_step(chain, &asked, asked.row->default_value, CONFIG_SOURCE_DEFAULT);
    }
    if (!row || row->scope == CONFIG_SCOPE_BROKER || row->synonym_count > 0)
        return;
    struct config_step own = {.name = name, .row = row, .factor = 1};
    bool group = row->scope == CONFIG_SCOPE_GROUP;
    add_step(chain, &own, group ? group_default(row, layers) : row->default_value,
             CONFIG_SOURCE_DEFAULT);
}

static enum config_source own_source(enum config_scope scope)
{
    switch (scope) {
    case CONFIG_SCOPE_TOPIC:
        return CONFIG_SOURCE_TOPIC;
    case CONFIG_SCOPE_GROUP:
        return CONFIG_SOURCE_GROUP;
    case CONFIG_SCOPE_CLIENT_METRICS:
        return CONFIG_SOURCE_CLIENT_METRICS;
    case CONFIG_SCOPE_BROKER:
    case CONFIG_SCOPES:
        break;
    }
    return CONFIG_SOURCE_UNKNOWN;
}

void config_chain_build(struct config_chain *chain, struct view name,
                        const struct config_definition *row, const struct config_layers *layers)
{
    struct config_step own = {.name = name, .row = row, .factor = 1};
    chain->count = 0;
    if (row && row->scope != CONFIG_SCOPE_BROKER)
        add_step(chain, &own, config_set_get(layers->topic, name), own_source(row->scope));
    add_layer(chain, name, row, layers->dynamic_broker, CONFIG_SOURCE_DYNAMIC_BROKER);
    add_layer(chain, name, row, layers->dynamic_cluster, CONFIG_SOURCE_DYNAMIC_CLUSTER);
    add_layer(chain, name, row, layers->file, CONFIG_SOURCE_FILE);
    add_defaults(chain, name, row, layers);
}

/* `value` in the unit of the asked key; what would overflow is as large as can be. */
static void scale(struct config_value *value, int64_t factor)
{
    if (factor == 1)
        return;
    if (value->integer > INT64_MAX / factor)
        value->integer = INT64_MAX;
    else if (value->integer < INT64_MIN / factor)
        value->integer = INT64_MIN;
    else
        value->integer *= factor;
    /* -1 hours is "no limit" and stays that in milliseconds. */
    if (value->integer < 0)
        value->integer = -1;
}

struct config_value config_chain_value(const struct config_chain *chain,
                                       const struct config_definition *row,
                                       enum config_source *source, struct arena *arena)
{
    struct config_value value;
    struct view error;
    for (size_t i = 0; i < chain->count; i++) {
        const struct config_step *step = &chain->steps[i];
        if (!step->row || !config_value_parse(step->row, step->text, &value, &error, arena))
            continue;
        scale(&value, step->factor);
        value.type = row->type;
        if (source)
            *source = step->source;
        return value;
    }
    if (source)
        *source = CONFIG_SOURCE_DEFAULT;
    return (struct config_value){.type = row->type, .is_null = true};
}

void config_value_store(const struct config_value *value, void *place)
{
    switch (value->type) {
    case CONFIG_BOOLEAN:
        *(bool *)place = value->boolean;
        return;
    case CONFIG_INT:
        *(int32_t *)place = (int32_t)value->integer;
        return;
    case CONFIG_SHORT:
        *(int16_t *)place = (int16_t)value->integer;
        return;
    case CONFIG_LONG:
        *(int64_t *)place = value->integer;
        return;
    case CONFIG_DOUBLE:
        *(double *)place = value->real;
        return;
    case CONFIG_LIST:
        *(struct config_list *)place = value->list;
        return;
    case CONFIG_STRING:
    case CONFIG_CLASS:
    case CONFIG_PASSWORD:
        *(struct view *)place = value->text;
        return;
    case CONFIG_UNKNOWN:
        break;
    }
    klamm_unreachable("a value of unknown type");
}
