/*
 * What a loop keeps per connection of a client, broker or controller beside the connection itself.
 * It is made by the control loop with the accepted stream, belongs to the loop that serves it while
 * the connection lives, and goes home at its end, so the control loop's counts of connections need
 * no other message.
 */
#ifndef KLAMM_BROKER_CLIENT_H
#define KLAMM_BROKER_CLIENT_H

#include "config/server_config.h"
#include "runtime/loop.h"

struct fetch_session;
struct listeners;
struct listener_address;

struct client {
    struct message message; /* control -> front -> control */
    struct accepted_stream accepted;
    struct listeners *owner;              /* the control loop's */
    const struct listener_config *config; /* of the listener where it arrived */
    struct listener_address *counted;     /* control: the peer's entry of connections by address;
                                             NULL: not limited */
    unsigned loop;                        /* index of the one that serves it */
    struct fetch_session *session;        /* the shard's; NULL: none */
};

#endif
