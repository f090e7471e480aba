/*
 * Broker settings that take effect while the node runs.
 *
 * Topic defaults among them reach the replicas through shard_metadata.c. What is left, limits of
 * connections, the flusher, the cleaner and producer ids, is resolved anew on each loop when the
 * dynamic entries of this broker or of the cluster have changed, and handed to whoever keeps a
 * copy.
 *
 * Invariants:
 *  1. A loop resolves for itself, from the image that it shows; nothing is shared.
 *  2. Settings that are not changeable while a broker runs are never read from here.
 */
#ifndef KLAMM_BROKER_LIVE_SETTINGS_H
#define KLAMM_BROKER_LIVE_SETTINGS_H

#include "broker/broker.h"
#include "cluster/metadata/publisher.h"

struct cleaner_permits;
struct listeners;
struct shard;

/* The control loop's watch over published images. */
struct live_settings {
    struct publisher *publisher;
    struct listeners *listeners;
    struct cleaner_permits *cleaning;
    const struct broker *broker;
    const struct image *seen; /* referenced; NULL while not watching */
    struct publisher_waiter next;
};

/* On the control loop: applies what the newest image says and watches for more. */
void live_settings_start(struct live_settings *live, struct publisher *publisher,
                         struct listeners *listeners, struct cleaner_permits *cleaning,
                         const struct broker *broker);
/* Watches no more; fine when it never began. */
void live_settings_stop(struct live_settings *live);
/* On a shard: applies what `image` says. */
void live_settings_apply_shard(struct shard *shard, const struct image *image);

#endif
