/*
 * klammd: reads arguments and configuration, starts a node, reports its end.
 *
 * Exit status: 0 after a clean stop, 1 when the node cannot start or go on, when the stop could not
 * leave everything in order, or when a directory cannot be formatted, 2 for bad arguments or a bad
 * configuration. Whatever prevents a start is said in one line on standard error.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/control.h"
#include "broker/format.h"
#include "broker/shard.h"
#include "config/server_config.h"
#include "runtime/posix/host.h"
#include "runtime/posix/node.h"

enum { OVERRIDES_MAX = 256, CONFIG_FILE_SIZE_MAX = 4 * 1024 * 1024 };
enum { EXIT_BAD_USAGE = 2, MEMORY_SHARE = 8, OPEN_FILES_MAX = 16384 };

struct arguments {
    const char *file; /* NULL: none */
    struct view overrides[OVERRIDES_MAX];
    size_t override_count;
    bool help;
    bool version;
    bool format;
    bool ignore_formatted;
    struct view features[FORMAT_FEATURES_MAX];
    size_t feature_count;
    const char *format_option; /* the last one given that only --format knows; NULL: none */
    const char *cluster_id;
    enum format_voters voters;
    const char *voter_list;
};

struct process {
    struct broker broker;
    struct control control;
    struct shard shards[LOOP_COUNT_MAX]; /* by loop index, from 1 */
    char host_name[256];
};

static const char usage[] =
    "usage: klammd [server.properties] [--override key=value]...\n"
    "       klammd --format [server.properties] [--cluster-id ID] [--override key=value]...\n"
    "\n"
    "Runs one node in the foreground: broker, controller or both (process.roles).\n"
    "Without a file it is both, keeps its data in ./klamm-data and listens on localhost:9092.\n"
    "\n"
    "  --override key=value  sets a property above the file; may be repeated\n"
    "  --version             prints the version\n"
    "  --help                prints this text\n"
    "\n"
    "With --format it prepares the log directories for a first start and ends. Voters of a cluster "
    "of\n"
    "several need that, all with one cluster id; other nodes do it by themselves when they start.\n"
    "\n"
    "  --cluster-id ID       the cluster that the directories belong to; left out: a new one\n"
    "  --ignore-formatted    leaves directories that are formatted already as they are\n"
    "  --feature NAME=LEVEL  what a new cluster begins with otherwise than by default; may be\n"
    "                        repeated, the same for every controller\n"
    "\n"
    "Where controller.quorum.voters is not set, a controller says how its quorum begins:\n"
    "\n"
    "  --standalone          with this node as its only voter; others are added later\n"
    "  --initial-controllers id@host:port:directory-id,...\n"
    "                        with these voters, the same list on each of them\n"
    "  --no-initial-controllers\n"
    "                        it is there already; this node looks on until it is added\n";

/* Takes an option that goes with --format, and its value; false when it is none. */
static bool take_format_option(int count, char **values, int *at, struct arguments *arguments)
{
    const char *option = values[*at];
    const char *value = *at + 1 < count ? values[*at + 1] : NULL;
    if (strcmp(option, "--ignore-formatted") == 0) {
        arguments->ignore_formatted = true;
    } else if (strcmp(option, "--standalone") == 0) {
        arguments->voters = FORMAT_VOTERS_SELF;
    } else if (strcmp(option, "--no-initial-controllers") == 0) {
        arguments->voters = FORMAT_VOTERS_NONE;
    } else if (strcmp(option, "--initial-controllers") == 0 && value) {
        arguments->voters = FORMAT_VOTERS_LIST;
        arguments->voter_list = value;
        (*at)++;
    } else if (strcmp(option, "--feature") == 0 && value &&
               arguments->feature_count < FORMAT_FEATURES_MAX) {
        arguments->features[arguments->feature_count++] = view_of_string(value);
        (*at)++;
    } else if (strcmp(option, "--cluster-id") == 0 && value) {
        arguments->cluster_id = value;
        (*at)++;
    } else {
        return false;
    }
    arguments->format_option = option;
    return true;
}

