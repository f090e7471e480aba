/*
 * Quorums of one to five voters in a small world: messages are late, lost and doubled, nodes crash
 * with the tail of their log and with what they were about to persist, links break. After every
 * event the invariants of a quorum are checked:
 *
 *  M1 one leader per epoch; M2 no node votes twice in an epoch, over crashes too; M3 logs that
 * agree in the epoch of an offset agree below it; M4 what was committed never changes; M10 two sets
 * of voters in a row differ by one. And at the end, when all trouble stops, somebody leads and
 * commits.
 *
 * In half of the worlds leaders add and remove voters, themselves too: by records, as the real ones
 * do (KIP-853). In half of these the first voters are those of settings, without directories, and
 * the first record names the same ones with them (kraft.version 0 to 1).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/quorum/quorum.h"

enum { NODES_MAX = 5, LOG_MAX = 512, PACKETS_MAX = 256, EPOCHS_MAX = 4096, SEEDS = 300 };

static const uint64_t ms = 1000000;

/* A fetch of the log, simplified: the driver's side of replication. */
enum packet_kind { PACKET_REQUEST, PACKET_ANSWER, PACKET_FETCH, PACKET_RECORDS };

struct packet {
    enum packet_kind kind;
    int from, to;
    uint64_t due_ns;
    struct quorum_message message;
    struct quorum_answer answer;
    /* FETCH and RECORDS */
    int32_t epoch;
    int32_t leader_id; /* that the answering node knows */
    int64_t offset;
    int32_t last_epoch;
    bool is_good; /* answered by the leader of the epoch */
    bool diverges;
    int32_t diverging_epoch;
    int64_t diverging_end;
    int64_t high_watermark;
    int32_t epochs[16]; /* of records from offset on */
    uint8_t sets[16];
    int count;
};

struct node {
    struct quorum quorum;
    bool runs;
    struct quorum_state disk;
    int32_t log[LOG_MAX];  /* epoch of each record */
    uint8_t sets[LOG_MAX]; /* the voters that it names, a bit each; 0: it names none */
    int64_t end, flushed;
    uint64_t persisted_due_ns; /* 0: nothing is being persisted */
    uint64_t flush_due_ns;     /* 0: nothing to flush */
    uint64_t fetch_due_ns;
    uint64_t restart_ns;
    int32_t voted_in[EPOCHS_MAX]; /* the candidate, 0: none; candidate + 1 */
    struct packet *queue[64];     /* requests that wait for the file */
    int queued;
};

struct world {
    struct random_stream random;
    uint64_t now_ns;
    int count;
    struct node nodes[NODES_MAX];
    struct packet *packets[PACKETS_MAX];
    int packet_count;
    bool cut[NODES_MAX][NODES_MAX];
    bool is_calm;
    uint8_t first_set; /* of voters, before any record names some */
    bool changes;      /* leaders change it */
    bool is_static;    /* before any record names some, they have no directories */
    uint64_t flush_ms, delay_ms, crash_every_ms, cut_every_ms; /* at most, on average */
    int32_t leader_of[EPOCHS_MAX];                             /* id + 1 */
    int32_t committed[LOG_MAX];                                /* epoch of each committed record */
    uint8_t committed_set;                                     /* of voters */
    int64_t committed_end;
    int elections;
    int changes_made; /* and committed */
    int upgrades;     /* likewise: the first record of a static world */
};

static uint64_t some_ms(struct world *world, uint64_t most)
{
    return (1 + random_below(&world->random, most)) * ms;
}

static int32_t last_epoch(const struct node *node)
{
    return node->end > 0 ? node->log[node->end - 1] : 0;
}

static void post(struct world *world, const struct packet *packet)
{
    if (world->packet_count == PACKETS_MAX)
        return;
    if (!world->is_calm && random_chance(&world->random, 1, 15))
        return;
    struct packet *copy = test_malloc(sizeof(*copy));
    *copy = *packet;
    copy->due_ns = world->now_ns + some_ms(world, world->is_calm ? 5 : world->delay_ms);
    world->packets[world->packet_count++] = copy;
    if (!world->is_calm && random_chance(&world->random, 1, 30))
        post(world, packet);
}

/* ---- Checks ---- */

static void check_leaders(struct world *world)
{
    for (int i = 0; i < world->count; i++) {
        const struct quorum *quorum = &world->nodes[i].quorum;
        if (!world->nodes[i].runs || quorum->role != QUORUM_LEADER || quorum->is_persisting)
            continue;
        int32_t *leader = &world->leader_of[quorum->epoch];
        world->elections += *leader == 0;
        assert_true(*leader == 0 || *leader == i + 1); /* M1 */
        *leader = i + 1;
    }
}

