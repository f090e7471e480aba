/*
 * One function per rule; config_rule_check picks by the row. Rules of a LIST that hold for nearly
 * all of them (no empty element, none twice) are checked here too; throttled replicas, voters and
 * servers are the exceptions that Kafka makes.
 */
#include "config/rule.h"

#include <float.h>
#include <inttypes.h>

#include "base/map.h"
#include "base/text.h"

static struct view range_text(const struct config_definition *row, struct arena *arena)
{
    char text[160];
    struct text_builder builder;
    text_builder_init(&builder, text, sizeof(text));
    bool real = row->type == CONFIG_DOUBLE;
    bool open = real ? row->maximum_real >= DBL_MAX : row->maximum == INT64_MAX;
    text_append_string(&builder, real ? "must be a number " : "must be a whole number ");
    text_append_string(&builder, open ? "of at least " : "from ");
    if (real)
        text_append_double(&builder, row->minimum_real);
    else
        text_append_i64(&builder, row->minimum);
    if (!open) {
        text_append_string(&builder, " to ");
        if (real)
            text_append_double(&builder, row->maximum_real);
        else
            text_append_i64(&builder, row->maximum);
    }
    if (row->rule == CONFIG_RULE_RANGE_OR) {
        text_append_string(&builder, ", or ");
        text_append_i64(&builder, row->also_allowed);
    }
    return arena_copy(arena, text_builder_view(&builder));
}

static struct view choice_text(const struct config_definition *row, struct arena *arena)
{
    struct config_list list = {row->allowed, row->allowed_count};
    struct view joined = config_join(&list, arena);
    const char *lead = row->type == CONFIG_LIST ? "each must be one of" : "must be one of";
    return config_text(arena, "%s %.*s", lead, (int)joined.size, (const char *)joined.data);
}

static struct view type_text(const struct config_definition *row)
{
    switch ((enum config_type)row->type) {
    case CONFIG_BOOLEAN:
        return VIEW_LITERAL("must be true or false");
    case CONFIG_INT:
        return VIEW_LITERAL("must be a whole number of at most 32 bits");
    case CONFIG_SHORT:
        return VIEW_LITERAL("must be a whole number of at most 16 bits");
    case CONFIG_LONG:
        return VIEW_LITERAL("must be a whole number of at most 64 bits");
    case CONFIG_DOUBLE:
        return VIEW_LITERAL("must be a decimal number");
    case CONFIG_LIST:
        return VIEW_LITERAL("must be values separated by commas, none empty and none twice");
    case CONFIG_STRING:
    case CONFIG_CLASS:
    case CONFIG_PASSWORD:
    case CONFIG_UNKNOWN:
        break;
    }
    return VIEW_LITERAL("may be any text");
}

struct view config_rule_text(const struct config_definition *row, struct arena *arena)
{
    switch ((enum config_rule)row->rule) {
    case CONFIG_RULE_RANGE:
    case CONFIG_RULE_RANGE_OR:
        return range_text(row, arena);
    case CONFIG_RULE_ONE_OF:
    case CONFIG_RULE_ONE_OF_ANY_CASE:
        return choice_text(row, arena);
    case CONFIG_RULE_NOT_EMPTY:
        return VIEW_LITERAL("must not be empty");
    case CONFIG_RULE_THROTTLED:
        return VIEW_LITERAL("must be * or partition:broker pairs separated by commas");
    case CONFIG_RULE_OFFSET_RESET:
        return VIEW_LITERAL("must be latest, earliest, or by_duration: with an ISO 8601 duration "
                            "of days, hours, minutes and seconds that is not negative");
    case CONFIG_RULE_METRICS_MATCH:
        return VIEW_LITERAL("must be selector=pattern pairs separated by commas, where a selector "
                            "is client_instance_id, client_id, client_software_name, "
                            "client_software_version, client_source_address or "
                            "client_source_port");
    case CONFIG_RULE_VOTERS:
        return VIEW_LITERAL("must be id@host:port entries separated by commas");
    case CONFIG_RULE_SERVERS:
        return VIEW_LITERAL("must be host:port entries separated by commas");
    case CONFIG_RULE_ANY:
        break;
    }
    return type_text(row);
}

static bool in_range(const struct config_definition *row, const struct config_value *value)
{
    if (row->type == CONFIG_DOUBLE)
        return value->real >= row->minimum_real && value->real <= row->maximum_real;
    if (row->rule == CONFIG_RULE_RANGE_OR && value->integer == row->also_allowed)
        return true;
    return value->integer >= row->minimum && value->integer <= row->maximum;
}

static bool is_allowed(const struct config_definition *row, struct view text)
{
    for (size_t i = 0; i < row->allowed_count; i++) {
        if (row->rule == CONFIG_RULE_ONE_OF_ANY_CASE ? text_equal_any_case(row->allowed[i], text)
                                                     : view_equal(row->allowed[i], text))
            return true;
    }
    return false;
}

