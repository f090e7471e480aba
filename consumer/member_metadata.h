/*
 * What a member of a consumer group says about itself: the content of a record of type 5.
 *
 * The topic names are kept sorted and without repetition, as the record has them, so equal
 * subscriptions are equal bytes.
 */
#ifndef KLAMM_CONSUMER_MEMBER_METADATA_H
#define KLAMM_CONSUMER_MEMBER_METADATA_H

#include <stddef.h>

#include "base/arena.h"
#include "protocol/messages/consumer_group_member_metadata_value.h"

typedef struct consumer_group_member_metadata_value member_metadata;

/* What a member has before it says anything. */
void member_metadata_default(member_metadata *metadata);
/* A copy in one block of `*size` bytes on the heap (MEMORY_STATE). */
member_metadata *member_metadata_copy(struct heap *heap, const member_metadata *metadata,
                                      size_t *size);
/* Names are compared as they stand. */
bool member_metadata_equal(const member_metadata *a, const member_metadata *b);
bool member_metadata_names_equal(const member_metadata *a, const member_metadata *b);
/* Sorts names and drops repetitions, in a copy in the arena; false when memory was refused. */
bool member_metadata_set_names(member_metadata *metadata, const struct view *names, size_t count,
                               struct arena *arena);

/* Null when the member has no pattern. */
static inline struct view member_metadata_regex(const member_metadata *metadata)
{
    return metadata->subscribed_topic_regex.size ? metadata->subscribed_topic_regex : VIEW_NULL;
}

#endif
