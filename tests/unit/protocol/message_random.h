/* Random messages of any type, filled by walking the type's description. */
#ifndef KLAMM_TESTS_MESSAGE_RANDOM_H
#define KLAMM_TESTS_MESSAGE_RANDOM_H

#include "base/random.h"
#include "protocol/message_inspect.h"

/*
 * A message of the type, in arena memory, that the version can carry: fields outside the version
 * have their defaults, nulls appear only where they may.
 */
void *message_random(const struct message_type *type, int16_t version, struct random_stream *random,
                     struct arena *arena);

#endif
