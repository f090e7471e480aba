/*
 * The roles and the moves between them. A step applies its event to the state in memory; when the
 * file must say so first, what it would send or answer is held until PERSISTED.
 *
 * A sole voter wins at once: vote and leadership are persisted in one write, since nobody else
 * could be asked in between and a crash in between would only have cost an epoch.
 */
#include "cluster/quorum/quorum.h"

#include "base/assert.h"
#include "cluster/quorum/quorum_internal.h"

static const struct quorum_node nobody = {.id = QUORUM_NODE_NONE};

void quorum_init(struct quorum *quorum, const struct quorum_options *options)
{
    *quorum = (struct quorum){.options = *options,
                              .leader_id = QUORUM_NODE_NONE,
                              .voted = nobody,
                              .voters_offset = -1,
                              .deadline_ns = UINT64_MAX,
                              .begin_due_ns = UINT64_MAX};
    random_init(&quorum->random, options->seed, 1);
    quorum_state_init(&quorum->persisted, 1);
}

/* ---- Voters ---- */

bool quorum_same_node(struct quorum_node a, struct quorum_node b)
{
    return a.id == b.id && (uuid_is_zero(a.directory_id) || uuid_is_zero(b.directory_id) ||
                            uuid_equal(a.directory_id, b.directory_id));
}

struct quorum_voter *quorum_voter_of(struct quorum *quorum, struct quorum_node node)
{
    for (uint32_t i = 0; i < quorum->voter_count; i++)
        if (quorum_same_node(quorum->voters[i].node, node))
            return &quorum->voters[i];
    return NULL;
}

struct quorum_voter *quorum_voter_by_id(struct quorum *quorum, int32_t id)
{
    for (uint32_t i = 0; i < quorum->voter_count; i++)
        if (quorum->voters[i].node.id == id)
            return &quorum->voters[i];
    return NULL;
}

uint32_t quorum_majority(const struct quorum *quorum)
{
    return quorum->voter_count / 2 + 1;
}

bool quorum_is_voter(const struct quorum *quorum)
{
    for (uint32_t i = 0; i < quorum->voter_count; i++)
        if (quorum_same_node(quorum->voters[i].node, quorum->options.self))
            return true;
    return false;
}

bool quorum_has_others(const struct quorum *quorum)
{
    return quorum->voter_count > (quorum_is_voter(quorum) ? 1 : 0);
}

bool quorum_may_campaign(const struct quorum *quorum)
{
    bool is_leaving = quorum->was_voter && quorum->voters_offset >= quorum->high_watermark;
    return quorum_is_voter(quorum) || (is_leaving && quorum->voter_count > 0);
}

static bool is_sole_voter(const struct quorum *quorum)
{
    return quorum->voter_count == 1 && quorum_is_voter(quorum);
}

/* Takes a set; what is known of voters that stay is kept. */
static void set_voters(struct quorum *quorum, const struct quorum_event *event)
{
    const struct quorum_node *nodes = event->voters;
    uint32_t count = event->voter_count;
    klamm_assert(count <= QUORUM_VOTERS_MAX);
    quorum->voters_offset = event->voters_offset;
    quorum->was_voter = event->was_voter;
    struct quorum_voter before[QUORUM_VOTERS_MAX];
    uint32_t before_count = quorum->voter_count;
    for (uint32_t i = 0; i < before_count; i++)
        before[i] = quorum->voters[i];
    quorum->voter_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct quorum_voter *voter = &quorum->voters[i];
        *voter =
            (struct quorum_voter){.node = nodes[i], .fetch_offset = -1, .heard_ns = quorum->now_ns};
        for (uint32_t k = 0; k < before_count; k++)
            if (quorum_same_node(before[k].node, nodes[i]))
                *voter = before[k];
        voter->node = nodes[i];
    }
}

/* ---- Moves ---- */

void quorum_persist(struct quorum *quorum, struct quorum_effects *effects)
{
    quorum->persisted.leader_epoch = quorum->epoch;
    quorum->persisted.leader_id = quorum->leader_id;
    quorum->persisted.voted_id = quorum->voted.id;
    quorum->persisted.voted_directory_id = quorum->voted.directory_id;
    effects->persist = true;
}

void quorum_draw_election_timeout(struct quorum *quorum)
{
    uint64_t timeout_ns = quorum->options.election_timeout_ns;
    quorum->deadline_ns =
        quorum_may_campaign(quorum)
            ? quorum->now_ns + timeout_ns + random_below(&quorum->random, timeout_ns)
            : UINT64_MAX;
}

