/* See the header. */
#include "tests/unit/cluster/asked_controller.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

static bool leader(void *self, struct controller_address *address)
{
    (void)self;
    *address = (struct controller_address){ASKED_NODE_ID, 1, VIEW_LITERAL("one"), 9093};
    return true;
}

static void local(void *self, struct controller_call *call)
{
    struct asked_controller *controller = self;
    assert_null(controller->asked);
    controller->asked = call;
}

void asked_controller_init(struct asked_controller *controller)
{
    *controller = (struct asked_controller){.broker_epoch = 40};
    memory_node_init(&controller->node);
    controller->loop = memory_node_loop(&controller->node, 0);
    struct controller_channel_options options = {.loop = controller->loop,
                                                 .node_id = ASKED_NODE_ID,
                                                 .client_id = VIEW_LITERAL("klamm"),
                                                 .host = {leader, local, controller}};
    controller_channel_init(&controller->channel, &options);
}

void asked_controller_deinit(struct asked_controller *controller)
{
    controller_channel_close(&controller->channel);
    memory_node_run(&controller->node);
    memory_node_deinit(&controller->node);
}

int64_t asked_controller_broker_epoch(void *self)
{
    const struct asked_controller *controller = self;
    return controller->broker_epoch;
}

const void *asked_controller_message(const struct asked_controller *controller)
{
    assert_non_null(controller->asked);
    return controller->asked->message;
}

void asked_controller_answer(struct asked_controller *controller, const void *response)
{
    struct controller_call *call = controller->asked;
    controller->asked = NULL;
    controller_call_answered(call, response);
    memory_node_run(&controller->node);
}