static void check_vote(struct node *node)
{
    const struct quorum_state *disk = &node->disk;
    if (disk->voted_id == QUORUM_NODE_NONE)
        return;
    int32_t *voted = &node->voted_in[disk->leader_epoch];
    assert_true(*voted == 0 || *voted == disk->voted_id + 1); /* M2 */
    *voted = disk->voted_id + 1;
}

static void check_change(struct world *world, uint8_t set)
{
    uint8_t changed = set ^ world->committed_set;
    world->upgrades += changed == 0 && world->is_static;
    assert_true(set != 0 && (changed & (changed - 1)) == 0); /* M10 */
    world->changes_made += changed != 0;
    world->committed_set = set;
}

static void check_committed(struct world *world, const struct node *node)
{
    for (int64_t i = 0; i < node->quorum.high_watermark; i++) {
        if (i < world->committed_end) {
            assert_int_equal(world->committed[i], node->log[i]); /* M4 */
            continue;
        }
        world->committed[world->committed_end++] = node->log[i];
        if (node->sets[i])
            check_change(world, node->sets[i]);
    }
}

static void check_logs(const struct world *world)
{
    for (int a = 0; a < world->count; a++) {
        for (int b = 0; b < a; b++) {
            const struct node *one = &world->nodes[a], *two = &world->nodes[b];
            int64_t end = one->end < two->end ? one->end : two->end;
            while (end > 0 && one->log[end - 1] != two->log[end - 1])
                end--;
            assert_memory_equal(one->log, two->log, (size_t)end * sizeof(int32_t)); /* M3 */
            assert_memory_equal(one->sets, two->sets, (size_t)end);
        }
    }
}

/* ---- A node's driver ---- */

static void deliver(struct world *world, int number, struct quorum_event *event,
                    const struct packet *request);

static struct uuid directory_of(int number)
{
    return uuid_of_halves((uint64_t)number + 1, 5);
}

/* Fills what the newest record of the log that names voters says. */
static void find_voters(const struct world *world, int number, struct quorum_event *event,
                        struct quorum_node *voters)
{
    const struct node *node = &world->nodes[number];
    uint8_t set = 0, before = 0;
    event->voters = voters;
    event->voters_offset = -1;
    for (int64_t i = 0; i < node->end; i++) {
        if (node->sets[i] == 0)
            continue;
        before = set ? set : world->first_set;
        set = node->sets[i];
        event->voters_offset = i;
    }
    if (set == 0)
        set = world->first_set;
    event->was_voter = before >> number & 1;
    event->voter_count = 0;
    bool is_static = world->is_static && event->voters_offset < 0;
    event->state_version = is_static ? 0 : 1;
    for (int i = 0; i < world->count; i++)
        if (set >> i & 1)
            voters[event->voter_count++] =
                (struct quorum_node){i, is_static ? UUID_ZERO : directory_of(i)};
}

/* Records came or went. */
static void tell_voters(struct world *world, int number)
{
    struct quorum_node voters[NODES_MAX];
    struct quorum_event event = {.kind = QUORUM_EVENT_VOTERS};
    find_voters(world, number, &event, voters);
    if (event.voters_offset != world->nodes[number].quorum.voters_offset)
        deliver(world, number, &event, NULL);
}

static void append(struct world *world, int number, uint8_t set)
{
    struct node *node = &world->nodes[number];
    if (node->end == LOG_MAX)
        return;
    node->sets[node->end] = set;
    node->log[node->end++] = node->quorum.epoch;
    node->flush_due_ns = world->now_ns + some_ms(world, world->flush_ms);
    struct quorum_event event = {
        .kind = QUORUM_EVENT_APPENDED, .offset = node->end, .epoch = node->quorum.epoch};
    deliver(world, number, &event, NULL);
    tell_voters(world, number);
}

/* Adds or removes a voter, perhaps the leader itself. */
static void change_voters(struct world *world, int number)
{
    const struct quorum *quorum = &world->nodes[number].quorum;
    uint8_t set = 0;
    for (uint32_t i = 0; i < quorum->voter_count; i++)
        set |= (uint8_t)(1 << quorum->voters[i].node.id);
    if (!world->is_static || quorum->voters_offset >= 0)
        set ^= (uint8_t)(1 << random_below(&world->random, (uint64_t)world->count));
    if (set != 0)
        append(world, number, set);
}

