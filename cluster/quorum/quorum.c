/*
 * A sole voter wins as soon as its vote is durable. Vote and leadership are persisted in one write:
 * between the two nobody else could be asked, and a crash in between would only have cost an epoch.
 */
#include "cluster/quorum/quorum.h"

#include "base/assert.h"

void quorum_init(struct quorum *quorum, int32_t node_id, struct uuid directory_id)
{
    *quorum = (struct quorum){.node_id = node_id, .directory_id = directory_id};
    quorum_state_init(&quorum->persisted, 1);
}

static void start(struct quorum *quorum, const struct quorum_event *event,
                  struct quorum_effects *effects)
{
    klamm_assert(quorum->role == QUORUM_UNATTACHED);
    const struct quorum_state *file = &event->started.file;
    int32_t known = file->leader_epoch;
    if (event->started.last_epoch > known)
        known = event->started.last_epoch;
    quorum->log_end = event->started.log_end;
    quorum->flushed_end = event->started.log_end;
    quorum->high_watermark = event->started.snapshot_end;
    quorum->epoch = known + 1;
    quorum->role = QUORUM_CANDIDATE;
    quorum->persisted = *file;
    quorum->persisted.leader_epoch = quorum->epoch;
    quorum->persisted.leader_id = quorum->node_id;
    quorum->persisted.voted_id = QUORUM_NODE_NONE;
    quorum->persisted.voted_directory_id = UUID_ZERO;
    effects->persist = true;
}

static void elected(struct quorum *quorum, struct quorum_effects *effects)
{
    if (quorum->role != QUORUM_CANDIDATE)
        return;
    quorum->role = QUORUM_LEADER;
    quorum->epoch_start_offset = quorum->log_end;
    effects->append_change = true;
}

static void flushed(struct quorum *quorum, int64_t offset, struct quorum_effects *effects)
{
    if (offset > quorum->flushed_end)
        quorum->flushed_end = offset;
    if (quorum->role != QUORUM_LEADER || quorum->flushed_end <= quorum->epoch_start_offset ||
        quorum->flushed_end <= quorum->high_watermark)
        return;
    quorum->high_watermark = quorum->flushed_end;
    effects->committed = true;
    effects->activated = !quorum->is_active;
    quorum->is_active = true;
}

void quorum_step(struct quorum *quorum, const struct quorum_event *event,
                 struct quorum_effects *effects)
{
    *effects = (struct quorum_effects){0};
    switch (event->kind) {
    case QUORUM_EVENT_STARTED:
        start(quorum, event, effects);
        break;
    case QUORUM_EVENT_PERSISTED:
        elected(quorum, effects);
        break;
    case QUORUM_EVENT_APPENDED:
        klamm_assert(event->offset >= quorum->log_end);
        quorum->log_end = event->offset;
        break;
    case QUORUM_EVENT_FLUSHED:
        klamm_assert(event->offset <= quorum->log_end);
        flushed(quorum, event->offset, effects);
        break;
    case QUORUM_EVENT_CUT:
        klamm_assert(event->offset >= quorum->flushed_end);
        quorum->log_end = event->offset;
        break;
    case QUORUM_EVENT_RESIGN:
        quorum->role = QUORUM_RESIGNED;
        quorum->is_active = false;
        break;
    }
    quorum_check(quorum);
}

void quorum_check(const struct quorum *quorum)
{
    klamm_assert(quorum->high_watermark <= quorum->flushed_end);
    klamm_assert(quorum->flushed_end <= quorum->log_end);
    klamm_assert(!quorum->is_active || quorum->role == QUORUM_LEADER);
    klamm_assert(quorum->role == QUORUM_UNATTACHED ||
                 quorum->epoch == quorum->persisted.leader_epoch);
}
