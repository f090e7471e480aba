/*
 * An answer: the bytes of one response on their way out, in memory and in files.
 *
 * One block holds the struct, the list of slices and the encoded bytes. File ranges are counted
 * leases of somebody else; `release` gives them home.
 *
 * Invariants:
 *  1. An answer belongs to whoever made it until connection_answer takes it; from then on it is
 *     sent or dropped, and `release` runs exactly once, before the memory goes.
 *  2. size is the sum of the sizes of all slices; the first slice begins with the frame's size
 *     field, which connection_answer fills in.
 */
#ifndef KLAMM_CONNECTION_ANSWER_H
#define KLAMM_CONNECTION_ANSWER_H

#include "base/memory.h"
#include "runtime/transport.h"

struct connection;

struct answer {
    struct stream_send send; /* the transport's while it is sent */
    struct connection *connection;
    void (*release)(struct answer *answer); /* NULL: nothing to give home */
    void *context;                          /* the maker's, for release */
    struct heap *heap;
    size_t held_size; /* bytes of this block */
    uint64_t size;    /* bytes of all slices */
    bool has_file;
    size_t slice_capacity;
    size_t slice_count;
    struct slice *slices;
    uint8_t *bytes; /* [byte_size], for the encoder */
    size_t byte_size;
};

enum { ANSWER_FRAME_SIZE_BYTES = 4 }; /* the size field in front of every frame */

/* Never refuses: what limits answers is that no request starts while too many are unsent. */
struct answer *answer_create(struct heap *heap, size_t byte_size, size_t slice_capacity);
/* Adds a piece behind the others; memory and file stay where they are until `release`. */
void answer_add_memory(struct answer *answer, const uint8_t *data, size_t size);
void answer_add_file(struct answer *answer, struct storage_file *file, uint64_t offset,
                     size_t size);
/* Runs `release` and frees. */
void answer_destroy(struct answer *answer);

#endif
