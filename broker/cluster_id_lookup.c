/* A job looks for meta.properties; where there is none, one channel goes from server to server. */
#include "broker/cluster_id_lookup.h"

#include "base/text.h"
#include "config/value.h"
#include "log/log_path.h"
#include "protocol/api_keys.h"
#include "protocol/errors.h"

CHANNEL_CALL(describe_cluster, API_KEY_DESCRIBE_CLUSTER);

enum { ENDPOINT_CONTROLLERS = 2, FIRST_VERSION = 1 };

static const uint64_t RETRY_NS = UINT64_C(250000000);
static const uint64_t TIMEOUT_NS = UINT64_C(2000000000);
static const uint64_t SAY_INTERVAL_NS = UINT64_C(30000000000);

static size_t server_count(const struct server_config *config)
{
    return config->voter_count > 0 ? config->voter_count : config->bootstrap_servers.count;
}

/* The address of one of the controllers that the configuration names. */
static bool server_at(const struct server_config *config, size_t index, struct view *host,
                      int32_t *port)
{
    if (config->voter_count == 0)
        return config_read_endpoint(config->bootstrap_servers.items[index], host, port);
    *host = config->voters[index].host;
    *port = config->voters[index].port;
    return true;
}

static void finish(struct deferred *deferred)
{
    struct cluster_id_lookup *lookup = container_of(deferred, struct cluster_id_lookup, finish);
    if (lookup->is_finished)
        return;
    lookup->is_finished = true;
    timer_clear(&lookup->retry);
    if (lookup->channel) {
        channel_cancel(&lookup->request);
        channel_close(lookup->channel);
    }
    lookup->channel = NULL;
    lookup->done(lookup);
}

static void ask(struct cluster_id_lookup *lookup)
{
    struct view host;
    int32_t port;
    if (server_at(lookup->config, lookup->server, &host, &port)) {
        channel_set_address(lookup->channel, host, (uint16_t)port);
        channel_send(lookup->channel, &lookup->request);
    } else {
        loop_set_timer(lookup->loop, &lookup->retry, RETRY_NS);
    }
}

static void ask_again(struct timer *timer)
{
    struct cluster_id_lookup *lookup = container_of(timer, struct cluster_id_lookup, retry);
    lookup->server = (lookup->server + 1) % server_count(lookup->config);
    ask(lookup);
}

static void say_waiting(struct cluster_id_lookup *lookup, const char *reason)
{
    uint64_t now = lookup->loop->now_ns;
    struct view host = VIEW_NULL;
    int32_t port = 0;
    if (lookup->said_ns != 0 && now - lookup->said_ns < SAY_INTERVAL_NS)
        return;
    lookup->said_ns = now;
    server_at(lookup->config, lookup->server, &host, &port);
    log_info(lookup->loop->diagnostics,
             "waiting for a controller that tells the cluster id: asked=%.*s:%d reason=\"%s\"",
             (int)host.size, (const char *)host.data, port, reason);
}

static void answered(struct channel_request *request, enum channel_status status,
                     const void *response)
{
    struct cluster_id_lookup *lookup = request->context;
    const struct describe_cluster_response *answer = response;
    const char *reason = channel_status_text(status);
    if (answer && answer->error_code != KAFKA_ERROR_NONE)
        reason = kafka_error_text((enum kafka_error)answer->error_code);
    else if (answer && answer->cluster_id.size > 0 &&
             text_to_string(answer->cluster_id, lookup->cluster_id, sizeof(lookup->cluster_id))) {
        loop_defer(lookup->loop, &lookup->finish);
        return;
    }
    say_waiting(lookup, reason);
    loop_set_timer(lookup->loop, &lookup->retry, RETRY_NS);
}

static enum job_progress look(struct job *job, const struct job_context *context)
{
    struct cluster_id_lookup *lookup = container_of(job, struct cluster_id_lookup, job);
    for (size_t i = 0; i < lookup->path_count; i++) {
        struct log_path path;
        if (!log_path_join(&path, lookup->paths[i], META_PROPERTIES_FILE_NAME))
            continue; /* the start will say so */
        struct storage_request stat = {.operation = STORAGE_STAT, .path = path.text};
        /* Whatever is wrong with it, the start will say it. */
        if (storage_run(context->storage, &stat) != STORAGE_NOT_FOUND)
            lookup->is_formatted = true;
    }
    return JOB_FINISHED;
}

static void looked(struct job *job)
{
    struct cluster_id_lookup *lookup = container_of(job, struct cluster_id_lookup, job);
    lookup->is_looking = false;
    if (lookup->is_formatted || lookup->is_stopped) {
        loop_defer(lookup->loop, &lookup->finish);
        return;
    }
    struct channel_options options = {
        .loop = lookup->loop,
        .client_id = VIEW_LITERAL("klamm"),
        .connect_timeout_ns = TIMEOUT_NS,
        .request_timeout_ns = TIMEOUT_NS,
    };
    lookup->channel = channel_create(&options);
    describe_cluster_request_init(&lookup->message);
    lookup->message.endpoint_type = ENDPOINT_CONTROLLERS;
    lookup->request = (struct channel_request){
        .call = &describe_cluster_call,
        .message = &lookup->message,
        .version_min = FIRST_VERSION,
        .version_max = DESCRIBE_CLUSTER_REQUEST_VERSION_MAX,
        .done = answered,
        .context = lookup,
    };
    ask(lookup);
}

void cluster_id_lookup_start(struct cluster_id_lookup *lookup)
{
    timer_init(&lookup->retry, ask_again);
    deferred_init(&lookup->finish, finish);
    lookup->job.step = look;
    lookup->job.done = looked;
    lookup->job.job_class = JOB_DEVICE;
    lookup->is_looking = true;
    loop_start_job(lookup->loop, &lookup->job);
}

void cluster_id_lookup_stop(struct cluster_id_lookup *lookup)
{
    lookup->is_stopped = true;
    lookup->cluster_id[0] = 0;
    if (!lookup->is_looking)
        loop_defer(lookup->loop, &lookup->finish);
}
