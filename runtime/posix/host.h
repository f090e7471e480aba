/*
 * The process around a node, for main and for tools: files before any loop runs, the machine's
 * size, standard diagnostics, heaps, and blocking storage without a loop.
 */
#ifndef KLAMM_RUNTIME_POSIX_HOST_H
#define KLAMM_RUNTIME_POSIX_HOST_H

#include "base/memory.h"
#include "runtime/diagnostics.h"
#include "runtime/storage.h"

/* A heap on mimalloc, without limits. */
void host_heap_init(struct heap *heap);

/*
 * The whole content of a file of at most `size_max` bytes, with a NUL behind it that *size does not
 * count; the block has *size + 1 bytes of MEMORY_STATE. NULL when it cannot be read, with a text in
 * *error that lives as long as the process.
 */
char *host_read_file(const char *path, struct heap *heap, size_t size_max, size_t *size,
                     const char **error);
/* CPUs that affinity and cgroup quota grant, at least 1. */
unsigned host_cpu_count(void);
/* Bytes of memory that the machine or the cgroup grants. */
uint64_t host_memory_limit(void);
/* Host name of the machine, NUL-terminated; "localhost" when it has none. */
const char *host_name(char *text, size_t capacity);
/* Fresh random bytes from the kernel. */
void host_entropy(void *data, size_t size);
/* Milliseconds since 1970. */
int64_t host_wall_ms(void);
/* Nanoseconds since boot. */
uint64_t host_monotonic_ns(void);

/* Lines to standard error with time and level, at most a few hundred a second. */
const struct diagnostics *host_diagnostics(enum log_level threshold);

/* Storage for one thread without a loop: everything but storage_submit. For tools and tests. */
struct storage host_storage_blocking(void);

#endif
