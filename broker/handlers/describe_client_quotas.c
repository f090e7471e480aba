/*
 * DescribeClientQuotas: the quotas of entities that fit a filter (KIP-546), from the image.
 *
 * A component asks for a name, for the default entity, or for any entity of its kind; a strict
 * filter fits only entities that have no other part.
 */
#include "protocol/messages/describe_client_quotas.h"

#include "broker/front.h"
#include "broker/request.h"

API_CODEC(describe_client_quotas);

enum { MATCH_EXACT = 0, MATCH_DEFAULT = 1, MATCH_ANY = 2 };

typedef struct describe_client_quotas_request_component_data component;

static bool is_kind(struct view type, const char *kind)
{
    return view_equal(type, view_of_string(kind));
}

static bool names(const struct describe_client_quotas_request *message, const char *kind)
{
    for (size_t i = 0; i < message->components_count; i++) {
        if (is_kind(message->components[i].entity_type, kind))
            return true;
    }
    return false;
}

/* Why one component cannot be used; NULL when it can. */
static const char *check_component(const struct describe_client_quotas_request *message,
                                   size_t index, enum kafka_error *error)
{
    const component *part = &message->components[index];
    *error = KAFKA_ERROR_INVALID_REQUEST;
    if (part->entity_type.size == 0)
        return "a component of the filter has no kind";
    for (size_t i = 0; i < index; i++) {
        if (view_equal(message->components[i].entity_type, part->entity_type))
            return "the filter names a kind twice";
    }
    if (!is_kind(part->entity_type, "user") && !is_kind(part->entity_type, "client-id") &&
        !is_kind(part->entity_type, "ip")) {
        *error = KAFKA_ERROR_UNSUPPORTED_VERSION;
        return "there are no quotas of a kind that the filter names";
    }
    if (part->match_type < MATCH_EXACT || part->match_type > MATCH_ANY)
        return "there is no such way to match";
    if ((part->match_type == MATCH_EXACT) == view_is_null(part->match))
        return "a name is given exactly where a component asks for one";
    *error = KAFKA_ERROR_NONE;
    return NULL;
}

static const char *check(const struct describe_client_quotas_request *message,
                         enum kafka_error *error)
{
    for (size_t i = 0; i < message->components_count; i++) {
        const char *problem = check_component(message, i, error);
        if (problem)
            return problem;
    }
    if (names(message, "ip") && (names(message, "user") || names(message, "client-id"))) {
        *error = KAFKA_ERROR_INVALID_REQUEST;
        return "addresses are not combined with users or client ids";
    }
    *error = KAFKA_ERROR_NONE;
    return NULL;
}

static bool fits_component(const struct image_quota *quota, const component *part)
{
    for (uint32_t i = 0; i < quota->part_count; i++) {
        const struct image_quota_part *found = &quota->parts[i];
        if (!view_equal(found->type, part->entity_type))
            continue;
        if (part->match_type == MATCH_ANY)
            return true;
        return view_is_null(found->name) == view_is_null(part->match) &&
               view_equal(found->name, part->match);
    }
    return false;
}

static bool fits(const struct image_quota *quota,
                 const struct describe_client_quotas_request *message)
{
    if (message->strict && quota->part_count != message->components_count)
        return false;
    for (size_t i = 0; i < message->components_count; i++) {
        if (!fits_component(quota, &message->components[i]))
            return false;
    }
    return true;
}

static void describe(struct request *request, const struct image_quota *quota,
                     struct describe_client_quotas_response_entry_data *out)
{
    out->entity = request_get(request, quota->part_count, sizeof(*out->entity));
    out->entity_count = quota->part_count;
    for (uint32_t i = 0; i < quota->part_count; i++)
        out->entity[i] = (struct describe_client_quotas_response_entity_data){quota->parts[i].type,
                                                                              quota->parts[i].name};
    out->values = request_get(request, quota->value_count, sizeof(*out->values));
    out->values_count = quota->value_count;
    for (uint32_t i = 0; i < quota->value_count; i++)
        out->values[i] = (struct describe_client_quotas_response_value_data){
            quota->values[i].key, quota->values[i].value};
}

static void describe_client_quotas_split(struct request *request)
{
    const struct describe_client_quotas_request *message =
        REQUEST_MESSAGE(describe_client_quotas, request);
    struct describe_client_quotas_response response;
    describe_client_quotas_response_init(&response);
    enum kafka_error error;
    const char *problem = check(message, &error);
    response.error_code = (int16_t)error;
    response.error_message = problem ? view_of_string(problem) : VIEW_LITERAL("");
    response.entries = NULL;
    if (!problem) {
        const struct image *image = request_image(request);
        response.entries = request_get(request, image->quotas.count, sizeof(*response.entries));
        struct image_walk walk;
        image_walk_start(&image->quotas, &walk);
        for (const struct image_quota *quota; (quota = image_walk_next_quota(&walk)) != NULL;) {
            if (fits(quota, message))
                describe(request, quota, &response.entries[response.entries_count++]);
        }
    }
    request_respond(request, &response);
}

const struct api_row api_row_describe_client_quotas = {
    API_ROW(describe_client_quotas, API_KEY_DESCRIBE_CLIENT_QUOTAS),
    .route = API_ROUTE_HERE,
    .split = describe_client_quotas_split,
};
