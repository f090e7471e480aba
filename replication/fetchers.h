/*
 * The followers of one loop: which replicas follow whom, and the fetchers that keep them up to
 * date, one per leader broker and durability mode.
 *
 * Owns the fetchers (replication/fetcher.h), the addresses of leaders as the image shows them, and
 * what is remembered of every followed replica: where to fetch next, whether it waits, is being cut
 * or has failed. Leaves to others: who follows whom (broker/shard_metadata.c says so), the log and
 * the high watermark (replication/replica.h). Runs on one loop; callbacks run in the deferred phase
 * of a turn or in a completion, never inside a call.
 *
 * Order of calls when an image is applied: fetchers_show, then for every replica that changes
 *
 *     starts or goes on to follow      replica_follow, fetchers_follow
 *     begins to lead, or is deleted    fetchers_unfollow, and when that is through replica_lead or
 *                                      replica_detach
 *     settings changed                 replica_set_config, fetchers_reconfigure
 *
 * Invariants:
 *  1. A replica is in exactly one fetcher from fetchers_follow to fetchers_unfollow, unless it has
 *     failed or its leader is unknown.
 *  2. Nothing of a replica or its log is touched any more once its unfollowing is through, nor
 *     after its log has failed.
 *  3. What is asked for a partition at offset X says that everything below X is in this node's log,
 *     and in `sync` on stable storage.
 */
#ifndef KLAMM_REPLICATION_FETCHERS_H
#define KLAMM_REPLICATION_FETCHERS_H

#include "base/list.h"
#include "base/uuid.h"
#include "cluster/metadata/image.h"
#include "replication/replica_table.h"
#include "replication/throttle.h"
#include "runtime/loop.h"

/* Kafka's replica.fetch.* and what else belongs to one node's fetching; fixed while it runs. */
struct fetchers_options {
    struct loop *loop;
    struct replica_table *replicas; /* of this loop */
    int32_t node_id;
    struct view listener;       /* inter.broker.listener.name; borrowed for good */
    int32_t wait_max_ms;        /* replica.fetch.wait.max.ms */
    int32_t min_bytes;          /* replica.fetch.min.bytes */
    int32_t max_bytes;          /* replica.fetch.max.bytes: of a partition */
    int32_t response_max_bytes; /* replica.fetch.response.max.bytes */
    int32_t backoff_ms;         /* replica.fetch.backoff.ms */
    int32_t socket_timeout_ms;  /* replica.socket.timeout.ms */
};

/* Plain values, summed on scrape. */
struct fetchers_counters {
    uint64_t requests;
    uint64_t full_requests; /* of these, that named every partition */
    uint64_t bytes;         /* of records appended */
    uint64_t truncations;
    uint64_t failed;  /* partitions that no longer fetch until their next leader; a level */
    uint64_t backoff; /* times a partition had to wait after an error */
    uint64_t refused; /* answers whose records could not be the leader's */
};

struct fetchers {
    struct fetchers_options options;
    struct list fetchers;      /* struct fetcher.link */
    struct list followers;     /* struct follower.link: that are in no fetcher */
    int64_t broker_epoch;      /* of this incarnation; -1: not registered, nothing is fetched */
    int16_t fetch_version;     /* by the finalized metadata.version */
    const struct image *image; /* as last shown; see fetchers_show */
    struct throttle throttle;  /* of partitions that are listed */
    struct fetchers_counters counters;
    struct deferred deferred; /* telling `closed` */
    bool is_closing;
    void (*closed)(struct fetchers *fetchers);
};

/* Somebody who waits for the end of following; embedded. */
struct follower_stop {
    struct list link;
    void (*stopped)(struct follower_stop *stop);
    void *context; /* the caller's */
};

void fetchers_init(struct fetchers *fetchers, const struct fetchers_options *options);
/*
 * An image that is being applied: addresses of the leaders on the inter-broker listener, this
 * broker's epoch (once the image has it in this incarnation), the version of Fetch. It has to stay
 * until another one is shown.
 */
void fetchers_show(struct fetchers *fetchers, const struct image *image, struct uuid incarnation);
/* follower.replication.throttled.rate, this loop's share in bytes a second; UINT64_MAX: none. */
void fetchers_set_throttle(struct fetchers *fetchers, uint64_t rate);

/*
 * The replica, which is FOLLOWING with a log at replica->leader_epoch, fetches from this broker
 * from now on; -1: there is no leader, so it only waits. Right too for a replica that is followed
 * already: the same leader and epoch change nothing, a new epoch forgives failures.
 */
void fetchers_follow(struct fetchers *fetchers, struct replica *replica, int32_t leader_id);
/* The settings of a replica have changed; right too for one that does not follow, or ends it. */
void fetchers_reconfigure(struct fetchers *fetchers, struct replica *replica);
/*
 * Ends following. True: done, the log is the caller's (always so for one that does not follow).
 * False: the log is still being written to or cut; `stopped` is called later, and until then the
 * replica must neither lead nor be detached.
 */
bool fetchers_unfollow(struct fetchers *fetchers, struct replica *replica,
                       struct follower_stop *stop);

/* Ends all following; `closed` runs in a later turn, when no log is in use and no channel open. */
void fetchers_close(struct fetchers *fetchers, void (*closed)(struct fetchers *fetchers));

#endif
