/*
 * AlterClientQuotas: decided by the controller. Quotas are stored for brokers that enforce them;
 * this build does not, and says so in its log.
 */
#include "protocol/messages/alter_client_quotas.h"

#include "broker/controller_part.h"
#include "broker/front.h"
#include "cluster/controller/alter_client_quotas.h"

API_CODEC(alter_client_quotas);

static void alter_client_quotas_split(struct request *request)
{
    controller_part_post_until(request, request->message,
                               sizeof(struct alter_client_quotas_response),
                               request->front->broker->config->settings.request_timeout_ms);
}

/* A part that is committed or refused may be gone the next moment: what is said is said before. */
static void alter_client_quotas_part(struct part *base, struct loop *at)
{
    struct controller_part *part = container_of(base, struct controller_part, part);
    if (!controller_part_begin(part, at))
        return;
    decide_alter_client_quotas(&part->decision, part->message, part->response);
    if (part->decision.records.count > 0)
        log_warn(at->diagnostics,
                 "client quotas were changed: they are stored, but brokers of this build do not "
                 "enforce them yet");
    controller_part_commit(part);
}

static void refuse_all(struct request *request, enum kafka_error error)
{
    const struct alter_client_quotas_request *message =
        REQUEST_MESSAGE(alter_client_quotas, request);
    struct alter_client_quotas_response response;
    alter_client_quotas_response_init(&response);
    response.entries = request_get(request, message->entries_count, sizeof(*response.entries));
    response.entries_count = message->entries_count;
    for (size_t i = 0; i < message->entries_count; i++) {
        const struct alter_client_quotas_request_entry_data *asked = &message->entries[i];
        struct alter_client_quotas_response_entry_data *out = &response.entries[i];
        out->error_code = (int16_t)error;
        out->error_message = view_of_string(kafka_error_text(error));
        out->entity = request_get(request, asked->entity_count, sizeof(*out->entity));
        out->entity_count = asked->entity_count;
        for (size_t k = 0; k < asked->entity_count; k++)
            out->entity[k] = (struct alter_client_quotas_response_entity_data){
                asked->entity[k].entity_type, asked->entity[k].entity_name};
    }
    request_respond(request, &response);
}

static void alter_client_quotas_join(struct request *request)
{
    enum kafka_error error;
    const struct alter_client_quotas_response *response = controller_part_response(request, &error);
    if (response)
        request_respond(request, response);
    else
        refuse_all(request, error);
}

const struct api_row api_row_alter_client_quotas = {
    API_ROW(alter_client_quotas, API_KEY_ALTER_CLIENT_QUOTAS),
    .route = API_ROUTE_CONTROLLER,
    .split = alter_client_quotas_split,
    .part = alter_client_quotas_part,
    .arrived = controller_part_arrived,
    .join = alter_client_quotas_join,
    .release = controller_part_release,
};