static void answer(struct world *world, int number, const struct quorum_answer *given,
                   const struct packet *request)
{
    struct packet packet = {
        .kind = PACKET_ANSWER, .from = number, .to = request->from, .answer = *given};
    packet.answer.from = number;
    packet.answer.is_pre_vote = request->message.is_pre_vote;
    packet.answer.asked_epoch = request->message.epoch;
    post(world, &packet);
}

static struct packet held_request[NODES_MAX]; /* whose answer waits for the file */

static void carry_out(struct world *world, int number, const struct quorum_effects *effects,
                      const struct packet *request)
{
    struct node *node = &world->nodes[number];
    assert_false(effects->conflict);
    if (effects->persist) {
        node->persisted_due_ns = world->now_ns + some_ms(world, 20);
        if (request)
            held_request[number] = *request;
    }
    if (effects->committed)
        check_committed(world, node);
    if (effects->has_answer)
        answer(world, number, &effects->answer, request ? request : &held_request[number]);
    for (uint32_t i = 0; effects->send && i < node->quorum.voter_count; i++) {
        struct packet packet = {
            .kind = PACKET_REQUEST, .from = number, .to = node->quorum.voters[i].node.id};
        if (quorum_message_to(&node->quorum, effects->send, i, &packet.message))
            post(world, &packet);
    }
    if (effects->append_change)
        append(world, number, 0);
}

static void deliver(struct world *world, int number, struct quorum_event *event,
                    const struct packet *request)
{
    struct node *node = &world->nodes[number];
    struct quorum_effects effects;
    event->now_ns = world->now_ns;
    quorum_step(&node->quorum, event, &effects);
    carry_out(world, number, &effects, request);
    check_leaders(world);
}

static void start(struct world *world, int number)
{
    struct node *node = &world->nodes[number];
    node->runs = true;
    node->restart_ns = 0;
    struct quorum_options options = {.self = {number, directory_of(number)},
                                     .election_timeout_ns = 300 * ms,
                                     .fetch_timeout_ns = 500 * ms,
                                     .backoff_max_ns = 200 * ms,
                                     .seed = random_u64(&world->random)};
    quorum_init(&node->quorum, &options);
    struct quorum_node voters[NODES_MAX];
    struct quorum_event event = {.kind = QUORUM_EVENT_STARTED};
    find_voters(world, number, &event, voters);
    event.started.file = node->disk;
    event.started.last_epoch = last_epoch(node);
    event.started.log_end = node->end;
    deliver(world, number, &event, NULL);
}

static void drop_queue(struct node *node)
{
    for (int i = 0; i < node->queued; i++)
        test_free(node->queue[i]);
    node->queued = 0;
}

/* Keeps what was flushed, any part of the rest, and the new state file or the old one. */
static void crash(struct world *world, int number)
{
    struct node *node = &world->nodes[number];
    node->runs = false;
    if (node->persisted_due_ns && random_chance(&world->random, 1, 2)) {
        node->disk = node->quorum.persisted;
        check_vote(node);
    }
    node->persisted_due_ns = node->flush_due_ns = 0;
    node->end = node->flushed +
                (int64_t)random_below(&world->random, (uint64_t)(node->end - node->flushed) + 1);
    node->flushed = node->end;
    drop_queue(node);
    node->restart_ns = world->now_ns + some_ms(world, 1000);
}

/* ---- Replication ---- */

static void ask_for_records(struct world *world, int number)
{
    struct node *node = &world->nodes[number];
    node->fetch_due_ns = world->now_ns + some_ms(world, 60);
    if (node->quorum.is_persisting || node->quorum.role == QUORUM_LEADER ||
        node->flushed < node->end)
        return;
    int to = node->quorum.role == QUORUM_FOLLOWER
                 ? node->quorum.leader_id
                 : (int)random_below(&world->random, (uint64_t)world->count);
    if (to == number)
        return;
    struct packet packet = {.kind = PACKET_FETCH,
                            .from = number,
                            .to = to,
                            .epoch = node->quorum.epoch,
                            .offset = node->end,
                            .last_epoch = last_epoch(node)};
    post(world, &packet);
}

