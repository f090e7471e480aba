/*
 * How many compactions of a node run at the same time (log.cleaner.threads): permits, given out on
 * the control loop, most urgent wish first.
 *
 * Invariants:
 *  1. A permit is in one place: with its cleaner, waiting here, or travelling between them as a
 *     message.
 *  2. At most `limit` are granted, except right after the limit fell.
 */
#ifndef KLAMM_LOG_CLEANER_PERMITS_H
#define KLAMM_LOG_CLEANER_PERMITS_H

#include "log/compaction.h"
#include "runtime/loop.h"

struct cleaner_permits {
    struct loop *loop; /* control */
    unsigned limit;
    unsigned granted;
    struct list waiting; /* struct cleaner_permit.link */
};

/* A cleaner's own; embedded. */
struct cleaner_permit {
    struct message message;
    struct list link;
    struct cleaner_permits *permits; /* used only as the address of messages to loop 0 */
    struct loop *loop;               /* the cleaner's */
    struct compaction_need need;     /* how urgent */
    uint32_t due;                    /* logs of the cleaner that are due, the one included */
    bool others_wait;                /* once granted: other logs are due meanwhile */
    void (*granted)(struct cleaner_permit *permit); /* on the cleaner's loop */
    void (*home)(struct cleaner_permit *permit);    /* given back: it may be asked for again */
};

void cleaner_permits_init(struct cleaner_permits *permits, struct loop *loop, unsigned limit);
/* On the control loop; more are granted at once, fewer as they come back. */
void cleaner_permits_set_limit(struct cleaner_permits *permits, unsigned limit);

/* On the cleaner's loop: asks; `granted` follows, perhaps much later. */
void cleaner_permit_ask(struct cleaner_permit *permit);
/* Gives back what was granted; `home` follows. */
void cleaner_permit_return(struct cleaner_permit *permit);

#endif
