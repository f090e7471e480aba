/* Requests are filled from the few fields of a bench; what they do not name keeps its default. */
#include "tests/unit/consumer/consumer_bench.h"

#include "consumer/groups.h"

void consumer_bench_init(struct consumer_bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    coordinator_fixture_init(&bench->fixture, &groups_kind);
    coordinator_fixture_start(&bench->fixture);
    bench->group = "g";
    bench->version = 1;
}

struct consumer_group *bench_group(struct consumer_bench *bench)
{
    struct groups *groups = coordinator_fixture_state(&bench->fixture);
    const struct group *group = groups_find(groups, view_of_string(bench->group));
    return group ? group->consumer : NULL;
}

const struct consumer_member *bench_find(struct consumer_bench *bench, const char *member_id)
{
    const struct consumer_group *consumer = bench_group(bench);
    return consumer ? consumer_group_find_member(consumer, view_of_string(member_id)) : NULL;
}

/* What lasts of a group, as numbers to compare. */
struct summary {
    bool exists;
    int32_t epoch;
    int32_t assignment_epoch;
    int64_t hash;
    uint32_t members;
    uint32_t classic;
    uint32_t subscribed;
    uint32_t regexes;
    uint64_t progress; /* of all members, mixed */
};

static uint64_t mix(uint64_t a, uint64_t b)
{
    return (a ^ b) * 0x9e3779b97f4a7c15u;
}

static uint64_t mix_set(uint64_t value, const struct partition_set *set)
{
    for (uint32_t t = 0; t < set->topic_count; t++) {
        value = mix(value, uuid_least(set->topics[t].id));
        for (uint32_t i = 0; i < set->topics[t].count; i++)
            value = mix(value, (uint64_t)partition_set_of(set, &set->topics[t])[i] + 1);
    }
    return value;
}

static struct summary summarize(const struct consumer_group *consumer)
{
    struct summary summary = {.exists = consumer != NULL};
    if (!consumer)
        return summary;
    summary.epoch = consumer->epoch;
    summary.assignment_epoch = consumer->assignment_epoch;
    summary.hash = consumer->metadata_hash;
    summary.members = consumer->member_count;
    summary.classic = consumer->classic_count;
    summary.subscribed = map_count(&consumer->subscribed);
    summary.regexes = map_count(&consumer->regexes);
    map_for_each(entry, &consumer->members)
    {
        const struct consumer_member *member = entry->value;
        uint64_t one = mix((uint64_t)member->progress.epoch, (uint64_t)member->progress.state);
        one = mix(one, (uint64_t)member->progress.previous_epoch);
        one = mix_set(one, member->progress.assigned);
        one = mix_set(one + 1, member->progress.revoking);
        one = mix_set(one + 1, member->target);
        summary.progress += one; /* in any order */
    }
    return summary;
}

void consumer_bench_deinit(struct consumer_bench *bench)
{
    struct consumer_group *consumer = bench_group(bench);
    if (consumer)
        consumer_group_check(consumer);
    struct summary before = summarize(consumer);
    coordinator_fixture_reload(&bench->fixture);
    consumer = bench_group(bench);
    if (consumer)
        consumer_group_check(consumer);
    struct summary after = summarize(consumer);
    assert_int_equal(before.exists, after.exists);
    assert_int_equal(before.epoch, after.epoch);
    assert_int_equal(before.assignment_epoch, after.assignment_epoch);
    assert_true(before.hash == after.hash);
    assert_int_equal(before.members, after.members);
    assert_int_equal(before.classic, after.classic);
    assert_int_equal(before.subscribed, after.subscribed);
    assert_int_equal(before.regexes, after.regexes);
    assert_true(before.progress == after.progress);
    coordinator_fixture_deinit(&bench->fixture);
}

