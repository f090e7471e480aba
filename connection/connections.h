/*
 * All connections of one loop: their names, limits and counters, and who serves their requests.
 *
 * Owns the shared read buffer, the list of connections that wait for memory (first come, first
 * served) and the clocks of idleness and of stalls. Relies on the loop's heap for the limits of
 * frames; answers are limited by starting no request while too many bytes of them are unsent.
 *
 * Invariants:
 *  1. used[MEMORY_FRAME] stays below frame_memory plus one read buffer, plus one borrowed frame.
 *  2. The wait list is in order of arrival; it is served whenever frames or answers are freed.
 *  3. active_list is in order of last activity, oldest first.
 *  4. A connection that holds frame or answer memory without moving for stall_ms while others wait
 *     is closed: one client that stops in the middle cannot stop the rest.
 */
#ifndef KLAMM_CONNECTION_CONNECTIONS_H
#define KLAMM_CONNECTION_CONNECTIONS_H

#include "connection/connection.h"

/* Who serves the requests. All run on the loop; none inside a call of this module, except `ended`,
   and `abandoned` and `closed` inside connection_close. */
struct connection_handler {
    /* A new request; the bytes in front of its frame behind connection_request are not set. */
    void (*request)(struct connection_request *request);
    /* Its connection is gone and it is not answered: answer early, the answer will be dropped. */
    void (*abandoned)(struct connection_request *request);
    /* This side stops: answer early what waits for something to happen. */
    void (*hurry)(struct connection_request *request);
    /* Answered and released: give back what hangs on it. The frame goes after this. */
    void (*ended)(struct connection_request *request);
    /* After the last use of connection->context. */
    void (*closed)(struct connection *connection);
};

struct connections_options {
    uint32_t frame_size_limit; /* socket.request.max.bytes */
    uint64_t frame_memory;     /* bytes of frames on this loop */
    uint64_t answer_memory;    /* bytes of unsent answers at which no request starts */
    uint64_t idle_ms;          /* connections.max.idle.ms; 0: never */
    uint64_t stall_ms;         /* invariant 4 */
    size_t request_size;       /* bytes of the handler's request struct */
};

/* Counters; plain values, summed on scrape. */
struct connection_counters {
    uint64_t opened;
    uint64_t closed[CONNECTION_CLOSE_REASONS];
    uint64_t frames;
    uint64_t received_size;
    uint64_t answers;
    uint64_t sent_size;
    uint64_t sent_file_size; /* of these, by sendfile */
    uint64_t memory_waits;   /* times a connection began to wait for memory */
    uint64_t borrowed_frames;
};

struct connection_slot {
    struct connection *connection; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct connections {
    struct loop *loop;
    const struct connection_handler *handler;
    void *context; /* the handler's */
    struct connections_options options;
    struct connection_counters counters;
    struct connection_slot *slots;
    uint32_t slot_capacity;
    uint32_t first_free;
    uint32_t count;
    struct list active_list; /* connection.active_link */
    struct list wait_list;   /* connection.wait_link */
    struct deferred serve_waiting;
    struct timer idle_timer;
    struct timer stall_timer;
    bool borrowed; /* connection.h invariant 5: a borrowed frame exists */
    bool stopping;
    void (*stopped)(struct connections *connections);
    uint8_t *read_buffer;
};

void connections_init(struct connections *connections, struct loop *loop,
                      const struct connection_handler *handler,
                      const struct connections_options *options, void *context);
/* All connections must be gone. */
void connections_deinit(struct connections *connections);
/*
 * Takes an accepted stream. NULL (the stream is closed) when the transport or the memory refuses.
 */
struct connection *connections_adopt(struct connections *connections,
                                     const struct accepted_stream *accepted, void *context);
/* The connection of a name, or NULL when it is gone. */
struct connection *connections_find(const struct connections *connections,
                                    struct connection_name name);
/*
 * Starts nothing new; hurries what is open, closes each connection once it is answered and sent,
 * and calls `stopped` when none is left (also when none was).
 */
void connections_stop(struct connections *connections,
                      void (*stopped)(struct connections *connections));
/* Closes whatever is left, answered or not. */
void connections_close_all(struct connections *connections, enum connection_close_reason reason);

#endif