/* A node that led stops doing so, whatever comes next. */
static void stop_leading(struct quorum *quorum, struct quorum_effects *effects)
{
    if (quorum->role != QUORUM_LEADER)
        return;
    quorum->is_active = false;
    quorum->begin_due_ns = UINT64_MAX;
    effects->resigned = true;
}

static void set_epoch(struct quorum *quorum, int32_t epoch)
{
    klamm_assert(epoch >= quorum->epoch);
    if (epoch == quorum->epoch)
        return;
    quorum->epoch = epoch;
    quorum->voted = nobody;
    quorum->leader_id = QUORUM_NODE_NONE;
    quorum->has_fetched = false;
    quorum->told_watermark = quorum->high_watermark;
}

void quorum_become_unattached(struct quorum *quorum, int32_t epoch, struct quorum_effects *effects)
{
    bool had_election_timer = quorum->role != QUORUM_FOLLOWER && quorum->role != QUORUM_LEADER;
    klamm_assert(epoch > quorum->epoch);
    stop_leading(quorum, effects);
    set_epoch(quorum, epoch);
    quorum->role = QUORUM_UNATTACHED;
    if (!had_election_timer || quorum->deadline_ns == UINT64_MAX)
        quorum_draw_election_timeout(quorum);
    quorum_persist(quorum, effects);
}

static void open_votes(struct quorum *quorum)
{
    for (uint32_t i = 0; i < quorum->voter_count; i++)
        quorum->voters[i].vote = quorum_same_node(quorum->voters[i].node, quorum->options.self)
                                     ? QUORUM_VOTE_GRANTED
                                     : QUORUM_VOTE_OPEN;
}

void quorum_become_prospective(struct quorum *quorum, struct quorum_effects *effects)
{
    klamm_assert(quorum_may_campaign(quorum));
    klamm_assert(quorum->role != QUORUM_LEADER && quorum->role != QUORUM_RESIGNED);
    quorum->role = QUORUM_PROSPECTIVE;
    quorum_draw_election_timeout(quorum);
    open_votes(quorum);
    effects->send = QUORUM_MESSAGE_VOTE;
    quorum_vote_count(quorum, effects);
}

void quorum_become_candidate(struct quorum *quorum, struct quorum_effects *effects)
{
    klamm_assert(quorum->role == QUORUM_PROSPECTIVE || quorum->role == QUORUM_UNATTACHED);
    set_epoch(quorum, quorum->epoch + 1);
    quorum->role = QUORUM_CANDIDATE;
    quorum_draw_election_timeout(quorum);
    open_votes(quorum);
    if (is_sole_voter(quorum)) {
        quorum_become_leader(quorum, effects);
        return;
    }
    quorum->voted = quorum->options.self;
    quorum_persist(quorum, effects);
    effects->send = QUORUM_MESSAGE_VOTE;
}

void quorum_become_leader(struct quorum *quorum, struct quorum_effects *effects)
{
    klamm_assert(quorum->role == QUORUM_CANDIDATE);
    quorum->role = QUORUM_LEADER;
    quorum->leader_id = quorum->options.self.id;
    quorum->epoch_start_offset = quorum->log_end;
    quorum->deadline_ns = UINT64_MAX;
    quorum->begin_due_ns = quorum_has_others(quorum)
                               ? quorum->now_ns + quorum->options.fetch_timeout_ns / 2
                               : UINT64_MAX;
    for (uint32_t i = 0; i < quorum->voter_count; i++) {
        quorum->voters[i].fetch_offset = -1;
        quorum->voters[i].heard_ns = quorum->now_ns;
        quorum->voters[i].is_told = false;
    }
    quorum_persist(quorum, effects);
    effects->append_change = true;
    effects->send = quorum_has_others(quorum) ? QUORUM_MESSAGE_BEGIN_EPOCH : QUORUM_MESSAGE_NONE;
}

void quorum_become_follower(struct quorum *quorum, int32_t epoch, int32_t leader_id,
                            struct quorum_effects *effects)
{
    klamm_assert(leader_id != quorum->options.self.id && leader_id != QUORUM_NODE_NONE);
    stop_leading(quorum, effects);
    bool is_news = epoch != quorum->epoch || leader_id != quorum->leader_id;
    set_epoch(quorum, epoch);
    if (quorum->role != QUORUM_FOLLOWER)
        quorum->has_fetched = false; /* whoever campaigned has not heard of the leader for long */
    quorum->role = QUORUM_FOLLOWER;
    quorum->leader_id = leader_id;
    quorum->deadline_ns = quorum->now_ns + quorum->options.fetch_timeout_ns;
    if (is_news)
        quorum_persist(quorum, effects);
}

