/*
 * The quorum that a node belongs to: a static list of voters, or servers at which a dynamic one is
 * found, or nothing, which means that this node is the only voter.
 */
#include "config/server_internal.h"

#include "base/text.h"

/* The rule of the row has checked the form. */
static struct voter_config read_voter(struct view text)
{
    struct voter_config voter = {0};
    int64_t id = 0;
    size_t at = text_find(text, '@');
    (void)text_parse_i64(view_of(text.data, at), 0, INT32_MAX, &id);
    (void)config_read_endpoint(view_of(text.data + at + 1, text.size - at - 1), &voter.host,
                               &voter.port);
    voter.id = (int32_t)id;
    return voter;
}

static bool is_voter(const struct server_config *config, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (config->voters[i].id == id)
            return true;
    }
    return false;
}

static void check_membership(const struct server_config *config, struct config_report *report,
                             struct arena *arena)
{
    bool listed = is_voter(config, config->voter_count, config->node_id);
    if (config->is_controller && !listed)
        report_add(report, arena, CONFIG_ERROR,
                   "controller.quorum.voters: a controller must be among the voters, and node.id "
                   "%d is not",
                   (int)config->node_id);
    if (!config->is_controller && listed)
        report_add(report, arena, CONFIG_ERROR,
                   "controller.quorum.voters: node.id %d is a voter, so process.roles must have "
                   "controller",
                   (int)config->node_id);
}

void server_quorum_build(struct server_config *config, struct config_report *report,
                         struct arena *arena)
{
    struct config_list voters = server_value(config, "controller.quorum.voters", arena).list;
    config->bootstrap_servers =
        server_value(config, "controller.quorum.bootstrap.servers", arena).list;
    config->voters = arena_get_array(arena, voters.count, sizeof(*config->voters));
    config->voter_count = 0;
    for (size_t i = 0; config->voters && i < voters.count; i++) {
        config->voters[i] = read_voter(voters.items[i]);
        if (is_voter(config, i, config->voters[i].id))
            report_add(report, arena, CONFIG_ERROR,
                       "controller.quorum.voters: the id %d is there twice",
                       (int)config->voters[i].id);
        config->voter_count = i + 1;
    }
    if (config->voter_count > 0)
        check_membership(config, report, arena);
    if (!config->is_controller && config->voter_count == 0 && config->bootstrap_servers.count == 0)
        report_add(report, arena, CONFIG_ERROR,
                   "controller.quorum.voters or controller.quorum.bootstrap.servers must be set on "
                   "a node without the controller role");
}

static bool is_one_of(struct view host, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (view_equal(host, view_of_string(names[i])))
            return true;
    return false;
}

/* Whether who connects to `host` on this machine reaches a listener on `own`. */
static bool is_reached(struct view host, struct view own)
{
    static const char *const loopback[] = {"localhost", "127.0.0.1", "::1"};
    static const char *const every[] = {"", "0.0.0.0", "::"};
    bool is_open = is_one_of(own, every, 3) || is_one_of(own, loopback, 3);
    return view_equal(host, own) || (is_open && is_one_of(host, loopback, 3));
}

/* Whether "host:port" is where this node itself listens for controllers, or says that it does. */
static bool is_own_server(const struct server_config *config, struct view server)
{
    struct view host;
    int32_t port;
    if (!config_read_endpoint(server, &host, &port))
        return false;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listener_config *listener = &config->listeners[i];
        const struct listener_config *told = server_config_endpoint(config, listener->name);
        if (listener->is_controller &&
            ((listener->port == port && is_reached(host, listener->host)) ||
             (told->port == port && view_equal(host, told->host))))
            return true;
    }
    return false;
}

enum config_quorum server_config_quorum(const struct server_config *config)
{
    if (!config->is_controller)
        return CONFIG_QUORUM_OBSERVER;
    if (config->voter_count > 0)
        return config->voter_count > 1 ? CONFIG_QUORUM_VOTER : CONFIG_QUORUM_ALONE;
    for (size_t i = 0; i < config->bootstrap_servers.count; i++) {
        if (!is_own_server(config, config->bootstrap_servers.items[i]))
            return CONFIG_QUORUM_DYNAMIC;
    }
    return CONFIG_QUORUM_ALONE;
}