void consumer_bench_topic(struct consumer_bench *bench, const char *name, int32_t partitions)
{
    struct uuid id = coordinator_fixture_set_topic(&bench->fixture, name, partitions);
    for (uint32_t t = 0; t < bench->topic_count; t++) {
        if (strcmp(bench->topics[t].name, name) == 0) {
            bench->topics[t].id = id;
            return;
        }
    }
    assert_true(bench->topic_count < BENCH_TOPICS_MAX);
    bench->topics[bench->topic_count].name = name;
    bench->topics[bench->topic_count].id = id;
    bench->topics[bench->topic_count].base = bench->topic_count * 8;
    bench->topic_count++;
}

static uint32_t bits_of(const struct consumer_bench *bench,
                        const struct consumer_group_heartbeat_response_assignment *assignment)
{
    uint32_t bits = 0;
    for (size_t t = 0; t < assignment->topic_partitions_count; t++) {
        uint32_t place = 0;
        while (place < bench->topic_count &&
               !uuid_equal(bench->topics[place].id, assignment->topic_partitions[t].topic_id))
            place++;
        assert_true(place < bench->topic_count);
        for (size_t p = 0; p < assignment->topic_partitions[t].partitions_count; p++) {
            uint32_t bit = 1u << (bench->topics[place].base +
                                  (uint32_t)assignment->topic_partitions[t].partitions[p]);
            assert_int_equal(bits & bit, 0);
            bits |= bit;
        }
    }
    return bits;
}

static void copy_text(char *to, size_t size, struct view from)
{
    assert_true(from.size < size);
    if (from.size)
        memcpy(to, from.data, from.size);
    to[from.size] = 0;
}

void bench_send(struct consumer_bench *bench, struct bench_sent *sent,
                const struct consumer_group_heartbeat_request *request)
{
    sent->request = *request;
    consumer_group_heartbeat_response_init(&sent->response);
    fixture_call_init(&bench->fixture, &sent->call, bench->version, &sent->request,
                      &sent->response);
    consumer_group_heartbeat(coordinator_fixture_state(&bench->fixture), &sent->call.call);
}

struct bench_answer bench_receive(const struct consumer_bench *bench, struct bench_sent *sent)
{
    assert_int_equal(sent->call.told, 1);
    const struct consumer_group_heartbeat_response *response = &sent->response;
    struct bench_answer answer = {.error = sent->call.call.error};
    if (answer.error == KAFKA_ERROR_NONE) {
        answer.error = (enum kafka_error)response->error_code;
        copy_text(answer.message, sizeof(answer.message), response->error_message);
        copy_text(answer.member_id, sizeof(answer.member_id), response->member_id);
        answer.epoch = response->member_epoch;
        answer.interval_ms = response->heartbeat_interval_ms;
        answer.has_assignment = response->assignment != NULL;
        if (response->assignment)
            answer.assigned = bits_of(bench, response->assignment);
    }
    fixture_call_deinit(&sent->call);
    return answer;
}

struct bench_answer bench_ask(struct consumer_bench *bench,
                              const struct consumer_group_heartbeat_request *request)
{
    struct bench_sent sent;
    bench_send(bench, &sent, request);
    coordinator_fixture_run(&bench->fixture);
    return bench_receive(bench, &sent);
}

struct consumer_group_heartbeat_request bench_beat_request(const struct consumer_bench *bench,
                                                           const struct bench_member *member)
{
    struct consumer_group_heartbeat_request request;
    consumer_group_heartbeat_request_init(&request);
    request.group_id = view_of_string(bench->group);
    request.member_id = view_of_string(member->id);
    request.instance_id = view_of_string(member->instance);
    request.member_epoch = member->epoch;
    return request;
}

struct consumer_group_heartbeat_request bench_join_request(struct consumer_bench *bench,
                                                           const struct bench_member *member)
{
    struct consumer_group_heartbeat_request request = bench_beat_request(bench, member);
    struct arena *arena = &bench->fixture.arena;
    request.member_epoch = 0;
    request.rebalance_timeout_ms = 60000;
    request.subscribed_topic_names = arena_get_array(arena, BENCH_TOPICS_MAX, sizeof(struct view));
    for (size_t i = 0; i < BENCH_TOPICS_MAX && member->topics[i]; i++)
        request.subscribed_topic_names[request.subscribed_topic_names_count++] =
            view_of_string(member->topics[i]);
    request.subscribed_topic_regex = view_of_string(member->regex);
    request.server_assignor = view_of_string(member->assignor);
    request.topic_partitions = arena_get_array(arena, 1, sizeof(*request.topic_partitions));
    return request;
}

