/*
 * Level-triggered epoll; a connection asks for writability only while something is unsent. Reads go
 * into one growing buffer per connection, from which whole frames are handed out in place.
 */
#include "bench/client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

enum {
    INPUT_SIZE_MIN = 64 * 1024,
    INPUT_SIZE_MANY = 4096,
    MANY = 512,
    EVENTS_MAX = 256,
    READS_A_TURN = 4,
    WRITE_BATCH = 32
};

uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("klamm-bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static int open_socket(const char *host, uint16_t port)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, service, &hints, &found);
    if (error)
        bench_fail("%s: %s", host, gai_strerror(error));
    int fd = -1;
    for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        bench_fail("%s:%u: %s", host, port, strerror(errno));
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

void bench_pool_open(struct bench_pool *pool, const char *host, uint16_t port, unsigned count,
                     unsigned queue_capacity)
{
    size_t input_size = count < MANY ? INPUT_SIZE_MIN : INPUT_SIZE_MANY;
    heap_init_plain(&pool->heap);
    pool->epoll = epoll_create1(EPOLL_CLOEXEC);
    pool->count = count;
    pool->queue_capacity = queue_capacity;
    pool->expects_answers = true;
    pool->clients = heap_must_get(&pool->heap, MEMORY_STATE, count * sizeof(struct bench_client));
    for (unsigned i = 0; i < count; i++) {
        struct bench_client *client = &pool->clients[i];
        client->pool = pool;
        client->index = i;
        client->fd = open_socket(host, port);
        client->queue =
            heap_must_get(&pool->heap, MEMORY_STATE, queue_capacity * sizeof(struct bench_send));
        client->input_capacity = input_size;
        client->input = heap_must_get(&pool->heap, MEMORY_STATE, input_size);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        epoll_ctl(pool->epoll, EPOLL_CTL_ADD, client->fd, &event);
    }
}

void bench_pool_close(struct bench_pool *pool)
{
    for (unsigned i = 0; i < pool->count; i++) {
        struct bench_client *client = &pool->clients[i];
        close(client->fd);
        heap_put(&pool->heap, MEMORY_STATE, client->input, client->input_capacity);
        heap_put(&pool->heap, MEMORY_STATE, client->queue,
                 pool->queue_capacity * sizeof(struct bench_send));
    }
    heap_put(&pool->heap, MEMORY_STATE, pool->clients, pool->count * sizeof(struct bench_client));
    close(pool->epoll);
}

bool bench_client_send(struct bench_client *client, const struct request_template *template,
                       uint64_t intended_ns)
{
    if (bench_client_open_sends(client) == client->pool->queue_capacity)
        return false;
    struct bench_send *send = &client->queue[client->sent % client->pool->queue_capacity];
    *send = (struct bench_send){.template = template, .intended_ns = intended_ns};
    store_u32(send->head, (uint32_t)(template->size + BENCH_HEAD_SIZE - 4));
    store_u16(send->head + 4, (uint16_t) template->api_key);
    store_u16(send->head + 6, (uint16_t) template->version);
    store_u32(send->head + 8, (uint32_t)client->sent);
    client->sent++;
    return true;
}

static void watch(struct bench_client *client, bool wants_write)
{
    if (client->wants_write == wants_write)
        return;
    client->wants_write = wants_write;
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0),
                                .data.ptr = client};
    epoll_ctl(client->pool->epoll, EPOLL_CTL_MOD, client->fd, &event);
}

/* The unsent rest of the first sends, as iovecs. */
static int gather(struct bench_client *client, struct iovec *pieces)
{
    int count = 0;
    size_t skip = client->progress;
    for (uint64_t i = client->written; i < client->sent && count + 2 <= WRITE_BATCH; i++) {
        struct bench_send *send = &client->queue[i % client->pool->queue_capacity];
        if (skip < BENCH_HEAD_SIZE) {
            pieces[count++] = (struct iovec){send->head + skip, BENCH_HEAD_SIZE - skip};
            skip = 0;
        } else {
            skip -= BENCH_HEAD_SIZE;
        }
        pieces[count++] = (struct iovec){send->template->bytes + skip, send->template->size - skip};
        skip = 0;
    }
    return count;
}

