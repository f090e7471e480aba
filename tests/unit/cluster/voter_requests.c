/* See the header. */
#include "tests/unit/cluster/voter_requests.h"

#include <stdlib.h>

enum { PATIENCE_MS = 20000 };

static void change_done(struct quorum_call *call)
{
    container_of(call, struct change, call)->is_done = true;
}

struct change *change_begin(enum quorum_call_kind kind, int16_t version)
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

struct change *change_add(int id)
{
    struct change *change = change_begin(QUORUM_CALL_ADD_VOTER, 1);
    struct add_raft_voter_request *request = &change->request.add;
    add_raft_voter_request_init(request);
    request->cluster_id = VIEW_NULL;
    request->timeout_ms = 5000;
    request->voter_id = id;
    request->voter_directory_id = quorum_net_directory(id);
    change->add_listener = (struct add_raft_voter_request_listener){
        VIEW_LITERAL("CONTROLLER"), VIEW_LITERAL("localhost"), (uint16_t)(QUORUM_PORT + id)};
    request->listeners = &change->add_listener;
    request->listeners_count = 1;
    return change;
}

struct change *change_remove(int id)
{
    struct change *change = change_begin(QUORUM_CALL_REMOVE_VOTER, 0);
    struct remove_raft_voter_request *request = &change->request.remove;
    remove_raft_voter_request_init(request);
    request->cluster_id = VIEW_NULL;
    request->voter_id = id;
    request->voter_directory_id = quorum_net_directory(id);
    return change;
}

void change_serve(struct quorum_net *net, int at, struct change *change)
{
    metadata_log_serve(&net->nodes[at].fixture.controller.log, &change->call);
}

enum kafka_error change_end(struct quorum_net *net, struct change *change)
{
    for (int i = 0; i < PATIENCE_MS && !change->is_done; i++)
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

enum kafka_error change_ask(struct quorum_net *net, int at, struct change *change)
{
    change_serve(net, at, change);
    return change_end(net, change);
}

/* ---- Looking ----------------------------------------------------------------------------------
 */

const struct quorum *quorum_of(const struct quorum_net *net, int id)
{
    return &net->nodes[id].fixture.controller.log.quorum;
}

unsigned voters_at(const struct quorum_net *net, int id)
{
    unsigned voters = 0;
    for (uint32_t i = 0; i < quorum_of(net, id)->voter_count; i++)
        voters |= 1u << quorum_of(net, id)->voters[i].node.id;
    return voters;
}

void await_voters(struct quorum_net *net, int id, unsigned voters)
{
    for (int i = 0; i < PATIENCE_MS && voters_at(net, id) != voters; i++)
        quorum_net_run(net, 1);
    assert_int_equal(voters_at(net, id), voters);
}
