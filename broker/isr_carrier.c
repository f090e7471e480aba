/*
 * The proposal is the message. On the control loop it gets an errand, which is the change as the
 * sender knows it; at home its replica may be gone.
 */
#include "broker/isr_carrier.h"

#include "base/assert.h"
#include "broker/control.h"
#include "broker/shard.h"

struct errand {
    struct isr_change change;
    struct isr_proposal *proposal;
    struct loop *at; /* the control loop */
    unsigned home;
    size_t held_size;
    struct isr_member members[];
};

/* ---- At home ---- */

static void come_home(struct message *message, struct loop *at)
{
    struct isr_proposal *proposal = container_of(message, struct isr_proposal, message);
    struct shard *shard = shard_of(at);
    struct replica *replica =
        replica_table_find(&shard->replicas, proposal->topic_id, proposal->partition);
    if (replica)
        replica_isr_answered(replica, proposal);
    isr_proposal_destroy(at->heap, proposal);
}

/* ---- On the control loop ---- */

static void take_state(struct isr_proposal *proposal,
                       const struct alter_partition_response_partition_data *state)
{
    struct node_list isr = {state->isr, (uint32_t)state->isr_count};
    proposal->answered_leader_epoch = state->leader_epoch;
    proposal->answered_partition_epoch = state->partition_epoch;
    if (!isr_proposal_answer_isr(proposal, isr))
        proposal->error = KAFKA_ERROR_INVALID_REQUEST; /* the metadata will tell */
}

static void done(struct isr_change *change)
{
    struct errand *errand = container_of(change, struct errand, change);
    struct isr_proposal *proposal = errand->proposal;
    struct loop *at = errand->at;
    proposal->error = change->error;
    if (change->state)
        take_state(proposal, change->state);
    proposal->message.deliver = come_home;
    loop_post(at, errand->home, &proposal->message);
    heap_put(at->heap, MEMORY_SCRATCH, errand, errand->held_size);
}

static void arrive(struct message *message, struct loop *at)
{
    struct isr_proposal *proposal = container_of(message, struct isr_proposal, message);
    struct control *control = control_of(at);
    size_t size = sizeof(struct errand) + proposal->member_count * sizeof(struct isr_member);
    struct errand *errand = heap_must_get(at->heap, MEMORY_SCRATCH, size);
    *errand =
        (struct errand){.proposal = proposal, .at = at, .home = message->from, .held_size = size};
    for (uint32_t i = 0; i < proposal->member_count; i++)
        errand->members[i] =
            (struct isr_member){proposal->members[i].broker_id, proposal->members[i].broker_epoch};
    errand->change = (struct isr_change){
        .topic_id = proposal->topic_id,
        .partition = proposal->partition,
        .leader_epoch = proposal->leader_epoch,
        .partition_epoch = proposal->partition_epoch,
        .recovery = (int8_t)proposal->recovery,
        .members = errand->members,
        .member_count = proposal->member_count,
        .done = done,
    };
    isr_sender_add(&control->membership.isr, &errand->change);
}

void isr_carrier_propose(void *owner, struct replica *replica, struct isr_proposal *proposal)
{
    struct shard *shard = owner;
    (void)replica; /* it may be another one by the time of the answer */
    proposal->message.deliver = arrive;
    loop_post(shard->loop, 0, &proposal->message);
}
