/*
 * Property files and the settings in them. What reads is written and reads the same; a whole
 * configuration is built from any text, or refused with a reason; a value that a setting accepts is
 * accepted in its canonical form, which then no longer changes.
 */
#include "tests/fuzz/fuzz.h"

#include "base/assert.h"
#include "base/random.h"
#include "config/properties.h"
#include "config/server_config.h"
#include "config/value.h"

enum { MEMORY_MAX = 64 * 1024 * 1024 };

static void check_written_again(const struct properties *properties, struct arena *arena)
{
    struct properties again;
    uint32_t line;
    size_t capacity = 64;
    for (size_t i = 0; i < properties->count; i++)
        capacity += 6 * (properties->items[i].name.size + properties->items[i].value.size) + 2;
    uint8_t *text = arena_get(arena, capacity);
    klamm_assert(text);
    struct writer writer = writer_of(text, capacity);
    for (size_t i = 0; i < properties->count; i++)
        properties_write(&writer, properties->items[i].name, properties->items[i].value);
    klamm_assert(!writer.failed);
    klamm_assert(properties_read(view_of(text, writer.size), &again, &line, arena));
    klamm_assert(again.count == properties->count);
    for (size_t i = 0; i < again.count; i++) {
        klamm_assert(view_equal(again.items[i].name, properties->items[i].name));
        klamm_assert(view_equal(again.items[i].value, properties->items[i].value));
    }
}

static void check_value(struct view name, struct view text, struct arena *arena)
{
    static const enum config_scope scopes[] = {CONFIG_SCOPE_BROKER, CONFIG_SCOPE_TOPIC};
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
        const struct config_definition *row = config_find(scopes[i], name);
        struct config_value value;
        struct view error = VIEW_NULL;
        if (!row)
            continue;
        if (!config_value_parse(row, text, &value, &error, arena)) {
            klamm_assert(!view_is_null(error));
            continue;
        }
        struct view canonical = config_value_format(&value, arena);
        if (view_is_null(canonical))
            continue;
        klamm_assert(config_value_parse(row, canonical, &value, &error, arena));
        klamm_assert(view_equal(config_value_format(&value, arena), canonical));
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct heap heap;
    struct arena arena;
    struct properties properties;
    uint32_t line = 0;
    struct view text = view_of(data, size);
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, MEMORY_MAX);
    if (properties_read(text, &properties, &line, &arena)) {
        check_written_again(&properties, &arena);
        for (size_t i = 0; i < properties.count; i++)
            check_value(properties.items[i].name, properties.items[i].value, &arena);
    }
    struct server_config config;
    struct config_report report = {0};
    struct server_config_input input = {.file_name = VIEW_LITERAL("f"), .file_text = text};
    bool built = server_config_build(&config, &input, &report, &arena);
    klamm_assert(built == (report.error_count == 0));
    arena_deinit(&arena);
    klamm_assert(heap.used[MEMORY_SCRATCH] == 0);
}

static const char *const telling_values[] = {
    "0",
    "-1",
    "1",
    "9223372036854775807",
    "true",
    "false",
    "",
    "producer",
    "zstd",
    "delete,compact",
    "PLAINTEXT://localhost:9092,CONTROLLER://[::1]:9093",
    "1@localhost:9093",
    "0.5",
    "1e3",
    "broker,controller",
    "LogAppendTime",
    "/data/a,/data/b",
    "PLAINTEXT",
    "CONTROLLER",
    " x \\\n y ",
};

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    struct random_stream random;
    struct writer writer = writer_of(data, capacity);
    random_init(&random, 41, number);
    write_view(&writer, VIEW_LITERAL("# written by hand\nnode.id=1\n"));
    if (number % 2) {
        write_view(&writer, VIEW_LITERAL("process.roles=broker,controller\n"
                                         "controller.quorum.voters=1@localhost:9093\n"
                                         "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
                                         "controller.listener.names=CONTROLLER\n"));
    }
    for (uint64_t i = random_below(&random, 8); i > 0; i--) {
        enum config_scope scope =
            random_chance(&random, 2, 3) ? CONFIG_SCOPE_BROKER : CONFIG_SCOPE_TOPIC;
        struct config_definitions all = config_all(scope);
        size_t row = (size_t)random_below(&random, all.count);
        size_t value = (size_t)random_below(&random, sizeof(telling_values) / sizeof(char *));
        write_view(&writer, all.rows[row].name);
        write_u8(&writer, '=');
        write_view(&writer, view_of_string(telling_values[value]));
        write_u8(&writer, '\n');
    }
    return writer.failed ? 0 : writer.size;
}
