/*
 * A request is worked out on a copy: each change gives an entry (name and new text, or removal),
 * the entries give the resulting set, and the set is checked as a whole by the rules of its scope.
 *
 * Kafka checks topics, groups and client metrics at the controller (code 40; client metrics mix 40
 * and 42) and brokers at the broker that is asked (42). Unknown broker keys are stored: they may
 * belong to a plug-in, or to another version.
 */
#include "config/alter.h"

#include "base/map.h"
#include "base/sort.h"
#include "base/text.h"
#include "config/alter_check.h"
#include "config/report.h"

/* Working state of one request. */
struct alteration {
    const struct config_alter_request *request;
    struct config_altered *altered;
    struct arena *arena;
    struct config_change *changes; /* of the request, by name */
};

static bool refuse(struct alteration *alteration, enum config_refusal refusal, struct view message)
{
    struct config_set existing = alteration->request->existing;
    *alteration->altered =
        (struct config_altered){.refusal = refusal, .message = message, .result = existing};
    return false;
}

static bool refuse_memory(struct alteration *alteration)
{
    return refuse(alteration, CONFIG_OUT_OF_MEMORY, VIEW_LITERAL("out of memory"));
}

/* The row of a changed key: for brokers it may stand behind a listener prefix. */
static const struct config_definition *find_row(const struct alteration *alteration,
                                                struct view name)
{
    if (alteration->request->scope == CONFIG_SCOPE_BROKER)
        return config_find_prefixed(name, NULL);
    return config_find(alteration->request->scope, name);
}

static int compare_changes(const void *a, const void *b, void *context)
{
    (void)context;
    return view_compare(((const struct config_change *)a)->name,
                        ((const struct config_change *)b)->name);
}

/* The changes by name; a name that is there twice is refused. */
static bool sort_changes(struct alteration *alteration)
{
    size_t count = alteration->request->change_count;
    struct config_change *sorted = arena_get_array(alteration->arena, count, sizeof(*sorted));
    struct config_change *scratch = arena_get_array(alteration->arena, count, sizeof(*scratch));
    if (!sorted || !scratch)
        return refuse_memory(alteration);
    if (count > 0)
        memcpy(sorted, alteration->request->changes, count * sizeof(*sorted));
    sort_stable(sorted, count, sizeof(*sorted), scratch, compare_changes, NULL);
    alteration->changes = sorted;
    for (size_t i = 1; i < count; i++) {
        if (view_equal(sorted[i - 1].name, sorted[i].name))
            return refuse(
                alteration, CONFIG_INVALID_REQUEST,
                config_text(alteration->arena, "%.*s is there twice", SHOW(sorted[i].name)));
    }
    return true;
}

/* Names once each, values where the operation needs one (KIP-339). */
static bool check_form(struct alteration *alteration, bool replacing)
{
    const struct config_alter_request *request = alteration->request;
    for (size_t i = 0; i < request->change_count; i++) {
        const struct config_change *change = &request->changes[i];
        bool set = replacing || change->operation != CONFIG_DELETE;
        if (!replacing && (change->operation < CONFIG_SET || change->operation > CONFIG_SUBTRACT))
            return refuse(alteration, CONFIG_INVALID_REQUEST,
                          config_text(alteration->arena, "Unknown operation %d for %.*s",
                                      change->operation, SHOW(change->name)));
        if (set && view_is_null(change->value))
            return refuse(alteration, CONFIG_INVALID_REQUEST,
                          config_text(alteration->arena, "%.*s must have a value, not null",
                                      SHOW(change->name)));
    }
    return sort_changes(alteration);
}

/* Elements of a stored list; empty ones, which only old versions left, are dropped. */
static bool split_stored(struct view text, struct config_list *list, struct arena *arena)
{
    struct config_list all;
    if (!config_split(text, &all, arena))
        return false;
    struct view *items = arena_get_array(arena, all.count, sizeof(*items));
    if (!items)
        return false;
    *list = (struct config_list){items, 0};
    for (size_t i = 0; i < all.count; i++) {
        if (all.items[i].size > 0)
            items[list->count++] = all.items[i];
    }
    return true;
}

/*
 * `present` with the elements of `change` that it lacks behind it, or without those that it has;
 * null when memory is refused. A map, because lists of replicas are long.
 */
static struct view combine(const struct config_list *present, const struct config_list *change,
                           bool append, struct arena *arena)
{
    struct map map;
    struct view *items = arena_get_array(arena, present->count + change->count, sizeof(*items));
    struct config_list result = {items, 0};
    bool refused = items == NULL;
    map_init(&map, arena->heap, MEMORY_SCRATCH, 0);
    const struct config_list *known = append ? present : change;
    const struct config_list *tried = append ? change : present;
    for (size_t i = 0; i < known->count && !refused; i++) {
        refused = !map_add(&map, known->items[i], NULL);
        if (append && !refused)
            items[result.count++] = known->items[i];
    }
    for (size_t i = 0; i < tried->count && !refused; i++) {
        bool added = false;
        if (append)
            refused = !map_add(&map, tried->items[i], &added);
        else
            added = !map_find(&map, tried->items[i]);
        if (added && !refused)
            items[result.count++] = tried->items[i];
    }
    map_deinit(&map);
    return refused ? VIEW_NULL : config_join(&result, arena);
}