static bool is_offset_reset(struct view text)
{
    int64_t duration_ms;
    struct view lead = VIEW_LITERAL("by_duration:");
    if (view_equal(text, VIEW_LITERAL("latest")) || view_equal(text, VIEW_LITERAL("earliest")))
        return true;
    return text_starts_with(text, lead) &&
           config_read_duration(view_of(text.data + lead.size, text.size - lead.size),
                                &duration_ms);
}

static bool is_number(struct view text)
{
    uint64_t number;
    return text_parse_u64(text, INT32_MAX, &number);
}

/* Digits on both sides of a colon. */
static bool is_throttled_pair(struct view text)
{
    size_t colon = text_find(text, ':');
    return colon < text.size && is_number(view_of(text.data, colon)) &&
           is_number(view_of(text.data + colon + 1, text.size - colon - 1));
}

static bool is_throttled(const struct config_list *list)
{
    if (list->count == 1 && view_equal(list->items[0], VIEW_LITERAL("*")))
        return true;
    for (size_t i = 0; i < list->count; i++) {
        /* A comma at the end is harmless, and Kafka takes it. */
        if (i > 0 && i + 1 == list->count && list->items[i].size == 0)
            break;
        if (!is_throttled_pair(list->items[i]))
            return false;
    }
    return true;
}

static bool is_metrics_match(struct view text)
{
    static const char *const selectors[] = {
        "client_instance_id",    "client_id",
        "client_software_name",  "client_software_version",
        "client_source_address", "client_source_port",
    };
    size_t equal = text_find(text, '=');
    struct view selector = text_trim(view_of(text.data, equal));
    for (size_t i = 0; equal < text.size && i < sizeof(selectors) / sizeof(selectors[0]); i++) {
        if (view_equal(selector, view_of_string(selectors[i])))
            return true;
    }
    return false;
}

static bool is_server(struct view text)
{
    struct view host;
    int32_t port;
    return config_read_endpoint(text, &host, &port) && host.size > 0;
}

static bool is_voter(struct view text)
{
    size_t at = text_find(text, '@');
    return at < text.size && is_number(view_of(text.data, at)) &&
           is_server(view_of(text.data + at + 1, text.size - at - 1));
}

/* Whether every element keeps the row's rule. */
static bool elements_allowed(const struct config_definition *row, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct view item = list->items[i];
        bool allowed = true;
        if (row->rule == CONFIG_RULE_ONE_OF || row->rule == CONFIG_RULE_ONE_OF_ANY_CASE)
            allowed = is_allowed(row, item);
        else if (row->rule == CONFIG_RULE_METRICS_MATCH)
            allowed = is_metrics_match(item);
        else if (row->rule == CONFIG_RULE_VOTERS)
            allowed = is_voter(item);
        else if (row->rule == CONFIG_RULE_SERVERS)
            allowed = is_server(item);
        if (!allowed)
            return false;
    }
    return true;
}

/* Whether an element is there twice; lists may be long, so by a map. Memory refused counts as yes.
 */
static bool has_double(const struct config_list *list, struct arena *arena)
{
    struct map seen;
    bool added = true;
    map_init(&seen, arena->heap, MEMORY_SCRATCH, 0);
    for (size_t i = 0; i < list->count && added; i++) {
        if (!map_add(&seen, list->items[i], &added))
            added = false;
    }
    map_deinit(&seen);
    return !added;
}

static bool check_list(const struct config_definition *row, const struct config_list *list,
                       struct view *reason, struct arena *arena)
{
    bool repeats = row->rule == CONFIG_RULE_VOTERS || row->rule == CONFIG_RULE_SERVERS;
    if (row->rule == CONFIG_RULE_THROTTLED) {
        *reason = config_rule_text(row, arena);
        return is_throttled(list);
    }
    if (row->filled && list->count == 0) {
        *reason = VIEW_LITERAL("must have at least one element");
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].size == 0) {
            *reason = VIEW_LITERAL("must not have empty elements");
            return false;
        }
    }
    if (!repeats && has_double(list, arena)) {
        *reason = VIEW_LITERAL("must not name an element twice");
        return false;
    }
    if (elements_allowed(row, list))
        return true;
    *reason = config_rule_text(row, arena);
    return false;
}

bool config_rule_check(const struct config_definition *row, const struct config_value *value,
                       struct view *reason, struct arena *arena)
{
    bool kept = true;
    if (value->type == CONFIG_LIST)
        return check_list(row, &value->list, reason, arena);
    if (row->rule == CONFIG_RULE_RANGE || row->rule == CONFIG_RULE_RANGE_OR)
        kept = in_range(row, value);
    else if (row->rule == CONFIG_RULE_ONE_OF || row->rule == CONFIG_RULE_ONE_OF_ANY_CASE)
        kept = is_allowed(row, value->text);
    else if (row->rule == CONFIG_RULE_NOT_EMPTY)
        kept = value->text.size > 0;
    else if (row->rule == CONFIG_RULE_OFFSET_RESET)
        kept = is_offset_reset(value->text);
    if (!kept)
        *reason = config_rule_text(row, arena);
    return kept;
}
