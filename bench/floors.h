/*
 * What this machine does at best without a broker, to hold a broker's figures against: receive,
 * checksum and write; sync; send from a file. Each is CPU or time of this process.
 */
#ifndef KLAMM_BENCH_FLOORS_H
#define KLAMM_BENCH_FLOORS_H

#include <stdint.h>

/* CPU seconds a GiB to receive over loopback, CRC and write over pages that are in the page cache.
 */
double floor_receive_s_per_gib(const char *directory, uint64_t bytes);
/*
 * The same into a file that grows, as a log does: every page is new to the page cache. On a virtual
 * machine whose memory is given back to the host this can cost several times more, for any program.
 */
double floor_grow_s_per_gib(const char *directory, uint64_t bytes);
/* CPU seconds a GiB to send a cached file over loopback with sendfile. */
double floor_sendfile_s_per_gib(const char *directory, uint64_t bytes);
/* Median milliseconds of a 4 KiB append with fdatasync. */
double floor_sync_ms(const char *directory, unsigned count);

#endif
