/* Kafka's quota of replication, with its row of windows. */
#include "replication/throttle.h"

enum {
    THROTTLE_WINDOWS = 11, /* as Kafka: replication.quota.window.num and .size.seconds */
    THROTTLE_WINDOW_MS = 1000,
    THROTTLE_WAIT_MS_MIN = 10,
};

#define NS_PER_MS UINT64_C(1000000)

void throttle_init(struct throttle *throttle)
{
    throttle->rate = UINT64_MAX;
    rate_init(&throttle->passed, THROTTLE_WINDOWS, THROTTLE_WINDOW_MS);
}

uint64_t throttle_wait_ms(struct throttle *throttle, uint64_t now_ns)
{
    if (throttle->rate == UINT64_MAX)
        return 0;
    double rate = throttle->rate > 0 ? (double)throttle->rate : 1;
    int64_t wait_ms = rate_throttle_ms(&throttle->passed, (int64_t)(now_ns / NS_PER_MS), rate);
    if (wait_ms <= 0)
        return 0;
    /* Looked at again at least once a window, because the rate can be changed meanwhile. */
    if (wait_ms > THROTTLE_WINDOW_MS)
        return THROTTLE_WINDOW_MS;
    return wait_ms < THROTTLE_WAIT_MS_MIN ? THROTTLE_WAIT_MS_MIN : (uint64_t)wait_ms;
}

void throttle_count(struct throttle *throttle, uint64_t now_ns, size_t size)
{
    rate_record(&throttle->passed, (int64_t)(now_ns / NS_PER_MS), (double)size);
}

/* The list was checked when it was set. */
bool throttle_lists(const struct image *image, struct view topic, struct view key,
                    int32_t partition, int32_t broker_id)
{
    const struct image_config *config =
        image ? image_config(image, CONFIG_RESOURCE_TOPIC, topic) : NULL;
    struct view list = image_config_value(config, key);
    if (list.size == 1 && list.data[0] == '*')
        return true;
    int64_t numbers[2] = {0, 0};
    unsigned place = 0;
    for (size_t i = 0; i <= list.size; i++) {
        uint8_t character = i < list.size ? list.data[i] : ',';
        if (character >= '0' && character <= '9' && numbers[place] <= INT32_MAX)
            numbers[place] = numbers[place] * 10 + (character - '0');
        else if (character == ':')
            place = 1;
        else if (character == ',') {
            if (place == 1 && numbers[0] == partition && numbers[1] == broker_id)
                return true;
            numbers[0] = numbers[1] = 0;
            place = 0;
        }
    }
    return false;
}
