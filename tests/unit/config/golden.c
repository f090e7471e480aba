/*
 * The build gives GOLDEN_FOLDER; files are small and read whole.
 */
#include "tests/unit/config/golden.h"

#include <stdio.h>
#include <stdlib.h>

struct golden golden_open(const char *name, struct arena *arena)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", GOLDEN_FOLDER, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "cannot open %s\n", path);
        abort();
    }
    uint8_t *text = arena_get(arena, 1 << 20);
    size_t size = fread(text, 1, 1 << 20, file);
    fclose(file);
    return (struct golden){view_of(text, size), 0};
}

bool golden_next(struct golden *golden, struct golden_line *line)
{
    const uint8_t *end = golden->text.data + golden->text.size;
    while (golden->next < golden->text.size) {
        const uint8_t *start = golden->text.data + golden->next;
        const uint8_t *stop = memchr(start, '\n', (size_t)(end - start));
        stop = stop ? stop : end;
        golden->next += (size_t)(stop - start) + 1;
        if (stop == start || *start == '#')
            continue;
        line->count = 0;
        while (line->count < GOLDEN_FIELDS_MAX) {
            const uint8_t *tab = memchr(start, '\t', (size_t)(stop - start));
            const uint8_t *field_end = tab ? tab : stop;
            line->fields[line->count++] = view_of(start, (size_t)(field_end - start));
            if (!tab)
                break;
            start = tab + 1;
        }
        return true;
    }
    return false;
}

struct view golden_unquote(struct view field)
{
    if (field.size < 2 || field.data[0] != '\'')
        return VIEW_NULL;
    return view_of(field.data + 1, field.size - 2);
}
