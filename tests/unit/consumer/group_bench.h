/*
 * One group coordinator on a bench (tests/unit/coordinator/coordinator_fixture.h) and the requests
 * that members send to it.
 *
 *     group_bench_start();
 *     struct asked join = ask_join(&(struct joining){.version = 4, .group = "g"});
 *     ... join.join.error_code ...
 *     asked_end(&join);
 *     group_bench_end();            asserts that all memory is back
 *
 * A call that is parked stays open; after bench_run or bench_advance it may have been told. Every
 * asked is ended exactly once, and lies still until then.
 */
#ifndef KLAMM_TESTS_UNIT_CONSUMER_GROUP_BENCH_H
#define KLAMM_TESTS_UNIT_CONSUMER_GROUP_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/classic_group.h"
#include "consumer/group_requests.h"
#include "protocol/messages/delete_groups.h"
#include "protocol/messages/describe_groups.h"
#include "protocol/messages/heartbeat.h"
#include "protocol/messages/join_group.h"
#include "protocol/messages/leave_group.h"
#include "protocol/messages/list_groups.h"
#include "protocol/messages/offset_commit.h"
#include "protocol/messages/offset_delete.h"
#include "protocol/messages/offset_fetch.h"
#include "protocol/messages/sync_group.h"
#include "protocol/messages/txn_offset_commit.h"
#include "tests/unit/coordinator/coordinator_fixture.h"

enum { SESSION_MS = 10000, REBALANCE_MS = 20000, INITIAL_DELAY_MS = 3000 };

/* A request under way, with its response. */
struct asked {
    struct fixture_call call;
    union {
        struct join_group_response join;
        struct sync_group_response sync;
        struct heartbeat_response heartbeat;
        struct leave_group_response leave;
        struct offset_commit_response commit;
        struct offset_fetch_response_group fetch;
        struct offset_delete_response offset_delete;
        struct describe_groups_response_described_group describe;
        struct delete_groups_response_deletable_group_result deleted;
        struct list_groups_response list;
        struct txn_offset_commit_response txn;
    };
    /* What the request struct points to. */
    union {
        struct join_group_request join_request;
        struct sync_group_request sync_request;
        struct heartbeat_request heartbeat_request;
        struct leave_group_request leave_request;
        struct offset_commit_request commit_request;
        struct offset_question question;
        struct offset_delete_request delete_request;
        struct txn_offset_commit_request txn_request;
        struct list_groups_request list_request;
        struct view id;
    };
    struct join_group_request_protocol protocols[4];
    struct sync_group_request_assignment assignments[4];
    struct leave_group_request_member_identity identities[4];
    struct offset_question_topic question_topic;
    union {
        struct offset_commit_request_topic commit_topic;
        struct offset_delete_request_topic delete_topic;
        struct txn_offset_commit_request_topic txn_topic;
    };
    union {
        struct offset_commit_request_partition commit_partition;
        struct offset_delete_request_partition delete_partition;
        struct txn_offset_commit_request_partition txn_partition;
    };
    int32_t partition;
    struct view filters[2];
};

/* ---- The bench ---- */

struct coordinator_fixture *bench(void);
/* As group_bench_start, but the test sets bench()->config before group_bench_load. */
void group_bench_prepare(void);
void group_bench_load(void);
void group_bench_start(void);
void group_bench_end(void);
struct groups *bench_groups(void);
/* NULL: no such group. */
struct group *bench_group(const char *id);
struct classic_group *bench_classic(const char *id);
void bench_run(void);
/* Time passes in small steps, so that timers fire when they are due. */
void bench_advance(int64_t ms);
/* Time passes at once: the node stood still. */
void bench_stall(int64_t ms);
bool asked_is_told(const struct asked *asked);
/* It was told without an error for the whole call. */
void assert_answered(struct asked *asked);
void asked_end(struct asked *asked);

/* ---- Requests; each runs the bench once ---- */

/* Fields that are left out have the defaults of a client: version 9, "consumer", [range]. */
struct joining {
    int16_t version; /* 0: 9 */
    const char *group;
    const char *member;   /* NULL: "" */
    const char *instance; /* NULL: null */
    const char *type;     /* NULL: "consumer" */
    const char *protocols[3];
    const char *metadata[3];
    int32_t session_ms; /* 0: SESSION_MS */
    int32_t rebalance_ms;
    bool has_no_protocols;
};

void ask_join(struct asked *asked, const struct joining *joining);

struct syncing {
    int16_t version; /* 0: 3 */
    const char *group;
    const char *member;
    const char *instance;
    int32_t generation;
    const char *type;     /* NULL: null */
    const char *protocol; /* NULL: null */
    const char *to[3];
    const char *assignment[3];
};

void ask_sync(struct asked *asked, const struct syncing *syncing);
void ask_heartbeat(struct asked *asked, const char *group, const char *member, const char *instance,
                   int32_t generation);
/* `instance` may be NULL. */
void ask_leave(struct asked *asked, const char *group, const char *member, const char *instance);

struct committing {
    int16_t version; /* 0: 8 */
    const char *group;
    const char *member;
    const char *instance;
    int32_t generation; /* 0: -1 */
    const char *topic;  /* NULL: "topic" */
    struct uuid topic_id;
    int32_t partition;
    int64_t offset;
    const char *metadata;
    int64_t retention_ms; /* 0: -1 */
};

void ask_commit(struct asked *asked, const struct committing *committing);
/* The same in a transaction. */
void ask_txn_commit(struct asked *asked, const struct committing *committing, int64_t producer_id,
                    int16_t producer_epoch);
void bench_end_transaction(int64_t producer_id, int16_t producer_epoch, bool commit);
/* One partition. */
void ask_fetch(struct asked *asked, const char *group, const char *topic, int32_t partition,
               bool stable, struct uuid topic_id);
void ask_fetch_all(struct asked *asked, const char *group, bool stable);
void ask_offset_delete(struct asked *asked, const char *group, const char *topic,
                       int32_t partition);
void ask_describe(struct asked *asked, const char *group, int16_t version);
void ask_delete(struct asked *asked, const char *group);
void ask_list(struct asked *asked, const char *state, const char *type);

/* ---- In one line ---- */

int join_error(const struct joining *joining);
int sync_error(const struct syncing *syncing);
int heartbeat_error(const char *group, const char *member, int32_t generation);
int leave_error(const char *group, const char *member);
/* The error of the group, or of the one partition. */
int commit_error(const struct committing *committing);
/* The committed offset; minus the error when there is one. -1: none. */
int64_t committed(const char *group, const char *topic, int32_t partition);
int64_t committed_stable(const char *group, const char *topic, int32_t partition);
int offset_delete_error(const char *group, const char *topic, int32_t partition);
int delete_error(const char *group);
/* The state that DescribeGroups tells. */
void assert_state(const char *group, const char *state);

/* A member with the id that it was given; joins with version 5 on unless told otherwise. */
struct member {
    char id[128];
    int32_t generation;
    struct asked join;
};

/* Joins as a new dynamic member; the call may be parked. */
void member_join(struct member *member, const struct joining *joining);
/* Joins again under its id. */
void member_rejoin(struct member *member, const struct joining *joining);
/* The parked join was answered without an error: takes id and generation. */
void member_joined(struct member *member);
/* A group "g" with one member, STABLE, with `assignment`. */
void one_stable_member(struct member *member, const char *assignment);

#endif
