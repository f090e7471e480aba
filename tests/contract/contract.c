/* What all cases share. Loop 1 reports to loop 0, which starts the case when both have booted. */
#include "tests/contract/contract.h"

void contract_check(struct contract *contract, bool kept, const char *text, int line)
{
    if (kept || contract->failure)
        return;
    contract->failure = text;
    contract->failure_line = line;
}

void contract_end(struct contract *contract, struct loop *loop)
{
    contract->end(contract, loop);
}

struct booted {
    struct message message;
    struct contract *contract;
    struct loop *loop;
};

static void start(struct message *message, struct loop *at)
{
    struct booted *booted = container_of(message, struct booted, message);
    booted->contract->loops[1] = booted->loop;
    (void)at;
    booted->contract->which->start(booted->contract);
}

void contract_boot(struct loop *loop, void *argument)
{
    struct contract *contract = argument;
    if (loop->index == 0) {
        contract->loops[0] = loop;
        return;
    }
    struct booted *booted = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*booted));
    *booted = (struct booted){.message = {.deliver = start}, .contract = contract, .loop = loop};
    loop_post(loop, 0, &booted->message);
}
