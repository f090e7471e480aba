/*
 * The start of a node, one step after the other: log directories (a job), shards, controller. A
 * stop that comes in between finds in `state` that it has to take over when the step is done.
 */
#include "broker/control.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/text.h"
#include "broker/cleaning.h"
#include "broker/shard_metadata.h"
#include "cluster/controller/eligible_leaders.h"

static const char *keep_string(struct control *control, struct view text)
{
    char *copy = arena_get(&control->arena, text.size + 1);
    klamm_assert(copy != NULL);
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    return copy;
}

static struct uuid random_id(struct loop *loop)
{
    uint64_t words[2];
    struct uuid id;
    do {
        loop_entropy(loop, words, sizeof(words));
        id = uuid_of_random(words[0], words[1]);
    } while (uuid_text_begins_with_dash(id));
    return id;
}

/* ---- The controller ---- */

/* With eligible leader replicas the file counts only when the cluster begins (KIP-966). */
static void say_min_isr(const struct control *control)
{
    struct view name = VIEW_LITERAL("min.insync.replicas");
    const struct image *image = control->publisher.current;
    struct view own = config_set_get(&control->broker->config->file, name);
    struct view stored =
        image_config_value(image_config(image, CONFIG_RESOURCE_BROKER, VIEW_LITERAL("")), name);
    if (eligible_leaders_are_kept(image) && !view_is_null(own) && !view_is_null(stored) &&
        !view_equal(own, stored))
        log_warn(control->loop->diagnostics,
                 "min.insync.replicas=%.*s of the file has no effect: the cluster has %.*s, which "
                 "kafka-configs changes",
                 (int)own.size, (const char *)own.data, (int)stored.size,
                 (const char *)stored.data);
}

static void controller_ready(void *owner)
{
    struct control *control = owner;
    say_min_isr(control);
    if (membership_ready(&control->membership))
        control_serve(control);
}

static void controller_failed(void *owner, const char *text)
{
    struct control *control = owner;
    control_fail(control, text);
}

static void controller_leader_changed(void *owner)
{
    struct control *control = owner;
    membership_leader_changed(&control->membership);
}

static void controller_closed(void *owner, bool clean)
{
    struct control *control = owner;
    control->has_controller = false;
    if (!clean)
        control->unclean = UINT64_MAX;
    control_begin_stop(control);
}

static const struct controller_events controller_events = {
    .ready = controller_ready,
    .failed = controller_failed,
    .leader_changed = controller_leader_changed,
    .closed = controller_closed,
};

/*
 * What a listener on every interface is registered under. A node that is alone is asked by clients
 * only, which are told where they came in.
 */
static struct view told_host_name(const struct broker *broker)
{
    bool is_alone = server_config_quorum(broker->config) == CONFIG_QUORUM_ALONE;
    return is_alone || !broker->host_name ? VIEW_LITERAL("localhost")
                                          : view_of_string(broker->host_name);
}

/* Names and ports of one machine may mean nothing to the next: what is guessed is said. */
static void say_guessed(const struct control *control, const struct listener_config *listener,
                        struct view host)
{
    if (view_equal(host, listener->host) ||
        server_config_quorum(control->broker->config) == CONFIG_QUORUM_ALONE)
        return;
    log_info(control->loop->diagnostics,
             "advertised.listeners does not say where others find %.*s: they are told %.*s:%d",
             (int)listener->name.size, (const char *)listener->name.data, (int)host.size,
             (const char *)host.data, listener->port);
}

/* What is not advertised explicitly is registered under the name that it listens on. */
static void fill_endpoints(struct control *control, struct broker_registration_request *request)
{
    const struct server_config *config = control->broker->config;
    bool advertised = config->advertised_count > 0;
    const struct listener_config *list = advertised ? config->advertised : config->listeners;
    size_t count = advertised ? config->advertised_count : config->listener_count;
    request->listeners = arena_must_get(&control->arena, count, sizeof(*request->listeners));
    request->listeners_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].is_controller)
            continue;
        struct broker_registration_request_listener *out =
            &request->listeners[request->listeners_count++];
        broker_registration_request_listener_init(out);
        out->name = list[i].name;
        out->host = listener_config_host(&list[i], told_host_name(control->broker));
        say_guessed(control, &list[i], out->host);
        out->port = (uint16_t)list[i].port;
        out->security_protocol = (int16_t)list[i].protocol;
    }
}

/* The broker epoch that every directory was stopped cleanly under; -1 when one was not (KIP-966).
 */
static int64_t previous_broker_epoch(const struct control *control)
{
    int64_t epoch = -1;
    for (size_t i = 0; i < control->directories.count; i++) {
        const struct log_directory_found *found = &control->directories.found[i];
        if (found->is_failed || !found->is_clean || (i > 0 && found->clean_broker_epoch != epoch))
            return -1;
        epoch = found->clean_broker_epoch;
    }
    return epoch;
}