static void serve_fetch(struct world *world, int number, const struct packet *fetch)
{
    struct node *node = &world->nodes[number];
    struct packet records = {.kind = PACKET_RECORDS,
                             .from = number,
                             .to = fetch->from,
                             .epoch = node->quorum.epoch,
                             .leader_id = node->quorum.leader_id,
                             .offset = fetch->offset,
                             .last_epoch = fetch->last_epoch,
                             .high_watermark = -1};
    records.is_good = node->quorum.role == QUORUM_LEADER && !node->quorum.is_persisting &&
                      fetch->epoch == node->quorum.epoch;
    if (records.is_good) {
        int64_t end = 0; /* of the largest epoch that is not above the asked one */
        int32_t found = 0;
        for (; end < node->end && node->log[end] <= fetch->last_epoch; end++)
            found = node->log[end];
        records.diverges = fetch->offset > 0 && (found != fetch->last_epoch || end < fetch->offset);
        records.diverging_epoch = found;
        records.diverging_end = end;
        records.high_watermark = node->quorum.high_watermark;
        for (int64_t i = fetch->offset; !records.diverges && i < node->end && records.count < 16;
             i++) {
            records.sets[records.count] = node->sets[i];
            records.epochs[records.count++] = node->log[i];
        }
        if (!records.diverges) {
            struct quorum_event event = {.kind = QUORUM_EVENT_FETCHED,
                                         .offset = fetch->offset,
                                         .node = {fetch->from, directory_of(fetch->from)}};
            deliver(world, number, &event, NULL);
        }
    }
    post(world, &records);
}

static void truncate_to(struct world *world, int number, int64_t end)
{
    struct node *node = &world->nodes[number];
    assert_true(end >= node->quorum.high_watermark);
    node->end = end;
    if (node->flushed > end)
        node->flushed = end;
    struct quorum_event event = {
        .kind = QUORUM_EVENT_CUT, .offset = end, .epoch = last_epoch(node)};
    deliver(world, number, &event, NULL);
    tell_voters(world, number);
}

static void take_records(struct world *world, int number, const struct packet *records)
{
    struct node *node = &world->nodes[number];
    if (node->quorum.is_persisting)
        return;
    struct quorum_event heard = {
        .kind = QUORUM_EVENT_HEARD, .epoch = records->epoch, .node = {.id = records->leader_id}};
    deliver(world, number, &heard, NULL);
    if (!records->is_good || node->quorum.is_persisting || node->quorum.role != QUORUM_FOLLOWER ||
        node->quorum.epoch != records->epoch || node->end != records->offset ||
        last_epoch(node) != records->last_epoch)
        return;
    if (records->diverges) {
        int64_t end = node->end;
        while (end > 0 && node->log[end - 1] > records->diverging_epoch)
            end--;
        bool same = end > 0 && node->log[end - 1] == records->diverging_epoch;
        truncate_to(world, number,
                    same && records->diverging_end < end ? records->diverging_end : end);
    }
    for (int i = 0; i < records->count && node->end < LOG_MAX; i++) {
        node->sets[node->end] = records->sets[i];
        node->log[node->end++] = records->epochs[i];
    }
    if (records->count > 0) {
        node->flush_due_ns = world->now_ns + some_ms(world, world->flush_ms);
        struct quorum_event event = {
            .kind = QUORUM_EVENT_APPENDED, .offset = node->end, .epoch = last_epoch(node)};
        deliver(world, number, &event, NULL);
        tell_voters(world, number);
    }
    struct quorum_event event = {.kind = QUORUM_EVENT_CONTACT,
                                 .epoch = records->epoch,
                                 .offset = records->diverges ? -1 : records->high_watermark};
    deliver(world, number, &event, NULL);
}

/* ---- The world's turn ---- */

static void handle(struct world *world, const struct packet *packet)
{
    struct node *node = &world->nodes[packet->to];
    struct quorum_event event = {.message = &packet->message, .answer = &packet->answer};
    switch (packet->kind) {
    case PACKET_REQUEST:
        event.kind = QUORUM_EVENT_REQUEST;
        deliver(world, packet->to, &event, packet);
        break;
    case PACKET_ANSWER:
        event.kind = QUORUM_EVENT_ANSWER;
        deliver(world, packet->to, &event, NULL);
        break;
    case PACKET_FETCH:
        serve_fetch(world, packet->to, packet);
        break;
    case PACKET_RECORDS:
        take_records(world, packet->to, packet);
        break;
    }
    (void)node;
}

static void arrive(struct world *world, struct packet *packet)
{
    struct node *node = &world->nodes[packet->to];
    if (!node->runs || world->cut[packet->from][packet->to]) {
        test_free(packet);
    } else if (node->quorum.is_persisting) {
        if (node->queued < 64)
            node->queue[node->queued++] = packet;
        else
            test_free(packet);
    } else {
        handle(world, packet);
        test_free(packet);
    }
}

static void persisted(struct world *world, int number)
{
    struct node *node = &world->nodes[number];
    node->persisted_due_ns = 0;
    node->disk = node->quorum.persisted;
    check_vote(node);
    struct quorum_event event = {.kind = QUORUM_EVENT_PERSISTED};
    deliver(world, number, &event, NULL);
    while (node->queued > 0 && !node->quorum.is_persisting) {
        struct packet *packet = node->queue[0];
        memmove(node->queue, node->queue + 1, (size_t)--node->queued * sizeof(node->queue[0]));
        handle(world, packet);
        test_free(packet);
    }
}

