/*
 * Threads and turns. The control loop runs on the caller's thread. A turn polls the kernel
 * (libevent callbacks only fill ready lists), then goes through the phases of runtime/loop.h, then
 * wakes the loops it has posted to. A loop sleeps in the kernel until the next timer, an event, or
 * the eventfd.
 *
 * Stopping: node_stop sets a flag that every loop looks at between turns. Loops end first, then the
 * pools (which finish what they have), then what is left is freed.
 */
#include "runtime/posix/node.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <mimalloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "runtime/posix/background.h"
#include "runtime/posix/host.h"
#include "runtime/posix/posix_loop.h"

enum {
    STALL_LIMIT_SECONDS = 30,
    WATCH_PERIOD_SECONDS = 5,
    LOOP_STACK_SIZE = 1024 * 1024,
    MESSAGES_PER_TURN = MAILBOX_CAPACITY,
    JOB_DEVICE_THREADS = 8,
    JOB_BACKGROUND_THREADS = 2,
    BACKGROUND_NICENESS = 10, /* loops and other workers come first, see background.h */
    NAME_THREADS = 4
};

/*
 * mimalloc gives freed memory back after 25 ms, and large frames would take their pages anew each
 * time: a third of the cost of receiving them. Kept for five seconds they are used again.
 */
enum { KEEP_FREED_MS = 5000 };
#if MI_MALLOC_VERSION < 210
enum { OPTION_KEEP_FREED = mi_option_decommit_delay };
#else
enum { OPTION_KEEP_FREED = mi_option_purge_delay };
#endif

/* The signal handler's only memory: there is one handler per process. */
static struct {
    volatile sig_atomic_t count;
    volatile sig_atomic_t wake_fd;
} signals;

/* ---- Host operations ---- */

static bool host_post(void *self, unsigned to, struct message *message)
{
    struct posix_loop *at = self;
    if (!mailbox_push(at->node->loops[to].inbox[at->loop.index], message))
        return false;
    at->wake_wanted |= UINT64_C(1) << to;
    return true;
}

static void complete_job(struct task *task)
{
    struct job *job = container_of((void **)(void *)task, struct job, seam);
    job->done(job);
}

/* On a worker: all steps, one after the other. */
static void run_job(struct task *task)
{
    struct job *job = container_of((void **)(void *)task, struct job, seam);
    bool is_background = job->job_class == JOB_BACKGROUND;
    struct background background = {0};
    struct job_pace pace = {0};
    if (is_background)
        pace = background_pace(&background);
    enum job_progress progress;
    do {
        job_give_way(pace); /* before the first step too: a loop may have lost its core to it */
        struct job_context context = {.storage = is_background ? storage_background(&background)
                                                               : host_storage_blocking(),
                                      .heap = &job->heap,
                                      .now_ns = posix_monotonic_ns(),
                                      .wall_ms = posix_wall_ms(),
                                      .diagnostics = job->loop->diagnostics,
                                      .pace = pace};
        progress = job->step(job, &context);
    } while (progress == JOB_MORE);
    task->run = complete_job;
    posix_loop_complete(posix_loop_of(job->loop), task);
}

static void host_start_job(void *self, struct job *job)
{
    struct posix_loop *at = self;
    host_heap_init(&job->heap);
    struct task *task = (struct task *)(void *)job->seam;
    task->run = run_job;
    worker_pool_add(&at->node->job_pools[job->job_class], task);
}

static void host_fill_entropy(void *self, void *data, size_t size)
{
    (void)self;
    host_entropy(data, size);
}

static const struct host_ops ops = {host_post, host_start_job, host_fill_entropy};

/* ---- A loop's life ---- */

/* Edge-triggered: each write wakes, and nobody has to read the count. */
static void on_wake(evutil_socket_t descriptor, short what, void *argument)
{
    (void)descriptor;
    (void)what;
    (void)argument;
}

static void on_timer(evutil_socket_t descriptor, short what, void *argument)
{
    (void)descriptor;
    (void)what;
    struct posix_loop *at = argument;
    at->timer_set_ns = 0;
}

