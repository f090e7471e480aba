/* One block: the struct, the members, the room for the answer. */
#include "replication/isr_proposal.h"

static size_t size_of(uint32_t member_count)
{
    return sizeof(struct isr_proposal) +
           member_count * (sizeof(struct in_sync_member) + sizeof(int32_t));
}

struct isr_proposal *isr_proposal_create(struct heap *heap, uint32_t member_count)
{
    struct isr_proposal *proposal = heap_must_get(heap, MEMORY_STATE, size_of(member_count));
    proposal->member_count = proposal->capacity = member_count;
    proposal->answered_isr = (int32_t *)&proposal->members[member_count];
    return proposal;
}

void isr_proposal_destroy(struct heap *heap, struct isr_proposal *proposal)
{
    heap_put(heap, MEMORY_STATE, proposal, size_of(proposal->capacity));
}

bool isr_proposal_answer_isr(struct isr_proposal *proposal, struct node_list isr)
{
    if (isr.count > proposal->capacity)
        return false;
    for (uint32_t i = 0; i < isr.count; i++)
        proposal->answered_isr[i] = isr.ids[i];
    proposal->answered_count = isr.count;
    return true;
}
