/*
 * The short run: the committed corpus first, then seeds mutated with a fixed random stream, so that
 * a failure comes again. The last line printed tells where a failure is.
 *
 *   <target> run <corpus folder> [mutations [first]]
 *   <target> file <path>              one input, such as one that libFuzzer found
 *   <target> seeds <folder> <count>   writes seeds, as a first corpus for libFuzzer
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "tests/fuzz/fuzz.h"

enum { INPUT_SIZE_MAX = 64 * 1024, ITERATIONS = 30000, HITS_MAX = 6, ITERATIONS_PER_LINE = 1000 };

static uint8_t input[INPUT_SIZE_MAX];

/* One change: a byte, a small number, a cut, a repeated or dropped piece. */
static size_t mutate(struct random_stream *random, uint8_t *data, size_t size)
{
    static const uint8_t telling[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    if (size == 0)
        return 0;
    size_t at = (size_t)random_below(random, size);
    size_t piece = (size_t)random_below(random, size - at) / 2;
    switch (random_below(random, 6)) {
    case 0:
        data[at] = (uint8_t)random_u64(random);
        return size;
    case 1:
        data[at] ^= (uint8_t)(1u << random_below(random, 8));
        return size;
    case 2:
        data[at] = telling[random_below(random, sizeof(telling))];
        return size;
    case 3:
        return at;
    case 4:
        memmove(data + at, data + at + piece, size - at - piece);
        return size - piece;
    default:
        if (size + piece > INPUT_SIZE_MAX)
            return size;
        memmove(data + at + piece, data + at, size - at);
        return size + piece;
    }
}

/* The input of an iteration, in memory of exactly its size. */
static void run(unsigned long long iteration)
{
    struct random_stream random;
    random_init(&random, 7, iteration);
    size_t size = fuzz_seed(iteration, input, sizeof(input));
    if (size == 0) {
        size = (size_t)random_below(&random, 512);
        random_fill(&random, input, size);
    }
    for (uint64_t hits = random_below(&random, HITS_MAX); hits > 0; hits--)
        size = mutate(&random, input, size);
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, input, size);
    fuzz_one(exact, size);
    free(exact);
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 2;
    }
    size_t size = fread(input, 1, sizeof(input), file);
    fclose(file);
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, input, size);
    fuzz_one(exact, size);
    free(exact);
    return 0;
}

/* Runs every file of a folder; a target without a folder has no corpus. */
static int run_corpus(const char *folder)
{
    DIR *directory = opendir(folder);
    int count = 0;
    if (!directory)
        return 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        printf("file %s\n", path);
        fflush(stdout);
        if (run_file(path) == 0)
            count++;
    }
    closedir(directory);
    return count;
}

static int run_mutations(unsigned long long count, unsigned long long first)
{
    for (unsigned long long i = first; i < first + count; i++) {
        if ((i - first) % ITERATIONS_PER_LINE == 0) {
            printf("mutations from %llu\n", i);
            fflush(stdout);
        }
        run(i);
    }
    return 0;
}

static int write_seeds(const char *folder, unsigned long long count)
{
    for (unsigned long long i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/seed-%llu", folder, i);
        FILE *file = fopen(path, "wb");
        if (!file) {
            perror(path);
            return 2;
        }
        fwrite(input, 1, fuzz_seed(i, input, sizeof(input)), file);
        fclose(file);
    }
    return 0;
}

static unsigned long long number_argument(int count, char **arguments, int place,
                                          unsigned long long otherwise)
{
    return count > place ? strtoull(arguments[place], NULL, 10) : otherwise;
}

int main(int argument_count, char **arguments)
{
    if (argument_count >= 3 && strcmp(arguments[1], "run") == 0) {
        int files = run_corpus(arguments[2]);
        unsigned long long count = number_argument(argument_count, arguments, 3, ITERATIONS);
        unsigned long long first = number_argument(argument_count, arguments, 4, 0);
        int result = run_mutations(count, first);
        printf("%d files and %llu mutations passed\n", files, count);
        return result;
    }
    if (argument_count == 3 && strcmp(arguments[1], "file") == 0)
        return run_file(arguments[2]);
    if (argument_count == 4 && strcmp(arguments[1], "seeds") == 0)
        return write_seeds(arguments[2], number_argument(argument_count, arguments, 3, 0));
    fprintf(stderr,
            "usage: %s run <corpus> [mutations [first]] | file <path> | "
            "seeds <folder> <count>\n",
            arguments[0]);
    return 2;
}
