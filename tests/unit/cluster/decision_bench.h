/*
 * Decisions without a controller: an image made by hand, a decision on it, and its records replayed
 * into the next image, so that every record that a decision makes is also known to replay.
 */
#ifndef KLAMM_TESTS_UNIT_CLUSTER_DECISION_BENCH_H
#define KLAMM_TESTS_UNIT_CLUSTER_DECISION_BENCH_H

#include "cluster/controller/decision.h"
#include "cluster/metadata/draft.h"

struct decision_bench {
    struct heap heap;
    struct arena arena;
    struct server_config config;
    struct random_stream random;
    const struct image *image;
    int64_t next_offset;
};

/* Brokers 1 and 2 active, 3 fenced, all in one rack; metadata.version 29; no topic. */
void bench_init(struct decision_bench *bench);
void bench_deinit(struct decision_bench *bench);
/* Changes the image by hand: the caller finishes with bench_adopt. */
void bench_edit(struct decision_bench *bench, struct image_draft *draft);
void bench_adopt(struct decision_bench *bench, struct image_draft *draft);
void bench_set_broker(struct decision_bench *bench, int32_t id, bool fenced);
/* Puts a broker that is there into a rack; the text has to stay. */
void bench_set_rack(struct decision_bench *bench, int32_t id, const char *rack);
void bench_set_feature(struct decision_bench *bench, const char *name, int16_t level);
/* A stored setting of a resource; NULL takes it away. */
void bench_set_config(struct decision_bench *bench, enum config_resource_type type,
                      const char *resource, const char *name, const char *value);
/* Makes klamm.durability=cache the default of the cluster. */
void bench_set_cache(struct decision_bench *bench);
/* A topic with one partition of the given lists; leader -1: none. */
struct uuid bench_add_topic(struct decision_bench *bench, const char *name,
                            struct node_list replicas, struct node_list isr, int32_t leader);
/* Starts a decision on the image. */
void bench_decide(struct decision_bench *bench, struct decision *decision);
/* Replays the records of a decision; every one must be accepted. */
void bench_commit(struct decision_bench *bench, const struct decision *decision);
/* The partition 0 of a topic. */
const struct image_partition *bench_partition(const struct decision_bench *bench, const char *name);

#endif
