/*
 * What the broker knows about one API: how its messages are coded and who handles it.
 *
 * Each handler file (handlers/<api>.c) defines one row with API_ROW; api_table.c lists them. A row
 * is constant. Versions, names and listeners are not repeated here: they come from the schemas
 * (protocol/api_info.h). An API without a row is not served and not listed by ApiVersions.
 *
 * The functions of a row, in the order in which they run:
 *  - split, on the loop of the connection, with the decoded request: whole-request checks, then
 *    either answers at once (request_respond) or posts parts (request_post_part).
 *  - part, on the loop that owns what the part is about; ends with part_done, at once or later.
 *  - join, on the loop of the connection, when the last part is home or the deadline passed: builds
 *    the response from the parts that are home and calls request_respond.
 */
#ifndef KLAMM_BROKER_API_ROW_H
#define KLAMM_BROKER_API_ROW_H

#include "base/arena.h"
#include "protocol/api_info.h"
#include "protocol/message_writer.h"
#include "runtime/loop.h"

struct part;
struct request;

/* Where a request is worked on; documents the row, the functions carry it out. */
enum api_route {
    API_ROUTE_HERE,        /* on the connection's loop alone */
    API_ROUTE_PARTITION,   /* a part for each shard that owns one of its partitions */
    API_ROUTE_EVERY_SHARD, /* a part for every shard */
    API_ROUTE_CONTROL,     /* a part for the control loop of this node */
    API_ROUTE_CONTROLLER   /* a part for the active controller */
};

/* The generated codec of an API, with its types taken away. */
struct api_codec {
    size_t request_size; /* bytes of the decoded request struct */
    bool (*decode)(void *request, struct reader *in, int16_t version, struct arena *arena);
    size_t (*size)(const void *response, int16_t version);
    void (*encode)(const void *response, struct message_writer *out, int16_t version);
};

struct api_row {
    int16_t key;
    enum api_route route;
    /* Parts stay home after the answer until the handler returns them with part_return. */
    bool keeps_parts;
    struct api_codec codec;
    void (*split)(struct request *request);
    void (*part)(struct part *part, struct loop *at);
    void (*join)(struct request *request);
    /* Each part as it comes home, before join (may be NULL); may post the part again. */
    void (*arrived)(struct part *part);
    /*
     * The connection is gone or this node stops: end early what waits for something to happen (may
     * be NULL: then the request runs to its end). The answer is still due; without a connection it
     * will be dropped.
     */
    void (*abandon)(struct request *request);
    /* On the loop of the part, after part_return: gives back what the part took there. */
    void (*release)(struct part *part, struct loop *at);
};

/* Defines <name>_codec for the generated <name>_request and <name>_response. */
#define API_CODEC(name)                                                                            \
    static bool name##_decode_any(void *request, struct reader *in, int16_t version,               \
                                  struct arena *arena)                                             \
    {                                                                                              \
        return name##_request_decode(request, in, version, arena);                                 \
    }                                                                                              \
    static size_t name##_size_any(const void *response, int16_t version)                           \
    {                                                                                              \
        return name##_response_size(response, version);                                            \
    }                                                                                              \
    static void name##_encode_any(const void *response, struct message_writer *out,                \
                                  int16_t version)                                                 \
    {                                                                                              \
        name##_response_encode(response, out, version);                                            \
    }                                                                                              \
    extern const struct api_row api_row_##name

/* The first members of a row, behind API_CODEC(name). */
#define API_ROW(name, api_key)                                                                     \
    .key = (api_key), .codec = {                                                                   \
                          .request_size = sizeof(struct name##_request),                           \
                          .decode = name##_decode_any,                                             \
                          .size = name##_size_any,                                                 \
                          .encode = name##_encode_any,                                             \
    }

#endif
