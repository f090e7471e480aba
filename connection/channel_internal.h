/* What the files of this folder share about a channel. */
#ifndef KLAMM_CONNECTION_CHANNEL_INTERNAL_H
#define KLAMM_CONNECTION_CHANNEL_INTERNAL_H

#include "connection/channel.h"

enum channel_state {
    CHANNEL_IDLE,        /* no connection, and none wanted */
    CHANNEL_RESTING,     /* no connection before `timer` fires: the last one failed or ended */
    CHANNEL_CONNECTING,  /* `timer` ends it */
    CHANNEL_NEGOTIATING, /* ApiVersions is on its way; `timer` ends it */
    CHANNEL_READY,
};

/* Versions of one API that the peer serves; min > max: none. */
struct channel_version_range {
    int16_t min;
    int16_t max;
};

/* A place in the order of answers. */
struct channel_flight {
    struct channel_request *request; /* NULL: taken back */
    uint64_t deadline_ns;
    int32_t correlation_id;
};

struct channel {
    struct channel_options options; /* defaults filled in */
    char *host;                     /* NUL-terminated, host_size bytes with it */
    size_t host_size;
    struct stream stream;
    bool stream_open;
    enum channel_state state;
    uint32_t connection_count;      /* rises with each end of a connection */
    struct list waiting;            /* channel_request.link: not sent, in order */
    struct list ended;              /* channel_request.link: `done` is due */
    struct channel_flight *flights; /* [options.in_flight_max], a ring */
    uint32_t flight_first;
    uint32_t flight_count;
    int32_t next_correlation_id;
    struct deferred settle;
    struct timer timer;    /* the state's */
    struct timer deadline; /* set at or before the earliest deadline of a request */
    struct random_stream random;
    uint64_t backoff_ns;    /* after the next failure */
    uint64_t not_before_ns; /* no connecting until then */
    bool told_failure;      /* one line per outage */
    bool in_done;
    bool out_of_memory; /* no room for an answer: the connection ends in the deferred phase */
    /* Versions of the peer, by API key. */
    struct channel_version_range *versions;
    size_t version_count;
    int16_t negotiation_version;
    int32_t negotiation_id; /* correlation id of ApiVersions */
    /* Bytes of answers from the start of one on; NULL: none are there. */
    uint8_t *input;
    uint32_t input_capacity;
    uint32_t input_filled;
    bool expects_large; /* the answer before was large: room for the next is taken at once */
};

extern const struct stream_events channel_stream_events;

/*
 * Sends a request of the current connection, framed; takes nothing. False when the version cannot
 * carry the message.
 */
bool channel_write(struct channel *channel, const struct channel_call *call, const void *message,
                   int16_t version, int32_t correlation_id);
int32_t channel_take_correlation_id(struct channel *channel);
/* Asks for the peer's versions: the first request of a connection. */
void channel_negotiate(struct channel *channel, int16_t version);
/* Versions are known: requests may leave. */
void channel_ready(struct channel *channel);
/* The connection ends; `why` is for the log. For callbacks, which call channel_settle afterwards.
 */
void channel_connection_over(struct channel *channel, const char *why);
/* Puts a request that is in no list among the ended ones. */
void channel_end_request(struct channel *channel, struct channel_request *request,
                         enum channel_status status);
/* The last thing in every callback: tells the ended, sends the waiting, connects. */
void channel_settle(struct channel *channel);
void channel_drop_input(struct channel *channel);
/* The API's range, or an empty one. */
struct channel_version_range channel_versions_of(const struct channel *channel, int16_t api_key);

#endif
