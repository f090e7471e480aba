/* What the files of the simulator share. */
#ifndef KLAMM_TESTS_SIM_SIM_INTERNAL_H
#define KLAMM_TESTS_SIM_SIM_INTERNAL_H

#include <setjmp.h>
#include <string.h>

#include "base/priority_queue.h"
#include "tests/sim/sim.h"

struct sim_disk;
struct sim_node;
struct sim_loop;

/* Something that happens at a time. Events of a node that has died since are dropped. */
struct sim_event {
    struct priority_node queued;
    void (*run)(struct sim_event *event);
    struct sim *sim;
    struct sim_node *node; /* NULL: outside of all nodes */
    uint64_t incarnation;  /* of the node, when the event was made */
    struct sim_loop *at;   /* of the node, when it concerns one loop */
    void *subject;
    void (*dropped)(struct sim_event *event); /* instead of run, when the node has died */
    void *data;                               /* simulator memory, freed with the event */
    uint64_t size;
};

/* A completed request or job on its way into a turn. */
struct arrival {
    struct arrival *next;
    void (*run)(struct sim_loop *at, void *subject);
    void *subject;
};

struct arrival_queue {
    struct arrival *first;
    struct arrival **last;
    size_t count;
};

struct sim_loop {
    struct loop loop;
    struct heap heap;
    struct sim_node *node;
    struct arrival_queue completed;
    struct arrival_queue inbox[LOOP_COUNT_MAX]; /* by sender: arrived messages */
    unsigned in_flight[LOOP_COUNT_MAX];         /* by sender: posted and not delivered */
    uint64_t last_arrival_ns[LOOP_COUNT_MAX];
    struct list ready;  /* stream ends with something to tell */
    struct list unsent; /* stream ends with something to send */
    struct sim_event *turn;
    bool booted;
};

/* A block of a node's memory. */
struct block {
    struct list link;
    size_t size;
    uint64_t reserved;
};

/* The clocks of a node: they run at a rate of their own since a common moment. */
struct sim_clock {
    uint64_t real_ns, own_ns; /* the same moment, here and there */
    int32_t rate_ppm;
    int64_t wall_ms; /* its error */
};

struct sim_node {
    struct sim *sim;
    unsigned number;
    struct sim_node_spec spec;
    struct sim_faults faults;
    struct random_stream random; /* storage and turns of this node */
    struct sim_disk *disk;
    struct diagnostics diagnostics;
    bool running;
    bool stop_wanted; /* sim_stop, not told yet */
    bool ending;      /* sim_node_stop was called */
    int exit_status;
    uint64_t incarnation;
    struct sim_loop *loops; /* [spec.loops], in node memory */
    struct list blocks;
    uint64_t held_bytes;
    uint64_t crash_call; /* storage calls left until it dies; 0: none ordered */
    bool crash_is_power_cut;
    uint64_t step_delay_ns;   /* device time that blocking calls of the current job step took */
    uint64_t paused_until_ns; /* no turn and no step of a job before */
    struct sim_clock clock;
    struct list listeners;
    struct list ends; /* stream ends of this node */
};

/* One direction between two nodes. */
struct sim_wire {
    uint64_t delay_max_ns; /* 0: the usual */
    bool is_cut;
};

struct sim {
    uint64_t seed;
    uint64_t now_ns;
    uint64_t hash;
    uint64_t events;
    struct heap heap;
    struct priority_queue queue;
    struct random_stream random;   /* the scenario's */
    struct random_stream schedule; /* delays and ties */
    struct sim_node *nodes[64];
    unsigned node_count;
    struct sim_node *inside; /* the node whose code runs */
    jmp_buf crash_jump;
    jmp_buf fail_jump;
    bool guarded;
    uint64_t next_handle; /* of accepted streams */
    struct list links;
    struct sim_wire wires[64][64]; /* from, to */
    void (*watch)(void *context, unsigned node);
    void *watch_context;
    char failure[512];
};

/* Memory of the simulator itself: zeroed, never NULL. */
void *sim_get(struct sim *sim, size_t size);
void sim_put(struct sim *sim, void *block, size_t size);

struct sim_event *sim_schedule(struct sim *sim, struct sim_node *node, uint64_t delay_ns,
                               void (*run)(struct sim_event *event));
void sim_fold(struct sim *sim, uint64_t value);
void sim_fold_bytes(struct sim *sim, const void *data, size_t size);
/* A delay between low and high, spread over the orders of magnitude. */
uint64_t sim_delay(struct random_stream *random, uint64_t low_ns, uint64_t high_ns);

/* Runs node code; returns false when the node died in it. */
bool sim_enter(struct sim_node *node, void (*run)(void *argument), void *argument);
/* From inside node code: the node dies here. */
_Noreturn void sim_die(struct sim_node *node);
/* Drops memory and everything pending; the disk is the caller's matter. */
void sim_node_end(struct sim_node *node);
void *sim_node_get(struct sim_node *node, size_t size);

/* What the node's clocks show now, and how long a wait of its clock takes. */
uint64_t sim_clock_ns(const struct sim_node *node);
int64_t sim_clock_wall_ms(const struct sim_node *node);
uint64_t sim_clock_wait_ns(const struct sim_node *node, uint64_t own_ns);

/* sim_network.c; a NULL node is never cut off. */
bool sim_network_is_cut(const struct sim *sim, const struct sim_node *from,
                        const struct sim_node *to);
uint64_t sim_network_delay(struct sim *sim, const struct sim_node *from, const struct sim_node *to);

/* sim_loop.c */
void sim_loops_boot(struct sim_node *node);
void sim_wake(struct sim_loop *at);
void sim_arrive(struct sim_loop *at, struct arrival_queue *queue,
                void (*run)(struct sim_loop *at, void *subject), void *subject);
struct sim_loop *sim_loop_of(const struct loop *loop);
void sim_heap_init(struct sim_node *node, struct heap *heap);

/* sim_storage.c */
struct storage sim_storage(struct sim_loop *at);
struct storage sim_storage_blocking(struct sim_node *node);
/* Bytes of a file as they are now; false when the range ends behind it. */
bool sim_file_range(const struct storage_file *file, uint64_t offset, void *data, size_t size);

/* sim_disk.c */
struct sim_disk *sim_disk_create(struct sim_node *node);
void sim_disk_destroy(struct sim_disk *disk);
void sim_disk_process_crash(struct sim_disk *disk);
void sim_disk_power_cut(struct sim_disk *disk);

/* sim_transport.c */
struct transport sim_transport(struct sim_loop *at);
void sim_transport_network(struct sim_loop *at);
void sim_transport_flush(struct sim_loop *at);
/* Some direction is not cut any more: what was kept back there goes on. */
void sim_transport_healed(struct sim *sim);
/* The node is gone: its peers hear of it after a while. */
void sim_transport_node_ended(struct sim_node *node);
void sim_transport_destroy(struct sim *sim);

#endif
