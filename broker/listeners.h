/*
 * The listeners of a node, on the control loop: accepts streams and gives each to the data shard
 * that has the fewest, within max.connections and max.connections.per.ip.
 *
 * Invariants:
 *  1. A client struct is either with the shard that serves it or freed: total and shard counts are
 *     the number of clients that are out.
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
    uint32_t total;
    uint32_t per_shard[LOOP_COUNT_MAX]; /* by loop index */
    uint32_t connection_limit;
    uint32_t address_limit;
    struct listener_exception *exceptions; /* max.connections.per.ip.overrides */
    size_t exception_count;
    size_t exceptions_size; /* bytes of the array */
    struct map by_address;  /* key -> struct listener_address */
    struct listener_counters counters;
    uint64_t last_warning_ns;
};

void listeners_init(struct listeners *listeners, struct loop *loop, const struct broker *broker);
/* Takes new limits of connections; who is connected stays. */
void listeners_set_limits(struct listeners *listeners, const struct broker_settings *settings);
/*
 * Opens every listener that serves clients. False with a text that names listener and reason; what
 * was opened is closed again.
 */
bool listeners_open(struct listeners *listeners, char *message, size_t capacity);
/* Accepts nothing more. */
void listeners_close(struct listeners *listeners);

#endif