static void account(struct bench_client *client, size_t written)
{
    client->progress += written;
    while (client->written < client->sent) {
        struct bench_send *send = &client->queue[client->written % client->pool->queue_capacity];
        size_t whole = BENCH_HEAD_SIZE + send->template->size;
        if (client->progress < whole)
            return;
        client->progress -= whole;
        client->written++;
        if (!client->pool->expects_answers) {
            client->answered++;
            client->pool->answered(client, send, NULL, 0, bench_now_ns());
        }
    }
}

void bench_client_flush(struct bench_client *client)
{
    while (client->written < client->sent) {
        struct iovec pieces[WRITE_BATCH];
        ssize_t written = writev(client->fd, pieces, gather(client, pieces));
        if (written < 0) {
            if (errno == EAGAIN || errno == EINTR)
                break;
            bench_fail("the broker closed connection %u: %s", client->index, strerror(errno));
        }
        account(client, (size_t)written);
    }
    watch(client, client->written < client->sent);
}

void bench_client_ask(struct bench_client *client, const struct request_template *template,
                      uint64_t intended_ns)
{
    if (!bench_client_send(client, template, intended_ns))
        bench_fail("too many requests on connection %u", client->index);
    bench_client_flush(client);
}

bool bench_pool_is_idle(const struct bench_pool *pool)
{
    for (unsigned i = 0; i < pool->count; i++)
        if (bench_client_open_sends(&pool->clients[i]) > 0)
            return false;
    return true;
}

static void hand_out(struct bench_client *client)
{
    size_t at = 0;
    uint64_t now_ns = bench_now_ns();
    while (client->input_size - at >= 4) {
        size_t size = load_u32(client->input + at);
        if (size < 4 || size > INT32_MAX)
            bench_fail("an answer of %zu bytes", size);
        if (client->input_size - at < 4 + size) {
            if (4 + size > client->input_capacity) {
                client->input = heap_resize(&client->pool->heap, MEMORY_STATE, client->input,
                                            client->input_capacity, 4 + size);
                client->input_capacity = 4 + size;
            }
            break;
        }
        const struct bench_send *send =
            &client->queue[client->answered % client->pool->queue_capacity];
        if (load_u32(client->input + at + 4) != (uint32_t)client->answered)
            bench_fail("an answer out of order on connection %u", client->index);
        client->answered++;
        client->pool->answered(client, send, client->input + at + 8, size - 4, now_ns);
        at += 4 + size;
    }
    memmove(client->input, client->input + at, client->input_size - at);
    client->input_size -= at;
}

static void read_answers(struct bench_client *client)
{
    for (int i = 0; i < READS_A_TURN; i++) {
        size_t room = client->input_capacity - client->input_size;
        ssize_t got = recv(client->fd, client->input + client->input_size, room, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0)
            bench_fail("the broker closed connection %u", client->index);
        client->input_size += (size_t)got;
        hand_out(client);
        if ((size_t)got < room)
            return;
    }
}

void bench_pool_turn(struct bench_pool *pool, uint64_t timeout_ns)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000u),
                               (long)(timeout_ns % 1000000000u)};
    int count = epoll_pwait2(pool->epoll, events, EVENTS_MAX, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        struct bench_client *client = events[i].data.ptr;
        if (events[i].events & EPOLLOUT)
            bench_client_flush(client);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            read_answers(client);
    }
}

struct call {
    const uint8_t *body;
    size_t size;
    bool done;
};

static void call_answered(struct bench_client *client, const struct bench_send *send,
                          const uint8_t *body, size_t size, uint64_t now_ns)
{
    (void)send;
    (void)now_ns;
    struct call *call = client->pool->owner;
    *call = (struct call){body, size, true};
}

size_t bench_call(struct bench_pool *pool, const struct request_template *template,
                  const uint8_t **answer)
{
    struct call call = {0};
    bench_answered *answered = pool->answered;
    void *owner = pool->owner;
    pool->answered = call_answered;
    pool->owner = &call;
    bench_client_ask(&pool->clients[0], template, bench_now_ns());
    uint64_t end_ns = bench_now_ns() + 30000000000u;
    while (!call.done && bench_now_ns() < end_ns)
        bench_pool_turn(pool, 10000000);
    if (!call.done)
        bench_fail("no answer within 30 s");
    pool->answered = answered;
    pool->owner = owner;
    *answer = call.body;
    return call.size;
}