/* False with a line on standard error. */
static bool parse_arguments(int count, char **values, struct arguments *arguments)
{
    *arguments = (struct arguments){0};
    for (int i = 1; i < count; i++) {
        const char *value = values[i];
        if (strcmp(value, "--help") == 0 || strcmp(value, "-h") == 0) {
            arguments->help = true;
        } else if (strcmp(value, "--version") == 0) {
            arguments->version = true;
        } else if (strcmp(value, "--format") == 0) {
            arguments->format = true;
        } else if (take_format_option(count, values, &i, arguments)) {
            continue;
        } else if (strcmp(value, "--override") == 0) {
            if (i + 1 == count || !strchr(values[i + 1], '=')) {
                fprintf(stderr, "klammd: --override needs key=value\n");
                return false;
            }
            if (arguments->override_count == OVERRIDES_MAX) {
                fprintf(stderr, "klammd: more than %d overrides\n", OVERRIDES_MAX);
                return false;
            }
            arguments->overrides[arguments->override_count++] = view_of_string(values[++i]);
        } else if (value[0] == '-') {
            fprintf(stderr, "klammd: unknown option %s (--help lists them)\n", value);
            return false;
        } else if (arguments->file) {
            fprintf(stderr, "klammd: more than one configuration file: %s and %s\n",
                    arguments->file, value);
            return false;
        } else {
            arguments->file = value;
        }
    }
    if (arguments->format_option && !arguments->format && !arguments->help) {
        fprintf(stderr, "klammd: %s goes with --format\n", arguments->format_option);
        return false;
    }
    return true;
}

static void print_report(const struct config_report *report, const struct diagnostics *diagnostics)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct config_message *message = &report->messages[i];
        const char *text = (const char *)message->text.data;
        if (message->severity == CONFIG_ERROR)
            fprintf(stderr, "klammd: %.*s\n", (int)message->text.size, text);
        else if (report->error_count == 0)
            diagnostics_log(diagnostics,
                            message->severity == CONFIG_WARNING ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                            "config: %.*s", (int)message->text.size, text);
    }
}

/* Builds the configuration; it and its texts live as long as `heap`. */
static bool load_config(const struct arguments *arguments, struct heap *heap, struct arena *arena,
                        struct server_config *config, const struct diagnostics *diagnostics)
{
    struct server_config_input input = {
        .overrides = arguments->overrides,
        .override_count = arguments->override_count,
    };
    if (arguments->file) {
        size_t size;
        const char *error;
        char *text = host_read_file(arguments->file, heap, CONFIG_FILE_SIZE_MAX, &size, &error);
        if (!text) {
            fprintf(stderr, "klammd: cannot read %s: %s\n", arguments->file, error);
            return false;
        }
        input.file_name = view_of_string(arguments->file);
        input.file_text = view_of(text, size);
    }
    struct config_report report = {0};
    bool valid = server_config_build(config, &input, &report, arena);
    print_report(&report, diagnostics);
    return valid;
}

static void node_ready(void *self)
{
    const struct process *process = self;
    const struct control *control = &process->control;
    printf("klammd is ready: node %d", process->broker.config->node_id);
    for (size_t i = 0; i < control->listeners.socket_count; i++) {
        char address[ADDRESS_TEXT_SIZE];
        const struct listener_socket *socket = &control->listeners.sockets[i];
        printf(" %.*s://%s", (int)socket->config->name.size,
               (const char *)socket->config->name.data,
               address_format(&socket->listener.local, address, sizeof(address)));
    }
    printf("\n");
    if (!process->broker.config->has_file && control->listeners.socket_count > 0) {
        unsigned port = control->listeners.sockets[0].listener.local.port;
        printf("\n"
               "  echo 'hello' | kcat -b localhost:%u -P -t greetings\n"
               "  kcat -b localhost:%u -C -t greetings -e\n"
               "  kcat -b localhost:%u -L\n"
               "\n",
               port, port, port);
    }
    fflush(stdout);
}

