/* Cutting a log (partition_log_truncate, partition_log_truncate_fully): the folder's inner face. */
#ifndef KLAMM_LOG_PARTITION_LOG_TRUNCATION_H
#define KLAMM_LOG_PARTITION_LOG_TRUNCATION_H

#include "log/partition_log_internal.h"

/* Goes on with log->truncation: its wish for a checkpoint, then its job. Queue and jobs are empty.
 */
void partition_log_begin_truncation(struct partition_log *log);

#endif
