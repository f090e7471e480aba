/*
 * Channels without a network: the functions of connection/channel.h over a list that the test
 * answers by hand. Link it in place of the connection room.
 */
#ifndef KLAMM_TESTS_UNIT_CLUSTER_FAKE_CHANNEL_H
#define KLAMM_TESTS_UNIT_CLUSTER_FAKE_CHANNEL_H

#include "connection/channel.h"

enum { FAKE_CHANNELS_MAX = 4, FAKE_REQUESTS_MAX = 16 };

struct channel {
    bool is_open;
    char host[64];
    uint16_t port;
    unsigned connections;                                /* addresses it was given */
    struct channel_request *requests[FAKE_REQUESTS_MAX]; /* unanswered, in order */
    unsigned request_count;
    unsigned sent_count; /* ever */
};

/* Every channel of this program, in the order in which they were made. */
struct fake_channels {
    struct channel channels[FAKE_CHANNELS_MAX];
    unsigned count;
};

/* Forgets all, before a test. */
void fake_channels_reset(void);
struct channel *fake_channel_at(unsigned index);
/* Ends the oldest request. */
void fake_channel_answer(struct channel *channel, enum channel_status status, const void *response);

#endif
