/*
 * DescribeUserScramCredentials: which users have credentials, with how many iterations (KIP-554),
 * from the image. Secrets never leave the node.
 */
#include "protocol/messages/describe_user_scram_credentials.h"

#include "base/assert.h"
#include "base/map.h"
#include "broker/front.h"
#include "broker/request.h"

API_CODEC(describe_user_scram_credentials);

enum { MECHANISM_FIRST = 1, MECHANISM_LAST = 2 };

typedef struct describe_user_scram_credentials_response_describe_user_scram_credentials_result
    user_result;

static void describe_user(struct request *request, const struct image *image, user_result *out)
{
    out->credential_infos = request_get(request, MECHANISM_LAST, sizeof(*out->credential_infos));
    for (int8_t mechanism = MECHANISM_FIRST; mechanism <= MECHANISM_LAST; mechanism++) {
        const struct image_scram *scram = image_scram(image, mechanism, out->user);
        if (scram)
            out->credential_infos[out->credential_infos_count++] =
                (struct describe_user_scram_credentials_response_credential_info){
                    mechanism, scram->iterations};
    }
    if (out->credential_infos_count > 0)
        return;
    out->error_code = KAFKA_ERROR_RESOURCE_NOT_FOUND;
    out->error_message = VIEW_LITERAL("the user has no credentials");
}

/* Adds a user, once; naming one twice is an error of that user. */
static void add_user(struct request *request, struct map *seen, struct view name, bool is_asked,
                     struct describe_user_scram_credentials_response *response)
{
    bool is_new;
    struct map_entry *entry = map_add(seen, name, &is_new);
    if (!entry)
        klamm_halt(__FILE__, __LINE__, "out of memory for an admitted request");
    if (!is_new) {
        user_result *twice = entry->value;
        if (is_asked)
            *twice = (user_result){.user = name,
                                   .error_code = KAFKA_ERROR_DUPLICATE_RESOURCE,
                                   .error_message = VIEW_LITERAL("the user is named twice")};
        return;
    }
    user_result *out = &response->results[response->results_count++];
    entry->value = out;
    *out = (user_result){.user = name};
    describe_user(request, request_image(request), out);
}

static void describe_user_scram_credentials_split(struct request *request)
{
    const struct describe_user_scram_credentials_request *message =
        REQUEST_MESSAGE(describe_user_scram_credentials, request);
    const struct image *image = request_image(request);
    struct describe_user_scram_credentials_response response;
    describe_user_scram_credentials_response_init(&response);
    response.error_message = VIEW_LITERAL(""); /* as Kafka says "no error" here */
    response.results =
        request_get(request, message->users_count + image->scrams.count, sizeof(*response.results));
    struct map seen;
    map_init(&seen, request_loop(request)->heap, MEMORY_SCRATCH, 0);
    for (size_t i = 0; i < message->users_count; i++)
        add_user(request, &seen, message->users[i].name, true, &response);
    struct image_walk walk;
    image_walk_start(&image->scrams, &walk);
    const struct image_scram *scram = image_walk_next_scram(&walk);
    for (; message->users_count == 0 && scram; scram = image_walk_next_scram(&walk))
        add_user(request, &seen, scram->user, false, &response);
    map_deinit(&seen);
    request_respond(request, &response);
}

const struct api_row api_row_describe_user_scram_credentials = {
    API_ROW(describe_user_scram_credentials, API_KEY_DESCRIBE_USER_SCRAM_CREDENTIALS),
    .route = API_ROUTE_HERE,
    .split = describe_user_scram_credentials_split,
};