static void loop_open(struct posix_loop *at, struct node *node, unsigned index)
{
    at->node = node;
    host_heap_init(&at->heap);
    pthread_mutex_init(&at->completed_lock, NULL);
    at->completed_last = &at->completed_first;
    for (unsigned from = 0; from < node->count; from++) {
        at->inbox[from] = mi_zalloc_aligned(sizeof(struct mailbox), CACHE_LINE);
        klamm_assert(at->inbox[from] != NULL);
    }
    struct event_config *config = event_config_new();
    klamm_assert(config != NULL);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    event_config_require_features(config, EV_FEATURE_ET);
    at->base = event_base_new_with_config(config);
    event_config_free(config);
    klamm_assert(at->base != NULL);
    at->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    klamm_assert(at->wake_fd >= 0);
    event_assign(&at->wake_event, at->base, at->wake_fd, EV_READ | EV_PERSIST | EV_ET, on_wake, at);
    event_add(&at->wake_event, NULL);
    evtimer_assign(&at->timer_event, at->base, on_timer, at);
    histogram_init(&at->counters.turn_us, &at->heap);
    loop_init(&at->loop, index, node->count, &at->heap, storage_posix(at),
              transport_posix_init(&at->transport, at), (struct host){&ops, at},
              node->options->diagnostics);
    timer_wheel_init(&at->loop.timers, posix_monotonic_ns());
}

static void loop_close(struct posix_loop *at)
{
    transport_posix_deinit(&at->transport);
    histogram_deinit(&at->counters.turn_us);
    event_del(&at->wake_event);
    event_del(&at->timer_event);
    event_base_free(at->base);
    close(at->wake_fd);
    for (unsigned from = 0; from < at->node->count; from++)
        mi_free(at->inbox[from]);
    pthread_mutex_destroy(&at->completed_lock);
}

static void run_completions(struct posix_loop *at)
{
    if (!atomic_load_explicit(&at->has_completed, memory_order_acquire))
        return;
    pthread_mutex_lock(&at->completed_lock);
    struct task *first = at->completed_first;
    at->completed_first = NULL;
    at->completed_last = &at->completed_first;
    atomic_store_explicit(&at->has_completed, false, memory_order_relaxed);
    pthread_mutex_unlock(&at->completed_lock);
    while (first) {
        struct task *task = first;
        first = task->next; /* the callback may free or reuse the task */
        task->run(task);
    }
}

static void deliver_messages(struct posix_loop *at)
{
    for (unsigned from = 0; from < at->loop.count; from++) {
        struct message *message;
        for (int i = 0; i < MESSAGES_PER_TURN && (message = mailbox_pop(at->inbox[from])); i++)
            loop_deliver(&at->loop, message);
    }
}

static void wake_receivers(struct posix_loop *at)
{
    at->wake_wanted &= ~(UINT64_C(1) << at->loop.index); /* the own ring is looked at anyway */
    for (; at->wake_wanted != 0; at->wake_wanted &= at->wake_wanted - 1) {
        unsigned to = (unsigned)__builtin_ctzll(at->wake_wanted);
        if (posix_loop_wake(&at->node->loops[to]))
            at->loop.counters.wakeups_sent++;
    }
}

static void run_turn(struct posix_loop *at)
{
    uint64_t start = posix_monotonic_ns();
    atomic_store_explicit(&at->turn_started_ns, start, memory_order_relaxed);
    loop_turn_begin(&at->loop, start, posix_wall_ms());
    posix_loop_enter(at, "completions");
    run_completions(at);
    if (at->loop.index == 0 && signals.count > 0 && !at->node->options->keep_signals &&
        signals.wake_fd >= 0) {
        signals.wake_fd = -1; /* told once */
        at->node->options->stop_requested(&at->loop);
    }
    posix_loop_enter(at, "messages");
    deliver_messages(at);
    posix_loop_enter(at, "timers");
    loop_turn_timers(&at->loop);
    posix_loop_enter(at, "network");
    transport_posix_network(&at->transport);
    posix_loop_enter(at, "deferred work");
    loop_turn_end(&at->loop);
    posix_loop_enter(at, "sends");
    transport_posix_flush(&at->transport);
    wake_receivers(at);
    histogram_record(&at->counters.turn_us, (posix_monotonic_ns() - start) / 1000);
    atomic_store_explicit(&at->turn_started_ns, 0, memory_order_relaxed);
}

/* Whether something has arrived that needs no kernel event. */
static bool has_arrivals(const struct posix_loop *at)
{
    if (atomic_load_explicit(&at->has_completed, memory_order_acquire))
        return true;
    for (unsigned from = 0; from < at->loop.count; from++) {
        if (!mailbox_is_empty(at->inbox[from]))
            return true;
    }
    return false;
}

static void set_wake_time(struct posix_loop *at, uint64_t next_ns, uint64_t now_ns)
{
    if (next_ns == at->timer_set_ns)
        return;
    if (next_ns == UINT64_MAX) {
        if (at->timer_set_ns != 0)
            event_del(&at->timer_event);
        at->timer_set_ns = 0;
        return;
    }
    uint64_t delay = next_ns - now_ns;
    struct timeval wait = {.tv_sec = (time_t)(delay / 1000000000u),
                           .tv_usec = (suseconds_t)(delay % 1000000000u / 1000)};
    event_add(&at->timer_event, &wait);
    at->timer_set_ns = next_ns;
}

