/*
 * The requests of a group coordinator; one source file each, named as the request.
 *
 * A function takes a call whose `request` and `response` are what is noted, works on the groups of
 * this coordinator and ends the call, now or later. Errors for a whole request that cannot stand in
 * the response come through coordinator_fail (noted). Ids, topics and rights are checked before, by
 * the handlers of the broker; groups are.
 */
#ifndef KLAMM_CONSUMER_GROUP_REQUESTS_H
#define KLAMM_CONSUMER_GROUP_REQUESTS_H

#include "base/uuid.h"
#include "consumer/groups.h"

/* struct join_group_request, _response. Waits for the group; no deadline. */
void join_group(struct groups *groups, struct coordinator_call *call);
/* struct sync_group_request, _response. Waits for the leader; no deadline. */
void sync_group(struct groups *groups, struct coordinator_call *call);
/* struct heartbeat_request, _response. */
void heartbeat(struct groups *groups, struct coordinator_call *call);
/*
 * struct leave_group_request with `members` (of older versions the one member),
 * leave_group_response with one answer for each.
 */
void leave_group(struct groups *groups, struct coordinator_call *call);

/* One topic of a request about offsets. */
struct offset_question_topic {
    struct view name;
    struct uuid id; /* zero: it was named without one */
    const int32_t *partitions;
    size_t partition_count;
};

/* One group of an OffsetFetch. */
struct offset_question {
    struct view group_id;
    struct view member_id; /* null: none */
    int32_t member_epoch;  /* -1: none */
    bool all_topics;       /* then `topics` is not looked at */
    bool require_stable;
    const struct offset_question_topic *topics;
    size_t topic_count;
};

/* struct offset_question, struct offset_fetch_response_group. Topics are answered in order, by
 * name. */
void offset_fetch(struct groups *groups, struct coordinator_call *call);
/* struct offset_commit_request (with names), _response. Fails with the error of the group. */
void offset_commit(struct groups *groups, struct coordinator_call *call);
/* struct offset_delete_request, _response. */
void offset_delete(struct groups *groups, struct coordinator_call *call);
/* struct view (the group id), struct describe_groups_response_described_group. */
void describe_group(struct groups *groups, struct coordinator_call *call);
/* struct list_groups_request, _response. */
void list_groups(struct groups *groups, struct coordinator_call *call);
/* struct view (the group id), struct delete_groups_response_deletable_group_result. */
void delete_group(struct groups *groups, struct coordinator_call *call);

/*
 * A TxnOffsetCommit whose producer the transaction coordinator has let in. struct
 * txn_offset_commit_request, _response. Fails with the error of the group or of the append.
 */
void txn_offset_commit(struct groups *groups, struct coordinator_call *call,
                       uint64_t verification_guard);

#endif
