/*
 * Fetching a snapshot from the leader, when the records that this node lacks stand in no log any
 * more (KIP-630).
 *
 * Pieces are asked for one after the other and written into `<id>.checkpoint.part`. The last piece
 * makes it a snapshot: synced, checked from end to end, renamed. Then the log is emptied to begin
 * at the snapshot's end, and its content is loaded.
 *
 * Invariants:
 *  1. A file with the final name is whole: a crash in between leaves a .part, which a start
 *     removes, or a snapshot that the log is no part of, for which a start empties the log.
 *  2. Only a follower loads a snapshot, and only one that reaches its high watermark.
 */
#ifndef KLAMM_CLUSTER_QUORUM_SNAPSHOT_CLIENT_H
#define KLAMM_CLUSTER_QUORUM_SNAPSHOT_CLIENT_H

#include "cluster/quorum/snapshot_file.h"
#include "connection/channel.h"
#include "log/file_content.h"
#include "protocol/messages/fetch_snapshot.h"
#include "runtime/job.h"

struct metadata_log;

struct snapshot_client {
    bool is_active;  /* a snapshot is to be fetched; pieces are asked for in place of records */
    bool is_writing; /* the job runs */
    struct snapshot_id id;
    int32_t epoch; /* of the leader that named it */
    int64_t position;
    struct fetch_snapshot_request message;
    struct fetch_snapshot_request_topic_snapshot topic;
    struct fetch_snapshot_request_partition_snapshot partition;
    /* The job's. */
    struct job job;
    struct log_path directory;
    struct channel_frame frame; /* holds the piece */
    struct view piece;
    bool is_last;
    enum storage_status status;
    const char *problem; /* the snapshot is damaged */
    struct file_content content;
};

/* The leader of this epoch named a snapshot. */
void snapshot_client_begin(struct metadata_log *log, struct snapshot_id id);
/* Fills the request for the next piece. */
const struct channel_call *snapshot_client_ask(struct metadata_log *log);
/* An answer to it; false: nothing can be done with it now. */
bool snapshot_client_take(struct metadata_log *log, const struct fetch_snapshot_response *response);
void snapshot_client_drop(struct metadata_log *log);

#endif
