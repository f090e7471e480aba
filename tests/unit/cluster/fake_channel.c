/* See the header. */
#include "tests/unit/cluster/fake_channel.h"

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static struct fake_channels all;

void fake_channels_reset(void)
{
    all = (struct fake_channels){0};
}

struct channel *fake_channel_at(unsigned index)
{
    assert_true(index < all.count);
    return &all.channels[index];
}

static void take_out(struct channel *channel, unsigned index)
{
    channel->request_count--;
    for (unsigned i = index; i < channel->request_count; i++)
        channel->requests[i] = channel->requests[i + 1];
}

void fake_channel_answer(struct channel *channel, enum channel_status status, const void *response)
{
    assert_true(channel->request_count > 0);
    struct channel_request *request = channel->requests[0];
    take_out(channel, 0);
    request->message_version = request->version_max;
    request->done(request, status, response);
}

const char *channel_status_text(enum channel_status status)
{
    return status == CHANNEL_OK ? "fine" : "not fine";
}

static void go_to(struct channel *channel, struct view host, uint16_t port)
{
    assert_true(host.size < sizeof(channel->host));
    memcpy(channel->host, host.data, host.size);
    channel->host[host.size] = 0;
    channel->port = port;
    channel->connections++;
}

struct channel *channel_create(const struct channel_options *options)
{
    assert_true(all.count < FAKE_CHANNELS_MAX);
    struct channel *channel = &all.channels[all.count++];
    channel->is_open = true;
    go_to(channel, options->host, options->port);
    return channel;
}

void channel_send(struct channel *channel, struct channel_request *request)
{
    assert_true(channel->is_open);
    assert_true(channel->request_count < FAKE_REQUESTS_MAX);
    request->channel = channel;
    channel->requests[channel->request_count++] = request;
    channel->sent_count++;
}

void channel_cancel(struct channel_request *request)
{
    struct channel *channel = request->channel;
    for (unsigned i = 0; i < channel->request_count; i++) {
        if (channel->requests[i] == request) {
            take_out(channel, i);
            return;
        }
    }
    fail_msg("a request was taken back that is not under way");
}

void channel_set_address(struct channel *channel, struct view host, uint16_t port)
{
    if (channel->port == port && view_equal(host, view_of_string(channel->host)))
        return;
    assert_int_equal(channel->request_count, 0);
    go_to(channel, host, port);
}

void channel_close(struct channel *channel)
{
    while (channel->request_count > 0)
        fake_channel_answer(channel, CHANNEL_CLOSED, NULL);
    channel->is_open = false;
}

/* Answers are the test's: there is no frame to keep. */
void channel_keep_frame(struct channel_request *request, struct channel_frame *frame)
{
    (void)request;
    *frame = (struct channel_frame){0};
}

void channel_release_frame(struct channel_frame *frame)
{
    (void)frame;
}
