/*
 * Assertions, and the one way to stop the process for a bug.
 *
 * Assertions stay on in release builds: stopping beats corrupting a log. The macro evaluates its
 * condition once. `klamm_halt` is the only link-time symbol of the seams (runtime/README.md): the
 * process provides it in runtime/posix, the simulator in tests/sim.
 */
#ifndef KLAMM_BASE_ASSERT_H
#define KLAMM_BASE_ASSERT_H

/* Ends the node: prints the place and the text, never returns. */
_Noreturn void klamm_halt(const char *file, int line, const char *text);

/* Stops when `condition` is false. One condition per assertion, so that the text names it. */
#define klamm_assert(condition) ((condition) ? (void)0 : klamm_halt(__FILE__, __LINE__, #condition))

/* A place that cannot be reached, such as behind a switch that covers its whole enum. */
#define klamm_unreachable(text) klamm_halt(__FILE__, __LINE__, text)

#endif
