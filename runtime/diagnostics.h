/*
 * The diagnostics seam: log lines. One line is one event with keys and values, at a rate that the
 * writer bounds; nothing in the program's behaviour depends on it.
 */
#ifndef KLAMM_RUNTIME_DIAGNOSTICS_H
#define KLAMM_RUNTIME_DIAGNOSTICS_H

#include <stdarg.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct diagnostics {
    void (*line)(void *self, enum log_level level, const char *text); /* one line, no newline */
    void *self;
    enum log_level threshold;
};

/* Formats and writes one line of at most 1 KiB; longer text is cut. */
void diagnostics_log(const struct diagnostics *diagnostics, enum log_level level,
                     const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_debug(diagnostics, ...) diagnostics_log((diagnostics), LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(diagnostics, ...)  diagnostics_log((diagnostics), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(diagnostics, ...)  diagnostics_log((diagnostics), LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(diagnostics, ...) diagnostics_log((diagnostics), LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
