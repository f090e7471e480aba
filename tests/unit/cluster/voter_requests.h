/*
 * Changes of voters as a test asks for them, and what comes of it; for tests on quorum_network.h.
 *
 * A request lives until end (which waits for the answer); writes until they are done.
 */
#ifndef KLAMM_TESTS_UNIT_CLUSTER_VOTER_REQUESTS_H
#define KLAMM_TESTS_UNIT_CLUSTER_VOTER_REQUESTS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "protocol/messages/add_raft_voter.h"
#include "protocol/messages/config_record.h"
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

static inline void change_done(struct quorum_call *call)
{
    container_of(call, struct change, call)->is_done = true;
}

static inline struct change *begin(enum quorum_call_kind kind, int16_t version)
{
    struct change *change = calloc(1, sizeof(*change));
    assert_non_null(change);
    heap_init_plain(&change->heap);
    arena_init(&change->arena, &change->heap, MEMORY_SCRATCH, 0);
    change->call = (struct quorum_call){.kind = kind,
                                        .message = &change->request,
                                        .response = &change->response,
                                        .arena = &change->arena,
                                        .version = version,
                                        .done = change_done};
    return change;
}

static inline struct uuid directory_of(int id)
{
    return uuid_of_halves((uint64_t)id, 7);
}

static inline struct change *add_request(int id)
{
    struct change *change = begin(QUORUM_CALL_ADD_VOTER, 1);
    struct add_raft_voter_request *request = &change->request.add;
    add_raft_voter_request_init(request);
    request->cluster_id = VIEW_NULL;
    request->timeout_ms = 5000;
    request->voter_id = id;
    request->voter_directory_id = directory_of(id);
    change->add_listener = (struct add_raft_voter_request_listener){
        VIEW_LITERAL("CONTROLLER"), VIEW_LITERAL("localhost"), (uint16_t)(QUORUM_PORT + id)};
    request->listeners = &change->add_listener;
    request->listeners_count = 1;
    return change;
}

static inline struct change *remove_request(int id)
{
    struct change *change = begin(QUORUM_CALL_REMOVE_VOTER, 0);
    struct remove_raft_voter_request *request = &change->request.remove;
    remove_raft_voter_request_init(request);
    request->cluster_id = VIEW_NULL;
    request->voter_id = id;
    request->voter_directory_id = directory_of(id);
    return change;
}

static inline void serve(struct quorum_net *net, int at, struct change *change)
{
    metadata_log_serve(&net->nodes[at].fixture.controller.log, &change->call);
}

/* Waits for the answer and frees the request. */
static inline enum kafka_error end(struct quorum_net *net, struct change *change)
{
    for (int i = 0; i < 20000 && !change->is_done; i++)
        quorum_net_run(net, 1);
    assert_true(change->is_done);
    int16_t error = change->call.kind == QUORUM_CALL_ADD_VOTER ? change->response.add.error_code
                    : change->call.kind == QUORUM_CALL_REMOVE_VOTER
                        ? change->response.remove.error_code
                        : change->response.update.error_code;
    arena_deinit(&change->arena);
    free(change);
    return (enum kafka_error)error;
}

static inline enum kafka_error ask(struct quorum_net *net, int at, struct change *change)
{
    serve(net, at, change);
    return end(net, change);
}

/* ---- Writing and looking --------------------------------------------------------------------- */

struct write {
    struct controller_wait wait;
    bool is_done;
    enum kafka_error error;
};

static inline void write_done(struct controller_wait *wait, enum kafka_error error)
{
    struct write *write = container_of(wait, struct write, wait);
    write->is_done = true;
    write->error = error;
}

static inline void begin_write(struct quorum_net *net, int id, struct write *write,
                               const char *name)
{
    struct fixture *fixture = &net->nodes[id].fixture;
    struct decision decision;
    struct arena arena;
    arena_init(&arena, &fixture->heap, MEMORY_SCRATCH, 0);
    *write = (struct write){.wait.done = write_done};
    assert_true(controller_decide(&fixture->controller, &decision, &arena));
    struct config_record record = {CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""), view_of_string(name),
                                   view_of_string(name)};
    decision_add(&decision, METADATA_RECORD_CONFIG, &record);
    controller_commit(&fixture->controller, &decision, &write->wait);
    arena_deinit(&arena);
}

static inline void write_setting(struct quorum_net *net, int id, const char *name)
{
    struct write write;
    begin_write(net, id, &write, name);
    for (int i = 0; i < 20000 && !write.is_done; i++)
        quorum_net_run(net, 1);
    assert_true(write.is_done);
    assert_int_equal(write.error, KAFKA_ERROR_NONE);
}

static inline bool shows(const struct quorum_net *net, int id, const char *name)
{
    const struct image *image = net->nodes[id].fixture.publisher.current;
    const struct image_config *config =
        image_config(image, CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""));
    return !view_is_null(image_config_value(config, view_of_string(name)));
}

static inline void await_shown(struct quorum_net *net, int id, const char *name)
{
    for (int i = 0; i < 20000 && !shows(net, id, name); i++)
        quorum_net_run(net, 1);
    assert_string_equal(net->nodes[id].fixture.failure, "");
    assert_true(shows(net, id, name));
}

static inline const struct quorum *quorum_of(const struct quorum_net *net, int id)
{
    return &net->nodes[id].fixture.controller.log.quorum;
}

/* The voters as a node knows them, a bit for each id. */
static inline unsigned voters_at(const struct quorum_net *net, int id)
{
    unsigned voters = 0;
    for (uint32_t i = 0; i < quorum_of(net, id)->voter_count; i++)
        voters |= 1u << quorum_of(net, id)->voters[i].node.id;
    return voters;
}

static inline void await_voters(struct quorum_net *net, int id, unsigned voters)
{
    for (int i = 0; i < 20000 && voters_at(net, id) != voters; i++)
        quorum_net_run(net, 1);
    assert_int_equal(voters_at(net, id), voters);
}

#endif
