/*
 * Transactions as a load: producers and copiers of both versions, a reader, and when all is well
 * with them. What the scenarios with transactions share; they differ in the brokers.
 */
#ifndef KLAMM_TESTS_SIM_TRANSACTION_LOAD_H
#define KLAMM_TESTS_SIM_TRANSACTION_LOAD_H

#include "tests/sim/transaction_client.h"

struct transaction_load {
    struct sim *sim;
    struct random_stream *random; /* of the scenario */
    struct cluster_client_options links;
    struct transaction_history history;
    unsigned client_count;
    struct transaction_role clients[TRANSACTION_CLIENTS + 2]; /* behind them: two readers */
    uint64_t rounds; /* of the reader, when something began to be waited for */
};

/* Draws the clients and starts them. */
void transaction_load_init(struct transaction_load *load, struct sim *sim,
                           struct random_stream *random,
                           const struct cluster_client_options *links);
void transaction_load_deinit(struct transaction_load *load);
/* Nobody begins a transaction any more; of two with one id one goes. */
void transaction_load_pause(struct transaction_load *load);
/* From now on is looked for whether it is quiet. */
void transaction_load_heal(struct transaction_load *load);
/* All transactions have ended, the copier stands where the reader stands, at the end. */
bool transaction_load_is_quiet(const struct transaction_load *load);
void transaction_load_require_stable(const struct transaction_load *load);
/* A fresh reader begins, and has come to the end; then the history can be checked. */
void transaction_load_read(struct transaction_load *load);
bool transaction_load_has_read(const struct transaction_load *load);
void transaction_load_print(const struct transaction_load *load);

#endif
