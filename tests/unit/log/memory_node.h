/*
 * A node in memory for the tests of this folder: a disk that knows what is durable, and a few loops
 * that run on the test's own thread.
 *
 * Files and names have a current and a durable state; memory_node_crash falls back to the durable
 * one. Requests complete when the test runs the node, or one by one when `hold` is set.
 */
#ifndef KLAMM_TESTS_UNIT_LOG_MEMORY_NODE_H
#define KLAMM_TESTS_UNIT_LOG_MEMORY_NODE_H

#include "base/bytes.h"
#include "base/memory.h"
#include "runtime/loop.h"

enum { MEMORY_NODE_LOOPS = 3, MEMORY_NODE_OPERATIONS = STORAGE_LOCK + 1 };

struct memory_inode {
    struct memory_inode *next;
    bool is_directory;
    uint8_t *data;
    size_t size, capacity;
    uint8_t *durable;
    size_t durable_size;
    int64_t modified_ms;
};

struct memory_name {
    struct memory_name *next;
    char *path;
    struct memory_inode *current; /* NULL: the name is gone now */
    struct memory_inode *durable; /* NULL: the name is gone after a crash */
};

struct storage_file {
    struct storage_file *next;
    struct memory_inode *inode;
    bool poisoned;
    bool is_lock;
    bool closed;
    char *path; /* of a lock */
};

struct memory_loop {
    struct memory_node *node;
    struct loop loop;
    struct heap heap; /* what is left in it goes with the node */
    struct list blocks;
    struct message *first_message, **last_message;
};

struct memory_node {
    struct memory_loop loops[MEMORY_NODE_LOOPS];
    struct memory_inode *inodes;
    struct memory_name *names;
    struct storage_file *files;
    struct storage_request *first_request, **last_request;
    struct job *first_job, **last_job;
    uint64_t now_ns;
    int64_t wall_ms;
    uint64_t job_ns; /* how long a job takes: by this the clock moves when it is done */
    bool hold;       /* requests wait for memory_node_complete */
    /* The next `after`-th call (0: the next one) of the operation answers `status`. */
    struct {
        enum storage_status status;
        int after;
    } failure[MEMORY_NODE_OPERATIONS];
    uint64_t calls[MEMORY_NODE_OPERATIONS];
    uint64_t append_calls;
    bool slow; /* append answers PENDING */
    bool cold; /* read_now answers NOT_RESIDENT */
    struct diagnostics diagnostics;
    char last_line[512];
    uint64_t entropy_drawn; /* times; each draw differs, and is the same in every run */
};

void memory_node_init(struct memory_node *node);
void memory_node_deinit(struct memory_node *node);
struct storage memory_node_storage(struct memory_node *node);
struct loop *memory_node_loop(struct memory_node *node, unsigned index);
/* Runs turns until nothing is left to do at this time; true when anything was done. */
bool memory_node_run(struct memory_node *node);
/* Moves time and runs. */
void memory_node_advance(struct memory_node *node, uint64_t delay_ns);
/* With hold: how many requests wait, and completing the index-th of them. */
size_t memory_node_held(const struct memory_node *node);
struct storage_request *memory_node_held_request(struct memory_node *node, size_t index);
void memory_node_complete(struct memory_node *node, size_t index);
/* Power cut: only what is durable is left; open files and pending work are gone. */
void memory_node_crash(struct memory_node *node);
void memory_node_fail(struct memory_node *node, enum storage_operation operation, int after,
                      enum storage_status status);
/* A job context for calling blocking functions straight from a test. */
struct job_context memory_node_context(struct memory_node *node);

/* Shorthands: content as a view into the disk, null when missing; writing without durability. */
struct view memory_node_file(struct memory_node *node, const char *path);
struct view memory_node_durable_file(struct memory_node *node, const char *path);
void memory_node_put_file(struct memory_node *node, const char *path, struct view content);
void memory_node_make_directory(struct memory_node *node, const char *path);
bool memory_node_exists(struct memory_node *node, const char *path);

#endif
