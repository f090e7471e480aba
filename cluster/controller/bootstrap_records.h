/*
 * What a new cluster begins with: the records of bootstrap.checkpoint, which the first active
 * controller appends to an empty log.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_BOOTSTRAP_RECORDS_H
#define KLAMM_CLUSTER_CONTROLLER_BOOTSTRAP_RECORDS_H

#include "cluster/metadata/records.h"

/* Adds the initial feature levels of this build, metadata.version first. */
void add_bootstrap_records(struct metadata_records *records);

#endif
