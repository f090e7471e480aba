/*
 * Offsets that nobody needs any more: those that are older than the retention while nobody reads
 * their topic, and those of deleted topics. With the last offset an empty group goes too.
 */
#ifndef KLAMM_CONSUMER_OFFSET_EXPIRY_H
#define KLAMM_CONSUMER_OFFSET_EXPIRY_H

#include "consumer/groups.h"

/* Arms the sweep: every offsets.retention.check.interval.ms. */
void offset_expiry_start(struct groups *groups);
/* Writes the tombstones of all offsets of a topic that is gone. */
void offset_expiry_topic_deleted(struct groups *groups, const struct image_topic *topic);

#endif
