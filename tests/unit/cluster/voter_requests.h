/*
 * Changes of voters as a test asks for them, and who the voters are then; for tests on
 * quorum_network.h.
 *
 *     struct change *change = change_add(3);
 *     ... change->request.add ...              to ask for something else
 *     assert_int_equal(change_ask(&net, leader, change), KAFKA_ERROR_NONE);
 *
 * A change lives until change_end, which waits for the answer.
 */
#ifndef KLAMM_TESTS_UNIT_CLUSTER_VOTER_REQUESTS_H
#define KLAMM_TESTS_UNIT_CLUSTER_VOTER_REQUESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/messages/add_raft_voter.h"
#include "protocol/messages/remove_raft_voter.h"
#include "protocol/messages/update_raft_voter.h"
#include "tests/unit/cluster/quorum_network.h"

/* ---- Requests -------------------------------------------------------------------------------- */

struct change {
    struct quorum_call call;
    struct arena arena;
    struct heap heap;
    bool is_done;
    union {
        struct add_raft_voter_request add;
        struct remove_raft_voter_request remove;
        struct update_raft_voter_request update;
    } request;
    union {
        struct add_raft_voter_response add;
        struct remove_raft_voter_response remove;
        struct update_raft_voter_response update;
    } response;
    struct add_raft_voter_request_listener add_listener;
    struct update_raft_voter_request_listener update_listener;
};

/* A change whose request is still to be filled. */
struct change *change_begin(enum quorum_call_kind kind, int16_t version);
/* The node joins the voters, with the directory and the endpoint that it has in the network. */
struct change *change_add(int id);
struct change *change_remove(int id);
/* Asks node `at`, which answers later. */
void change_serve(struct quorum_net *net, int at, struct change *change);
/* Waits for the answer and frees the change. */
enum kafka_error change_end(struct quorum_net *net, struct change *change);
/* Both. */
enum kafka_error change_ask(struct quorum_net *net, int at, struct change *change);

/* ---- Looking ----------------------------------------------------------------------------------
 */

const struct quorum *quorum_of(const struct quorum_net *net, int id);
/* The voters as a node knows them, a bit for each id. */
unsigned voters_at(const struct quorum_net *net, int id);
void await_voters(struct quorum_net *net, int id, unsigned voters);

#endif