static void node_ended(void *self, int status)
{
    struct process *process = self;
    node_stop(process->control.loop, status);
}

static void boot(struct loop *loop, void *argument)
{
    struct process *process = argument;
    if (loop->index > 0) {
        shard_boot(&process->shards[loop->index], &process->broker, loop);
        return;
    }
    struct control_host host = {.ready = node_ready, .ended = node_ended, .self = process};
    control_boot(&process->control, &process->broker, loop, host);
}

static void stop_requested(struct loop *loop)
{
    control_stop(loop->owner);
}

static int run_node(const struct server_config *config, struct heap *heap,
                    const struct diagnostics *diagnostics)
{
    struct process *process = heap_must_get(heap, MEMORY_STATE, sizeof(*process));
    const struct broker_settings *settings = &config->settings;
    unsigned shards =
        settings->klamm_shards > 0 ? (unsigned)settings->klamm_shards : host_cpu_count();
    if (shards > LOOP_COUNT_MAX - 1)
        shards = LOOP_COUNT_MAX - 1;
    if (!config->is_broker)
        shards = 1; /* the control loop does all the work */
    process->broker = (struct broker){
        .config = config,
        .diagnostics = diagnostics,
        .host_name = host_name(process->host_name, sizeof(process->host_name)),
        .shard_count = shards,
        .request_memory = settings->queued_max_request_bytes > 0
                              ? (uint64_t)settings->queued_max_request_bytes
                              : host_memory_limit() / MEMORY_SHARE,
        .open_files_limit = OPEN_FILES_MAX / shards,
        .control = &process->control,
    };
    struct node_options options = {
        .shards = shards,
        .diagnostics = diagnostics,
        .boot = boot,
        .stop_requested = stop_requested,
        .argument = process,
    };
    return node_run(&options);
}

static void say_line(const char *line)
{
    printf("klammd: %s\n", line);
}

static int format(const struct arguments *arguments, const struct server_config *config,
                  struct heap *heap)
{
    char name[256];
    char message[1024];
    struct format_request request = {
        .config = config,
        .host_name = host_name(name, sizeof(name)),
        .cluster_id = view_of_string(arguments->cluster_id),
        .voters = arguments->voters,
        .voter_list = view_of_string(arguments->voter_list),
        .ignore_formatted = arguments->ignore_formatted,
        .feature_count = arguments->feature_count,
        .storage = host_storage_blocking(),
        .heap = heap,
        .wall_ms = host_wall_ms(),
        .entropy = host_entropy,
        .say = say_line,
    };
    memcpy(request.features, arguments->features, sizeof(request.features));
    enum format_status status = format_node(&request, message, sizeof(message));
    if (status == FORMAT_DONE)
        return 0;
    fprintf(stderr, "klammd: %s\n", message);
    return status == FORMAT_BAD_USAGE ? EXIT_BAD_USAGE : 1;
}

int main(int argument_count, char **argument_values)
{
    struct arguments arguments;
    if (!parse_arguments(argument_count, argument_values, &arguments))
        return EXIT_BAD_USAGE;
    if (arguments.help) {
        fputs(usage, stdout);
        return 0;
    }
    if (arguments.version) {
        printf("klammd %s\n", KLAMM_VERSION);
        return 0;
    }
    struct heap heap;
    struct arena arena;
    struct server_config config;
    host_heap_init(&heap);
    arena_init(&arena, &heap, MEMORY_STATE, 0);
    const struct diagnostics *diagnostics = host_diagnostics(LOG_LEVEL_INFO);
    if (!load_config(&arguments, &heap, &arena, &config, diagnostics))
        return EXIT_BAD_USAGE;
    if (arguments.format)
        return format(&arguments, &config, &heap);
    return run_node(&config, &heap, diagnostics);
}