/* Polls the kernel, sleeping when there is nothing to do. */
static void wait_for_events(struct posix_loop *at)
{
    /* NONBLOCK alone goes on while events are active: a stream that nobody reads keeps it forever.
     */
    const int poll_once = EVLOOP_ONCE | EVLOOP_NONBLOCK;
    uint64_t next = loop_next_turn_ns(&at->loop);
    uint64_t now = posix_monotonic_ns();
    at->counters.polls++;
    if (next <= now || transport_posix_is_busy(&at->transport)) {
        event_base_loop(at->base, poll_once);
        return;
    }
    set_wake_time(at, next, now);
    atomic_store_explicit(&at->sleeping, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    bool awake =
        has_arrivals(at) || atomic_load_explicit(&at->node->stopping, memory_order_relaxed);
    event_base_loop(at->base, awake ? poll_once : EVLOOP_ONCE);
    atomic_store_explicit(&at->sleeping, false, memory_order_relaxed);
}

static void loop_run(struct posix_loop *at)
{
    struct node *node = at->node;
    loop_turn_begin(&at->loop, posix_monotonic_ns(), posix_wall_ms());
    node->options->boot(&at->loop, node->options->argument);
    loop_turn_end(&at->loop);
    transport_posix_flush(&at->transport);
    wake_receivers(at);
    while (!atomic_load_explicit(&node->stopping, memory_order_acquire)) {
        wait_for_events(at);
        run_turn(at);
    }
}

static void *loop_main(void *argument)
{
    struct posix_loop *at = argument;
    char name[16];
    snprintf(name, sizeof(name), "klamm-shard-%u", at->loop.index % 1000);
    pthread_setname_np(pthread_self(), name);
    loop_run(at);
    return NULL;
}

/* ---- Signals and the watchdog ---- */

static void on_signal(int number)
{
    int saved = errno;
    if (signals.count++ > 0)
        _exit(128 + number);
    uint64_t one = 1;
    int descriptor = signals.wake_fd;
    if (descriptor >= 0 && write(descriptor, &one, sizeof(one)) < 0)
        _exit(128 + number);
    errno = saved;
}

static void install_signals(int wake_fd)
{
    signals.count = 0;
    signals.wake_fd = wake_fd;
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

struct watchdog {
    struct node *node;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool end;
    uint64_t seen[LOOP_COUNT_MAX]; /* start of the turn that the last look found, per loop */
};

/*
 * The clock of turns counts suspend, so the first look after a resume may find an old turn that
 * only needs the CPU: it takes two looks at the same turn, and the time between them is awake time.
 */
static void check_turns(struct watchdog *watchdog)
{
    const struct node *node = watchdog->node;
    uint64_t now = posix_monotonic_ns();
    for (unsigned i = 0; i < node->count; i++) {
        struct posix_loop *at = &node->loops[i];
        uint64_t started = atomic_load_explicit(&at->turn_started_ns, memory_order_relaxed);
        bool seen = started != 0 && started == watchdog->seen[i];
        watchdog->seen[i] = started;
        if (!seen || now < started || now - started < STALL_LIMIT_SECONDS * UINT64_C(1000000000))
            continue;
        fprintf(stderr, "halt: loop %u has been in one turn for %d s, in: %s\n", i,
                STALL_LIMIT_SECONDS, atomic_load_explicit(&at->turn_phase, memory_order_relaxed));
        klamm_halt(__FILE__, __LINE__, "a loop is stuck");
    }
}

static void *watchdog_main(void *argument)
{
    struct watchdog *watchdog = argument;
    pthread_setname_np(pthread_self(), "klamm-watchdog");
    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->end) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += WATCH_PERIOD_SECONDS;
        if (pthread_cond_timedwait(&watchdog->ended, &watchdog->lock, &until) == ETIMEDOUT)
            check_turns(watchdog);
    }
    pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

static int start_thread(pthread_t *thread, size_t stack_size, void *(*entry)(void *),
                        void *argument)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);
    int result = pthread_create(thread, &attributes, entry, argument);
    pthread_attr_destroy(&attributes);
    return result;
}

static void watchdog_start(struct watchdog *watchdog, struct node *node)
{
    *watchdog = (struct watchdog){.node = node};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&watchdog->lock, NULL);
    pthread_cond_init(&watchdog->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    klamm_assert(start_thread(&watchdog->thread, 64 * 1024, watchdog_main, watchdog) == 0);
}

