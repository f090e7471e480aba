/* Roles live here, outside of all nodes. */
#include "tests/sim/transaction_load.h"

#include <stdio.h>

static void start_client(struct transaction_load *load, struct transaction_role *role)
{
    role->history = &load->history;
    role->links = load->links;
    unsigned node = sim_add_node(
        load->sim,
        &(struct sim_node_spec){.loops = 1, .boot = transaction_client_boot, .argument = role});
    sim_start(load->sim, node);
}

static void add_client(struct transaction_load *load, enum transaction_role_kind kind, unsigned id,
                       bool is_newer)
{
    struct random_stream *random = load->random;
    unsigned number = load->client_count++;
    struct transaction_role *role = &load->clients[number];
    *role = (struct transaction_role){.kind = kind,
                                      .client = number,
                                      .id = id,
                                      .is_newer = is_newer,
                                      .timeout_ms = 300 + (int32_t)random_below(random, 3000),
                                      .pace_ns = UINT64_C(1000000) << random_below(random, 6)};
    start_client(load, role);
}

static void add_reader(struct transaction_load *load, unsigned place, bool notes)
{
    struct transaction_role *role = &load->clients[TRANSACTION_CLIENTS + place];
    *role = (struct transaction_role){.kind = TRANSACTION_READER, .notes = notes};
    start_client(load, role);
}

void transaction_load_init(struct transaction_load *load, struct sim *sim,
                           struct random_stream *random, const struct cluster_client_options *links)
{
    *load = (struct transaction_load){.sim = sim, .random = random, .links = *links};
    load->links.second_topic = transaction_topic(TRANSACTION_COPY);
    transaction_history_init(&load->history, sim);
    unsigned ids = 1 + (unsigned)random_below(random, TRANSACTION_IDS - 1);
    for (unsigned id = 0; id < ids; id++) {
        bool is_newer = random_chance(random, 1, 2);
        add_client(load, TRANSACTION_PRODUCER, id, is_newer);
        if (random_chance(random, 1, 4)) /* a second one, each a zombie of the other */
            add_client(load, TRANSACTION_PRODUCER, id, is_newer);
    }
    bool is_newer = random_chance(random, 1, 2);
    add_client(load, TRANSACTION_COPIER, TRANSACTION_IDS - 1, is_newer);
    if (random_chance(random, 1, 4))
        add_client(load, TRANSACTION_COPIER, TRANSACTION_IDS - 1, is_newer);
    add_reader(load, 0, false);
}

void transaction_load_deinit(struct transaction_load *load)
{
    transaction_history_deinit(&load->history);
}

void transaction_load_pause(struct transaction_load *load)
{
    for (unsigned i = 0; i < load->client_count; i++) {
        struct transaction_role *role = &load->clients[i];
        role->pauses = true;
        /* Two with one id would fence each other for ever: the second one goes. */
        role->is_retired = i > 0 && role->id == load->clients[i - 1].id;
    }
}

void transaction_load_heal(struct transaction_load *load)
{
    load->rounds = load->clients[TRANSACTION_CLIENTS].rounds;
}

/* A copier has come to the end when it stands where the reader stands. */
bool transaction_load_is_quiet(const struct transaction_load *load)
{
    const struct transaction_role *reader = &load->clients[TRANSACTION_CLIENTS];
    for (unsigned i = 0; i < load->client_count; i++) {
        const struct transaction_role *role = &load->clients[i];
        bool lags = role->kind == TRANSACTION_COPIER && !role->is_retired &&
                    role->positions[0] < reader->positions[0];
        if (!role->is_idle || lags)
            return false;
    }
    /* Two whole rounds of the reader without anything new: nothing is held back any more. */
    return reader->rounds >= load->rounds + 2;
}

void transaction_load_require_stable(const struct transaction_load *load)
{
    const struct transaction_role *reader = &load->clients[TRANSACTION_CLIENTS];
    for (int i = 0; i < TRANSACTION_PARTITIONS; i++)
        sim_require(load->sim, reader->positions[i] == reader->stable[i],
                    "partition %d is read up to %lld and stable up to %lld", i,
                    (long long)reader->positions[i], (long long)reader->stable[i]);
}

void transaction_load_read(struct transaction_load *load)
{
    add_reader(load, 1, true);
}

bool transaction_load_has_read(const struct transaction_load *load)
{
    return load->clients[TRANSACTION_CLIENTS + 1].rounds >= 1;
}

void transaction_load_print(const struct transaction_load *load)
{
    fprintf(stderr,
            "%llu committed, %llu aborted, %llu unknown at some time, %llu fenced, %llu doubtful\n",
            (unsigned long long)load->history.commits, (unsigned long long)load->history.aborts,
            (unsigned long long)load->history.unknown, (unsigned long long)load->history.fenced,
            (unsigned long long)load->history.doubtful);
}
