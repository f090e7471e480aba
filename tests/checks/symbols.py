#!/usr/bin/env python3
"""Checks what the rooms link against: nothing outside the seams, and no writable globals.

Usage: symbols.py <archive>... Each archive is a room's static library. Prints one line per
violation; exit status 1 when there is one.
"""

import pathlib
import re
import subprocess
import sys

# By reason. Plain memory and string functions, compression and checksums are not listed.
DENIED = {
    "clock": "time clock clock_gettime gettimeofday times nanosleep usleep sleep clock_nanosleep "
             "localtime localtime_r gmtime gmtime_r mktime timegm strftime ftime timespec_get",
    "entropy": "rand srand rand_r random srandom drand48 lrand48 getrandom getentropy arc4random "
               "RAND_bytes RAND_priv_bytes",
    "threads": "pthread_create pthread_mutex_lock pthread_cond_wait thrd_create mtx_lock "
               "pthread_self sem_wait call_once pthread_once",
    "files": "open open64 openat creat read pread pread64 preadv preadv2 write pwrite pwrite64 pwritev "
             "pwritev64 close lseek lseek64 ftruncate ftruncate64 fsync fdatasync rename unlink mkdir "
             "rmdir stat stat64 fstat fstat64 lstat opendir readdir mmap mmap64 munmap fallocate "
             "fcntl fcntl64 access chdir getcwd dup dup2 pipe",
    "sockets": "socket bind listen accept accept4 connect send sendto sendmsg recv recvfrom recvmsg "
               "sendfile sendfile64 getaddrinfo gethostbyname poll select epoll_wait epoll_ctl "
               "setsockopt getsockopt gethostname inet_pton inet_ntop",
    "environment": "getenv secure_getenv setenv putenv environ getpid getuid",
    "locale": "setlocale localeconv newlocale uselocale toupper tolower isalpha isdigit isspace "
              "__ctype_b_loc __ctype_tolower_loc __ctype_toupper_loc strcoll strcasecmp "
              "strncasecmp",
    "stdio": "printf fprintf vfprintf puts putchar fputs fputc fputs fwrite fread fopen fopen64 fclose "
             "fgets getline perror stdout stderr stdin __printf_chk __fprintf_chk __vfprintf_chk "
             "sscanf __isoc99_sscanf",
    "memory": "malloc calloc realloc free posix_memalign aligned_alloc strdup strndup asprintf "
              "vasprintf mi_malloc mi_free",
    "sorting and numbers": "qsort qsort_r bsearch strtod strtof strtold atof atoi atol strtol "
                           "strtoul strtoll strtoull __isoc23_strtol __isoc23_strtoul",
    "process": "exit _exit abort atexit raise kill signal sigaction fork execve system "
               "longjmp _longjmp setjmp _setjmp __sigsetjmp siglongjmp alloca",
    "libevent": "event_new event_add event_base_new event_base_loop",
}

REASON = {name: reason for reason, names in DENIED.items() for name in names.split()}

# (archive or object, symbol): why it is fine.
ALLOWED = {
    ("libbase.a:memory.c", "malloc"): "heap_init_plain: heaps without a loop (tools, tests)",
    ("libbase.a:memory.c", "free"): "the same",
}

ALLOWED_DATA = {
}


def run_nm(archive, *options):
    result = subprocess.run(["nm", *options, str(archive)], capture_output=True, text=True,
                            check=True)
    return result.stdout


def object_of(line):
    """The source name of a line like `x/memory.c.o:` or `lib.a(memory.c.o):`."""
    name = line.rstrip(":").split("(")[-1].rstrip(")").split("/")[-1]
    return re.sub(r"\.o$", "", name)


def check_undefined(archive):
    current = ""
    for line in run_nm(archive, "-u").splitlines():
        line = line.strip()
        if line.endswith(":"):
            current = object_of(line)
            continue
        match = re.match(r"[Uw]\s+(\S+)$", line)
        if not match:
            continue
        symbol = match.group(1).split("@")[0]
        reason = REASON.get(symbol)
        if reason and (f"{archive.name}:{current}", symbol) not in ALLOWED:
            yield f"{archive.name}: {current} uses {symbol} ({reason})"


def check_data(archive):
    current = ""
    for line in run_nm(archive, "--defined-only").splitlines():
        line = line.strip()
        if line.endswith(":"):
            current = object_of(line)
            continue
        # d, b: written after start. Read-only tables with pointers (r, and d in .data.rel.ro, which
        # nm tells apart as R only without relocation) are looked up by section below.
        match = re.match(r"[0-9a-fA-F]+\s+([dDbBgGsSC])\s+(\S+)$", line)
        if not match:
            continue
        name = match.group(2)
        if not is_relocated_constant(archive, current, name) and \
                (f"{archive.name}:{current}", name) not in ALLOWED_DATA:
            yield f"{archive.name}: {current} has the writable object {name}"


_sections = {}


def sections_of(archive):
    """(object, symbol) -> section, from objdump."""
    if archive not in _sections:
        found = {}
        result = subprocess.run(["objdump", "-t", str(archive)], capture_output=True, text=True,
                                check=True)
        current = ""
        for line in result.stdout.splitlines():
            match = re.match(r"(\S+\.o):\s+file format", line)
            if match:
                current = object_of(match.group(1) + ":")
                continue
            parts = line.split()
            if len(parts) >= 5 and re.match(r"[0-9a-f]{16}$", parts[0]):
                section = next((part for part in parts if part.startswith((".", "*"))), "")
                found[(current, parts[-1])] = section
        _sections[archive] = found
    return _sections[archive]


def is_relocated_constant(archive, current, name):
    return sections_of(archive).get((current, name), "").startswith(".data.rel.ro")


def main():
    violations = []
    for argument in sys.argv[1:]:
        archive = pathlib.Path(argument)
        violations.extend(check_undefined(archive))
        violations.extend(check_data(archive))
    for violation in violations:
        print(violation)
    print(f"{len(sys.argv) - 1} libraries, {len(violations)} violations")
    return 1 if violations or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
