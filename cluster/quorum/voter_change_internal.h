/* What the files of the three messages share. */
#ifndef KLAMM_CLUSTER_QUORUM_VOTER_CHANGE_INTERNAL_H
#define KLAMM_CLUSTER_QUORUM_VOTER_CHANGE_INTERNAL_H

#include "cluster/quorum/metadata_log_internal.h"
#include "cluster/quorum/voter_change.h"

/* An outcome and why, for the answer; text NULL: the error's own. */
struct voter_refusal {
    enum kafka_error error;
    const char *text;
};

/* Whether this node leads this cluster, with nothing under way; error NONE: it does. */
struct voter_refusal voter_change_check_leader(const struct metadata_log *log,
                                               struct view cluster_id);
/* Whether it does, and the voters may change. */
struct voter_refusal voter_change_check(const struct metadata_log *log, struct view cluster_id);
/* The newest voters, with room for one more; false: out of memory. */
bool voter_change_copy(const struct metadata_log *log, struct voters_record *record,
                       struct arena *arena);
/* The index of a voter in a record; the count when it is not there. A zero directory is none. */
size_t voter_change_find(const struct voters_record *record, int32_t id, struct uuid directory_id);
/* Appends the record; its offset, or -1: the log takes nothing now. */
int64_t voter_change_append(struct metadata_log *log, const struct voters_record *record,
                            struct arena *arena);
/* The same behind a KRAFT_VERSION record of that value, in one batch. */
int64_t voter_change_append_version(struct metadata_log *log, struct view kraft_version,
                                    const struct voters_record *record, struct arena *arena);
/* The call waits for what comes next, this long at most. */
void voter_change_await(struct metadata_log *log, struct quorum_call *call, int64_t offset,
                        uint64_t timeout_ns);
/* Ends the call under way. */
void voter_change_end(struct metadata_log *log, struct voter_refusal outcome);
/* Fills the response of any of the three, whichever `call` is, and ends it. */
void voter_change_answer(const struct metadata_log *log, struct quorum_call *call,
                         struct voter_refusal outcome);

#endif
