/* What draft.c and draft_objects.c share. */
#ifndef KLAMM_CLUSTER_METADATA_DRAFT_INTERNAL_H
#define KLAMM_CLUSTER_METADATA_DRAFT_INTERNAL_H

#include "cluster/metadata/draft.h"

/* Memory that lives as long as the draft; never NULL. */
void *draft_must_get(struct image_draft *draft, size_t size);
/* Drops all settings of a resource. */
void draft_remove_config(struct image_draft *draft, int8_t type, struct view resource);

#endif
