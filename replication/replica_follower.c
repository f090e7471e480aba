/* The leader's numbers, as far as the own log goes. */
#include "replication/replica_follower.h"

#include "replication/replica_internal.h"

void replica_follower_advance(struct replica *replica, int64_t leader_high_watermark,
                              int64_t leader_log_start)
{
    struct partition_log *log = replica->log;
    int64_t end = replica_local_end(replica);
    int64_t high_watermark = leader_high_watermark < end ? leader_high_watermark : end;
    bool moved = high_watermark > partition_log_high_watermark(log);
    if (moved)
        partition_log_set_high_watermark(log, high_watermark);
    int64_t log_start = partition_log_start_offset(log);
    /* Above the own high watermark it has to wait: it is asked for again with every answer. */
    if (leader_log_start > log_start && partition_log_advance_start(log, leader_log_start))
        moved = true;
    if (moved)
        replica_fire_watches(&replica->watches);
}
