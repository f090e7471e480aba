/* See the header. */
#include "tests/unit/cluster/quorum_writes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/messages/config_record.h"

enum { PATIENCE_MS = 20000 };

void write_done(struct controller_wait *wait, enum kafka_error error)
{
    struct write *write = container_of(wait, struct write, wait);
    write->is_done = true;
    write->error = error;
}

bool write_begin(struct quorum_net *net, int id, struct write *write, const char *name)
{
    struct fixture *fixture = &net->nodes[id].fixture;
    struct decision decision;
    struct arena arena;
    arena_init(&arena, &fixture->heap, MEMORY_SCRATCH, 0);
    *write = (struct write){.wait.done = write_done};
    bool is_active = controller_decide(&fixture->controller, &decision, &arena);
    if (is_active) {
        struct config_record record = {CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""),
                                       view_of_string(name), view_of_string(name)};
        decision_add(&decision, METADATA_RECORD_CONFIG, &record);
        controller_commit(&fixture->controller, &decision, &write->wait);
    }
    arena_deinit(&arena);
    return is_active;
}

enum kafka_error write_await(struct quorum_net *net, const struct write *write)
{
    for (int i = 0; i < PATIENCE_MS && !write->is_done; i++)
        quorum_net_run(net, 1);
    assert_true(write->is_done);
    return write->error;
}

void write_setting(struct quorum_net *net, int id, const char *name)
{
    struct write write;
    assert_true(write_begin(net, id, &write, name));
    assert_int_equal(write_await(net, &write), KAFKA_ERROR_NONE);
}

bool shows_setting(const struct quorum_net *net, int id, const char *name)
{
    const struct image *image = net->nodes[id].fixture.publisher.current;
    const struct image_config *config =
        image_config(image, CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""));
    return !view_is_null(image_config_value(config, view_of_string(name)));
}

void await_setting(struct quorum_net *net, int id, const char *name)
{
    for (int i = 0; i < PATIENCE_MS && !shows_setting(net, id, name); i++)
        quorum_net_run(net, 1);
    assert_string_equal(net->nodes[id].fixture.failure, "");
    assert_true(shows_setting(net, id, name));
}