/* The new text of a list key; what is not set yet starts from the key's default. */
static bool change_list(struct alteration *alteration, const struct config_change *change,
                        struct view *text)
{
    struct arena *arena = alteration->arena;
    const struct config_definition *row = find_row(alteration, change->name);
    bool append = change->operation == CONFIG_APPEND;
    if (!row || row->type != CONFIG_LIST)
        return refuse(alteration, CONFIG_INVALID_CONFIG,
                      config_text(arena, "Cannot %s %.*s: it is not a list",
                                  append ? "append to" : "subtract from", SHOW(change->name)));
    struct config_list present;
    struct config_list items;
    struct view stored = config_set_get(&alteration->request->existing, change->name);
    if (!split_stored(view_is_null(stored) ? row->default_value : stored, &present, arena) ||
        !split_stored(change->value, &items, arena))
        return refuse_memory(alteration);
    *text = combine(&present, &items, append, arena);
    return !view_is_null(*text) || refuse_memory(alteration);
}

/* Adds the entry to write, unless it changes nothing (brokers reload on equal values too). */
static void add_entry(struct alteration *alteration, struct view name, struct view value)
{
    struct view stored = config_set_get(&alteration->request->existing, name);
    bool same = view_equal(stored, value);
    if (same && (view_is_null(value) || alteration->request->scope != CONFIG_SCOPE_BROKER))
        return;
    struct config_altered *altered = alteration->altered;
    altered->entries[altered->entry_count++] = (struct config_entry){name, value};
}

static int compare_entries(const void *a, const void *b, void *context)
{
    (void)context;
    return view_compare(((const struct config_entry *)a)->name,
                        ((const struct config_entry *)b)->name);
}

/* Sorts the entries and builds the set that they lead to. */
static bool finish_entries(struct alteration *alteration)
{
    struct config_altered *altered = alteration->altered;
    struct config_entry *scratch =
        arena_get_array(alteration->arena, altered->entry_count, sizeof(*scratch));
    if (!scratch)
        return refuse_memory(alteration);
    sort_stable(altered->entries, altered->entry_count, sizeof(*scratch), scratch, compare_entries,
                NULL);
    if (!config_set_apply(&altered->result, &alteration->request->existing, altered->entries,
                          altered->entry_count, alteration->arena))
        return refuse_memory(alteration);
    return true;
}

static bool begin(struct alteration *alteration, const struct config_alter_request *request,
                  struct config_altered *altered, struct arena *arena)
{
    size_t most = request->change_count + request->existing.count;
    *alteration = (struct alteration){request, altered, arena, NULL};
    *altered = (struct config_altered){.result = request->existing};
    altered->entries = arena_get_array(arena, most, sizeof(*altered->entries));
    return altered->entries != NULL || refuse_memory(alteration);
}

/* Only what changes is checked key by key: an old bad value must not block its own repair. */
static bool check_result(struct alteration *alteration)
{
    struct config_altered *altered = alteration->altered;
    struct config_set changed = {altered->entries, altered->entry_count};
    struct config_altered checked;
    config_check_changes(alteration->request, &changed, &altered->result, &checked,
                         alteration->arena);
    if (checked.refusal == CONFIG_ACCEPTED)
        return true;
    return refuse(alteration, checked.refusal, checked.message);
}

void config_alter_incremental(const struct config_alter_request *request,
                              struct config_altered *altered, struct arena *arena)
{
    struct alteration alteration;
    if (!begin(&alteration, request, altered, arena) || !check_form(&alteration, false))
        return;
    for (size_t i = 0; i < request->change_count; i++) {
        const struct config_change *change = &request->changes[i];
        struct view text = change->operation == CONFIG_DELETE ? VIEW_NULL : change->value;
        bool list = change->operation == CONFIG_APPEND || change->operation == CONFIG_SUBTRACT;
        if (list && !change_list(&alteration, change, &text))
            return;
        add_entry(&alteration, change->name, text);
    }
    if (finish_entries(&alteration))
        (void)check_result(&alteration);
}

static bool is_changed(const struct alteration *alteration, struct view name)
{
    size_t count = alteration->request->change_count;
    struct config_change wanted = {.name = name};
    size_t at = sort_lower_bound(alteration->changes, count, sizeof(wanted), &wanted,
                                 compare_changes, NULL);
    return at < count && view_equal(alteration->changes[at].name, name);
}

void config_alter_replace(const struct config_alter_request *request,
                          struct config_altered *altered, struct arena *arena)
{
    struct alteration alteration;
    if (!begin(&alteration, request, altered, arena) || !check_form(&alteration, true))
        return;
    for (size_t i = 0; i < request->change_count; i++)
        add_entry(&alteration, request->changes[i].name, request->changes[i].value);
    for (size_t i = 0; i < request->existing.count; i++) {
        if (!is_changed(&alteration, request->existing.entries[i].name))
            add_entry(&alteration, request->existing.entries[i].name, VIEW_NULL);
    }
    if (finish_entries(&alteration))
        (void)check_result(&alteration);
}

void config_check(const struct config_alter_request *request, const struct config_set *set,
                  struct config_altered *altered, struct arena *arena)
{
    *altered = (struct config_altered){.result = *set};
    config_check_changes(request, set, set, altered, arena);
}
