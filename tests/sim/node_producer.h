/* The kinds of clients, for node_clients.c. */
#ifndef KLAMM_TESTS_SIM_NODE_PRODUCER_H
#define KLAMM_TESTS_SIM_NODE_PRODUCER_H

#include "base/bytes.h"
#include "tests/sim/node_clients.h"

void producer_start(struct loop *loop, struct client_role *role);
void consumer_start(struct loop *loop, struct client_role *role);
void rude_start(struct loop *loop, struct client_role *role);
/* Reads a Metadata answer of version 4; true when every partition of the one topic has a leader. */
bool kafka_read_metadata(struct reader *body);

#endif
