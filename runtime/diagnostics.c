/* Formatting into a bounded line; where lines go is the host's business. */
#include "runtime/diagnostics.h"

#include <stddef.h>
#include <stdio.h>

void diagnostics_log(const struct diagnostics *diagnostics, enum log_level level,
                     const char *format, ...)
{
    if (!diagnostics || level < diagnostics->threshold)
        return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    diagnostics->line(diagnostics->self, level, text);
}
