/*
 * Several nodes in memory and the channels between them: the test's own implementation of
 * connection/channel.h, which hands encoded messages from node to node, late, lost or cut off as
 * the test wants. Linked instead of the real one.
 *
 * Node n listens on port QUORUM_PORT + n. Time is common to all nodes.
 */
#ifndef KLAMM_TESTS_UNIT_CLUSTER_QUORUM_NETWORK_H
#define KLAMM_TESTS_UNIT_CLUSTER_QUORUM_NETWORK_H

#include "base/random.h"
#include "tests/unit/cluster/controller_fixture.h"

enum { QUORUM_NODES_MAX = 6, QUORUM_PORT = 19000 };

struct quorum_net_node {
    struct fixture fixture;
    char id_text[64], roles_text[64], voters_text[256], listeners_text[64], names_text[64];
    bool exists;
    bool runs;
    bool is_broker_only;
};

struct quorum_net {
    struct quorum_net_node nodes[QUORUM_NODES_MAX + 1]; /* by id, from 1 */
    int count;
    struct random_stream random;
    uint64_t now_ms;
    unsigned delay_ms; /* at most, of a message */
    bool cut[QUORUM_NODES_MAX + 1][QUORUM_NODES_MAX + 1];
    struct list packets; /* under way */
    struct list served;  /* requests that a node has and has not answered */
    struct list channels;
};

/* Nodes 1 to `voters` with the controller role, then `observers` brokers; nothing runs yet. */
void quorum_net_init(struct quorum_net *net, int voters, int observers, uint64_t seed);
/*
 * Controllers 1 to `count` of a dynamic quorum: node 1 begins it as its only voter, the others find
 * it there.
 */
void quorum_net_init_dynamic(struct quorum_net *net, int count, uint64_t seed);
/*
 * Nodes 1 to `voters` as in quorum_net_init, then `others`: controllers that the settings do not
 * name, and that find the quorum at node 1.
 */
void quorum_net_init_growing(struct quorum_net *net, int voters, int others, uint64_t seed);
/* The directory of a node's metadata log. */
struct uuid quorum_net_directory(int id);
/* Stops what runs, one after the other. */
void quorum_net_deinit(struct quorum_net *net);
void quorum_net_start(struct quorum_net *net, int id);
/* An orderly end. */
void quorum_net_stop(struct quorum_net *net, int id);
/* Power cut. */
void quorum_net_crash(struct quorum_net *net, int id);
/* Cuts a node off from all others, or joins it again. */
void quorum_net_isolate(struct quorum_net *net, int id, bool on);
/* Moves time. */
void quorum_net_run(struct quorum_net *net, unsigned ms);
/* The active controller (not an isolated one when another is there); 0: none. */
int quorum_net_leader(const struct quorum_net *net);
/* Runs until a controller other than `but` is active; its id. Fails after a while. */
int quorum_net_await_leader(struct quorum_net *net, int but);

#endif
