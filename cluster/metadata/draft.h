/*
 * A draft: the next image while it is being made.
 *
 * A draft begins as a copy of an image (one reference per collection), takes any number of changes,
 * and is either finished, which gives the next immutable image and the list of what changed, or
 * dropped. Only the control loop (or a load before the loop serves) works on drafts.
 *
 * Invariants:
 *  1. The base image is never changed through a draft.
 *  2. What a draft lists as changed is compared with the base by key at the end, so that a change
 *     that was taken back in the same draft may still be listed, but no change is missed.
 *  3. Names, values and lists given to draft functions are copied.
 */
#ifndef KLAMM_CLUSTER_METADATA_DRAFT_H
#define KLAMM_CLUSTER_METADATA_DRAFT_H

#include "base/arena.h"
#include "base/map.h"
#include "cluster/metadata/image.h"

struct image_draft {
    struct image *base; /* referenced */
    struct image *next; /* private until finished */
    struct arena arena; /* keys of what was touched */
    struct map topics;  /* id -> struct image_topic *: ours to write, or NULL when deleted */
    struct map configs; /* type and name -> nothing */
    struct map brokers; /* id -> nothing */
    bool controllers_changed;
    bool features_changed;
    bool quotas_changed;
    bool acls_changed;
    bool scrams_changed;
    bool tokens_changed;
    bool producer_ids_changed;
};

void draft_begin(struct image_draft *draft, const struct image *base);
/* The next image (one reference, the caller's) and, when asked for, its delta; ends the draft. */
const struct image *draft_finish(struct image_draft *draft, struct image_delta **delta);
void draft_drop(struct image_draft *draft);

/* Changes. The ones that return bool refuse what does not fit and then change nothing. */

bool draft_add_topic(struct image_draft *draft, struct view name, struct uuid id);
bool draft_remove_topic(struct image_draft *draft, struct uuid id);
/* Creates or replaces a partition; false when the topic is unknown or the index is not usable. */
bool draft_set_partition(struct image_draft *draft, struct uuid topic_id, int32_t index,
                         const struct partition_state *state);
/* Clears the eligible and last known leaders of one topic, or of all (null name). */
void draft_clear_eligible(struct image_draft *draft, struct view topic_name);

/* Registers or replaces; the views in `node` are copied, its object head is not read. */
void draft_set_broker(struct image_draft *draft, const struct image_node *node);
bool draft_remove_broker(struct image_draft *draft, int32_t id);
void draft_set_controller(struct image_draft *draft, const struct image_node *node);
bool draft_remove_controller(struct image_draft *draft, int32_t id);
/* Sets one setting; a null value removes it. */
void draft_set_config(struct image_draft *draft, int8_t type, struct view resource,
                      struct view name, struct view value);
/* Level 0 removes. */
void draft_set_feature(struct image_draft *draft, struct view name, int16_t level);
void draft_set_quota(struct image_draft *draft, const struct image_quota_part *parts,
                     uint32_t part_count, struct view key, double value, bool remove);
void draft_set_acl(struct image_draft *draft, const struct image_acl *acl);
bool draft_remove_acl(struct image_draft *draft, struct uuid id);
void draft_set_scram(struct image_draft *draft, const struct image_scram *scram);
bool draft_remove_scram(struct image_draft *draft, int8_t mechanism, struct view user);
void draft_set_token(struct image_draft *draft, const struct image_token *token);
bool draft_remove_token(struct image_draft *draft, struct view token_id);
void draft_set_producer_ids(struct image_draft *draft, struct image_producer_ids producer_ids);
void draft_set_zk_migration(struct image_draft *draft, int8_t state);
/* Where in the log the draft now is. */
void draft_set_position(struct image_draft *draft, int64_t offset, int32_t epoch,
                        int64_t timestamp_ms);
/* What the quorum says about itself, beside the records. */
void draft_set_leadership(struct image_draft *draft, int32_t controller_id,
                          int32_t controller_epoch, int16_t kraft_version);

#endif
