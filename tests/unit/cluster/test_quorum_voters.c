/* The quorum of several voters: votes and pre-votes by role, commits, check-quorum, resignation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/quorum/quorum.h"

enum { SELF = 1, OTHER = 2, THIRD = 3, ELECTION_NS = 1000, FETCH_NS = 2000 };

struct node {
    struct quorum quorum;
    struct quorum_effects effects;
};

static void give(struct node *node, struct quorum_event event)
{
    quorum_step(&node->quorum, &event, &node->effects);
}

static void persisted(struct node *node)
{
    give(node, (struct quorum_event){.kind = QUORUM_EVENT_PERSISTED});
}

/* A voter of three with a log of ten records, the last of epoch 4, in epoch 5. */
static void start(struct node *node, int32_t leader_id, int32_t voted_id)
{
    struct quorum_options options = {.self = {.id = SELF},
                                     .election_timeout_ns = ELECTION_NS,
                                     .fetch_timeout_ns = FETCH_NS,
                                     .backoff_max_ns = 800,
                                     .seed = 1};
    static const struct quorum_node voters[] = {{.id = SELF}, {.id = OTHER}, {.id = THIRD}};
    quorum_init(&node->quorum, &options);
    struct quorum_event event = {.kind = QUORUM_EVENT_STARTED, .voters = voters, .voter_count = 3};
    quorum_state_init(&event.started.file, 1);
    event.voters_offset = -1;
    event.started.file.leader_epoch = 5;
    event.started.file.leader_id = leader_id;
    event.started.file.voted_id = voted_id;
    event.started.last_epoch = 4;
    event.started.log_end = 10;
    event.started.snapshot_end = 3;
    give(node, event);
}

static void at(struct node *node, uint64_t now_ns)
{
    give(node, (struct quorum_event){.kind = QUORUM_EVENT_TIME, .now_ns = now_ns});
}

static struct quorum_answer ask(struct node *node, struct quorum_message message)
{
    message.to.id = SELF;
    give(node, (struct quorum_event){.kind = QUORUM_EVENT_REQUEST, .message = &message});
    if (node->effects.persist) {
        assert_false(node->effects.has_answer);
        persisted(node);
    }
    assert_true(node->effects.has_answer);
    return node->effects.answer;
}

static struct quorum_message vote(int32_t from, int32_t epoch, int32_t last_epoch, int64_t end)
{
    return (struct quorum_message){.kind = QUORUM_MESSAGE_VOTE,
                                   .from = {.id = from},
                                   .epoch = epoch,
                                   .last_epoch = last_epoch,
                                   .last_offset = end};
}

static void grant(struct node *node, int32_t from, bool is_pre_vote)
{
    struct quorum_answer answer = {.kind = QUORUM_MESSAGE_VOTE,
                                   .from = from,
                                   .epoch = node->quorum.epoch,
                                   .leader_id = QUORUM_NODE_NONE,
                                   .is_granted = true,
                                   .is_pre_vote = is_pre_vote,
                                   .asked_epoch = node->quorum.epoch};
    give(node, (struct quorum_event){.kind = QUORUM_EVENT_ANSWER, .answer = &answer});
}

/* Wins epoch 6; its LEADER_CHANGE is record 10, not flushed yet. */
static void win(struct node *node)
{
    start(node, QUORUM_NODE_NONE, QUORUM_NODE_NONE);
    at(node, node->quorum.deadline_ns);
    assert_int_equal(node->quorum.role, QUORUM_PROSPECTIVE);
    grant(node, OTHER, true);
    assert_true(node->effects.persist);
    assert_int_equal(node->effects.send, QUORUM_MESSAGE_NONE);
    persisted(node);
    assert_int_equal(node->effects.send, QUORUM_MESSAGE_VOTE);
    grant(node, THIRD, false);
    assert_int_equal(node->quorum.role, QUORUM_LEADER);
    persisted(node);
    assert_true(node->effects.append_change);
    give(node, (struct quorum_event){.kind = QUORUM_EVENT_APPENDED, .offset = 11, .epoch = 6});
}