static void flushed(struct world *world, int number)
{
    struct node *node = &world->nodes[number];
    node->flush_due_ns = 0;
    node->flushed = node->end;
    struct quorum_event event = {.kind = QUORUM_EVENT_FLUSHED, .offset = node->end};
    deliver(world, number, &event, NULL);
}

static void run_node(struct world *world, int number)
{
    struct node *node = &world->nodes[number];
    if (!node->runs) {
        if (node->restart_ns && node->restart_ns <= world->now_ns)
            start(world, number);
        return;
    }
    if (node->persisted_due_ns && node->persisted_due_ns <= world->now_ns)
        persisted(world, number);
    if (node->flush_due_ns && node->flush_due_ns <= world->now_ns)
        flushed(world, number);
    if (quorum_deadline_ns(&node->quorum) <= world->now_ns) {
        struct quorum_event event = {.kind = QUORUM_EVENT_TIME};
        deliver(world, number, &event, NULL);
    }
    if (node->fetch_due_ns <= world->now_ns)
        ask_for_records(world, number);
    if (node->quorum.is_active && random_chance(&world->random, 1, 40))
        append(world, number, 0);
    if (world->changes && !world->is_calm && quorum_may_change_voters(&node->quorum) &&
        random_chance(&world->random, 1, 30))
        change_voters(world, number);
}

static void trouble(struct world *world)
{
    struct random_stream *random = &world->random;
    int a = (int)random_below(random, (uint64_t)world->count);
    int b = (int)random_below(random, (uint64_t)world->count);
    if (random_chance(random, 1, world->crash_every_ms) && world->nodes[a].runs)
        crash(world, a);
    if (random_chance(random, 1, world->cut_every_ms))
        world->cut[a][b] = !world->cut[a][b];
}

static void turn(struct world *world)
{
    world->now_ns += ms;
    for (int i = 0; i < world->packet_count; i++) {
        struct packet *packet = world->packets[i];
        if (packet->due_ns > world->now_ns)
            continue;
        world->packets[i--] = world->packets[--world->packet_count];
        arrive(world, packet);
    }
    for (int i = 0; i < world->count; i++)
        run_node(world, i);
    if (!world->is_calm)
        trouble(world);
}

static void run_seed(uint64_t seed, int *elections, int *changes, int *upgrades)
{
    static struct world world;
    world = (struct world){0};
    random_init(&world.random, seed, 77);
    world.count = 1 + (int)random_below(&world.random, NODES_MAX);
    world.flush_ms = random_chance(&world.random, 1, 2) ? 10 : 400;
    world.delay_ms = UINT64_C(1) << random_below(&world.random, 8);
    world.crash_every_ms = UINT64_C(60) << random_below(&world.random, 5);
    world.cut_every_ms = UINT64_C(60) << random_below(&world.random, 5);
    world.changes = random_chance(&world.random, 1, 2);
    world.is_static = !world.changes || random_chance(&world.random, 1, 2);
    int voters =
        world.changes ? 1 + (int)random_below(&world.random, (uint64_t)world.count) : world.count;
    world.first_set = world.committed_set = (uint8_t)((1 << voters) - 1);
    for (int i = 0; i < world.count; i++) {
        quorum_state_init(&world.nodes[i].disk, 1);
        start(&world, i);
    }
    for (int i = 0; i < 6000; i++)
        turn(&world);
    check_logs(&world);
    world.is_calm = true;
    memset(world.cut, 0, sizeof(world.cut));
    int64_t committed = world.committed_end;
    for (int i = 0; i < 8000; i++)
        turn(&world);
    check_logs(&world);
    assert_true(world.committed_end > committed || world.committed_end > LOG_MAX / 2);
    for (int i = 0; i < world.count; i++) {
        assert_true(world.nodes[i].runs);
        drop_queue(&world.nodes[i]);
    }
    for (int i = 0; i < world.packet_count; i++)
        test_free(world.packets[i]);
    *elections += world.elections;
    *changes += world.changes_made;
    *upgrades += world.upgrades;
}

static void quorums_keep_their_promises(void **state)
{
    (void)state;
    int elections = 0, changes = 0, upgrades = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed, &elections, &changes, &upgrades);
    /* The worlds must be rough enough to be worth it. */
    assert_true(elections > SEEDS * 2);
    assert_true(changes > SEEDS / 2);
    assert_true(upgrades > SEEDS / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(quorums_keep_their_promises)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
