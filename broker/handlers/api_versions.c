/*
 * ApiVersions: which APIs and versions this node serves, and which features the cluster has.
 *
 * Only APIs of this kind of listener that have a row are listed, so a client never asks for what
 * nobody handles. A version that is not ours is answered in version 0 with UNSUPPORTED_VERSION and
 * the one entry that tells the client what to ask with (KIP-511).
 */
#include "protocol/messages/api_versions.h"

#include "broker/api_table.h"
#include "broker/request.h"
#include "cluster/controller/features.h"

API_CODEC(api_versions);

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters and digits, with '-' and '.' between them (KIP-511). */
static bool is_software_text(struct view text)
{
    if (text.size == 0 || !is_letter_or_digit(text.data[0]) ||
        !is_letter_or_digit(text.data[text.size - 1]))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (!is_letter_or_digit(c) && c != '-' && c != '.')
            return false;
    }
    return true;
}

static struct api_versions_response_api_version version_of(const struct api_info *info)
{
    return (struct api_versions_response_api_version){
        .api_key = info->key,
        .min_version = info->advertised_min,
        .max_version = info->advertised_max,
    };
}

static void list_apis(struct request *request, struct api_versions_response *response)
{
    struct api_versions_response_api_version *list =
        request_get(request, api_info_count(), sizeof(*list));
    size_t count = 0;
    for (size_t i = 0; i < api_info_count(); i++) {
        const struct api_info *info = api_info_at(i);
        if (front_serves(request->front, info) && api_row_find(info->key))
            list[count++] = version_of(info);
    }
    response->api_keys = list;
    response->api_keys_count = count;
}

/* Clients before version 4 cannot read a supported range that begins with 0. */
static void list_features(struct request *request, struct api_versions_response *response)
{
    struct api_versions_response_supported_feature_key *supported =
        request_get(request, CONTROLLER_FEATURE_COUNT, sizeof(*supported));
    size_t count = 0;
    for (size_t i = 0; i < CONTROLLER_FEATURE_COUNT; i++) {
        const struct controller_feature *feature = controller_feature_at(i);
        if (feature->minimum == 0 && request_version(request) < 4)
            continue;
        supported[count++] = (struct api_versions_response_supported_feature_key){
            .name = feature->name,
            .min_version = feature->minimum,
            .max_version = feature->maximum,
        };
    }
    response->supported_features = supported;
    response->supported_features_count = count;
}

static void list_finalized(struct request *request, struct api_versions_response *response)
{
    const struct image *image = request_image(request);
    if (!image || image->offset < 0)
        return;
    struct image_walk walk;
    size_t capacity = 1; /* kraft.version, which is no metadata record */
    image_walk_start(&image->features, &walk);
    while (image_walk_next_feature(&walk))
        capacity++;
    struct api_versions_response_finalized_feature_key *list =
        request_get(request, capacity, sizeof(*list));
    size_t count = 0;
    image_walk_start(&image->features, &walk);
    for (const struct image_feature *feature; (feature = image_walk_next_feature(&walk)) != NULL;)
        list[count++] = (struct api_versions_response_finalized_feature_key){
            .name = feature->name,
            .min_version_level = feature->level,
            .max_version_level = feature->level,
        };
    if (image->kraft_version > 0)
        list[count++] = (struct api_versions_response_finalized_feature_key){
            .name = VIEW_LITERAL("kraft.version"),
            .min_version_level = image->kraft_version,
            .max_version_level = image->kraft_version,
        };
    response->finalized_features = list;
    response->finalized_features_count = count;
    response->finalized_features_epoch = image->offset;
}

static void api_versions_split(struct request *request)
{
    const struct api_versions_request *message = REQUEST_MESSAGE(api_versions, request);
    struct api_versions_response response;
    api_versions_response_init(&response);
    struct api_versions_response_api_version own = version_of(request->info);
    if (!api_info_is_served(request->info, request_version(request))) {
        request->base.api_version = 0;
        response.error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
        response.api_keys = &own;
        response.api_keys_count = 1;
    } else if (request_version(request) >= API_VERSIONS_REQUEST_FLEXIBLE_SINCE &&
               (!is_software_text(message->client_software_name) ||
                !is_software_text(message->client_software_version))) {
        response.error_code = KAFKA_ERROR_INVALID_REQUEST;
    } else {
        list_apis(request, &response);
        list_features(request, &response);
        list_finalized(request, &response);
    }
    request_respond(request, &response);
}

const struct api_row api_row_api_versions = {
    API_ROW(api_versions, API_KEY_API_VERSIONS),
    .route = API_ROUTE_HERE,
    .split = api_versions_split,
};
