/*
 * The listeners of a node, on the control loop: accepts streams and gives each to a front. Those of
 * clients go to the data shard that has the fewest, within max.connections and
 * max.connections.per.ip; those of controller.listener.names stay on the control loop, without a
 * limit: clients must not be able to keep the quorum's nodes from each other.
 *
 * Invariants:
 *  1. A client struct is either with the loop that serves it or freed: total and the counts by loop
 *     are the number of clients that are out.
 *  2. An entry of connections by address lives while its count is above 0.
 */
#ifndef KLAMM_BROKER_LISTENERS_H
#define KLAMM_BROKER_LISTENERS_H

#include "base/map.h"
#include "broker/broker.h"
#include "broker/client.h"
#include "runtime/loop.h"

struct listener_socket {
    struct listener listener;
    struct listeners *owner;
    const struct listener_config *config;
    bool is_open;
};

struct listener_address {
    uint8_t key[17]; /* family and bytes */
    uint32_t count;
};

/* An address with a limit of its own. */
struct listener_exception {
    char host[ADDRESS_TEXT_SIZE]; /* as address_format writes it, without port */
    uint32_t limit;
};

struct listener_counters {
    uint64_t accepted;
    uint64_t refused_total;      /* max.connections */
    uint64_t refused_by_address; /* max.connections.per.ip */
};

struct listeners {
    struct loop *loop;
    const struct broker *broker;
    struct listener_socket *sockets;
    size_t socket_count;
    uint32_t total;                    /* of the data shards */
    uint32_t per_loop[LOOP_COUNT_MAX]; /* by loop index */
    uint32_t connection_limit;
    uint32_t address_limit;
    struct listener_exception *exceptions; /* max.connections.per.ip.overrides */
    size_t exception_count;
    size_t exceptions_size; /* bytes of the array */
    struct map by_address;  /* key -> struct listener_address */
    struct listener_counters counters;
    uint64_t last_warning_ns;
};

/* Which listeners: those of controller.listener.names, or the others. */
enum listener_kind { LISTENER_CLIENTS, LISTENER_CONTROLLERS };

void listeners_init(struct listeners *listeners, struct loop *loop, const struct broker *broker);
/* Takes new limits of connections; who is connected stays. */
void listeners_set_limits(struct listeners *listeners, const struct broker_settings *settings);
/*
 * Opens every listener of a kind. False with a text that names listener and reason; what was opened
 * of the kind is closed again.
 */
bool listeners_open(struct listeners *listeners, enum listener_kind kind, char *message,
                    size_t capacity);
/* Accepts nothing more on this kind. */
void listeners_close(struct listeners *listeners, enum listener_kind kind);

#endif
