/* The transport seam's plain parts: calls through the table, and addresses as text. */
#include "runtime/transport.h"

#include <stdio.h>

#include "base/assert.h"

const char *transport_status_text(enum transport_status status)
{
    switch (status) {
    case TRANSPORT_OK:
        return "ok";
    case TRANSPORT_CLOSED:
        return "closed";
    case TRANSPORT_RESET:
        return "connection reset";
    case TRANSPORT_REFUSED:
        return "connection refused";
    case TRANSPORT_UNREACHABLE:
        return "not reachable";
    case TRANSPORT_IN_USE:
        return "address in use";
    case TRANSPORT_BAD_ADDRESS:
        return "bad address";
    case TRANSPORT_LIMIT:
        return "too many open connections";
    case TRANSPORT_DENIED:
        return "permission denied";
    case TRANSPORT_SHORT_FILE:
        return "file shorter than promised";
    }
    klamm_unreachable("transport status");
}

struct span {
    unsigned start, end; /* groups */
};

/* The longest run of zero groups of an IPv6 address; start == end when no run is longer than 1. */
static struct span longest_zero_run(const uint16_t groups[8])
{
    struct span best = {0, 0};
    for (unsigned i = 0; i < 8;) {
        unsigned end = i;
        while (end < 8 && groups[end] == 0)
            end++;
        if (end - i > 1 && end - i > best.end - best.start)
            best = (struct span){i, end};
        i = end == i ? i + 1 : end;
    }
    return best;
}

/* The canonical text of RFC 5952, without brackets. */
static int format_ipv6(const uint8_t bytes[16], char *text, size_t capacity)
{
    uint16_t groups[8];
    for (unsigned i = 0; i < 8; i++)
        groups[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    struct span zeros = longest_zero_run(groups);
    int used = 0;
    for (unsigned i = 0; i < 8 && (size_t)used < capacity; i++) {
        const char *before = i == 0 || i == zeros.end ? "" : ":";
        if (zeros.end > zeros.start && i == zeros.start) {
            used += snprintf(text + used, capacity - (size_t)used, "::");
            i = zeros.end - 1;
            continue;
        }
        used += snprintf(text + used, capacity - (size_t)used, "%s%x", before, groups[i]);
    }
    return used;
}

const char *address_format(const struct address *address, char *text, size_t capacity)
{
    const uint8_t *b = address->bytes;
    if (address->family == 4) {
        snprintf(text, capacity, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3], address->port);
    } else if (address->family == 6) {
        char inner[ADDRESS_TEXT_SIZE];
        format_ipv6(b, inner, sizeof(inner));
        snprintf(text, capacity, "[%s]:%u", inner, address->port);
    } else {
        snprintf(text, capacity, "none");
    }
    return text;
}

enum transport_status transport_listen(struct transport transport, struct listener *listener,
                                       const char *host, uint16_t port, int backlog)
{
    klamm_assert(listener->events != NULL);
    return transport.ops->listen(transport.self, listener, host, port, backlog);
}

void transport_unlisten(struct transport transport, struct listener *listener)
{
    transport.ops->unlisten(transport.self, listener);
}

enum transport_status transport_adopt(struct transport transport, struct stream *stream,
                                      const struct accepted_stream *accepted)
{
    klamm_assert(stream->events != NULL);
    return transport.ops->adopt(transport.self, stream, accepted);
}

void transport_drop(struct transport transport, const struct accepted_stream *accepted)
{
    transport.ops->drop(transport.self, accepted);
}

enum transport_status transport_connect(struct transport transport, struct stream *stream,
                                        const char *host, uint16_t port)
{
    klamm_assert(stream->events != NULL);
    return transport.ops->connect(transport.self, stream, host, port);
}

void stream_send(struct transport transport, struct stream *stream, struct stream_send *send)
{
    klamm_assert(send->done != NULL);
    transport.ops->send(transport.self, stream, send);
}

void stream_set_reading(struct transport transport, struct stream *stream, bool on)
{
    transport.ops->set_reading(transport.self, stream, on);
}

void stream_close(struct transport transport, struct stream *stream, bool reset)
{
    transport.ops->close(transport.self, stream, reset);
}