void quorum_become_resigned(struct quorum *quorum, struct quorum_effects *effects)
{
    klamm_assert(quorum->role == QUORUM_LEADER);
    stop_leading(quorum, effects);
    quorum->role = QUORUM_RESIGNED;
    quorum_draw_election_timeout(quorum);
    for (uint32_t i = 0; i < quorum->voter_count; i++)
        quorum->voters[i].is_told = false;
    if (quorum_has_others(quorum))
        effects->send = QUORUM_MESSAGE_END_EPOCH;
}

bool quorum_hear(struct quorum *quorum, int32_t epoch, int32_t leader_id,
                 struct quorum_effects *effects)
{
    if (epoch < quorum->epoch)
        return true;
    bool is_named = leader_id != QUORUM_NODE_NONE && leader_id != quorum->options.self.id;
    if (epoch > quorum->epoch) {
        if (is_named)
            quorum_become_follower(quorum, epoch, leader_id, effects);
        else
            quorum_become_unattached(quorum, epoch, effects);
        return true;
    }
    if (!is_named || leader_id == quorum->leader_id) {
        if (is_named && quorum->role == QUORUM_UNATTACHED)
            quorum_become_follower(quorum, epoch, leader_id, effects);
        return true;
    }
    if (quorum->leader_id != QUORUM_NODE_NONE) {
        effects->conflict = true;
        return false;
    }
    quorum_become_follower(quorum, epoch, leader_id, effects);
    return true;
}

/* ---- Events ---- */

/* What the file says holds; who led does not lead that epoch again (invariant 6). */
static void restore(struct quorum *quorum, const struct quorum_state *file,
                    struct quorum_effects *effects)
{
    quorum->epoch = file->leader_epoch;
    quorum->voted = (struct quorum_node){file->voted_id, file->voted_directory_id};
    bool led = file->leader_id == quorum->options.self.id;
    if (led && quorum_test_point(quorum, BUG_QUORUM_LEAD_AGAIN)) {
        quorum->role = QUORUM_CANDIDATE;
        quorum_become_leader(quorum, effects);
    } else if (led) {
        quorum->role = QUORUM_RESIGNED;
        quorum->leader_id = file->leader_id;
        quorum_draw_election_timeout(quorum);
    } else if (file->leader_id != QUORUM_NODE_NONE) {
        quorum->role = QUORUM_FOLLOWER;
        quorum->leader_id = file->leader_id;
        quorum->deadline_ns = quorum->now_ns + quorum->options.fetch_timeout_ns;
    } else if (quorum_same_node(quorum->voted, quorum->options.self) &&
               quorum_may_campaign(quorum)) {
        quorum->role = QUORUM_CANDIDATE;
        quorum_draw_election_timeout(quorum);
        open_votes(quorum);
    } else {
        quorum->role = QUORUM_UNATTACHED;
        quorum_draw_election_timeout(quorum);
    }
}

static void start(struct quorum *quorum, const struct quorum_event *event,
                  struct quorum_effects *effects)
{
    klamm_assert(!quorum->is_started);
    const struct quorum_state *file = &event->started.file;
    quorum->is_started = true;
    set_voters(quorum, event);
    quorum->log_end = event->started.log_end;
    quorum->flushed_end = event->started.log_end;
    quorum->last_epoch = event->started.last_epoch;
    quorum->high_watermark = event->started.snapshot_end;
    quorum->persisted = *file;
    quorum->epoch = file->leader_epoch;
    if (is_sole_voter(quorum)) {
        if (event->started.last_epoch > quorum->epoch)
            quorum->epoch = event->started.last_epoch;
        quorum_become_candidate(quorum, effects);
    } else if (file->leader_epoch < event->started.last_epoch) {
        quorum->role = QUORUM_UNATTACHED;
        quorum->epoch = event->started.last_epoch;
        quorum_draw_election_timeout(quorum);
        quorum_persist(quorum, effects);
    } else {
        restore(quorum, file, effects);
        if (quorum->role == QUORUM_CANDIDATE)
            effects->send = QUORUM_MESSAGE_VOTE;
    }
}

