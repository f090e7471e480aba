/* klamm_halt of a real process: place, text and backtrace to standard error, then abort. */
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"

enum { FRAMES_MAX = 64 };

_Noreturn void klamm_halt(const char *file, int line, const char *text)
{
    fprintf(stderr, "halt: %s:%d: %s\n", file, line, text);
    fflush(stderr);
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    abort();
}