static const struct broker_registration_request *make_registration(struct control *control)
{
    const struct server_config *config = control->broker->config;
    struct broker_registration_request *request =
        arena_must_get(&control->arena, 1, sizeof(*request));
    broker_registration_request_init(request);
    request->broker_id = config->node_id;
    request->cluster_id = view_of_string(control->boot.cluster_id_found);
    request->rack = config->settings.broker_rack;
    request->previous_broker_epoch = previous_broker_epoch(control);
    control->broker->incarnation = random_id(control->loop);
    request->incarnation_id = control->broker->incarnation;
    fill_endpoints(control, request);
    request->log_dirs =
        arena_must_get(&control->arena, control->directories.count, sizeof(*request->log_dirs));
    for (size_t i = 0; i < control->directories.count; i++)
        if (!control->directories.found[i].is_failed)
            request->log_dirs[request->log_dirs_count++] =
                control->directories.found[i].meta.directory_id;
    return request;
}

/* The control loop's own front, when there are controller listeners; false: the start failed. */
static bool open_front(struct control *control)
{
    const struct broker *broker = control->broker;
    bool is_needed = false;
    for (size_t i = 0; i < broker->config->listener_count; i++)
        is_needed |= broker->config->listeners[i].is_controller;
    if (!is_needed)
        return true;
    front_init(&control->front, broker, NULL, control->loop, &control->publisher.current,
               broker->request_memory / broker->shard_count);
    control->has_front = true;
    char message[512];
    if (listeners_open(&control->listeners, LISTENER_CONTROLLERS, message, sizeof(message)))
        return true;
    control_fail(control, message);
    return false;
}

static void start_controller(struct control *control)
{
    const struct server_config *config = control->broker->config;
    struct view cluster_id = view_of_string(control->boot.cluster_id_found);
    struct image *empty = image_create_empty(control->loop->heap, cluster_id);
    publisher_init(&control->publisher, control->loop, empty, shard_apply_image);
    if (!open_front(control))
        return;
    struct controller_options options = {
        .loop = control->loop,
        .publisher = &control->publisher,
        .config = config,
        .log_directory = control->boot.metadata_path,
        .cluster_id = cluster_id,
        /* For other controllers: a node that is alone may be joined by some. */
        .host_name = control->broker->host_name ? view_of_string(control->broker->host_name)
                                                : VIEW_LITERAL("localhost"),
        .may_format = server_config_quorum(config) != CONFIG_QUORUM_VOTER,
        .registration = config->is_broker ? make_registration(control) : NULL,
        .events = &controller_events,
        .owner = control,
    };
    for (size_t i = 0; i < control->directories.count; i++)
        if (strcmp(control->directories.found[i].path.text, control->boot.metadata_path) == 0)
            options.directory_id = control->directories.found[i].meta.directory_id;
    control->has_controller = true;
    controller_start(&control->controller, &options);
    membership_open(&control->membership, control, options.registration);
}

/* ---- The shards' half of the directories ---- */

static void shard_attached(struct shard_attach *attach)
{
    struct control *control = attach->context;
    for (size_t i = 0; i < control->directories.count; i++)
        if (!control->directories.found[i].is_failed)
            directory_owner_attach(&control->owners[i], &attach->directories[i]);
    if (--control->attaching > 0)
        return;
    if (control->state == CONTROL_STARTING)
        start_controller(control);
    else
        control_begin_stop(control);
}

static void attach_shards(struct control *control)
{
    unsigned count = control->broker->shard_count;
    control->attaches = arena_must_get(&control->arena, count, sizeof(*control->attaches));
    control->attaching = count;
    cleaner_permits_init(&control->cleaning, control->loop,
                         cleaning_permit_count(&control->broker->config->settings));
    for (unsigned i = 0; i < count; i++) {
        control->attaches[i].owners = control->owners;
        control->attaches[i].permits = &control->cleaning;
        control->attaches[i].attached = shard_attached;
        control->attaches[i].context = control;
        shard_attach_post(&control->attaches[i], control->loop, i + 1);
    }
}

/* ---- The log directories ---- */

static void directory_failed(struct directory_owner *owner, enum storage_status status,
                             void *context)
{
    struct control *control = context;
    log_error(control->loop->diagnostics, "log directory failed: path=%s reason=\"%s\"",
              owner->path.text, storage_status_text(status));
    size_t alive = 0;
    for (size_t i = 0; i < control->directories.count; i++)
        alive += !control->directories.found[i].is_failed && !control->owners[i].is_failed;
    if (alive == 0 || strcmp(owner->path.text, control->boot.metadata_path) == 0)
        control_fail(control, "no log directory works, or the metadata's failed");
    else if (control->has_controller)
        membership_fail_directory(&control->membership, owner->directory_id);
    if (control->state >= CONTROL_STOPPING && control->exit_status == 0)
        control->exit_status = 1; /* what the stop was to leave in order is not */
}

