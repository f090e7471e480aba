/* The contract suite on the real host: real files in a fresh directory, real sockets on loopback.
 */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/posix/host.h"
#include "runtime/posix/node.h"
#include "tests/contract/contract.h"

enum { PAGES_MAX = 1024 };

static void end_node(struct contract *contract, struct loop *loop)
{
    /* Loop 1 has sent all it will: its last message is why the case ends. */
    if (contract->is_evicted)
        CHECK(contract, node_counters(contract->loops[1])->warmed_ranges > 0);
    node_stop(loop, 0);
}

/* By mincore: a read that may not wait would have the kernel read ahead, perhaps the whole file. */
static bool has_no_page_in_memory(int descriptor)
{
    unsigned char resident[PAGES_MAX];
    struct stat status;
    if (fstat(descriptor, &status) != 0 || status.st_size == 0)
        return false;
    size_t size = (size_t)status.st_size, page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = (size + page - 1) / page;
    if (pages > PAGES_MAX)
        return false;
    void *mapping = mmap(NULL, size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (mapping == MAP_FAILED)
        return false;
    bool is_known = mincore(mapping, size, resident) == 0;
    munmap(mapping, size);
    bool any = false;
    for (size_t i = 0; is_known && i < pages; i++)
        any = any || (resident[i] & 1) != 0;
    return is_known && !any;
}

static void evict(struct contract *contract, const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(contract, descriptor >= 0 && fdatasync(descriptor) == 0);
    char byte;
    struct iovec vector = {&byte, 1};
    /* Some file systems live in memory, or cannot tell. */
    bool can_tell = preadv2(descriptor, &vector, 1, 0, RWF_NOWAIT) == 1;
    CHECK(contract, posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) == 0);
    contract->is_evicted = can_tell && has_no_page_in_memory(descriptor);
    close(descriptor);
}

static void remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory)) != NULL;) {
        char inner[1024];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
        if (unlink(inner) != 0)
            remove_tree(inner);
    }
    if (directory)
        closedir(directory);
    rmdir(path);
}

static bool run_case(const struct contract_case *which, const char *host)
{
    char directory[] = "contract-XXXXXX";
    if (!mkdtemp(directory))
        return false;
    struct contract contract = {
        .which = which, .directory = directory, .host = host, .end = end_node, .evict = evict};
    const struct node_options options = {.shards = 1,
                                         .diagnostics = host_diagnostics(LOG_LEVEL_WARN),
                                         .boot = contract_boot,
                                         .argument = &contract,
                                         .keep_signals = true};
    node_run(&options);
    remove_tree(directory);
    printf("%s %s (%s)\n", contract.failure ? "FAILED" : "ok", which->name, host);
    if (contract.failure)
        printf("  line %d: %s\n", contract.failure_line, contract.failure);
    return contract.failure == NULL;
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 place = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_there = probe >= 0 && bind(probe, (struct sockaddr *)&place, sizeof(place)) == 0;
    if (probe >= 0)
        close(probe);
    return is_there;
}

int main(void)
{
    unsigned failed = 0;
    for (unsigned i = 0; i < storage_case_count; i++)
        failed += !run_case(&storage_cases[i], "127.0.0.1");
    static const char *const hosts[] = {"127.0.0.1", "localhost", "::1"};
    unsigned host_count = sizeof(hosts) / sizeof(hosts[0]) - (has_ipv6() ? 0 : 1);
    for (unsigned i = 0; i < transport_case_count; i++) {
        for (unsigned host = 0; host < host_count; host++)
            failed += !run_case(&transport_cases[i], hosts[host]);
    }
    return failed > 0;
}
