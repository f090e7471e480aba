/*
 * Channels of a shard to other brokers, one per broker and purpose, made on demand. Purposes have
 * connections of their own because requests on one connection are answered in order: a question
 * that a producer waits for must not stand behind markers that wait for followers.
 *
 * Invariants:
 *  1. A channel goes to the address at which the newest shown image has its broker on the
 *     inter-broker listener.
 *  2. A broker that is gone or fenced has no channel: what was under way to it ends with CLOSED,
 *     because nothing that it led is led there any more.
 */
#ifndef KLAMM_BROKER_PEER_CHANNELS_H
#define KLAMM_BROKER_PEER_CHANNELS_H

#include "base/map.h"
#include "connection/channel.h"

struct image;
struct shard;

enum peer_purpose {
    PEER_MARKERS,       /* WriteTxnMarkers */
    PEER_VERIFICATIONS, /* AddPartitionsToTxn */
    PEER_PURPOSES
};

struct peer_channels {
    struct shard *shard;
    struct map channels; /* node id * PEER_PURPOSES + purpose -> struct channel * */
    bool is_closed;
};

void peer_channels_init(struct peer_channels *peers, struct shard *shard);
/* NULL: the image that the shard shows has no such active broker, or this shard stops. */
struct channel *peer_channels_get(struct peer_channels *peers, int32_t node_id,
                                  enum peer_purpose purpose);
/* Brokers have changed in the image that is shown from now on. Not from inside an answer. */
void peer_channels_show(struct peer_channels *peers, const struct image *image);
/* Ends all requests with CLOSED; later there are no channels any more. */
void peer_channels_close(struct peer_channels *peers);

#endif
