/*
 * What a new cluster begins with: the records of bootstrap.checkpoint, which the first active
 * controller appends to an empty log.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_BOOTSTRAP_RECORDS_H
#define KLAMM_CLUSTER_CONTROLLER_BOOTSTRAP_RECORDS_H

#include "cluster/controller/features.h"
#include "cluster/metadata/records.h"

/* Adds the initial feature levels, metadata.version first. */
void add_bootstrap_records(struct metadata_records *records,
                           const struct controller_initial_levels *levels);

#endif
