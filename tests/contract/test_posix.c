/* The contract suite on the real host: real files in a fresh directory, real sockets on loopback.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/posix/host.h"
#include "runtime/posix/node.h"
#include "tests/contract/contract.h"

static void end_node(struct contract *contract, struct loop *loop)
{
    /* Loop 1 has sent all it will: its last message is why the case ends. */
    if (contract->is_evicted)
        CHECK(contract, node_counters(contract->loops[1])->warmed_ranges > 0);
    node_stop(loop, 0);
}

static void evict(struct contract *contract, const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(contract, descriptor >= 0 && fdatasync(descriptor) == 0);
    CHECK(contract, posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) == 0);
    char byte;
    struct iovec vector = {&byte, 1};
    /* Some file systems live in memory, or cannot tell. */
    contract->is_evicted = preadv2(descriptor, &vector, 1, 0, RWF_NOWAIT) < 0 && errno == EAGAIN;
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

int main(void)
{
    unsigned failed = 0;
    for (unsigned i = 0; i < storage_case_count; i++)
        failed += !run_case(&storage_cases[i], "127.0.0.1");
    static const char *const hosts[] = {"127.0.0.1", "localhost", "::1"};
    for (unsigned i = 0; i < transport_case_count; i++) {
        for (unsigned host = 0; host < sizeof(hosts) / sizeof(hosts[0]); host++)
            failed += !run_case(&transport_cases[i], hosts[host]);
    }
    return failed > 0;
}
