/* klamm_halt for unit tests: prints the place and aborts, which cmocka reports as a failure. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

_Noreturn void klamm_halt(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: halt: %s\n", file, line, text);
    abort();
}