static void watchdog_stop(struct watchdog *watchdog)
{
    pthread_mutex_lock(&watchdog->lock);
    watchdog->end = true;
    pthread_cond_signal(&watchdog->ended);
    pthread_mutex_unlock(&watchdog->lock);
    pthread_join(watchdog->thread, NULL);
    pthread_mutex_destroy(&watchdog->lock);
    pthread_cond_destroy(&watchdog->ended);
}

/* ---- The node ---- */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void pools_open(struct node *node)
{
    unsigned cpus = host_cpu_count();
    pthread_mutex_init(&node->devices_lock, NULL);
    worker_pool_init(&node->job_pools[JOB_DEVICE], "klamm-job", JOB_DEVICE_THREADS);
    worker_pool_init(&node->job_pools[JOB_COMPUTE], "klamm-compute", cpus);
    worker_pool_init(&node->job_pools[JOB_BACKGROUND], "klamm-idle-work", JOB_BACKGROUND_THREADS);
    node->job_pools[JOB_BACKGROUND].niceness = BACKGROUND_NICENESS;
    worker_pool_init(&node->name_pool, "klamm-names", NAME_THREADS);
}

static void pools_close(struct node *node)
{
    for (unsigned i = 0; i < JOB_CLASSES; i++)
        worker_pool_deinit(&node->job_pools[i]);
    for (unsigned i = 0; i < node->device_count; i++)
        worker_pool_deinit(&node->devices[i].pool);
    worker_pool_deinit(&node->name_pool);
    pthread_mutex_destroy(&node->devices_lock);
}

/* How long the loops kept what came meanwhile waiting; for who looks at one run. */
static void say_turns(const struct node *node)
{
    for (unsigned i = 0; i < node->count; i++) {
        const struct node_loop_counters *counters = &node->loops[i].counters;
        const struct histogram *turns = &counters->turn_us;
        log_info(node->options->diagnostics,
                 "turns: loop=%u turns=%llu p99_us=%llu longest_us=%llu above_2_ms=%llu "
                 "warmed_ranges=%llu",
                 i, (unsigned long long)turns->count,
                 (unsigned long long)histogram_percentile(turns, 0.99),
                 (unsigned long long)turns->maximum,
                 (unsigned long long)(turns->count - histogram_count_up_to(turns, 2000)),
                 (unsigned long long)counters->warmed_ranges);
    }
}

int node_run(const struct node_options *options)
{
    klamm_assert(options->shards >= 1);
    struct node node = {.options = options, .count = options->shards + 1};
    klamm_assert(node.count <= LOOP_COUNT_MAX);
    mi_option_set_default((mi_option_t)OPTION_KEEP_FREED, KEEP_FREED_MS);
    raise_descriptor_limit();
    pools_open(&node);
    size_t loops_size = node.count * sizeof(struct posix_loop);
    node.loops = mi_zalloc_aligned(loops_size, CACHE_LINE);
    klamm_assert(node.loops != NULL);
    for (unsigned i = 0; i < node.count; i++)
        loop_open(&node.loops[i], &node, i);
    if (!options->keep_signals)
        install_signals(node.loops[0].wake_fd);
    struct watchdog watchdog;
    watchdog_start(&watchdog, &node);
    for (unsigned i = 1; i < node.count; i++)
        klamm_assert(
            start_thread(&node.loops[i].thread, LOOP_STACK_SIZE, loop_main, &node.loops[i]) == 0);
    loop_run(&node.loops[0]);
    for (unsigned i = 1; i < node.count; i++)
        pthread_join(node.loops[i].thread, NULL);
    watchdog_stop(&watchdog);
    pools_close(&node);
    if (atomic_load(&node.status) == 0) /* else the reason is the last thing said */
        say_turns(&node);
    if (!options->keep_signals)
        signals.wake_fd = -1;
    for (unsigned i = 0; i < node.count; i++)
        loop_close(&node.loops[i]);
    mi_free(node.loops);
    return atomic_load(&node.status);
}

void node_stop(struct loop *loop, int status)
{
    struct node *node = posix_loop_of(loop)->node;
    atomic_store(&node->status, status);
    atomic_store_explicit(&node->stopping, true, memory_order_release);
    for (unsigned i = 0; i < node->count; i++)
        posix_loop_wake(&node->loops[i]);
}

const struct node_loop_counters *node_counters(const struct loop *loop)
{
    return &posix_loop_of(loop)->counters;
}
