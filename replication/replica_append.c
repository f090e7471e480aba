/*
 * Appends and who waits for them. Waits are in order of offset in two lists, one for each end that
 * is waited for; a move of an end pops from the front. An append that fails is taken out by its own
 * `done`.
 */
#include "replication/replica_internal.h"

#include "base/assert.h"
#include "runtime/test_point.h"

void replica_pop_waits(struct list *waits, int64_t end)
{
    while (!list_is_empty(waits)) {
        struct replica_append *append = container_of(waits->next, struct replica_append, link);
        if (append->required_offset > end || !append->is_written)
            return;
        list_remove(&append->link);
        append->error = KAFKA_ERROR_NONE;
        append->done(append);
    }
}

void replica_fire_watches(struct list *watches)
{
    struct list firing;
    list_init(&firing);
    list_splice_back(&firing, watches);
    for (struct list *link; (link = list_pop_front(&firing)) != NULL;) {
        struct replica_watch *watch = container_of(link, struct replica_watch, link);
        watch->fired(watch);
    }
}

/* ---- Turns ---- */

bool replica_is_turn_needed(const struct replica *replica)
{
    return !list_is_empty(&replica->turns);
}

void replica_turn_begin(struct replica *replica, struct replica_turn *turn)
{
    turn->replica = replica;
    turn->is_ready = false;
    list_push_back(&replica->turns, &turn->link);
}

void replica_turn_ready(struct replica_turn *turn)
{
    struct replica *replica = turn->replica;
    turn->is_ready = true;
    if (!replica) {
        turn->go(turn, NULL);
        return;
    }
    while (!list_is_empty(&replica->turns)) {
        struct replica_turn *first = container_of(replica->turns.next, struct replica_turn, link);
        if (!first->is_ready)
            return;
        list_remove(&first->link);
        first->go(first, replica);
    }
}

/* Nothing is appended here any more; turns that are being prepared find out when they are ready. */
static void end_turns(struct replica *replica)
{
    struct list ending;
    list_init(&ending);
    list_splice_back(&ending, &replica->turns);
    for (struct list *link; (link = list_pop_front(&ending)) != NULL;) {
        struct replica_turn *turn = container_of(link, struct replica_turn, link);
        turn->replica = NULL;
        if (turn->is_ready)
            turn->go(turn, NULL);
    }
}

/* ---- Ends ---- */

void replica_end_waits(struct replica *replica, enum kafka_error error)
{
    struct list *lists[] = {&replica->local_waits, &replica->commit_waits};
    for (size_t i = 0; i < 2; i++) {
        list_for_each_safe(link, after, lists[i])
        {
            struct replica_append *append = container_of(link, struct replica_append, link);
            /* One that is not written yet still has its bytes in the log's queue. */
            append->error = error;
            append->acks = 0;
            list_remove(&append->link);
            if (append->is_written)
                append->done(append);
        }
    }
    end_turns(replica);
    replica_fire_watches(&replica->watches);
}

/* ---- Appends ---- */

/* The log has written the bytes, or failed to. */
static void append_written(struct log_append *log_append)
{
    struct replica_append *append = container_of(log_append, struct replica_append, append);
    append->is_written = true;
    bool waits = list_is_linked(&append->link);
    if (log_append->error != KAFKA_ERROR_NONE) {
        list_remove(&append->link);
        append->error = log_append->error;
        append->done(append);
    } else if (!waits) { /* acks=0, or the replica ended meanwhile: error is set */
        append->done(append);
    }
}

/* Keeps the list in order; only a duplicate of an earlier batch goes before the last. */
static void insert_wait(struct list *waits, struct replica_append *append)
{
    struct list *place = waits;
    while (place->previous != waits) {
        const struct replica_append *before =
            container_of(place->previous, struct replica_append, link);
        if (before->required_offset <= append->required_offset)
            break;
        place = place->previous;
    }
    list_insert_before(place, &append->link);
}

/*
 * A broker that was replaced and has not heard of it yet is behind the producers. What it takes for
 * a gap need not be one, and to be told of one is the end of an idempotent producer: so it says
 * only that it may not be the leader, and the producer asks again who is.
 */
static enum kafka_error refusal_of(const struct replica *replica, enum kafka_error error)
{
    if (error == KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER && !replica_is_followed(replica))
        return KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    return error;
}

bool replica_append(struct replica *replica, struct replica_append *append)
{
    append->replica = replica;
    append->error = KAFKA_ERROR_NONE;
    append->append.leader_epoch = replica->leader_epoch;
    append->append.done = append_written;
    append->is_written = false;
    list_link_init(&append->link);
    if (replica->leadership && append->acks == -1 && !replica_has_enough(replica)) {
        append->error = KAFKA_ERROR_NOT_ENOUGH_REPLICAS;
        return true;
    }
    enum log_append_result result = partition_log_append(replica->log, &append->append);
    if (result == LOG_APPEND_REFUSED) {
        append->error = refusal_of(replica, append->append.error);
        return true;
    }
    append->is_written = result == LOG_APPEND_DUPLICATE;
    append->required_offset = append->append.last_offset + 1;
    if (append->acks == 0)
        return append->is_written;
    bool local = append->acks == 1 || test_point(replica->host->loop, BUG_REPLICA_ACK_ALONE);
    int64_t end = local ? replica_local_end(replica) : replica_high_watermark(replica);
    if (append->is_written && append->required_offset <= end)
        return true;
    insert_wait(local ? &replica->local_waits : &replica->commit_waits, append);
    return false;
}

void replica_assert_waits(const struct list *waits, int64_t end)
{
    int64_t before = end;
    for (const struct list *link = waits->next; link != waits; link = link->next) {
        const struct replica_append *append =
            container_of((struct list *)(uintptr_t)link, struct replica_append, link);
        klamm_assert(append->required_offset > end || !append->is_written);
        klamm_assert(append->required_offset >= before || before == end);
        before = append->required_offset;
    }
}
