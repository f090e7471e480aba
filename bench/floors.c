/*
 * Two threads over a loopback TCP connection; only the side that stands for the broker is measured,
 * by the CPU time of its thread.
 */
#include "bench/floors.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/sort.h"
#include "bench/client.h"

enum { CHUNK = 1 << 20, FILE_SIZE = 64 << 20 };

static double thread_cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void connected_pair(int pair[2])
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        connect(pair[0], (struct sockaddr *)&address, size) != 0)
        bench_fail("loopback: %s", strerror(errno));
    pair[1] = accept(listener, NULL, NULL);
    close(listener);
}

static int scratch_file(const char *directory)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/klamm-floor-XXXXXX", directory);
    int fd = mkstemp(path);
    if (fd < 0)
        bench_fail("%s: %s", path, strerror(errno));
    unlink(path);
    return fd;
}

struct other_side {
    int fd;
    uint64_t bytes;
    bool sends;
};

static void *run_other_side(void *argument)
{
    struct other_side *side = argument;
    static uint8_t data[CHUNK];
    uint64_t left = side->bytes;
    while (left > 0) {
        size_t part = left < CHUNK ? (size_t)left : CHUNK;
        ssize_t moved =
            side->sends ? send(side->fd, data, part, MSG_NOSIGNAL) : recv(side->fd, data, part, 0);
        if (moved <= 0)
            break;
        left -= (uint64_t)moved;
    }
    return NULL;
}

static double run_pair(uint64_t bytes, bool broker_sends, int file,
                       uint64_t (*run)(int fd, int file, uint64_t bytes))
{
    int pair[2];
    connected_pair(pair);
    struct other_side side = {.fd = pair[0], .bytes = bytes, .sends = !broker_sends};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_other_side, &side) != 0)
        bench_fail("no thread");
    double start_s = thread_cpu_s();
    uint64_t moved = run(pair[1], file, bytes);
    double spent_s = thread_cpu_s() - start_s;
    close(pair[1]);
    pthread_join(thread, NULL);
    close(pair[0]);
    close(file);
    return spent_s / ((double)moved / 1073741824);
}

static uint64_t receive_into(int fd, int file, uint64_t bytes, off_t wrap)
{
    uint8_t *data = malloc(CHUNK);
    uint64_t moved = 0;
    uint32_t sum = 0;
    off_t position = 0;
    while (moved < bytes) {
        ssize_t got = recv(fd, data, CHUNK, MSG_WAITALL);
        if (got <= 0)
            break;
        sum ^= crc32c(0, data, (size_t)got);
        if (pwrite(file, data, (size_t)got, position) != got)
            bench_fail("write: %s", strerror(errno));
        position = (position + got) % wrap;
        moved += (uint64_t)got;
    }
    free(data);
    return sum == 1 && moved == 1 ? 1 : moved;
}

static uint64_t receive_and_write(int fd, int file, uint64_t bytes)
{
    return receive_into(fd, file, bytes, FILE_SIZE);
}

static uint64_t receive_and_grow(int fd, int file, uint64_t bytes)
{
    return receive_into(fd, file, bytes, INT64_MAX);
}

static uint64_t send_from_file(int fd, int file, uint64_t bytes)
{
    uint64_t moved = 0;
    while (moved < bytes) {
        off_t position = (off_t)(moved % FILE_SIZE);
        ssize_t sent = sendfile(fd, file, &position, CHUNK);
        if (sent <= 0)
            break;
        moved += (uint64_t)sent;
    }
    return moved;
}

double floor_receive_s_per_gib(const char *directory, uint64_t bytes)
{
    return run_pair(bytes, false, scratch_file(directory), receive_and_write);
}

double floor_grow_s_per_gib(const char *directory, uint64_t bytes)
{
    return run_pair(bytes, false, scratch_file(directory), receive_and_grow);
}

double floor_sendfile_s_per_gib(const char *directory, uint64_t bytes)
{
    int file = scratch_file(directory);
    uint8_t *data = calloc(1, CHUNK);
    for (off_t at = 0; at < FILE_SIZE; at += CHUNK)
        if (pwrite(file, data, CHUNK, at) != CHUNK)
            bench_fail("write: %s", strerror(errno));
    free(data);
    return run_pair(bytes, true, file, send_from_file);
}

static int compare_double(const void *a, const void *b, void *context)
{
    (void)context;
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double floor_sync_ms(const char *directory, unsigned count)
{
    int file = scratch_file(directory);
    struct heap heap;
    heap_init_plain(&heap);
    double *times_ms = heap_must_get(&heap, MEMORY_SCRATCH, count * sizeof(double));
    uint8_t block[4096] = {0};
    for (unsigned i = 0; i < count; i++) {
        uint64_t start_ns = bench_now_ns();
        if (pwrite(file, block, sizeof(block), (off_t)(i * sizeof(block))) != sizeof(block) ||
            fdatasync(file) != 0)
            bench_fail("sync: %s", strerror(errno));
        times_ms[i] = (double)(bench_now_ns() - start_ns) / 1e6;
    }
    close(file);
    sort_stable_on(&heap, times_ms, count, sizeof(double), compare_double, NULL);
    double median = times_ms[count / 2];
    heap_put(&heap, MEMORY_SCRATCH, times_ms, count * sizeof(double));
    return median;
}
