/*
 * The storage seam: files as offset and bytes, and what survives which failure.
 *
 * Two kinds of calls. *At once*: append, read_now, size; they never wait for a
 * device. *Requests*: everything that may; submitted on a loop they complete later, exactly once,
 * on the same loop; inside a job the same request is run in blocking form by storage_run.
 *
 * Promises (the simulated disk may be harsher than a real one, never kinder):
 *  1. A request's `done` never runs inside storage_submit, and never after a crash of the node.
 *  2. From submit to done the request, its buffers and its strings belong to the seam.
 *  3. SYNC with STORAGE_OK: every append and write to that file that was complete when the sync was
 *     submitted survives a power cut, with the size they gave the file. Nothing else is promised.
 *  4. CREATE, RENAME, UNLINK, MAKE_DIRECTORY are seen at once and survive a power cut only after a
 *     SYNC_DIRECTORY of the parent (of both parents for a rename).
 *  5. A failed SYNC, or an append or write that failed with STORAGE_IO, poisons the file for good:
 *     every later call on it answers STORAGE_POISONED. STORAGE_NO_SPACE does not poison; how much
 *     of the append reached the file is then unknown until size() is asked.
 *  6. A name that was unlinked or renamed leaves open files as they are.
 *  7. LIST is sorted by name, byte order, without "." and "..".
 */
#ifndef KLAMM_RUNTIME_STORAGE_H
#define KLAMM_RUNTIME_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

enum storage_status {
    STORAGE_OK,
    STORAGE_PENDING,      /* append only: completes through the given request */
    STORAGE_NOT_RESIDENT, /* read_now only: at least one byte would need the device */
    STORAGE_NOT_FOUND,    /* no such file or directory */
    STORAGE_EXISTS,       /* EXCLUSIVE open, mkdir or rename onto what is there */
    STORAGE_NO_SPACE,     /* device or quota full */
    STORAGE_DENIED,       /* permission, read-only file system */
    STORAGE_LOCKED,       /* LOCK: another process holds it */
    STORAGE_LIMIT,        /* too many open files */
    STORAGE_NOT_EMPTY,    /* removing a directory that has entries; wrong kind of entry */
    STORAGE_IO,           /* the device failed */
    STORAGE_POISONED,     /* an earlier failure made the file untrustworthy */
};

/* A short lower-case English text of a status, for messages to people. */
const char *storage_status_text(enum storage_status status);

/* An open file; may move between loops, but one loop or job at a time appends, writes or truncates.
 */
struct storage_file;

enum storage_flag {
    STORAGE_FLAG_READ = 1,
    STORAGE_FLAG_WRITE = 2,
    STORAGE_FLAG_CREATE = 4,    /* made when missing */
    STORAGE_FLAG_EXCLUSIVE = 8, /* with CREATE: STORAGE_EXISTS when present */
};

enum storage_operation {
    STORAGE_OPEN,             /* path, flags -> file, result_size */
    STORAGE_CLOSE,            /* file; gone afterwards whatever the status */
    STORAGE_READ,             /* file, offset, buffers -> result_size: short only at the end */
    STORAGE_WRITE,            /* file, offset, buffers: whole or failed */
    STORAGE_SYNC,             /* file: data and size */
    STORAGE_WARM,             /* file, offset, size: bring into memory, best effort */
    STORAGE_TRUNCATE,         /* file, size: cut (or extend with zeros); durable after SYNC */
    STORAGE_PREALLOCATE,      /* file, offset, size: reserve blocks; does not change the size */
    STORAGE_STAT,             /* path -> result_size, result_modified_ms, result_is_directory */
    STORAGE_SET_MODIFIED,     /* path, modified_ms */
    STORAGE_RENAME,           /* path, to_path: replaces a file that is there */
    STORAGE_UNLINK,           /* path of a file */
    STORAGE_MAKE_DIRECTORY,   /* path; parents must exist */
    STORAGE_REMOVE_DIRECTORY, /* path of an empty directory */
    STORAGE_LIST,             /* path -> listing */
    STORAGE_SYNC_DIRECTORY,   /* path of the directory */
    STORAGE_SPACE,            /* path -> result_size free bytes, result_total bytes */
    STORAGE_LOCK, /* path, created when missing -> file that holds the lock until CLOSE */
};

