/* What the assignors share: numbering of partitions, previous owners, and the way from owners back
 * to one set a member. */
#include "consumer/assignor.h"

#include "base/assert.h"

struct view assignor_name(enum assignor assignor)
{
    switch (assignor) {
    case ASSIGNOR_UNIFORM:
        return VIEW_LITERAL("uniform");
    case ASSIGNOR_RANGE:
        return VIEW_LITERAL("range");
    case ASSIGNOR_COUNT:
        break;
    }
    klamm_unreachable("no such assignor");
}

bool assignor_find(struct view name, enum assignor *assignor)
{
    for (unsigned i = 0; i < ASSIGNOR_COUNT; i++) {
        if (view_equal(assignor_name((enum assignor)i), name)) {
            *assignor = (enum assignor)i;
            return true;
        }
    }
    return false;
}

bool assignor_input_is_homogeneous(const struct assignor_input *input)
{
    for (uint32_t m = 0; m < input->member_count; m++) {
        if (input->members[m].topic_count != input->topic_count)
            return false;
    }
    return true;
}

static bool begin(struct assignor_work *work, const struct assignor_input *input,
                  struct arena *arena)
{
    *work = (struct assignor_work){.input = input, .arena = arena};
    work->base = arena_get(arena, (input->topic_count + 1) * sizeof(*work->base));
    if (!work->base)
        return false;
    uint32_t total = 0;
    for (uint32_t t = 0; t < input->topic_count; t++) {
        klamm_assert(t == 0 || uuid_compare(input->topics[t - 1].id, input->topics[t].id) < 0);
        work->base[t] = total;
        total += input->topics[t].partition_count;
    }
    work->base[input->topic_count] = total;
    work->owners = arena_get(arena, total * sizeof(*work->owners));
    work->counts = arena_get_array(arena, input->member_count, sizeof(*work->counts));
    if (!work->owners || !work->counts)
        return false;
    for (uint32_t p = 0; p < total; p++)
        work->owners[p] = ASSIGNOR_NOBODY;
    return true;
}

void assignor_keep_targets(struct assignor_work *work)
{
    const struct assignor_input *input = work->input;
    for (uint32_t m = 0; m < input->member_count; m++) {
        const struct assignor_member *member = &input->members[m];
        /* Both rise by topic id: one walk over both. */
        uint32_t s = 0;
        for (uint32_t t = 0; t < member->target->topic_count; t++) {
            const struct partition_set_topic *topic = &member->target->topics[t];
            while (s < member->topic_count &&
                   uuid_compare(input->topics[member->topics[s]].id, topic->id) < 0)
                s++;
            if (s == member->topic_count)
                break;
            uint32_t place = member->topics[s];
            if (!uuid_equal(input->topics[place].id, topic->id))
                continue;
            const int32_t *partitions = partition_set_of(member->target, topic);
            for (uint32_t p = 0; p < topic->count; p++) {
                if ((uint32_t)partitions[p] >= input->topics[place].partition_count)
                    break;
                uint32_t partition = work->base[place] + (uint32_t)partitions[p];
                if (work->owners[partition] == ASSIGNOR_NOBODY)
                    assignor_give(work, partition, m);
            }
        }
    }
}

/* Where the set of one member is filled. */
struct filling {
    struct partition_set *set;
    struct partition_set_topic *topics;
    int32_t *partitions;
};

/* Sets from owners: room for each member by its counts, then one walk over all partitions. */
static const struct partition_set **finish(struct assignor_work *work)
{
    const struct assignor_input *input = work->input;
    struct filling *filling = arena_get_array(work->arena, input->member_count, sizeof(*filling));
    const struct partition_set **sets =
        arena_get_array(work->arena, input->member_count, sizeof(*sets));
    if (!filling || !sets)
        return NULL;
    for (uint32_t m = 0; m < input->member_count; m++) {
        sets[m] = &partition_set_empty;
        uint32_t count = work->counts[m];
        if (count == 0)
            continue;
        uint32_t topics = input->members[m].topic_count;
        uint32_t topic_room = count < topics ? count : topics;
        struct partition_set *set = partition_set_room(work->arena, topic_room, count);
        if (!set)
            return NULL;
        filling[m] = (struct filling){set, partition_set_room_topics(set),
                                      partition_set_room_partitions(set, topic_room)};
        set->topic_count = 0;
        set->partition_count = 0;
        sets[m] = set;
    }
    for (uint32_t t = 0; t < input->topic_count; t++) {
        for (uint32_t p = work->base[t]; p < work->base[t + 1]; p++) {
            if (work->owners[p] == ASSIGNOR_NOBODY)
                continue;
            struct filling *into = &filling[work->owners[p]];
            struct partition_set *set = into->set;
            if (set->topic_count == 0 ||
                !uuid_equal(into->topics[set->topic_count - 1].id, input->topics[t].id))
                into->topics[set->topic_count++] =
                    (struct partition_set_topic){input->topics[t].id, set->partition_count, 0};
            into->topics[set->topic_count - 1].count++;
            into->partitions[set->partition_count++] = (int32_t)(p - work->base[t]);
        }
    }
    return sets;
}

const struct partition_set **
assignor_assign(enum assignor assignor, const struct assignor_input *input, struct arena *arena)
{
    struct assignor_work work;
    if (!begin(&work, input, arena))
        return NULL;
    bool done = false;
    switch (assignor) {
    case ASSIGNOR_UNIFORM:
        done = assignor_uniform(&work);
        break;
    case ASSIGNOR_RANGE:
        done = assignor_range(&work);
        break;
    case ASSIGNOR_COUNT:
        break;
    }
    return done ? finish(&work) : NULL;
}
