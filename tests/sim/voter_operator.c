/* One connection at a time: to the controller that is asked. */
#include "tests/sim/voter_operator.h"

#include <stdio.h>

#include "base/random.h"

enum { CONTROLLER_PORT = 9093, TRIES = 40, REQUEST_MAX = 128 };

static const uint64_t ms = UINT64_C(1000000);

enum wish {
    WISH_NONE, /* everything was answered */
    WISH_ADDITION,
    WISH_REMOVAL,
    WISH_RAISE, /* of kraft.version */
};

struct voter_operator {
    struct voter_operator_role *role;
    struct loop *loop;
    struct random_stream random;
    struct kafka_client client;
    char host[16];
    struct timer tick;
    enum wish wish;
    unsigned voter;
    struct uuid directory_id; /* of it */
    bool is_replacement;
    bool was_there; /* the new directory of a replacement, or the old one still */
    unsigned tries; /* left of it */
};

/* ---- Requests ---- */

static void write_uuid(struct writer *body, struct uuid id)
{
    write_bytes(body, id.bytes, sizeof(id.bytes));
}

static void send_addition(struct voter_operator *self)
{
    uint8_t memory[REQUEST_MAX];
    char host[16];
    struct writer body = writer_of(memory, sizeof(memory));
    snprintf(host, sizeof(host), "node-%u", self->voter);
    kafka_write_compact(&body, NULL); /* any cluster */
    write_i32(&body, 2000);
    write_i32(&body, (int32_t)self->voter);
    write_uuid(&body, self->directory_id);
    write_u8(&body, 2); /* one listener */
    kafka_write_compact(&body, "CONTROLLER");
    kafka_write_compact(&body, host);
    write_i16(&body, CONTROLLER_PORT);
    write_u8(&body, 0);
    write_u8(&body, random_chance(&self->random, 3, 4)); /* answer when it is committed */
    write_u8(&body, 0);
    kafka_client_send_flexible(&self->client, KAFKA_ADD_RAFT_VOTER, 1, &body, NULL);
}

static void send_removal(struct voter_operator *self)
{
    uint8_t memory[REQUEST_MAX];
    struct writer body = writer_of(memory, sizeof(memory));
    kafka_write_compact(&body, NULL);
    write_i32(&body, (int32_t)self->voter);
    write_uuid(&body, self->directory_id);
    write_u8(&body, 0);
    kafka_client_send_flexible(&self->client, KAFKA_REMOVE_RAFT_VOTER, 0, &body, NULL);
}

static void send_raise(struct voter_operator *self)
{
    uint8_t memory[REQUEST_MAX];
    struct writer body = writer_of(memory, sizeof(memory));
    write_i32(&body, 2000);
    write_u8(&body, 2); /* one feature */
    kafka_write_compact(&body, "kraft.version");
    write_i16(&body, 1);
    write_u8(&body, 1); /* an upgrade */
    write_u8(&body, 0);
    write_u8(&body, 0); /* not only to try */
    write_u8(&body, 0);
    kafka_client_send_flexible(&self->client, KAFKA_UPDATE_FEATURES, 1, &body, NULL);
}

/* The next step of the replacement that is under way; false: there is none. */
static bool wish_replacement(struct voter_operator *self)
{
    const struct voter_replacement *replacement = self->role->replacement;
    if (replacement->step == REPLACEMENT_NONE)
        return false;
    self->is_replacement = true;
    self->voter = replacement->node;
    if (replacement->step == REPLACEMENT_REMOVAL) {
        self->wish = WISH_REMOVAL;
        self->directory_id = replacement->old_id;
    } else if (replacement->step == REPLACEMENT_ADDITION) {
        self->directory_id = self->role->directory_ids[self->voter];
        if (!uuid_equal(self->directory_id, replacement->old_id))
            self->wish = WISH_ADDITION;
    }
    return true;
}

static void draw_wish(struct voter_operator *self)
{
    const struct voter_operator_role *role = self->role;
    bool is_first = role->raises && !role->is_raised;
    self->tries = TRIES;
    self->wish = WISH_NONE;
    self->is_replacement = false;
    if (wish_replacement(self) || *role->is_held)
        return;
    if (role->pauses && !(is_first && role->must_raise))
        return;
    self->voter = (unsigned)random_below(&self->random, role->count);
    self->directory_id = role->directory_ids[self->voter];
    if (is_first && (role->must_raise || random_chance(&self->random, 7, 8)))
        self->wish = WISH_RAISE;
    else if (!uuid_is_zero(self->directory_id))
        self->wish = random_chance(&self->random, 2, 3) ? WISH_ADDITION : WISH_REMOVAL;
}

/* Asks somebody, who may not be the one that leads. */
static void ask(struct voter_operator *self)
{
    unsigned node = (unsigned)random_below(&self->random, self->role->count);
    snprintf(self->host, sizeof(self->host), "node-%u", node);
    kafka_client_connect(&self->client);
}

static void rest(struct voter_operator *self, uint64_t most_ns)
{
    loop_set_timer(self->loop, &self->tick, ms + random_below(&self->random, most_ns));
}

/* ---- Events ---- */