/* What is missing before a voter among others may start, for who reads the one line. */
static void refuse_boot(struct control *control)
{
    const struct log_boot_job *boot = &control->boot;
    char text[sizeof(boot->message) + 256];
    bool is_voter = server_config_quorum(control->broker->config) == CONFIG_QUORUM_VOTER;
    snprintf(text, sizeof(text), "%s%s", boot->message,
             boot->is_unformatted && is_voter
                 ? "; this node is a voter among others: format it once with klammd --format "
                   "[server.properties] --cluster-id ID, the same ID on all nodes"
                 : "");
    control_fail(control, text);
}

static void directories_opened(struct job *job)
{
    struct control *control = container_of(job, struct control, boot.job);
    struct log_boot_job *boot = &control->boot;
    control->is_booting = false;
    if (boot->status != LOG_BOOT_OK) {
        bool is_stopping = control->state >= CONTROL_STOPPING;
        refuse_boot(control);
        if (is_stopping)
            control_begin_stop(control); /* it waited for this job */
        return;
    }
    if (boot->message[0])
        log_info(control->loop->diagnostics, "log directories: %s", boot->message);
    control->directories = (struct directories){boot->path_count, boot->found};
    control->broker->directories = &control->directories;
    control->owners = arena_must_get(&control->arena, boot->path_count, sizeof(*control->owners));
    const struct broker_settings *settings = &control->broker->config->settings;
    struct directory_owner_options options = {
        .high_watermark_interval_ns =
            (uint64_t)settings->replica_high_watermark_checkpoint_interval_ms * 1000000,
        .offset_interval_ns = (uint64_t)settings->log_flush_offset_checkpoint_interval_ms * 1000000,
    };
    for (size_t i = 0; i < boot->path_count; i++)
        if (!boot->found[i].is_failed)
            directory_owner_init(&control->owners[i], control->loop, (unsigned)i, &boot->found[i],
                                 &options, directory_failed, control);
    if (control->state == CONTROL_STARTING)
        attach_shards(control);
    else
        control_begin_stop(control);
}

/* ---- The cluster id ---- */

static void start_boot(struct control *control)
{
    control->boot.job.done = directories_opened;
    control->is_booting = true;
    loop_start_job(control->loop, &control->boot.job);
}

static void cluster_id_found(struct cluster_id_lookup *lookup)
{
    struct control *control = container_of(lookup, struct control, lookup);
    control->is_looking_up = false;
    if (control->state >= CONTROL_STOPPING) {
        control_begin_stop(control);
        return;
    }
    control->boot.new_cluster_id = view_of_string(lookup->cluster_id);
    start_boot(control);
}

/* A node that is no voter may start on empty disks, in the cluster that its controllers name. */
static void look_up_cluster_id(struct control *control)
{
    control->lookup = (struct cluster_id_lookup){
        .loop = control->loop,
        .config = control->broker->config,
        .paths = control->boot.paths,
        .path_count = control->boot.path_count,
        .done = cluster_id_found,
    };
    control->is_looking_up = true;
    cluster_id_lookup_start(&control->lookup);
}

void control_start(struct control *control)
{
    const struct server_config *config = control->broker->config;
    enum config_quorum quorum = server_config_quorum(config);
    size_t count = config->log_dirs.count;
    const char **paths = arena_must_get(&control->arena, count, sizeof(*paths));
    struct uuid *ids = arena_must_get(&control->arena, count, sizeof(*ids));
    for (size_t i = 0; i < count; i++) {
        paths[i] = keep_string(control, config->log_dirs.items[i]);
        ids[i] = random_id(control->loop);
    }
    char cluster_id[UUID_TEXT_SIZE + 1];
    uuid_format(random_id(control->loop), cluster_id);
    log_boot_init(&control->boot);
    control->boot.paths = paths;
    control->boot.path_count = count;
    control->boot.metadata_path = keep_string(control, config->metadata_log_dir);
    control->boot.node_id = config->node_id;
    control->boot.new_directory_ids = ids;
    control->boot.may_format = true;
    control->boot.metadata_must_be_formatted = quorum == CONFIG_QUORUM_VOTER;
    if (quorum == CONFIG_QUORUM_ALONE)
        control->boot.new_cluster_id =
            view_of_string(keep_string(control, view_of_string(cluster_id)));
    if (quorum == CONFIG_QUORUM_ALONE || quorum == CONFIG_QUORUM_VOTER)
        start_boot(control);
    else
        look_up_cluster_id(control);
}
