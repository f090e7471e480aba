/*
 * A controller on a node in memory: boot, decide, commit, crash and boot again.
 *
 * The shards of the node apply nothing: they show every image at once.
 */
#ifndef KLAMM_TESTS_UNIT_CLUSTER_CONTROLLER_FIXTURE_H
#define KLAMM_TESTS_UNIT_CLUSTER_CONTROLLER_FIXTURE_H

#include "cluster/controller/controller.h"
#include "tests/unit/log/memory_node.h"

struct fixture {
    struct memory_node node;
    struct list blocks; /* memory of the node's loops */
    struct heap heap;   /* of the test */
    struct arena arena; /* of the test */
    struct server_config config;
    struct broker_registration_request registration;
    struct broker_registration_request_listener listener;
    struct uuid directory_id;
    struct view cluster_id;
    struct publisher publisher;
    struct controller controller;
    bool may_not_format;
    bool is_ready;
    bool is_closed;
    bool is_clean;
    char failure[256];
};

/* A node with an empty, formatted-to-be log directory; not started. */
void fixture_init(struct fixture *fixture);
/* The same with settings, "key=value". */
void fixture_init_with(struct fixture *fixture, const struct view *overrides, size_t count);
/* Asserts that everything was given back. */
void fixture_deinit(struct fixture *fixture);
/* Starts the controller without running anything yet. */
void fixture_begin(struct fixture *fixture);
/* Starts the controller and runs until it is ready or has failed. */
void fixture_start(struct fixture *fixture);
/* Closes in order. */
void fixture_stop(struct fixture *fixture);
/* Power cut; what was not durable is gone. fixture_start may follow. */
void fixture_crash(struct fixture *fixture);
/* Begins a decision on the head, in the test's arena. */
void fixture_decide(struct fixture *fixture, struct decision *decision);
/* Commits and runs until the wait ends; its error. */
enum kafka_error fixture_commit(struct fixture *fixture, const struct decision *decision);
/* Creates one topic; the error of its result. */
enum kafka_error fixture_create_topic(struct fixture *fixture, const char *name,
                                      int32_t partitions);
/* The same without waiting for an end: the wait stays in the fixture's arena. */
void fixture_try_topic(struct fixture *fixture, const char *name, int32_t partitions);
/* What every shard shows. */
const struct image *fixture_image(const struct fixture *fixture);

#endif
