#!/usr/bin/env python3
"""Checks which folder includes which: a room includes only rooms on lower floors and itself.

Usage: floors.py <source root>. Prints one line per violation; exit status 1 when there is one.
"""

import pathlib
import re
import sys

FLOOR = {
    "base": 1,
    "runtime": 2, "protocol": 2, "config": 2,
    "log": 3, "connection": 3,
    "cluster": 4,
    "replication": 5,
    "coordinator": 6,
    "consumer": 7, "transaction": 7,
    "broker": 8,
}

# Headers of the operating system and of libraries that reach it: runtime/posix (and main) only.
HOST_HEADERS = re.compile(
    r"^(event2/|openssl/|pthread\.h|sys/|unistd\.h|fcntl\.h|dirent\.h|netdb\.h|netinet/|arpa/|"
    r"poll\.h|signal\.h|sched\.h|time\.h|setjmp\.h|execinfo\.h|mimalloc\.h|locale\.h|termios\.h)")

# Where a host header is fine outside runtime/posix: (file, header, reason).
ALLOWED_HOST = {
    ("broker/main.c", "*"),  # the process itself
}

# Rooms that may be used from the same floor or above: (from, to, reason).
ALLOWED_ROOM = {
    # Settings are read through the value and text helpers of protocol's floor only.
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(path):
    return path.split("/", 1)[0]


def check_file(root, path):
    relative = path.relative_to(root).as_posix()
    room = room_of(relative)
    is_host = relative.startswith("runtime/posix/")
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        kind, name = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if kind == "<":
            allowed = is_host or (relative, name) in ALLOWED_HOST or (relative, "*") in ALLOWED_HOST
            if HOST_HEADERS.match(name) and not allowed:
                yield f"{relative}:{line}: <{name}> belongs to runtime/posix"
            continue
        if "/" not in name:
            yield f"{relative}:{line}: \"{name}\" is not written from the root"
            continue
        target = room_of(name)
        if target not in FLOOR:
            if target == "tests":
                yield f"{relative}:{line}: \"{name}\" is test code"
            continue
        if target == room or FLOOR[target] < FLOOR[room]:
            if name.startswith("runtime/posix/") and not is_host \
                    and (relative, "*") not in ALLOWED_HOST:
                yield f"{relative}:{line}: \"{name}\" is the host; use the seams of runtime/"
            continue
        if (room, target) not in ALLOWED_ROOM:
            yield (f"{relative}:{line}: \"{name}\": {room}/ (floor {FLOOR[room]}) may not use "
                   f"{target}/ (floor {FLOOR[target]})")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    violations = []
    files = 0
    for room in sorted(FLOOR):
        for path in sorted((root / room).rglob("*.[ch]")):
            files += 1
            violations.extend(check_file(root, path))
    for violation in violations:
        print(violation)
    print(f"{files} files, {len(violations)} violations")
    return 1 if violations or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
