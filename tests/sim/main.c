/*
 * klamm-sim: runs scenarios by seed.
 *
 *   klamm-sim [--scenario NAME] [--seed N] [--runs K] [--seconds S] [--bug NUMBER] [--twice]
 *             [--chatty] [--abort]
 *             [--keep-going] [--truncate] [--nodes N] [--calm]
 *
 * --bugs FIRST-LAST is the test of the simulator itself, in a build with test points: each planted
 * bug (runtime/test_point.h) must be noticed within --runs seeds.
 *
 * Prints how many seeds were run, or for the first that fails the reason and the command that
 * repeats it; exit status 1 then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/test_point.h"
#include "tests/sim/scenario.h"

static const struct {
    const char *name;
    scenario_run run;
} scenarios[] = {
    {"cluster", cluster_scenario_run},
    {"compact", compact_scenario_run},
    {"coordinators", coordinator_scenario_run},
    {"failover", failover_scenario_run},
    {"log", log_scenario_run},
    {"node", node_scenario_run},
    {"group", group_scenario_run},
    {"quorum", quorum_scenario_run},
    {"transaction", transaction_scenario_run},
};

struct command {
    unsigned scenario;
    uint64_t seed, runs;
    double seconds; /* 0: no limit */
    unsigned first_bug, last_bug;
    bool quiet;
    bool keeps_going; /* behind a seed that fails */
    bool twice;
    bool aborts; /* a failure ends the process where it happens, for a debugger */
    struct scenario_options options;
};

static void run_body(struct sim *sim, void *argument)
{
    const struct command *command = argument;
    scenarios[command->scenario].run(sim, &command->options);
}

struct outcome {
    bool passed;
    uint64_t hash, events;
};

static struct outcome run_seed(struct command *command, uint64_t seed)
{
    struct sim *sim = sim_create(seed);
    if (command->aborts)
        run_body(sim, command);
    struct outcome outcome = {.passed = command->aborts || sim_guard(sim, run_body, command)};
    outcome.hash = sim_hash(sim);
    outcome.events = sim_event_count(sim);
    if (!outcome.passed && !command->quiet)
        printf("seed %llu at %.6f s: %s\n", (unsigned long long)seed, (double)sim_now_ns(sim) / 1e9,
               sim_failure(sim));
    sim_destroy(sim);
    return outcome;
}

static bool parse(struct command *command, int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        const char *option = arguments[i];
        if (strcmp(option, "--twice") == 0) {
            command->twice = true;
            continue;
        }
        if (strcmp(option, "--keep-going") == 0) {
            command->keeps_going = true;
            continue;
        }
        if (strcmp(option, "--truncate") == 0) {
            command->options.truncates = true;
            continue;
        }
        if (strcmp(option, "--calm") == 0) {
            command->options.is_calm = true;
            continue;
        }
        if (strcmp(option, "--abort") == 0) {
            command->aborts = true;
            continue;
        }
        if (strcmp(option, "--chatty") == 0) {
            command->options.chatty = true;
            continue;
        }
        if (i + 1 == count)
            return false;
        const char *value = arguments[++i];
        if (strcmp(option, "--seed") == 0) {
            command->seed = strtoull(value, NULL, 10);
        } else if (strcmp(option, "--runs") == 0) {
            command->runs = strtoull(value, NULL, 10);
        } else if (strcmp(option, "--seconds") == 0) {
            command->seconds = strtod(value, NULL);
        } else if (strcmp(option, "--nodes") == 0) {
            command->options.nodes = (unsigned)strtoul(value, NULL, 10) % 8;
        } else if (strcmp(option, "--bug") == 0) {
            test_points_add(&command->options.test_points, (unsigned)strtoul(value, NULL, 10));
        } else if (strcmp(option, "--bugs") == 0) {
            if (sscanf(value, "%u-%u", &command->first_bug, &command->last_bug) != 2)
                return false;
        } else if (strcmp(option, "--scenario") == 0) {
            unsigned last = sizeof(scenarios) / sizeof(scenarios[0]);
            for (command->scenario = 0; command->scenario < last; command->scenario++)
                if (strcmp(scenarios[command->scenario].name, value) == 0)
                    break;
            if (command->scenario == last)
                return false;
        } else {
            return false;
        }
    }
    return true;
}

/* Whether every planted bug is noticed; 0 or the exit status. */
static int hunt_bugs(struct command *command)
{
    unsigned missed = 0;
    command->quiet = true;
    for (unsigned bug = command->first_bug; bug <= command->last_bug; bug++) {
        command->options.test_points = (struct test_points){0};
        test_points_add(&command->options.test_points, bug);
        uint64_t run = 0;
        while (run < command->runs && run_seed(command, command->seed + run).passed)
            run++;
        if (run < command->runs)
            printf("bug %u is noticed at seed %llu\n", bug,
                   (unsigned long long)(command->seed + run));
        else
            printf("bug %u is NOT noticed within %llu seeds\n", bug,
                   (unsigned long long)command->runs);
        missed += run == command->runs;
    }
    return missed > 0;
}

int main(int count, char **arguments)
{
    struct command command = {.seed = 1, .runs = 1};
    if (!parse(&command, count, arguments)) {
        fprintf(stderr, "usage: klamm-sim [--scenario NAME] [--seed N] [--runs K] [--seconds S] "
                        "[--bug NUMBER] [--bugs FIRST-LAST] [--twice] [--chatty] [--abort] "
                        "[--keep-going] [--truncate] [--nodes N] [--calm]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (command.last_bug > 0)
        return hunt_bugs(&command);
    uint64_t events = 0, run = 0, failed = 0;
    clock_t start = clock();
    for (; run < command.runs; run++) {
        uint64_t seed = command.seed + run;
        struct outcome outcome = run_seed(&command, seed);
        if (outcome.passed && command.twice && run_seed(&command, seed).hash != outcome.hash) {
            printf("seed %llu: two runs differ\n", (unsigned long long)seed);
            outcome.passed = false;
        }
        if (!outcome.passed) {
            printf("repeat with: klamm-sim --scenario %s --seed %llu\n",
                   scenarios[command.scenario].name, (unsigned long long)seed);
            failed++;
            if (!command.keeps_going)
                return 1;
        }
        events += outcome.events;
        if (command.seconds > 0 && (double)(clock() - start) / CLOCKS_PER_SEC > command.seconds) {
            run++;
            break;
        }
    }
    printf("%s: %llu seeds passed, %llu failed, %llu events, %.1f CPU seconds\n",
           scenarios[command.scenario].name, (unsigned long long)(run - failed),
           (unsigned long long)failed, (unsigned long long)events,
           (double)(clock() - start) / CLOCKS_PER_SEC);
    return failed > 0;
}
