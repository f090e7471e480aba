/* Conversions only; an IPv4 address mapped into IPv6 is told as IPv4. */
#include "runtime/posix/socket_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "runtime/posix/posix_stream.h"

struct address socket_address_of(const struct sockaddr_storage *from)
{
    struct address address = {0};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        address.family = 4;
        memcpy(address.bytes, &v4->sin_addr, 4);
        address.port = ntohs(v4->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
        address.family = mapped ? 4 : 6;
        memcpy(address.bytes, v6->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
        address.port = ntohs(v6->sin6_port);
    }
    return address;
}

void socket_addresses(int descriptor, struct address *local, struct address *peer)
{
    struct sockaddr_storage storage = {0};
    socklen_t size = sizeof(storage);
    if (getsockname(descriptor, (struct sockaddr *)&storage, &size) == 0)
        *local = socket_address_of(&storage);
    storage = (struct sockaddr_storage){0};
    size = sizeof(storage);
    if (peer && getpeername(descriptor, (struct sockaddr *)&storage, &size) == 0)
        *peer = socket_address_of(&storage);
}

bool socket_address_parse(const char *host, uint16_t port, struct sockaddr_storage *to,
                          socklen_t *size)
{
    *to = (struct sockaddr_storage){0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *size = sizeof(*v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *size = sizeof(*v6);
        return true;
    }
    return false;
}

enum transport_status transport_status_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return TRANSPORT_REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ETIMEDOUT:
        return TRANSPORT_UNREACHABLE;
    case EADDRINUSE:
        return TRANSPORT_IN_USE;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return TRANSPORT_BAD_ADDRESS;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return TRANSPORT_LIMIT;
    case EACCES:
    case EPERM:
        return TRANSPORT_DENIED;
    default:
        return TRANSPORT_RESET;
    }
}