struct storage_buffer {
    void *data; /* not changed by WRITE and append */
    size_t size;
};

struct storage_entry {
    const char *name; /* without directories, NUL-terminated */
    bool is_directory;
    uint64_t size;       /* bytes; 0 for directories */
    int64_t modified_ms; /* since 1970; not known of directories */
};

/* One block of the heap named in the request; give back with storage_listing_release. */
struct storage_listing {
    struct heap *heap;
    size_t held_size; /* bytes of this block */
    size_t count;
    struct storage_entry entries[];
};

struct storage_request {
    struct storage_request *next;                  /* the seam's */
    void (*done)(struct storage_request *request); /* not used by storage_run */
    enum storage_operation operation;
    enum storage_status status; /* out */
    struct storage_file *file;  /* in; out for OPEN and LOCK */
    const char *path;
    const char *to_path;
    unsigned flags; /* enum storage_flag */
    uint64_t offset;
    uint64_t size;
    int64_t modified_ms;
    const struct storage_buffer *buffers;
    size_t buffer_count;
    struct heap *heap; /* LIST: where the listing is made */
    struct storage_listing *listing;
    uint64_t result_size;
    uint64_t result_total;
    int64_t result_modified_ms;
    bool result_is_directory;
    void *seam[4]; /* the backend's */
};

struct storage_ops {
    enum storage_status (*append)(void *self, struct storage_file *file,
                                  const struct storage_buffer *buffers, size_t buffer_count,
                                  struct storage_request *pending);
    enum storage_status (*read_now)(void *self, struct storage_file *file, uint64_t offset,
                                    void *data, size_t size);
    uint64_t (*size)(void *self, const struct storage_file *file);
    void (*submit)(void *self, struct storage_request *request);
    void (*run)(void *self, struct storage_request *request);
};

/* One per loop, and one per job step; plain value. */
struct storage {
    const struct storage_ops *ops;
    void *self;
};

/*
 * Appends all buffers at the end of the file, in one positional vectored write.
 * STORAGE_OK, a failure of promise 5, or STORAGE_PENDING: then `pending` (operation and file are
 * filled in here) completes later, and until then no other append to this file may be made.
 */
enum storage_status storage_append(struct storage storage, struct storage_file *file,
                                   const struct storage_buffer *buffers, size_t buffer_count,
                                   struct storage_request *pending);
/* All `size` bytes from memory, or STORAGE_NOT_RESIDENT; past the end of the file: STORAGE_IO. */
enum storage_status storage_read_now(struct storage storage, struct storage_file *file,
                                     uint64_t offset, void *data, size_t size);
/* Size in bytes as appends, writes and truncates of this process have made it. */
uint64_t storage_size(struct storage storage, const struct storage_file *file);
/* Starts a request on a loop; completes through request->done. */
void storage_submit(struct storage storage, struct storage_request *request);
/* Runs a request to its end; only inside a job. Returns request->status. */
enum storage_status storage_run(struct storage storage, struct storage_request *request);

/* Blocking shorthands for jobs. */
enum storage_status storage_run_open(struct storage storage, const char *path, unsigned flags,
                                     struct storage_file **file, uint64_t *size);
enum storage_status storage_run_close(struct storage storage, struct storage_file *file);
/* Reads exactly up to `size` bytes; *read_size is short only at the end of the file. */
enum storage_status storage_run_read(struct storage storage, struct storage_file *file,
                                     uint64_t offset, void *data, size_t size, size_t *read_size);
enum storage_status storage_run_write(struct storage storage, struct storage_file *file,
                                      uint64_t offset, const void *data, size_t size);
enum storage_status storage_run_sync(struct storage storage, struct storage_file *file);
enum storage_status storage_run_truncate(struct storage storage, struct storage_file *file,
                                         uint64_t size);
/* The operations that take only a path (and to_path for RENAME, else NULL). */
enum storage_status storage_run_path(struct storage storage, enum storage_operation operation,
                                     const char *path, const char *to_path);
enum storage_status storage_run_list(struct storage storage, const char *path, struct heap *heap,
                                     struct storage_listing **listing);
void storage_listing_release(struct storage_listing *listing);

#endif
