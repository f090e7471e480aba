/* The parts of trouble, for cluster_trouble.c and cluster_stage.c. */
#ifndef KLAMM_TESTS_SIM_CLUSTER_STORM_H
#define KLAMM_TESTS_SIM_CLUSTER_STORM_H

#include "tests/sim/cluster.h"

struct storm {
    struct cluster *cluster;
    unsigned first_client, client_count;
    uint32_t kinds; /* bit per enum trouble */
    uint64_t pace_ns;
    uint64_t network_heals_ns; /* 0: nothing is cut */
    bool parts_long;           /* for longer than a session, mostly */
};

struct random_stream *storm_random(struct storm *storm);
unsigned storm_any_node(struct storm *storm);
bool storm_runs(const struct storm *storm, unsigned node);
/* A kill or a power cut; when the node is started again is drawn anew. */
void storm_end_node(struct storm *storm, unsigned node, bool power_cut);
/* The same, and it is started at once. */
void storm_bounce(struct storm *storm, unsigned node);
void storm_wait_up_to(struct storm *storm, uint64_t most_ns);
/* The image of the controller that decides; NULL: nobody does. */
const struct image *storm_newest_image(const struct cluster *cluster);

/*
 * Trouble in stages: it waits for a moment that chance seldom meets, and does something then.
 *
 * take_over: the node comes back over slow links and leads soon, by the wish of an operator; then
 * it has less than its predecessor wrote, and it ends before anybody has got what it wrote itself
 * (KIP-279).
 */
void storm_take_over(struct storm *storm, unsigned node);
/*
 * come_back: the node comes back, and while the word of a leader that it is in sync again is slow
 * on its way to the controllers, it stops and comes back once more (KIP-903).
 */
void storm_come_back(struct storm *storm, unsigned node);

/*
 * lose: the node loses what it promised to keep. Its disk is emptied, where it is a broker only
 * (a voter of a static quorum must not lose its disk; those of a dynamic one are replaced); or,
 * where acknowledgements promise the page cache, it loses power. Done only when every partition of
 * the node has somebody else in sync, and nothing else happens until the node is registered again:
 * more is beyond what is promised.
 */
void storm_lose(struct storm *storm, unsigned node);

#endif