static void time_has_come(struct quorum *quorum, struct quorum_effects *effects)
{
    if (quorum->role == QUORUM_LEADER) {
        quorum_leader_time(quorum, effects);
        return;
    }
    if (quorum->now_ns < quorum->deadline_ns || quorum->is_stopping)
        return;
    if (quorum->role == QUORUM_RESIGNED) {
        quorum->deadline_ns = UINT64_MAX;
        quorum_become_unattached(quorum, quorum->epoch + 1, effects);
    } else if (!quorum_may_campaign(quorum)) {
        quorum->role = QUORUM_UNATTACHED; /* an observer asks around for the leader */
        quorum->deadline_ns = UINT64_MAX;
    } else if (quorum->role == QUORUM_PROSPECTIVE && quorum->leader_id != QUORUM_NODE_NONE) {
        quorum_become_follower(quorum, quorum->epoch, quorum->leader_id, effects);
    } else if (quorum->role == QUORUM_PROSPECTIVE) {
        quorum->role = QUORUM_UNATTACHED;
        quorum_draw_election_timeout(quorum);
    } else {
        quorum_become_prospective(quorum, effects);
    }
}

static void request(struct quorum *quorum, const struct quorum_message *message,
                    struct quorum_effects *effects)
{
    struct quorum_answer answer = {.kind = message->kind};
    effects->has_answer = true;
    if (message->from.id < 0) {
        answer.error = KAFKA_ERROR_INVALID_REQUEST;
    } else if (quorum->is_stopping) {
        answer.error = KAFKA_ERROR_BROKER_NOT_AVAILABLE;
    } else if (message->epoch < quorum->epoch) {
        answer.error = KAFKA_ERROR_FENCED_LEADER_EPOCH;
    } else {
        bool names_leader = message->kind != QUORUM_MESSAGE_VOTE;
        if (!quorum_hear(quorum, message->epoch, names_leader ? message->from.id : QUORUM_NODE_NONE,
                         effects))
            answer.error = KAFKA_ERROR_INVALID_REQUEST;
        else if (message->kind == QUORUM_MESSAGE_VOTE)
            quorum_vote_asked(quorum, message, &answer, effects);
        else if (message->to.id != QUORUM_NODE_NONE &&
                 !quorum_same_node(message->to, quorum->options.self))
            answer.error = KAFKA_ERROR_INVALID_VOTER_KEY;
        bool is_leader_s = names_leader && quorum->role == QUORUM_FOLLOWER &&
                           message->from.id == quorum->leader_id;
        if (is_leader_s && message->kind == QUORUM_MESSAGE_BEGIN_EPOCH)
            quorum->deadline_ns = quorum->now_ns + quorum->options.fetch_timeout_ns;
        if (is_leader_s && message->kind == QUORUM_MESSAGE_END_EPOCH &&
            quorum_may_campaign(quorum)) {
            quorum->deadline_ns = quorum->now_ns + quorum_end_backoff_ns(quorum, message);
            quorum->has_fetched = false; /* there is no leader to be loyal to */
        }
    }
    answer.epoch = quorum->epoch;
    answer.leader_id = quorum->leader_id;
    effects->answer = answer;
}

static void answered(struct quorum *quorum, const struct quorum_answer *answer,
                     struct quorum_effects *effects)
{
    if (answer->epoch < quorum->epoch)
        return;
    bool is_newer = answer->epoch > quorum->epoch;
    if (is_newer || answer->error == KAFKA_ERROR_NONE ||
        answer->error == KAFKA_ERROR_FENCED_LEADER_EPOCH)
        quorum_hear(quorum, answer->epoch, answer->leader_id, effects);
    if (is_newer)
        return;
    struct quorum_voter *voter = quorum_voter_by_id(quorum, answer->from);
    if (answer->kind == QUORUM_MESSAGE_VOTE)
        quorum_vote_answered(quorum, answer, effects);
    else if (voter && answer->error == KAFKA_ERROR_NONE)
        voter->is_told = true;
}

/* As far as the leader says that it is committed, and this log has it for good. */
static void follow_watermark(struct quorum *quorum, struct quorum_effects *effects)
{
    int64_t end =
        quorum->told_watermark < quorum->flushed_end ? quorum->told_watermark : quorum->flushed_end;
    if (quorum->role != QUORUM_FOLLOWER || end <= quorum->high_watermark)
        return;
    quorum->high_watermark = end;
    effects->committed = true;
}