static void connected(struct kafka_client *client)
{
    struct voter_operator *self = container_of(client, struct voter_operator, client);
    switch (self->wish) {
    case WISH_ADDITION:
        send_addition(self);
        break;
    case WISH_REMOVAL:
        send_removal(self);
        break;
    case WISH_RAISE:
        send_raise(self);
        break;
    case WISH_NONE:
        break;
    }
}

/* Who is asked does not lead. */
static bool is_elsewhere(int16_t error)
{
    return error == 6 || error == 41; /* NOT_LEADER_OR_FOLLOWER, NOT_CONTROLLER */
}

static bool is_expected(const struct voter_operator *self, int16_t error)
{
    bool is_raise = self->wish == WISH_RAISE;
    switch (error) {
    case 35: /* UNSUPPORTED_VERSION: the voters are still those of the settings, there */
        return self->role->raises && !is_raise;
    case 41: /* NOT_CONTROLLER */
    case 95: /* INVALID_UPDATE_VERSION: a voter was not heard */
        return is_raise;
    case 0:
    case 6:   /* NOT_LEADER_OR_FOLLOWER */
    case 7:   /* REQUEST_TIMED_OUT */
    case 8:   /* BROKER_NOT_AVAILABLE: it stops */
    case 42:  /* INVALID_REQUEST: the last voter */
    case 56:  /* KAFKA_STORAGE_ERROR */
    case 126: /* DUPLICATE_VOTER */
    case 127: /* VOTER_NOT_FOUND */
        return true;
    default:
        return false;
    }
}

/*
 * An old directory may be said to be away by who does not know better: then the new one cannot be
 * added, and it is removed once more.
 */
static void take_replacement_step(struct voter_operator *self, int16_t error)
{
    struct voter_replacement *replacement = self->role->replacement;
    enum replacement_step asked =
        self->wish == WISH_REMOVAL ? REPLACEMENT_REMOVAL : REPLACEMENT_ADDITION;
    if (replacement->step != asked || replacement->node != self->voter)
        return;                                /* given up */
    bool is_away = error == 0 || error == 127; /* VOTER_NOT_FOUND */
    if (self->wish == WISH_REMOVAL && is_away && self->was_there && error == 127)
        replacement->step = REPLACEMENT_NONE; /* the one that is there is the new one */
    else if (self->wish == WISH_REMOVAL && is_away)
        replacement->step = replacement->is_lost ? REPLACEMENT_ADDITION : REPLACEMENT_REMOVED;
    else if (self->wish == WISH_REMOVAL && error == 42 && !replacement->is_lost)
        replacement->step = REPLACEMENT_NONE; /* the last voter keeps its disk */
    else if (self->wish == WISH_ADDITION && error == 0)
        replacement->step = REPLACEMENT_NONE;
    else if (self->wish == WISH_ADDITION && error == 126) /* DUPLICATE_VOTER */
        replacement->step = REPLACEMENT_REMOVAL;
    self->was_there = self->wish == WISH_ADDITION && error == 126;
    replacement->done += replacement->step == REPLACEMENT_NONE && replacement->is_lost;
}

static void answered(struct kafka_client *client, enum kafka_api api, void *context,
                     struct reader *body)
{
    struct voter_operator *self = container_of(client, struct voter_operator, client);
    (void)context;
    read_i32(body); /* throttle */
    int16_t error = read_i16(body);
    sim_require(sim_of(self->loop), !body->failed && is_expected(self, error),
                "%s answers API %d with error %d", self->host, (int)api, error);
    kafka_client_drop(client);
    self->role->added += error == 0 && self->wish == WISH_ADDITION;
    self->role->removed += error == 0 && self->wish == WISH_REMOVAL;
    self->role->is_raised |= error == 0 && self->wish == WISH_RAISE;
    if (self->is_replacement && !is_elsewhere(error))
        take_replacement_step(self, error);
    if (!is_elsewhere(error) || --self->tries == 0)
        self->wish = WISH_NONE;
    rest(self, self->wish != WISH_NONE ? 20 * ms : self->role->pace_ns);
}

/* Whether it was done nobody knows. */
static void broken(struct kafka_client *client)
{
    struct voter_operator *self = container_of(client, struct voter_operator, client);
    if (self->wish != WISH_NONE && --self->tries == 0)
        self->wish = WISH_NONE;
    rest(self, self->wish != WISH_NONE ? 20 * ms : self->role->pace_ns);
}

static void on_tick(struct timer *timer)
{
    struct voter_operator *self = container_of(timer, struct voter_operator, tick);
    if (self->wish == WISH_NONE)
        draw_wish(self);
    if (self->wish != WISH_NONE)
        ask(self);
    else
        rest(self, self->role->pace_ns);
}

static const struct kafka_client_events client_events = {connected, answered, broken};

void voter_operator_boot(struct loop *loop, void *argument)
{
    struct voter_operator *self = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*self));
    *self = (struct voter_operator){.role = argument, .loop = loop};
    random_init(&self->random, loop_random_seed(loop, 9), 1);
    kafka_client_init(&self->client, loop, &client_events, self->host, CONTROLLER_PORT);
    self->client.answer_limit_ns = 5000 * ms;
    timer_init(&self->tick, on_tick);
    rest(self, self->role->pace_ns);
}
