/* Kafka divides buffer and throughput among its cleaner threads in the same way. */
#include "broker/cleaning.h"

/* Below this a pass would remember hardly any keys. */
enum { MAP_SIZE_MIN = 1024 * 1024 };

unsigned cleaning_permit_count(const struct broker_settings *settings)
{
    return (unsigned)settings->log_cleaner_threads;
}

static uint64_t bytes_per_second(const struct broker_settings *settings, unsigned count)
{
    double rate = settings->log_cleaner_io_max_bytes_per_second / count;
    if (rate >= 1e15)
        return 0; /* no limit */
    return rate < 1024 ? 1024 : (uint64_t)rate;
}

struct cleaner_options cleaning_options(const struct broker_settings *settings)
{
    unsigned count = cleaning_permit_count(settings);
    unsigned shares = count > 0 ? count : 1;
    int64_t size = settings->log_cleaner_dedupe_buffer_size / shares;
    return (struct cleaner_options){
        .is_enabled = settings->log_cleaner_enable && count > 0,
        .backoff_ns = (uint64_t)settings->log_cleaner_backoff_ms * 1000000,
        .map_size_max = size < MAP_SIZE_MIN ? MAP_SIZE_MIN : (uint64_t)size,
        .map_load_factor = settings->log_cleaner_io_buffer_load_factor,
        .bytes_per_second = bytes_per_second(settings, shares),
        .time_percent = (unsigned)settings->klamm_log_cleaner_time_percent,
    };
}
