/* The storage operations that take a path and no open file. */
#ifndef KLAMM_RUNTIME_POSIX_FILE_NAMES_H
#define KLAMM_RUNTIME_POSIX_FILE_NAMES_H

#include "runtime/storage.h"

/* Runs one of them on the calling thread; returns its status. */
enum storage_status file_names_run(struct storage_request *request);

#endif