static void contact(struct quorum *quorum, const struct quorum_event *event,
                    struct quorum_effects *effects)
{
    if (quorum->role != QUORUM_FOLLOWER || event->epoch != quorum->epoch)
        return;
    quorum->deadline_ns = quorum->now_ns + quorum->options.fetch_timeout_ns;
    quorum->has_fetched = true;
    quorum->told_watermark = event->offset < quorum->log_end ? event->offset : quorum->log_end;
    follow_watermark(quorum, effects);
}

static void resign(struct quorum *quorum, struct quorum_effects *effects)
{
    quorum->is_stopping = true;
    if (quorum->role == QUORUM_LEADER)
        quorum_become_resigned(quorum, effects);
    quorum->role = quorum->role == QUORUM_RESIGNED ? QUORUM_RESIGNED : QUORUM_UNATTACHED;
    quorum->deadline_ns = UINT64_MAX;
    quorum->held.append_change = false;
}

/* What waits for the file goes out when the file has it. */
static void hold(struct quorum *quorum, struct quorum_effects *effects)
{
    quorum->is_persisting = true;
    quorum->held.append_change = effects->append_change;
    quorum->held.send = effects->send;
    quorum->held.has_answer = effects->has_answer;
    quorum->held.answer = effects->answer;
    effects->append_change = effects->has_answer = false;
    effects->send = QUORUM_MESSAGE_NONE;
}

static void release(struct quorum *quorum, struct quorum_effects *effects)
{
    klamm_assert(quorum->is_persisting);
    quorum->is_persisting = false;
    effects->append_change = quorum->held.append_change;
    effects->send = quorum->held.send;
    effects->has_answer = quorum->held.has_answer;
    effects->answer = quorum->held.answer;
    quorum->held.append_change = quorum->held.has_answer = false;
    quorum->held.send = QUORUM_MESSAGE_NONE;
}

static bool is_of_the_log(enum quorum_event_kind kind)
{
    return kind == QUORUM_EVENT_APPENDED || kind == QUORUM_EVENT_FLUSHED ||
           kind == QUORUM_EVENT_CUT || kind == QUORUM_EVENT_REPLACED ||
           kind == QUORUM_EVENT_PERSISTED || kind == QUORUM_EVENT_RESIGN ||
           kind == QUORUM_EVENT_VOTERS;
}

static void flushed(struct quorum *quorum, const struct quorum_event *event,
                    struct quorum_effects *effects)
{
    klamm_assert(event->offset <= quorum->log_end);
    if (event->offset > quorum->flushed_end)
        quorum->flushed_end = event->offset;
    quorum_leader_advance(quorum, effects);
    follow_watermark(quorum, effects);
}

static void cut(struct quorum *quorum, const struct quorum_event *event)
{
    klamm_assert(event->offset >= quorum->high_watermark);
    quorum->log_end = event->offset;
    quorum->last_epoch = event->epoch;
    if (quorum->flushed_end > event->offset)
        quorum->flushed_end = event->offset;
    if (quorum->told_watermark > event->offset)
        quorum->told_watermark = event->offset;
}

static void replaced(struct quorum *quorum, const struct quorum_event *event,
                     struct quorum_effects *effects)
{
    klamm_assert(quorum->role != QUORUM_LEADER);
    klamm_assert(event->offset >= quorum->high_watermark);
    quorum->log_end = quorum->flushed_end = quorum->high_watermark = event->offset;
    quorum->last_epoch = event->epoch;
    effects->committed = true;
}

