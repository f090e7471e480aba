/*
 * A bounded ring from one loop to another: one producer, one consumer, the only atomics between
 * loops.
 *
 * Ordering: the producer writes the slot and then releases `tail`; the consumer acquires `tail`
 * before it reads the slot, and releases `head` behind it, which the producer acquires before it
 * writes the slot again. Each side keeps a copy of the other's counter, so that a full or an empty
 * ring costs one shared read and everything else none.
 */
#ifndef KLAMM_RUNTIME_POSIX_MAILBOX_H
#define KLAMM_RUNTIME_POSIX_MAILBOX_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/loop.h"

enum { MAILBOX_CAPACITY = 256, CACHE_LINE = 64 };

struct mailbox {
    alignas(CACHE_LINE) _Atomic uint32_t tail; /* written by the producer */
    uint32_t head_seen;
    alignas(CACHE_LINE) _Atomic uint32_t head; /* written by the consumer */
    uint32_t tail_seen;
    alignas(CACHE_LINE) struct message *slots[MAILBOX_CAPACITY];
};

/* For the producer's loop only; false when full. */
static inline bool mailbox_push(struct mailbox *mailbox, struct message *message)
{
    uint32_t tail = atomic_load_explicit(&mailbox->tail, memory_order_relaxed);
    if (tail - mailbox->head_seen == MAILBOX_CAPACITY) {
        mailbox->head_seen = atomic_load_explicit(&mailbox->head, memory_order_acquire);
        if (tail - mailbox->head_seen == MAILBOX_CAPACITY)
            return false;
    }
    mailbox->slots[tail % MAILBOX_CAPACITY] = message;
    atomic_store_explicit(&mailbox->tail, tail + 1, memory_order_release);
    return true;
}

/* For the consumer's loop only; NULL when empty. */
static inline struct message *mailbox_pop(struct mailbox *mailbox)
{
    uint32_t head = atomic_load_explicit(&mailbox->head, memory_order_relaxed);
    if (head == mailbox->tail_seen) {
        mailbox->tail_seen = atomic_load_explicit(&mailbox->tail, memory_order_acquire);
        if (head == mailbox->tail_seen)
            return NULL;
    }
    struct message *message = mailbox->slots[head % MAILBOX_CAPACITY];
    atomic_store_explicit(&mailbox->head, head + 1, memory_order_release);
    return message;
}

/* For the consumer's loop before it sleeps. */
static inline bool mailbox_is_empty(const struct mailbox *mailbox)
{
    return atomic_load_explicit(&mailbox->tail, memory_order_acquire) ==
           atomic_load_explicit(&mailbox->head, memory_order_relaxed);
}

#endif
