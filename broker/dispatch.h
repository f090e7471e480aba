/*
 * From a frame to its handler: the API table's row, version checks, header tags, decoding.
 *
 * What is refused closes the connection with one log line that names peer, API and version: unknown
 * key, version outside the served range, body that does not decode. The exception is ApiVersions
 * with a version above ours, which is answered in version 0 so that the client can ask again.
 */
#ifndef KLAMM_BROKER_DISPATCH_H
#define KLAMM_BROKER_DISPATCH_H

#include "connection/connections.h"

/* Serves the requests of a front's connections; connections.context is the struct front. */
extern const struct connection_handler dispatch_handler;

#endif