static void fetched(struct node *node, int32_t from, int64_t offset, uint64_t now_ns)
{
    give(node, (struct quorum_event){.kind = QUORUM_EVENT_FETCHED,
                                     .node = {.id = from},
                                     .offset = offset,
                                     .now_ns = now_ns});
}

/* ---- Votes ---- */

static void a_vote_goes_to_the_longer_log_once(void **state)
{
    (void)state;
    static const struct {
        int32_t epoch, last_epoch;
        int64_t end;
        bool is_granted;
    } cases[] = {
        {6, 4, 10, true}, {6, 4, 11, true}, {6, 5, 1, true}, {6, 4, 9, false}, {6, 3, 99, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct node node;
        start(&node, QUORUM_NODE_NONE, QUORUM_NODE_NONE);
        struct quorum_answer answer =
            ask(&node, vote(OTHER, cases[i].epoch, cases[i].last_epoch, cases[i].end));
        assert_int_equal(answer.error, KAFKA_ERROR_NONE);
        assert_int_equal(answer.is_granted, cases[i].is_granted);
        assert_int_equal(node.quorum.persisted.voted_id,
                         cases[i].is_granted ? OTHER : QUORUM_NODE_NONE);
        /* Another candidate of the epoch gets it only when the first did not. */
        assert_int_equal(ask(&node, vote(THIRD, 6, 5, 50)).is_granted, !cases[i].is_granted);
        assert_int_equal(ask(&node, vote(OTHER, 6, 5, 50)).is_granted, cases[i].is_granted);
    }
}

static void a_vote_that_the_file_knows_is_not_given_again(void **state)
{
    (void)state;
    struct node node;
    start(&node, QUORUM_NODE_NONE, OTHER);
    assert_false(ask(&node, vote(THIRD, 5, 4, 20)).is_granted);
    assert_true(ask(&node, vote(OTHER, 5, 4, 20)).is_granted);
}

static void malformed_and_stale_questions_are_refused(void **state)
{
    (void)state;
    struct node node;
    start(&node, QUORUM_NODE_NONE, QUORUM_NODE_NONE);
    assert_int_equal(ask(&node, vote(OTHER, 4, 3, 20)).error, KAFKA_ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(ask(&node, vote(OTHER, 6, 6, 20)).error, KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(ask(&node, vote(-3, 6, 4, 20)).error, KAFKA_ERROR_INVALID_REQUEST);
    struct quorum_message message = vote(OTHER, 7, 4, 20);
    message.to = (struct quorum_node){.id = THIRD};
    struct quorum_event event = {.kind = QUORUM_EVENT_REQUEST, .message = &message};
    give(&node, event);
    persisted(&node);
    assert_int_equal(node.effects.answer.error, KAFKA_ERROR_INVALID_VOTER_KEY);
    assert_int_equal(node.quorum.epoch, 7); /* the epoch was heard all the same */
}

static void a_pre_vote_leaves_no_trace(void **state)
{
    (void)state;
    struct node node;
    start(&node, QUORUM_NODE_NONE, OTHER);
    struct quorum_message message = vote(THIRD, 5, 4, 10);
    message.is_pre_vote = true;
    assert_true(ask(&node, message).is_granted);
    assert_int_equal(node.quorum.persisted.voted_id, OTHER);
    /* Who follows refuses once it has heard the leader. */
    start(&node, THIRD, QUORUM_NODE_NONE);
    message.from.id = OTHER;
    assert_true(ask(&node, message).is_granted);
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_CONTACT, .epoch = 5, .offset = 5});
    assert_int_equal(node.quorum.high_watermark, 5);
    assert_false(ask(&node, message).is_granted);
}

static void what_a_follower_may_still_lose_is_not_committed_there(void **state)
{
    (void)state;
    struct node node;
    start(&node, THIRD, QUORUM_NODE_NONE);
    const struct quorum_event told = {.kind = QUORUM_EVENT_CONTACT, .epoch = 5, .offset = 99};
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_APPENDED, .offset = 14, .epoch = 5});
    give(&node, told);
    assert_true(node.effects.committed);
    assert_int_equal(node.quorum.high_watermark, 10);
    /* The device was full. */
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_CUT, .offset = 10, .epoch = 4});
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_APPENDED, .offset = 12, .epoch = 5});
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_FLUSHED, .offset = 11});
    assert_int_equal(node.quorum.high_watermark, 10); /* of these the leader has said nothing yet */
    give(&node, told);
    assert_int_equal(node.quorum.high_watermark, 11);
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_FLUSHED, .offset = 12});
    assert_true(node.effects.committed);
    assert_int_equal(node.quorum.high_watermark, 12);
}