static void take(struct quorum *quorum, const struct quorum_event *event,
                 struct quorum_effects *effects)
{
    switch (event->kind) {
    case QUORUM_EVENT_STARTED:
        start(quorum, event, effects);
        break;
    case QUORUM_EVENT_TIME:
        time_has_come(quorum, effects);
        break;
    case QUORUM_EVENT_PERSISTED:
        release(quorum, effects);
        quorum_leader_advance(quorum, effects);
        break;
    case QUORUM_EVENT_APPENDED:
        klamm_assert(event->offset >= quorum->log_end);
        quorum->log_end = event->offset;
        quorum->last_epoch = event->epoch;
        break;
    case QUORUM_EVENT_FLUSHED:
        flushed(quorum, event, effects);
        break;
    case QUORUM_EVENT_CUT:
        cut(quorum, event);
        break;
    case QUORUM_EVENT_REPLACED:
        replaced(quorum, event, effects);
        break;
    case QUORUM_EVENT_RESIGN:
        resign(quorum, effects);
        break;
    case QUORUM_EVENT_VOTERS:
        set_voters(quorum, event);
        quorum->persisted.version = event->state_version;
        quorum_leader_voters(quorum, effects);
        break;
    case QUORUM_EVENT_REQUEST:
        request(quorum, event->message, effects);
        break;
    case QUORUM_EVENT_ANSWER:
        answered(quorum, event->answer, effects);
        break;
    case QUORUM_EVENT_FETCHED:
        quorum_leader_fetched(quorum, event->node, event->offset, effects);
        break;
    case QUORUM_EVENT_CONTACT:
        contact(quorum, event, effects);
        break;
    case QUORUM_EVENT_HEARD:
        quorum_hear(quorum, event->epoch, event->node.id, effects);
        break;
    }
}

void quorum_step(struct quorum *quorum, const struct quorum_event *event,
                 struct quorum_effects *effects)
{
    *effects = (struct quorum_effects){0};
    klamm_assert(!quorum->is_persisting || is_of_the_log(event->kind));
    if (event->now_ns > quorum->now_ns)
        quorum->now_ns = event->now_ns;
    take(quorum, event, effects);
    if (effects->persist)
        hold(quorum, effects);
    quorum_check(quorum);
}

uint64_t quorum_deadline_ns(const struct quorum *quorum)
{
    if (quorum->is_persisting || quorum->is_stopping)
        return UINT64_MAX;
    return quorum->role == QUORUM_LEADER ? quorum_leader_deadline_ns(quorum) : quorum->deadline_ns;
}

/* Voters in the order of what they hold, most first, for END_EPOCH. */
static void list_preferred(const struct quorum *quorum, struct quorum_message *message)
{
    bool is_listed[QUORUM_VOTERS_MAX] = {false};
    for (uint32_t n = 0; n < quorum->voter_count; n++) {
        uint32_t best = QUORUM_VOTERS_MAX;
        for (uint32_t i = 0; i < quorum->voter_count; i++) {
            if (is_listed[i] || quorum_same_node(quorum->voters[i].node, quorum->options.self))
                continue;
            if (best == QUORUM_VOTERS_MAX ||
                quorum->voters[i].fetch_offset > quorum->voters[best].fetch_offset)
                best = i;
        }
        if (best == QUORUM_VOTERS_MAX)
            return;
        is_listed[best] = true;
        message->preferred[message->preferred_count++] = quorum->voters[best].node;
    }
}

bool quorum_message_to(const struct quorum *quorum, enum quorum_message_kind kind, uint32_t voter,
                       struct quorum_message *message)
{
    const struct quorum_voter *to = &quorum->voters[voter];
    if (quorum_same_node(to->node, quorum->options.self))
        return false;
    *message = (struct quorum_message){
        .kind = kind, .from = quorum->options.self, .to = to->node, .epoch = quorum->epoch};
    switch (kind) {
    case QUORUM_MESSAGE_NONE:
        return false;
    case QUORUM_MESSAGE_VOTE:
        message->is_pre_vote = quorum->role == QUORUM_PROSPECTIVE;
        message->last_epoch = quorum->last_epoch;
        message->last_offset = quorum->log_end;
        return to->vote == QUORUM_VOTE_OPEN;
    case QUORUM_MESSAGE_BEGIN_EPOCH:
        return !to->is_told;
    case QUORUM_MESSAGE_END_EPOCH:
        list_preferred(quorum, message);
        return !to->is_told;
    }
    return false;
}

void quorum_check(const struct quorum *quorum)
{
    klamm_assert(quorum->high_watermark <= quorum->log_end);
    klamm_assert(quorum->flushed_end <= quorum->log_end);
    klamm_assert(quorum->last_epoch <= quorum->epoch || !quorum->is_started);
    klamm_assert(!quorum->is_active || quorum->role == QUORUM_LEADER);
    klamm_assert(quorum->role != QUORUM_LEADER || quorum->leader_id == quorum->options.self.id);
    klamm_assert(quorum->role != QUORUM_FOLLOWER || (quorum->leader_id != QUORUM_NODE_NONE &&
                                                     quorum->leader_id != quorum->options.self.id));
    klamm_assert(!quorum->is_started || quorum->epoch == quorum->persisted.leader_epoch);
}
