/*
 * Which topics the members of a classic group subscribe to, as far as the broker can tell: the
 * metadata of groups of type "consumer" is a ConsumerProtocolSubscription.
 */
#ifndef KLAMM_CONSUMER_CLASSIC_SUBSCRIPTION_H
#define KLAMM_CONSUMER_CLASSIC_SUBSCRIPTION_H

#include "consumer/classic_group.h"

struct classic_subscription {
    struct map topics; /* by name; the names lie in the members' metadata */
    bool is_known;     /* false: a member's metadata cannot be read; then all topics count */
};

/* Reads all members' metadata. Good until a member changes. */
void classic_subscription_init(struct classic_subscription *subscription,
                               const struct classic_group *classic);
void classic_subscription_deinit(struct classic_subscription *subscription);
bool classic_subscription_has(const struct classic_subscription *subscription, struct view topic);

#endif
