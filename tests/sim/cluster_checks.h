/*
 * What must hold in a cluster at every moment, looked at from outside of all nodes, behind every
 * event of a node (simulation notes section 7, replication notes 7.1):
 *
 *  M1  one leader per quorum epoch          M2  one vote per node and epoch, crashes included,
 *      and on the disk when it is answered
 *  M3, M4  whoever leads has everything that was ever committed, and that never changes
 *      and is on the disks of a majority from that moment on; leaders commit by records of their
 *      own epoch
 *  M5  equal images at equal offsets, on every broker and controller, and of what is committed
 *  M7  voters change one at a time; a directory counts as holder and as elector for what it
 *      held and voted itself, never for what its node does with another disk
 *  M8  and the rules of in-sync sets in every image: leader in the set, set in the replicas,
 *      epochs of leaders and partitions rise, whoever is in sync is alive, has everything that was
 *      committed on its disk, and came there in the life that is registered
 *  R1  what one replica exposed below its watermark, all have, byte for byte
 *  R2  one leader per partition and epoch   R3  the watermark is held by everybody in sync, and
 *      by min.insync.replicas brokers
 *  R4  what acks=all acknowledged is on the disks of min.insync.replicas brokers at that moment
 *  R5  who is elected has everything        R6  nobody cuts what was committed
 *  R7  nobody is elected uncleanly where that is not allowed; where it is, only what the elected
 *      leader lacks at that moment is lost, and everything above is meant of what is left
 */
#ifndef KLAMM_TESTS_SIM_CLUSTER_CHECKS_H
#define KLAMM_TESTS_SIM_CLUSTER_CHECKS_H

#include "tests/sim/cluster.h"
#include "tests/sim/committed_log.h"

/* By epoch: the node that led, or was voted for; as number + 1, 0 for none. */
struct epoch_table {
    int32_t *nodes;
    size_t capacity;
};

/* A node's replica of a partition, as it was last seen. */
struct seen_replica {
    struct committed_copy copy; /* how far it is what was committed */
    bool is_stale;              /* has not taken over what an unclean leader has, yet */
    int64_t compared_end;       /* how far it went when that was looked at */
    int64_t compared_committed; /* and what was committed then */
    unsigned life;
    uint64_t look;       /* the node's last one at which it was there */
    int32_t led_epoch;   /* whose beginning was checked; -1: none */
    int64_t watermark;   /* of that epoch as leader */
    int64_t shown;       /* the highest watermark of this life */
    int64_t durable_end; /* what it keeps, as the durability of the cluster says */
    int64_t highest_end; /* of these, in all lives */
    /* The last word of a leader that it is in sync: in which epoch of the broker, by whom. */
    int64_t proposed_broker_epoch;
    int32_t proposed_leader_epoch;
    unsigned proposed_life; /* of the leader */
    uint64_t proposal;      /* 0: never */
};

struct seen_partition {
    struct uuid topic_id;
    int32_t partition;
    struct committed_log log;
    struct epoch_table leaders;
    struct seen_replica replicas[CLUSTER_NODES_MAX];
    /* As images show it. */
    int32_t leader_epoch;
    int32_t partition_epoch;
    enum image_recovery recovery;
    bool is_growing;       /* a reassignment adds replicas */
    uint32_t in_sync;      /* bit per node */
    uint32_t eligible;     /* bit per node: eligible leaders */
    int32_t unclean_epoch; /* of the last unclean election; 0: none */
    bool is_cut_due;       /* its leader does not lead yet: who knows what it will have? */
    int64_t image_offset;  /* of these */
    int32_t replicas_min;  /* the smallest number of replicas that it ever had */
};

/* One disk of a node, and what it held and promised as a part of the quorum. */
struct seen_directory {
    struct uuid id;
    int64_t durable_end; /* of its log */
    struct epoch_table votes;
};

/* A node's part in the quorum, as it was last seen. */
struct seen_quorum {
    struct committed_copy copy;
    struct seen_directory directory;                /* the present one */
    struct seen_directory lost[CLUSTER_LOSSES_MAX]; /* emptied ones */
    unsigned lost_count;
    unsigned life;
    int32_t epoch; /* never falls, over crashes too */
    int32_t led_epoch;
    int32_t voted_epoch;    /* whose vote was found on the disk */
    int64_t watermark;      /* in this life */
    int64_t led_from;       /* when it began to lead */
    int64_t voters_checked; /* the offset of the newest set of voters that was looked at */
};

enum { SEEN_PARTITIONS_MAX = 256 };

struct cluster_checks {
    struct cluster *cluster;
    struct sim *sim;
    struct heap heap;
    struct committed_log metadata;
    struct epoch_table quorum_leaders;
    struct seen_quorum quorums[CLUSTER_NODES_MAX];
    uint64_t *image_hashes; /* by offset; 0: not seen */
    size_t image_capacity;
    uint64_t image_versions[CLUSTER_NODES_MAX];
    unsigned image_lives[CLUSTER_NODES_MAX];
    unsigned lives[CLUSTER_NODES_MAX];
    uint64_t life_began_ns[CLUSTER_NODES_MAX];
    uint64_t looks[CLUSTER_NODES_MAX]; /* at a node's replicas */
    struct seen_partition *partitions[SEEN_PARTITIONS_MAX];
    size_t partition_count;
    struct history *history; /* of the clients' topic; NULL: there are no clients */
    int32_t min_isr;         /* the smallest that the clients' topic ever had */
    /* What there was to check, for the totals of a run. */
    unsigned elections, leaders, images, unclean;
    uint64_t lost; /* offsets that were committed, by unclean elections */
};

void cluster_checks_init(struct cluster_checks *checks, struct cluster *cluster);
void cluster_checks_deinit(struct cluster_checks *checks);
/* R4: an answer to acks=all of the clients' topic; for cluster_clients.acknowledged. */
void cluster_checks_acknowledged(void *checks, int32_t partition, int64_t last_offset);
/* For cluster_clients.leads: the epoch in which the node was last seen leading, in this life. */
int32_t cluster_checks_leads(void *checks, int32_t node, int32_t partition);
/*
 * For cluster_client_options.standing: what the running node is to the partition, by what it does
 * itself and by the newest image that anybody has.
 */
struct cluster_standing cluster_checks_standing(void *checks, int32_t node, const char *topic,
                                                int32_t partition);
/* For cluster_clients.is_leaving. */
bool cluster_checks_is_leaving(void *checks, int32_t node);
/*
 * Whether the cluster has come to rest: every partition led and in sync, all images equal, all
 * replicas of equal length.
 */
bool cluster_checks_is_settled(void *checks);
/* The same of the quorum alone: one node leads, every node follows it and has all but the newest.
 */
bool cluster_checks_is_quorum_settled(void *checks);
/* Fails with what is missing. */
void cluster_checks_require_settled(const struct cluster_checks *checks);
void cluster_checks_require_quorum_settled(const struct cluster_checks *checks);
/* At the end: all replicas are equal. */
void cluster_checks_finish(struct cluster_checks *checks);

#endif
