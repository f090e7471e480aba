/*
 * The contract suite: what runtime/storage.h and runtime/transport.h promise, as code that runs on
 * any host. Each case is started on loop 0 of a node with two loops and ends by contract_end.
 */
#ifndef KLAMM_TESTS_CONTRACT_CONTRACT_H
#define KLAMM_TESTS_CONTRACT_CONTRACT_H

#include "runtime/loop.h"

struct contract;

struct contract_case {
    const char *name; /* a claim */
    void (*start)(struct contract *contract);
};

/* One run of one case. */
struct contract {
    const struct contract_case *which;
    struct loop *loops[2]; /* set when they have booted */
    const char *directory; /* an empty directory for this run */
    const char *host;      /* where streams of this node reach itself */
    void (*end)(struct contract *contract, struct loop *loop); /* the host's: stops the node */
    /* Takes a file out of memory, where the host has such a thing; else NULL. */
    void (*evict)(struct contract *contract, const char *path);
    bool is_evicted;     /* the host's: reading the file had to wait for the device */
    const char *failure; /* the first broken promise, or NULL */
    int failure_line;
    struct job job; /* of storage cases */
    void *state;    /* of the case */
};

/* Notes a broken promise. */
void contract_check(struct contract *contract, bool kept, const char *text, int line);
#define CHECK(contract, condition) contract_check((contract), (condition), #condition, __LINE__)

/* Ends the case; on any loop. */
void contract_end(struct contract *contract, struct loop *loop);
/* The boot function of the node; its argument is the contract. */
void contract_boot(struct loop *loop, void *argument);

extern const struct contract_case storage_cases[];
extern const unsigned storage_case_count;
extern const struct contract_case transport_cases[];
extern const unsigned transport_case_count;

#endif
