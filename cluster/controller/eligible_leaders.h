/*
 * Eligible leader replicas as a feature of the cluster (KIP-966): turning it on and off, and the
 * one min.insync.replicas that it needs. How a partition's eligible leaders come and go with its
 * in-sync set is partition_change.c's.
 *
 * Invariants:
 *  1. While the feature is on, min.insync.replicas is a topic's own or the cluster's, never a
 *     broker's: leader and controller have to agree on it.
 *  2. When min.insync.replicas changes, no partition that has a leader keeps eligible leaders:
 *     they were kept under another minimum. Where nobody leads, nothing can be committed, so what
 *     was eligible stays so.
 *  3. Turned off, no partition keeps any, and no partition is left with nobody in sync.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_ELIGIBLE_LEADERS_H
#define KLAMM_CLUSTER_CONTROLLER_ELIGIBLE_LEADERS_H

#include "cluster/controller/decision.h"
#include "cluster/controller/refusal.h"

#define ELIGIBLE_LEADERS_FEATURE "eligible.leader.replicas.version"

/* Whether the feature is finalized. */
bool eligible_leaders_are_kept(const struct image *image);
/* The records that go before the one that turns the feature on. */
void eligible_leaders_begin(struct decision *decision);
/* The records that go before the one that turns it off. */
void eligible_leaders_end(struct decision *decision);
/* Whether a setting may get a value, null for none: INVALID_CONFIG against invariant 1. */
struct refusal eligible_leaders_check_setting(const struct decision *decision, int8_t type,
                                              struct view resource,
                                              const struct config_entry *entry);
/* min.insync.replicas changes: of a topic, or with an empty name of the cluster. */
void eligible_leaders_forget(struct decision *decision, struct view topic);

#endif