static void peers_without_pre_votes_are_asked_for_votes(void **state)
{
    (void)state;
    struct node node;
    start(&node, QUORUM_NODE_NONE, QUORUM_NODE_NONE);
    at(&node, node.quorum.deadline_ns);
    struct quorum_answer answer = {.kind = QUORUM_MESSAGE_VOTE,
                                   .error = KAFKA_ERROR_UNSUPPORTED_VERSION,
                                   .from = OTHER,
                                   .epoch = 5,
                                   .leader_id = QUORUM_NODE_NONE,
                                   .is_pre_vote = true,
                                   .asked_epoch = 5};
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_ANSWER, .answer = &answer});
    assert_int_equal(node.quorum.role, QUORUM_CANDIDATE);
    assert_int_equal(node.quorum.epoch, 6);
}

/* ---- Leading ---- */

static void a_leader_commits_through_its_own_epoch_only(void **state)
{
    (void)state;
    struct node node;
    win(&node);
    assert_int_equal(node.quorum.epoch_start_offset, 10);
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_FLUSHED, .offset = 11});
    fetched(&node, OTHER, 10, 10); /* everything before the epoch is held by a majority */
    assert_false(node.effects.committed);
    assert_int_equal(node.quorum.high_watermark, 3);
    fetched(&node, OTHER, 11, 20);
    assert_true(node.effects.committed && node.effects.activated);
    assert_int_equal(node.quorum.high_watermark, 11);
}

static void a_leader_counts_itself_when_it_has_flushed(void **state)
{
    (void)state;
    struct node node;
    win(&node);
    fetched(&node, OTHER, 11, 10);
    assert_false(node.effects.committed);
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_FLUSHED, .offset = 11});
    assert_true(node.effects.committed);
    /* Two others are a majority without it. */
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_APPENDED, .offset = 20, .epoch = 6});
    fetched(&node, OTHER, 20, 20);
    assert_int_equal(node.quorum.high_watermark, 11);
    fetched(&node, THIRD, 20, 30);
    assert_int_equal(node.quorum.high_watermark, 20);
}

static void a_leader_that_hears_no_majority_resigns(void **state)
{
    (void)state;
    struct node node;
    win(&node);
    uint64_t begun_ns = node.quorum.now_ns;
    fetched(&node, OTHER, 11, begun_ns + 1000);
    at(&node, begun_ns + 1000 + FETCH_NS + FETCH_NS / 2 - 1);
    assert_int_equal(node.quorum.role, QUORUM_LEADER);
    assert_true(quorum_deadline_ns(&node.quorum) <= begun_ns + 1000 + FETCH_NS + FETCH_NS / 2);
    at(&node, begun_ns + 1000 + FETCH_NS + FETCH_NS / 2);
    assert_int_equal(node.quorum.role, QUORUM_RESIGNED);
    assert_true(node.effects.resigned);
    assert_int_equal(node.effects.send, QUORUM_MESSAGE_END_EPOCH);
    struct quorum_message message;
    assert_true(quorum_message_to(&node.quorum, QUORUM_MESSAGE_END_EPOCH, 1, &message));
    assert_int_equal(message.preferred[0].id, OTHER); /* it holds more */
    /* Its epoch is over for it. */
    at(&node, node.quorum.deadline_ns);
    assert_int_equal(node.quorum.role, QUORUM_UNATTACHED);
    assert_int_equal(node.quorum.epoch, 7);
}

static void who_led_does_not_lead_its_epoch_after_a_restart(void **state)
{
    (void)state;
    struct node node;
    start(&node, SELF, SELF);
    assert_int_equal(node.quorum.role, QUORUM_RESIGNED);
    assert_false(ask(&node, vote(OTHER, 5, 4, 20)).is_granted);
}

