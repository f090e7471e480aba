/* Listening sockets: one listener of the seam is up to LISTENER_SOCKETS_MAX sockets on one port. */
#ifndef KLAMM_RUNTIME_POSIX_LISTENER_POSIX_H
#define KLAMM_RUNTIME_POSIX_LISTENER_POSIX_H

#include "runtime/posix/posix_stream.h"

enum transport_status posix_listener_listen(void *self, struct listener *owner, const char *host,
                                            uint16_t port, int backlog);
void posix_listener_unlisten(void *self, struct listener *owner);
/* The network phase of a socket that has connections waiting. */
void posix_listener_accept(struct ready *ready);
void posix_listeners_close(struct posix_transport *transport);

#endif
