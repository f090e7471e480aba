/* The contract suite on the simulator, each case with many seeds and drawn chances. */
#include <stdio.h>

#include "tests/contract/contract.h"
#include "tests/sim/sim.h"

enum { SEEDS = 30 };

static const uint64_t limit_ns = UINT64_C(600) * 1000000000;

static void end_node(struct contract *contract, struct loop *loop)
{
    (void)contract;
    sim_node_stop(loop, 0);
}

struct run {
    const struct contract_case *which;
    struct contract contract;
};

static void run_body(struct sim *sim, void *argument)
{
    struct run *run = argument;
    run->contract = (struct contract){
        .which = run->which, .directory = "/", .host = "localhost", .end = end_node};
    unsigned node = sim_add_node(
        sim,
        &(struct sim_node_spec){.loops = 2, .boot = contract_boot, .argument = &run->contract});
    struct sim_faults *faults = sim_node_faults(sim, node);
    faults->append_pending = random_chance(sim_random(sim), 1, 2) ? 300000 : 0;
    faults->read_miss = random_chance(sim_random(sim), 1, 2) ? 300000 : 0;
    sim_start(sim, node);
    while (sim_is_running(sim, node)) {
        sim_require(sim, sim_step(sim), "nothing is left to happen");
        sim_require(sim, sim_now_ns(sim) < limit_ns, "the case does not end");
    }
    sim_require(sim, !run->contract.failure, "line %d: %s", run->contract.failure_line,
                run->contract.failure);
}

static unsigned run_cases(const struct contract_case *cases, unsigned count)
{
    unsigned failed = 0;
    for (unsigned i = 0; i < count; i++) {
        bool passed = true;
        for (uint64_t seed = 1; seed <= SEEDS && passed; seed++) {
            struct run run = {.which = &cases[i]};
            struct sim *sim = sim_create(seed);
            passed = sim_guard(sim, run_body, &run);
            if (!passed)
                printf("  seed %llu: %s\n", (unsigned long long)seed, sim_failure(sim));
            sim_destroy(sim);
        }
        printf("%s %s\n", passed ? "ok" : "FAILED", cases[i].name);
        failed += !passed;
    }
    return failed;
}

int main(void)
{
    unsigned failed = run_cases(storage_cases, storage_case_count);
    failed += run_cases(transport_cases, transport_case_count);
    return failed > 0;
}
