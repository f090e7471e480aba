/*
 * Settings written through the active controller of a quorum, and who shows them; for tests on
 * quorum_network.h. A setting is a broker default that is set to its own name.
 */
#ifndef KLAMM_TESTS_UNIT_CLUSTER_QUORUM_WRITES_H
#define KLAMM_TESTS_UNIT_CLUSTER_QUORUM_WRITES_H

#include "tests/unit/cluster/quorum_network.h"

/* Records on their way into the log; lies still until they are done or their node is gone. */
struct write {
    struct controller_wait wait;
    bool is_done;
    enum kafka_error error;
};

/* Notes the outcome: the `done` of a write whose records a test makes itself. */
void write_done(struct controller_wait *wait, enum kafka_error error);
/* Begins to set `name` on node `id`; false: that is not the active controller. */
bool write_begin(struct quorum_net *net, int id, struct write *write, const char *name);
/* Waits until it is done; its error. */
enum kafka_error write_await(struct quorum_net *net, const struct write *write);
/* Sets `name` on the active controller `id` and waits; fails the test if that is refused. */
void write_setting(struct quorum_net *net, int id, const char *name);

/* Whether the image of node `id` has the setting; and waiting for it. */
bool shows_setting(const struct quorum_net *net, int id, const char *name);
void await_setting(struct quorum_net *net, int id, const char *name);

#endif
