/*
 * Reconciliation: how a member moves from what it owns towards its target, one heartbeat at a time
 * (KIP-848). A pure function.
 *
 * With A assigned, T the target (only topics that the member subscribes to): keep = A and T,
 * revoke = A without T, missing = T without A, of which some are free and some unreleased, that is,
 * owned by somebody else.
 *
 *   revoke not empty, and not shown to be given up   UNREVOKED at the old epoch, assigned keep
 *   else                                             at the target epoch, assigned keep and free;
 *                                                    UNRELEASED while some are unreleased, else
 *                                                    STABLE
 *
 * When that is computed depends on the state:
 *
 *   STABLE      the epoch is not the target's. At the target's, a subscription that changed in this
 *               heartbeat takes back what it no longer covers, at once.
 *   UNREVOKED   the request lists what the member owns, and nothing of it is to be revoked. Before
 *               that, a changed subscription may add to what is to be revoked.
 *   UNRELEASED  always.
 *   UNKNOWN     the member owns nothing; else it is fenced (a state of a newer version).
 *
 * A partition that the member itself is still revoking is free for it.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_RECONCILE_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_RECONCILE_H

#include "consumer/consumer_group.h"

struct reconcile_input {
    struct member_progress progress;
    int32_t target_epoch;
    const struct partition_set *target;
    const struct partition_set *owned; /* as the request lists it; NULL: not listed */
    bool subscription_changed;         /* in this heartbeat */
    /* What the member subscribes to, and what nobody owns. */
    bool (*is_subscribed)(const void *context, struct uuid topic);
    bool (*is_free)(const void *context, struct uuid topic, int32_t partition);
    const void *context;
};

enum reconcile_outcome {
    RECONCILE_DONE,
    RECONCILE_FENCED,   /* FENCED_MEMBER_EPOCH */
    RECONCILE_NO_MEMORY /* the arena refused */
};

/* The next progress; its sets are the input's or in the arena. It may equal the present one. */
enum reconcile_outcome consumer_group_reconcile(const struct reconcile_input *input,
                                                struct arena *arena, struct member_progress *next);

#endif
