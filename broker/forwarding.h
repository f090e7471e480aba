/*
 * What only the active controller can decide, asked at a node that is not it: the request goes
 * there as the client sent it, wrapped in an Envelope (KIP-590), and its answer comes back as
 * bytes that only need the client's correlation id.
 *
 * Clients never hear NOT_CONTROLLER: a request is repeated until some controller has decided it or
 * its time is over. It may be carried out twice where a controller falls after the commit and
 * before its answer, so a client may be told TOPIC_ALREADY_EXISTS for its own topic, as with Kafka.
 *
 * Where this node becomes the active controller in between, the part runs here after all.
 */
#ifndef KLAMM_BROKER_FORWARDING_H
#define KLAMM_BROKER_FORWARDING_H

#include "cluster/controller_channel.h"
#include "protocol/messages/envelope.h"

struct control;
struct controller_part;
struct part;
struct loop;

enum { FORWARD_PRINCIPAL_SIZE = 48, FORWARD_ADDRESS_SIZE = 16 };

/* The way of one part; embedded in it. */
struct forward {
    struct controller_call call;
    struct envelope_request envelope;
    uint8_t principal[FORWARD_PRINCIPAL_SIZE];
    uint8_t address[FORWARD_ADDRESS_SIZE];
};

/*
 * On the control loop, for a part that this node cannot decide: sends it to who can and ends with
 * part_done. False: it cannot be forwarded; the part is untouched.
 */
bool forwarding_send(struct controller_part *part, struct loop *at);
/* At home: answers with what came back, if the part was forwarded. */
void forwarding_answer(struct controller_part *part);

#endif
