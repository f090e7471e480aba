/* What the files of this folder share about a connection. */
#ifndef KLAMM_CONNECTION_CONNECTION_INTERNAL_H
#define KLAMM_CONNECTION_CONNECTION_INTERNAL_H

#include "connection/connections.h"

extern const struct stream_events connection_stream_events;

/* Starts requests from what is read as long as that is allowed, and sets reading accordingly. */
void connection_pump(struct connection *connection);
/* Frees the frame being read and the bytes not parsed. */
void connection_drop_input(struct connection *connection);
/* Moves the connection to the end of the active list. */
void connection_touch(struct connection *connection);
/* Notes that the connection waits for memory; connections_serve_waiting comes back to it. */
void connection_wait(struct connection *connection);
/* The connection struct goes: the stream is closed and nothing is unsent. */
void connection_finish(struct connection *connection);
/* Runs the wait list in this turn, when there is one. */
void connections_memory_freed(struct connections *connections);
/* Out of all lists of the owner; its name is stale from here on. */
void connections_forget(struct connections *connections, struct connection *connection);
/* After the memory of a connection is gone. */
void connections_one_gone(struct connections *connections);
/* Whether unsent answers leave no room for a new request. */
bool connections_answers_full(const struct connections *connections);

#endif
