/*
 * Reading the machine: the kernel's files for cgroup limits (version 2 first, then 1), affinity,
 * environment, entropy. All of it runs before the loops do.
 */
#include "runtime/posix/host.h"

#include <errno.h>
#include <fcntl.h>
#include <mimalloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "runtime/posix/posix_loop.h"

static void *mimalloc_get(struct heap *heap, size_t size)
{
    (void)heap;
    return mi_malloc(size);
}

static void mimalloc_put(struct heap *heap, void *block, size_t size)
{
    (void)heap;
    (void)size;
    mi_free(block);
}

void host_heap_init(struct heap *heap)
{
    *heap = (struct heap){.get = mimalloc_get, .put = mimalloc_put};
}

static char *read_descriptor(int descriptor, struct heap *heap, size_t size, const char **error)
{
    char *block = heap_get(heap, MEMORY_STATE, size + 1);
    if (!block) {
        *error = "out of memory";
        return NULL;
    }
    size_t done = 0;
    while (done < size) {
        ssize_t result = read(descriptor, block + done, size - done);
        if (result < 0 && errno == EINTR)
            continue;
        if (result <= 0) {
            *error = result < 0 ? strerror(errno) : "changed while it was read";
            heap_put(heap, MEMORY_STATE, block, size + 1);
            return NULL;
        }
        done += (size_t)result;
    }
    block[size] = '\0';
    return block;
}

char *host_read_file(const char *path, struct heap *heap, size_t size_max, size_t *size,
                     const char **error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        *error = strerror(errno);
        return NULL;
    }
    struct stat information;
    char *block = NULL;
    if (fstat(descriptor, &information) < 0)
        *error = strerror(errno);
    else if (!S_ISREG(information.st_mode))
        *error = "not a regular file";
    else if ((uint64_t)information.st_size > size_max)
        *error = "file too large";
    else
        block = read_descriptor(descriptor, heap, (size_t)information.st_size, error);
    close(descriptor);
    if (block)
        *size = (size_t)information.st_size;
    return block;
}

/* The first line of a small kernel file; false when there is none. */
static bool read_line(const char *path, char *line, size_t capacity)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool got = fgets(line, (int)capacity, file) != NULL;
    fclose(file);
    return got;
}

static unsigned quota_cpus(void)
{
    char line[128];
    long long quota = -1, period = 0;
    if (read_line("/sys/fs/cgroup/cpu.max", line, sizeof(line))) {
        if (sscanf(line, "%lld %lld", &quota, &period) != 2)
            quota = -1;
    } else if (read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", line, sizeof(line))) {
        quota = strtoll(line, NULL, 10);
        if (read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", line, sizeof(line)))
            period = strtoll(line, NULL, 10);
    }
    if (quota <= 0 || period <= 0)
        return UINT32_MAX;
    long long cpus = (quota + period - 1) / period;
    return cpus < 1 ? 1 : (unsigned)cpus;
}

unsigned host_cpu_count(void)
{
    cpu_set_t set;
    unsigned count = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        count = (unsigned)CPU_COUNT(&set);
    unsigned quota = quota_cpus();
    return count < quota ? count : quota;
}

uint64_t host_memory_limit(void)
{
    uint64_t limit = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    static const char *const paths[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char line[128];
        if (!read_line(paths[i], line, sizeof(line)))
            continue;
        uint64_t granted = strtoull(line, NULL, 10); /* 0 for the word "max" */
        if (granted > 0 && granted < limit)
            limit = granted;
        break;
    }
    return limit;
}

const char *host_name(char *text, size_t capacity)
{
    if (gethostname(text, capacity) < 0 || text[0] == '\0')
        snprintf(text, capacity, "localhost");
    text[capacity - 1] = '\0';
    return text;
}

void host_entropy(void *data, size_t size)
{
    uint8_t *place = data;
    while (size > 0) {
        ssize_t result = getrandom(place, size, 0);
        if (result < 0 && errno == EINTR)
            continue;
        klamm_assert(result > 0);
        place += result;
        size -= (size_t)result;
    }
}

uint64_t posix_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t posix_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t host_wall_ms(void)
{
    return posix_wall_ms();
}

uint64_t host_monotonic_ns(void)
{
    return posix_monotonic_ns();
}
