/*
 * Lines to standard error, one write each: "2026-01-31T12:00:00.123Z INFO text". More than
 * LINES_PER_SECOND in a second are counted instead of written, and the count is said with the first
 * line of a later second.
 */
#include <stdio.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "runtime/posix/host.h"

enum { LINES_PER_SECOND = 500, LINE_CAPACITY = 1200 };

/* Shared by all threads of the process; `lock` guards the rest. */
static struct {
    pthread_mutex_t lock;
    time_t second;
    unsigned lines;
    unsigned long suppressed;
} rate = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Whether this line may be written; *suppressed gets what was left out before it. */
static bool admit_line(time_t second, unsigned long *suppressed)
{
    pthread_mutex_lock(&rate.lock);
    *suppressed = 0;
    if (second != rate.second) {
        rate.second = second;
        rate.lines = 0;
        *suppressed = rate.suppressed;
        rate.suppressed = 0;
    }
    bool admitted = rate.lines < LINES_PER_SECOND;
    if (admitted)
        rate.lines++;
    else
        rate.suppressed++;
    pthread_mutex_unlock(&rate.lock);
    return admitted;
}

static void write_line(const struct timespec *now, const char *level, const char *text)
{
    struct tm parts;
    gmtime_r(&now->tv_sec, &parts);
    char stamp[32], line[LINE_CAPACITY];
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &parts);
    int size = snprintf(line, sizeof(line), "%s.%03ldZ %s %s\n", stamp, now->tv_nsec / 1000000,
                        level, text);
    if (size >= (int)sizeof(line)) {
        size = (int)sizeof(line) - 1;
        line[size - 1] = '\n';
    }
    /* A log that nobody can take is no reason to stop. */
    if (write(STDERR_FILENO, line, (size_t)size) < 0)
        return;
}

static void posix_line(void *self, enum log_level level, const char *text)
{
    static const char *const names[] = {[LOG_LEVEL_DEBUG] = "DEBUG",
                                        [LOG_LEVEL_INFO] = "INFO",
                                        [LOG_LEVEL_WARN] = "WARN",
                                        [LOG_LEVEL_ERROR] = "ERROR"};
    (void)self;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long suppressed;
    if (!admit_line(now.tv_sec, &suppressed))
        return;
    if (suppressed > 0) {
        char note[64];
        snprintf(note, sizeof(note), "log lines left out: %lu", suppressed);
        write_line(&now, "WARN", note);
    }
    write_line(&now, names[level], text);
}

const struct diagnostics *host_diagnostics(enum log_level threshold)
{
    static const struct diagnostics by_threshold[] = {
        [LOG_LEVEL_DEBUG] = {posix_line, NULL, LOG_LEVEL_DEBUG},
        [LOG_LEVEL_INFO] = {posix_line, NULL, LOG_LEVEL_INFO},
        [LOG_LEVEL_WARN] = {posix_line, NULL, LOG_LEVEL_WARN},
        [LOG_LEVEL_ERROR] = {posix_line, NULL, LOG_LEVEL_ERROR},
    };
    return &by_threshold[threshold];
}