static void a_second_leader_of_an_epoch_is_not_followed(void **state)
{
    (void)state;
    struct node node;
    start(&node, OTHER, QUORUM_NODE_NONE);
    struct quorum_message begin = {
        .kind = QUORUM_MESSAGE_BEGIN_EPOCH, .from = {.id = THIRD}, .epoch = 5};
    assert_int_equal(ask(&node, begin).error, KAFKA_ERROR_INVALID_REQUEST);
    assert_true(node.effects.conflict);
    assert_int_equal(node.quorum.leader_id, OTHER);
    begin.epoch = 6;
    assert_int_equal(ask(&node, begin).error, KAFKA_ERROR_NONE);
    assert_int_equal(node.quorum.leader_id, THIRD);
}

static void the_best_successor_campaigns_first(void **state)
{
    (void)state;
    static const struct {
        int32_t first, second;
        uint64_t wait_ns;
    } cases[] = {{SELF, THIRD, 0}, {THIRD, SELF, 400}, {THIRD, 9, 800}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct node node;
        start(&node, OTHER, QUORUM_NODE_NONE);
        struct quorum_message end = {.kind = QUORUM_MESSAGE_END_EPOCH,
                                     .from = {.id = OTHER},
                                     .epoch = 5,
                                     .preferred = {{.id = cases[i].first}, {.id = cases[i].second}},
                                     .preferred_count = 2};
        ask(&node, end);
        assert_int_equal(quorum_deadline_ns(&node.quorum), cases[i].wait_ns);
        at(&node, cases[i].wait_ns);
        assert_int_equal(node.quorum.role, QUORUM_PROSPECTIVE);
    }
}

static void a_follower_that_campaigned_in_vain_lets_others_try(void **state)
{
    (void)state;
    struct node node;
    start(&node, THIRD, QUORUM_NODE_NONE);
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_CONTACT, .epoch = 5, .offset = 5});
    struct quorum_message message = vote(OTHER, 5, 4, 10);
    message.is_pre_vote = true;
    assert_false(ask(&node, message).is_granted);
    at(&node, node.quorum.deadline_ns);
    assert_int_equal(node.quorum.role, QUORUM_PROSPECTIVE);
    at(&node, node.quorum.deadline_ns);
    assert_int_equal(node.quorum.role, QUORUM_FOLLOWER);
    assert_true(ask(&node, message).is_granted);
}

/* ---- Other voters ---- */

static void name_voters(struct node *node, int64_t offset, bool was_voter, int32_t first,
                        int32_t second)
{
    const struct quorum_node voters[] = {{.id = first}, {.id = second}};
    give(node, (struct quorum_event){.kind = QUORUM_EVENT_VOTERS,
                                     .voters = voters,
                                     .voter_count = second ? 2 : 1,
                                     .voters_offset = offset,
                                     .was_voter = was_voter,
                                     .state_version = 1});
}

/* A leader of three whose epoch is committed, with a record at offset 11 that names voters. */
static void lead_and_name(struct node *node, int32_t first, int32_t second)
{
    win(node);
    assert_false(quorum_may_change_voters(&node->quorum));
    give(node, (struct quorum_event){.kind = QUORUM_EVENT_FLUSHED, .offset = 11});
    fetched(node, OTHER, 11, 10);
    assert_true(quorum_may_change_voters(&node->quorum));
    give(node, (struct quorum_event){.kind = QUORUM_EVENT_APPENDED, .offset = 12, .epoch = 6});
    name_voters(node, 11, true, first, second);
    assert_false(quorum_may_change_voters(&node->quorum));
    give(node, (struct quorum_event){.kind = QUORUM_EVENT_FLUSHED, .offset = 12});
}

static void voters_count_from_the_append_on(void **state)
{
    (void)state;
    struct node node;
    lead_and_name(&node, SELF, THIRD);
    fetched(&node, OTHER, 12, 20); /* is none any more */
    assert_int_equal(node.quorum.high_watermark, 11);
    fetched(&node, THIRD, 12, 30);
    assert_int_equal(node.quorum.high_watermark, 12);
    assert_true(quorum_may_change_voters(&node.quorum));
}

