/*
 * Names and directories. A listing is built in two passes over growing arrays of the C library and
 * then moved into one block of the caller's heap: entries first, names behind them.
 */
#include "runtime/posix/file_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mimalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "runtime/posix/file.h"

static int64_t modified_ms_of(const struct stat *information)
{
    return (int64_t)information->st_mtim.tv_sec * 1000 + information->st_mtim.tv_nsec / 1000000;
}

static enum storage_status of_result(int result)
{
    return result < 0 ? file_status_of(errno) : STORAGE_OK;
}

static enum storage_status run_stat(struct storage_request *request)
{
    struct stat information;
    if (stat(request->path, &information) < 0)
        return file_status_of(errno);
    request->result_is_directory = S_ISDIR(information.st_mode);
    request->result_size = request->result_is_directory ? 0 : (uint64_t)information.st_size;
    request->result_modified_ms = modified_ms_of(&information);
    return STORAGE_OK;
}

static enum storage_status run_set_modified(const struct storage_request *request)
{
    int64_t seconds = request->modified_ms / 1000;
    int64_t rest_ms = request->modified_ms % 1000;
    if (rest_ms < 0) {
        seconds--;
        rest_ms += 1000;
    }
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = seconds, .tv_nsec = rest_ms * 1000000}};
    return of_result(utimensat(AT_FDCWD, request->path, times, 0));
}

static enum storage_status run_rename(const struct storage_request *request)
{
    if (rename(request->path, request->to_path) == 0)
        return STORAGE_OK;
    if (errno == EISDIR || errno == ENOTEMPTY)
        return STORAGE_EXISTS;
    return file_status_of(errno);
}

static enum storage_status run_sync_directory(const struct storage_request *request)
{
    int descriptor = open(request->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return file_status_of(errno);
    int result = fsync(descriptor);
    close(descriptor);
    return result < 0 ? STORAGE_IO : STORAGE_OK;
}

static enum storage_status run_space(struct storage_request *request)
{
    struct statvfs information;
    if (statvfs(request->path, &information) < 0)
        return file_status_of(errno);
    request->result_size = (uint64_t)information.f_bavail * information.f_frsize;
    request->result_total = (uint64_t)information.f_blocks * information.f_frsize;
    return STORAGE_OK;
}

/* What a pass over a directory has found. */
struct found {
    struct storage_entry *entries;
    size_t count, capacity;
    size_t names_size; /* bytes of all names with their NUL */
};

static void found_release(struct found *found)
{
    for (size_t i = 0; i < found->count; i++) {
        union {
            const char *constant;
            char *plain;
        } name = {found->entries[i].name};
        mi_free(name.plain);
    }
    mi_free(found->entries);
}

static bool found_add(struct found *found, const char *name, const struct stat *information)
{
    if (found->count == found->capacity) {
        size_t capacity = found->capacity ? found->capacity * 2 : 64;
        void *moved = mi_realloc(found->entries, capacity * sizeof(struct storage_entry));
        if (!moved)
            return false;
        found->entries = moved;
        found->capacity = capacity;
    }
    char *copy = mi_strdup(name);
    if (!copy)
        return false;
    bool is_directory = S_ISDIR(information->st_mode);
    found->entries[found->count++] =
        (struct storage_entry){.name = copy,
                               .is_directory = is_directory,
                               .size = is_directory ? 0 : (uint64_t)information->st_size,
                               .modified_ms = modified_ms_of(information)};
    found->names_size += strlen(name) + 1;
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct storage_entry *)a)->name, ((const struct storage_entry *)b)->name);
}

static enum storage_status find_all(DIR *directory, struct found *found)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            return errno ? file_status_of(errno) : STORAGE_OK;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct stat information = {.st_mode = S_IFDIR};
        /* Of a directory nothing is told that the name does not: thousands are listed at a start.
         */
        if (entry->d_type != DT_DIR &&
            fstatat(dirfd(directory), entry->d_name, &information, 0) < 0) {
            if (errno == ENOENT) /* gone meanwhile, or a dangling link */
                continue;
            return file_status_of(errno);
        }
        if (!found_add(found, entry->d_name, &information))
            return STORAGE_LIMIT;
    }
}

static enum storage_status make_listing(struct storage_request *request, const struct found *found)
{
    size_t entries_size = found->count * sizeof(struct storage_entry);
    size_t held = sizeof(struct storage_listing) + entries_size + found->names_size;
    struct storage_listing *listing = heap_get(request->heap, MEMORY_SCRATCH, held);
    if (!listing)
        return STORAGE_LIMIT;
    *listing = (struct storage_listing){request->heap, held, found->count};
    char *names = (char *)(listing->entries + found->count);
    for (size_t i = 0; i < found->count; i++) {
        size_t size = strlen(found->entries[i].name) + 1;
        memcpy(names, found->entries[i].name, size);
        listing->entries[i] = found->entries[i];
        listing->entries[i].name = names;
        names += size;
    }
    request->listing = listing;
    return STORAGE_OK;
}

static enum storage_status run_list(struct storage_request *request)
{
    DIR *directory = opendir(request->path);
    if (!directory)
        return file_status_of(errno);
    struct found found = {0};
    enum storage_status status = find_all(directory, &found);
    closedir(directory);
    if (status == STORAGE_OK) {
        if (found.count > 1)
            qsort(found.entries, found.count, sizeof(found.entries[0]), compare_entries);
        status = make_listing(request, &found);
    }
    found_release(&found);
    return status;
}

enum storage_status file_names_run(struct storage_request *request)
{
    switch ((unsigned)request->operation) {
    case STORAGE_STAT:
        return run_stat(request);
    case STORAGE_SET_MODIFIED:
        return run_set_modified(request);
    case STORAGE_RENAME:
        return run_rename(request);
    case STORAGE_UNLINK:
        return of_result(unlink(request->path));
    case STORAGE_MAKE_DIRECTORY:
        return of_result(mkdir(request->path, 0755));
    case STORAGE_REMOVE_DIRECTORY:
        return of_result(rmdir(request->path));
    case STORAGE_LIST:
        return run_list(request);
    case STORAGE_SYNC_DIRECTORY:
        return run_sync_directory(request);
    case STORAGE_SPACE:
        return run_space(request);
    default:
        klamm_unreachable("operation without an open file");
    }
}
