/* See the header. */
#include "tests/unit/cluster/decision_bench.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "cluster/metadata/replay.h"

void bench_init(struct decision_bench *bench)
{
    *bench = (struct decision_bench){.next_offset = 1000};
    heap_init_plain(&bench->heap);
    arena_init(&bench->arena, &bench->heap, MEMORY_SCRATCH, 0);
    random_init(&bench->random, 1, 1);
    struct config_report report = {0};
    struct server_config_input input = {0};
    assert_true(server_config_build(&bench->config, &input, &report, &bench->arena));
    bench->image = image_create_empty(&bench->heap, VIEW_LITERAL("cluster"));
    bench_set_feature(bench, "metadata.version", 29);
    bench_set_broker(bench, 1, false);
    bench_set_broker(bench, 2, false);
    bench_set_broker(bench, 3, true);
}

void bench_deinit(struct decision_bench *bench)
{
    image_release(bench->image);
    arena_deinit(&bench->arena);
    for (size_t i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(bench->heap.used[i], 0);
}

void bench_edit(struct decision_bench *bench, struct image_draft *draft)
{
    draft_begin(draft, bench->image);
}

void bench_adopt(struct decision_bench *bench, struct image_draft *draft)
{
    const struct image *next = draft_finish(draft, NULL);
    image_release(bench->image);
    bench->image = next;
}

void bench_set_broker(struct decision_bench *bench, int32_t id, bool fenced)
{
    struct image_feature_range features[] = {
        {VIEW_LITERAL("metadata.version"), 7, 29},
        {VIEW_LITERAL("kraft.version"), 0, 1},
        {VIEW_LITERAL("eligible.leader.replicas.version"), 0, 1}};
    struct uuid directory = uuid_of_halves(50, (uint64_t)id);
    struct image_node node = {
        .id = id,
        .epoch = 100 + id,
        .register_offset = 100 + id,
        .incarnation = uuid_of_halves(60, (uint64_t)id),
        .features = features,
        .feature_count = 3,
        .directories = &directory,
        .directory_count = 1,
        .fenced = fenced,
    };
    struct image_draft draft;
    bench_edit(bench, &draft);
    draft_set_broker(&draft, &node);
    bench_adopt(bench, &draft);
}

void bench_set_rack(struct decision_bench *bench, int32_t id, const char *rack)
{
    struct image_node node = *image_broker(bench->image, id);
    struct image_draft draft;
    node.rack = view_of_string(rack);
    bench_edit(bench, &draft);
    draft_set_broker(&draft, &node);
    bench_adopt(bench, &draft);
}

void bench_set_feature(struct decision_bench *bench, const char *name, int16_t level)
{
    struct image_draft draft;
    bench_edit(bench, &draft);
    draft_set_feature(&draft, view_of_string(name), level);
    bench_adopt(bench, &draft);
}

void bench_set_cache(struct decision_bench *bench)
{
    struct image_draft draft;
    bench_edit(bench, &draft);
    draft_set_config(&draft, CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""),
                     VIEW_LITERAL("klamm.durability"), VIEW_LITERAL("cache"));
    bench_adopt(bench, &draft);
}

void bench_set_config(struct decision_bench *bench, enum config_resource_type type,
                      const char *resource, const char *name, const char *value)
{
    struct image_draft draft;
    bench_edit(bench, &draft);
    draft_set_config(&draft, type, view_of_string(resource), view_of_string(name),
                     value ? view_of_string(value) : VIEW_NULL);
    bench_adopt(bench, &draft);
}

struct uuid bench_add_topic(struct decision_bench *bench, const char *name,
                            struct node_list replicas, struct node_list isr, int32_t leader)
{
    struct uuid id = uuid_of_halves(70, ++bench->next_offset);
    struct image_draft draft;
    bench_edit(bench, &draft);
    assert_true(draft_add_topic(&draft, view_of_string(name), id));
    struct partition_state state = {.leader = leader,
                                    .leader_epoch = 5,
                                    .partition_epoch = 8,
                                    .replicas = replicas,
                                    .isr = isr};
    assert_true(draft_set_partition(&draft, id, 0, &state));
    bench_adopt(bench, &draft);
    return id;
}

void bench_decide(struct decision_bench *bench, struct decision *decision)
{
    decision_init(decision, bench->image, &bench->config, &bench->random, &bench->arena,
                  bench->next_offset);
}

void bench_commit(struct decision_bench *bench, const struct decision *decision)
{
    assert_false(decision->failed);
    struct image_draft draft;
    bench_edit(bench, &draft);
    for (size_t i = 0; i < decision->records.count; i++) {
        struct replay replay = {
            .draft = &draft, .arena = &bench->arena, .offset = bench->next_offset++};
        enum replay_mark mark;
        if (!replay_record(&replay, decision->records.values[i], &mark))
            fail_msg("%s", replay.problem);
    }
    bench_adopt(bench, &draft);
}

const struct image_partition *bench_partition(const struct decision_bench *bench, const char *name)
{
    return image_partition_by_name(bench->image, view_of_string(name), 0);
}