void bench_note(struct bench_member *member, const struct bench_answer *answer)
{
    if (answer->error != KAFKA_ERROR_NONE)
        return;
    member->epoch = answer->epoch;
    if (answer->has_assignment)
        member->owned = answer->assigned;
}

struct bench_answer bench_join(struct consumer_bench *bench, struct bench_member *member)
{
    struct consumer_group_heartbeat_request request = bench_join_request(bench, member);
    struct bench_answer answer = bench_ask(bench, &request);
    bench_note(member, &answer);
    return answer;
}

struct bench_answer bench_beat(struct consumer_bench *bench, struct bench_member *member)
{
    struct consumer_group_heartbeat_request request = bench_beat_request(bench, member);
    struct bench_answer answer = bench_ask(bench, &request);
    bench_note(member, &answer);
    return answer;
}

/* Partitions as a request lists them. */
struct owned_lists {
    struct consumer_group_heartbeat_request_topic_partitions topics[BENCH_TOPICS_MAX];
    int32_t partitions[BENCH_TOPICS_MAX][8];
};

static void say_owned(const struct consumer_bench *bench, uint32_t owned, struct owned_lists *lists,
                      struct consumer_group_heartbeat_request *request)
{
    size_t count = 0;
    for (uint32_t t = 0; t < bench->topic_count; t++) {
        lists->topics[count] = (struct consumer_group_heartbeat_request_topic_partitions){
            bench->topics[t].id, lists->partitions[t], 0};
        for (int32_t p = 0; p < 8; p++) {
            if (owned >> (bench->topics[t].base + (uint32_t)p) & 1)
                lists->partitions[t][lists->topics[count].partitions_count++] = p;
        }
        count += lists->topics[count].partitions_count > 0;
    }
    request->topic_partitions = lists->topics;
    request->topic_partitions_count = count;
}

struct bench_answer bench_beat_owning(struct consumer_bench *bench, struct bench_member *member,
                                      uint32_t owned)
{
    struct consumer_group_heartbeat_request request = bench_beat_request(bench, member);
    struct owned_lists lists;
    say_owned(bench, owned, &lists, &request);
    struct bench_answer answer = bench_ask(bench, &request);
    bench_note(member, &answer);
    return answer;
}

struct bench_answer bench_beat_fully(struct consumer_bench *bench, struct bench_member *member)
{
    struct consumer_group_heartbeat_request request = bench_join_request(bench, member);
    struct owned_lists lists;
    request.member_epoch = member->epoch;
    say_owned(bench, member->owned, &lists, &request);
    struct bench_answer answer = bench_ask(bench, &request);
    bench_note(member, &answer);
    return answer;
}

struct bench_answer bench_leave(struct consumer_bench *bench, const struct bench_member *member,
                                int32_t epoch)
{
    struct consumer_group_heartbeat_request request = bench_beat_request(bench, member);
    request.member_epoch = epoch;
    return bench_ask(bench, &request);
}

void bench_settle(struct consumer_bench *bench, struct bench_member **members, size_t count)
{
    for (unsigned round = 0;; round++) {
        assert_true(round < 10);
        uint64_t before = bench_records(bench);
        for (size_t m = 0; m < count; m++) {
            struct bench_answer answer = bench_beat_owning(bench, members[m], members[m]->owned);
            assert_int_equal(answer.error, KAFKA_ERROR_NONE);
        }
        if (bench_records(bench) == before)
            return;
    }
}

static void count_record(void *context, const struct coordinator_record *record)
{
    (void)record;
    ++*(uint64_t *)context;
}

uint64_t bench_records(struct consumer_bench *bench)
{
    uint64_t count = 0;
    coordinator_fixture_each(&bench->fixture, count_record, &count);
    return count;
}
