/* The parts of the metadata log, for the files of this folder. */
#ifndef KLAMM_CLUSTER_QUORUM_METADATA_LOG_INTERNAL_H
#define KLAMM_CLUSTER_QUORUM_METADATA_LOG_INTERNAL_H

#include "cluster/quorum/metadata_log.h"
#include "cluster/quorum/peer_message.h"

#define NS_PER_MS ((uint64_t)1000000)

/* metadata_log.c */
void metadata_log_fail(struct metadata_log *log, const char *what);
/* Called by whatever closing has to wait for. */
void metadata_log_close_next(struct metadata_log *log);

/* metadata_log_append.c */
/* The epoch of the last record of log or snapshot; 0 when there is none. */
int32_t metadata_log_last_epoch(const struct metadata_log *log);
extern const struct partition_log_events metadata_log_file_events;
/* One or more batches with their offsets; takes a copy. */
bool metadata_log_append_bytes(struct metadata_log *log, struct view bytes, bool is_leader);
/* The first batch of an epoch; with voters in the log the first leader also writes them down. */
bool metadata_log_append_change(struct metadata_log *log);

/* metadata_log_step.c */
/* Whether the quorum takes events other than those of the log. */
bool metadata_log_is_busy(const struct metadata_log *log);
/* Gives an event to the quorum and carries out what it says; `call`: the request behind it. */
void metadata_log_step(struct metadata_log *log, struct quorum_event *event,
                       struct quorum_call *call);
/* Has the other members looked after in the deferred phase of this turn. */
void metadata_log_wake(struct metadata_log *log);
/* Answers every call that waits: there is no log any more. */
void metadata_log_refuse_calls(struct metadata_log *log);
void metadata_log_step_init(struct metadata_log *log);
/* The quorum begins with what was loaded. */
void metadata_log_begin(struct metadata_log *log);
/* The log names other voters than the quorum knows: says so, and learns where they are. */
void metadata_log_tell_voters(struct metadata_log *log);
/* The leader as this node may name it to others. */
struct quorum_endpoint metadata_log_leader_endpoint(const struct metadata_log *log);

/* metadata_log_load.c */
void metadata_log_load_init(struct metadata_log *log);
bool metadata_log_load_snapshot(struct metadata_log *log);
/* The log is open: reads it as far as a start needs, then metadata_log_begin. */
void metadata_log_load(struct metadata_log *log);
/* Applies what is committed and not applied yet. */
void metadata_log_apply(struct metadata_log *log);
/* Leads, and applied everything before its epoch: then it may append. */
void metadata_log_try_activate(struct metadata_log *log);
/* The control records of a batch; false: malformed. metadata_log_tell_voters may be due then. */
bool metadata_log_take_control(struct metadata_log *log, struct view batch);
void metadata_log_load_deinit(struct metadata_log *log);

/* metadata_log_snapshots.c */
void metadata_log_snapshots_init(struct metadata_log *log);

/* fetch_client.c */
void fetch_client_back_off(struct metadata_log *log);

/* snapshot_server.c */
void snapshot_server_serve(struct metadata_log *log, struct quorum_call *call);
void snapshot_server_refuse(struct quorum_call *call, enum kafka_error error);

/* fetch_server.c */
/* Whether this node leads that epoch. */
enum kafka_error fetch_server_check_epoch(const struct quorum *quorum, int32_t epoch);
void fetch_server_serve(struct metadata_log *log, struct quorum_call *call);
/* Looks at the parked fetches again. */
void fetch_server_run(struct metadata_log *log);
/* Answers all of them. */
void fetch_server_stop(struct metadata_log *log);
void fetch_server_refuse(struct quorum_call *call, enum kafka_error error);

#endif
