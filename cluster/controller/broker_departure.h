/*
 * What a broker that comes or goes means for the partitions of the cluster: one walk over all of
 * them, and a change (partition_change.h) for each that is concerned.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_BROKER_DEPARTURE_H
#define KLAMM_CLUSTER_CONTROLLER_BROKER_DEPARTURE_H

#include "cluster/controller/decision.h"

/*
 * What happens to all partitions when a broker goes (removed from in-sync sets, leaders moved) or
 * comes (leaderless partitions that it can lead get it as leader).
 */
enum broker_removal {
    BROKER_REMOVAL_GONE,         /* fenced, or on its way out */
    BROKER_REMOVAL_UNCLEAN,      /* a new incarnation that may have lost what was not flushed */
    BROKER_REMOVAL_CLEAN,        /* a new incarnation after a clean stop */
    BROKER_REMOVAL_UNREGISTERED, /* for good, also as an eligible leader */
    BROKER_REMOVAL_DIRECTORIES,  /* only what lies in directories that failed */
};
struct broker_departure {
    int32_t broker_id;
    enum broker_removal removal;
    const struct uuid *directories; /* CLEAN, DIRECTORIES: those that work */
    size_t directory_count;
};
/*
 * CLEAN leaves partitions alone of which the broker is the only in-sync replica and the leader:
 * nothing was lost, and nobody else could lead. So an orderly restart of a lone node writes nothing
 * for its partitions, and their leader epochs stay. UNCLEAN does the same where the topic's
 * durability is `sync` and there is no other replica: nobody ever saw what was not on stable
 * storage. Followers do see it, so for them a new leader epoch must begin.
 */
void partition_changes_for_removed(struct decision *decision,
                                   const struct broker_departure *departure);
void partition_changes_for_added(struct decision *decision, int32_t broker_id);
/* Whether no other broker could take over what this one does. */
bool broker_is_last_active(const struct image *image, int32_t broker_id);
/* Partitions that the broker leads. */
uint32_t partition_count_led_by(const struct image *image, int32_t broker_id);

#endif
