/* Between the seam's addresses and the kernel's. */
#ifndef KLAMM_RUNTIME_POSIX_SOCKET_ADDRESS_H
#define KLAMM_RUNTIME_POSIX_SOCKET_ADDRESS_H

#include <sys/socket.h>

#include "runtime/transport.h"

/* Both ends of a connected socket; `peer` may be NULL, for a listening one. */
void socket_addresses(int descriptor, struct address *local, struct address *peer);
struct address socket_address_of(const struct sockaddr_storage *from);
/* Reads a numeric IPv4 or IPv6 address; false for names. */
bool socket_address_parse(const char *host, uint16_t port, struct sockaddr_storage *to,
                          socklen_t *size);

#endif
