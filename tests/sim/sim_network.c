/* Which directions of the network are cut or slow; the streams ask (sim_transport.c). */
#include "base/assert.h"
#include "tests/sim/sim_internal.h"

enum { DELAY_MIN_NS = 20000, DELAY_MAX_NS = 2000000 };

static const struct sim_wire *wire_of(const struct sim *sim, const struct sim_node *from,
                                      const struct sim_node *to)
{
    return from && to ? &sim->wires[from->number][to->number] : NULL;
}

bool sim_network_is_cut(const struct sim *sim, const struct sim_node *from,
                        const struct sim_node *to)
{
    const struct sim_wire *wire = wire_of(sim, from, to);
    return wire && wire->is_cut;
}

uint64_t sim_network_delay(struct sim *sim, const struct sim_node *from, const struct sim_node *to)
{
    const struct sim_wire *wire = wire_of(sim, from, to);
    if (!wire || wire->delay_max_ns == 0)
        return sim_delay(&sim->schedule, DELAY_MIN_NS, DELAY_MAX_NS);
    uint64_t low = wire->delay_max_ns / 4;
    return low + random_below(&sim->schedule, wire->delay_max_ns - low + 1);
}

void sim_cut(struct sim *sim, unsigned from, unsigned to, bool is_cut)
{
    klamm_assert(from < sim->node_count && to < sim->node_count && from != to);
    bool was_cut = sim->wires[from][to].is_cut;
    sim->wires[from][to].is_cut = is_cut;
    if (was_cut && !is_cut)
        sim_transport_healed(sim);
}

void sim_slow_down(struct sim *sim, unsigned from, unsigned to, uint64_t delay_max_ns)
{
    klamm_assert(from < sim->node_count && to < sim->node_count && from != to);
    sim->wires[from][to].delay_max_ns = delay_max_ns;
}

void sim_heal_network(struct sim *sim)
{
    memset(sim->wires, 0, sizeof(sim->wires));
    sim_transport_healed(sim);
}