static void a_new_voter_is_told_who_leads(void **state)
{
    (void)state;
    struct node node;
    struct quorum_message message;
    lead_and_name(&node, SELF, 4);
    uint64_t due_ns = node.quorum.begin_due_ns;
    assert_true(quorum_message_to(&node.quorum, QUORUM_MESSAGE_BEGIN_EPOCH, 1, &message));
    assert_int_equal(message.to.id, 4);
    assert_true(due_ns < UINT64_MAX);
}

static void a_leader_that_is_removed_leads_until_that_is_committed(void **state)
{
    (void)state;
    struct node node;
    lead_and_name(&node, OTHER, THIRD);
    assert_int_equal(node.quorum.role, QUORUM_LEADER);
    fetched(&node, OTHER, 12, 20); /* the leader does not count itself */
    assert_int_equal(node.quorum.high_watermark, 11);
    fetched(&node, THIRD, 12, 30);
    assert_int_equal(node.quorum.high_watermark, 12);
    assert_true(node.effects.committed && node.effects.resigned);
    assert_int_equal(node.quorum.role, QUORUM_RESIGNED);
    assert_int_equal(node.effects.send, QUORUM_MESSAGE_END_EPOCH);
    assert_true(quorum_deadline_ns(&node.quorum) == UINT64_MAX); /* it looks on from now */
}

/* It may be the only one that has the record. */
static void who_is_removed_campaigns_until_that_is_committed(void **state)
{
    (void)state;
    struct node node;
    start(&node, OTHER, QUORUM_NODE_NONE);
    name_voters(&node, 9, true, OTHER, THIRD);
    at(&node, node.quorum.deadline_ns);
    assert_int_equal(node.quorum.role, QUORUM_PROSPECTIVE);
    grant(&node, OTHER, true);
    assert_int_equal(node.quorum.role, QUORUM_PROSPECTIVE); /* its own vote does not count */
    start(&node, OTHER, QUORUM_NODE_NONE);
    name_voters(&node, 9, true, OTHER, THIRD);
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_CONTACT, .epoch = 5, .offset = 10});
    at(&node, node.quorum.deadline_ns);
    assert_int_equal(node.quorum.role, QUORUM_UNATTACHED);
    assert_true(quorum_deadline_ns(&node.quorum) == UINT64_MAX);
}

static void a_cut_brings_the_old_voters_back(void **state)
{
    (void)state;
    struct node node;
    start(&node, OTHER, QUORUM_NODE_NONE);
    name_voters(&node, 9, true, OTHER, 0);
    assert_false(quorum_is_voter(&node.quorum));
    give(&node, (struct quorum_event){.kind = QUORUM_EVENT_CUT, .offset = 9, .epoch = 4});
    name_voters(&node, -1, false, SELF, OTHER);
    assert_true(quorum_is_voter(&node.quorum));
    at(&node, node.quorum.deadline_ns);
    assert_int_equal(node.quorum.role, QUORUM_PROSPECTIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vote_goes_to_the_longer_log_once),
        cmocka_unit_test(a_vote_that_the_file_knows_is_not_given_again),
        cmocka_unit_test(malformed_and_stale_questions_are_refused),
        cmocka_unit_test(a_pre_vote_leaves_no_trace),
        cmocka_unit_test(what_a_follower_may_still_lose_is_not_committed_there),
        cmocka_unit_test(peers_without_pre_votes_are_asked_for_votes),
        cmocka_unit_test(a_leader_commits_through_its_own_epoch_only),
        cmocka_unit_test(a_leader_counts_itself_when_it_has_flushed),
        cmocka_unit_test(a_leader_that_hears_no_majority_resigns),
        cmocka_unit_test(who_led_does_not_lead_its_epoch_after_a_restart),
        cmocka_unit_test(a_second_leader_of_an_epoch_is_not_followed),
        cmocka_unit_test(the_best_successor_campaigns_first),
        cmocka_unit_test(a_follower_that_campaigned_in_vain_lets_others_try),
        cmocka_unit_test(voters_count_from_the_append_on),
        cmocka_unit_test(a_new_voter_is_told_who_leads),
        cmocka_unit_test(a_leader_that_is_removed_leads_until_that_is_committed),
        cmocka_unit_test(who_is_removed_campaigns_until_that_is_committed),
        cmocka_unit_test(a_cut_brings_the_old_voters_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
