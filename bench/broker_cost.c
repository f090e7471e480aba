/* /proc/PID/stat for CPU, /proc/PID/status for memory, each task's status for its sleeps. */
#include "bench/broker_cost.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_cpu(int pid, struct broker_cost *cost)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    char line[1024];
    bool ok = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    /* The command in parentheses may hold blanks; fields are counted behind it. */
    const char *rest = ok ? strrchr(line, ')') : NULL;
    unsigned long user = 0;
    unsigned long system = 0;
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                        &system) != 2)
        return false;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    cost->user_s = (double)user / ticks;
    cost->system_s = (double)system / ticks;
    return true;
}

static uint64_t status_number(const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    char line[256];
    uint64_t number = 0;
    size_t key_size = strlen(key);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, key_size) == 0 && line[key_size] == ':') {
            sscanf(line + key_size + 1, " %" SCNu64, &number);
            break;
        }
    }
    fclose(file);
    return number;
}

bool broker_cost_read(int pid, struct broker_cost *cost)
{
    *cost = (struct broker_cost){0};
    if (pid <= 0 || !read_cpu(pid, cost))
        return false;
    char path[300];
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    cost->resident_bytes = status_number(path, "VmRSS") * 1024;
    cost->anonymous_bytes = status_number(path, "RssAnon") * 1024;
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return true;
    for (struct dirent *task = readdir(tasks); task; task = readdir(tasks)) {
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", pid, task->d_name);
        cost->sleeps += status_number(path, "voluntary_ctxt_switches");
    }
    closedir(tasks);
    return true;
}
