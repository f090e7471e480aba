"""A current librdkafka (what Debian has does not speak KIP-848), through confluent-kafka from the Python
package index; installed once into a folder, for all tests that want it."""

import fcntl
import os
import subprocess
import sys

CLIENT = "confluent-kafka==2.16.0"  # one version, so that a test changes with a commit only
INSTALL_S = 300


def _install(folder, python):
    for command in ([sys.executable, "-m", "venv", "--system-site-packages", folder],
                    [python, "-m", "pip", "install", "-q", "--no-input",
                     "--disable-pip-version-check", CLIENT]):
        done = subprocess.run(command, timeout=INSTALL_S, check=False, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            return False
    return True


def python_with_client(folder):
    """The Python that has the client, beside what the system has; None when it cannot be had."""
    os.makedirs(folder, exist_ok=True)
    python, mark = os.path.join(folder, "bin", "python3"), os.path.join(folder, "installed")
    with open(os.path.join(folder, "lock"), "w") as lock:  # a test next door may want it too
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(mark):
            with open(mark) as file:
                if file.read() == CLIENT:
                    return python
        try:
            if not _install(folder, python):
                return None
        except (OSError, subprocess.TimeoutExpired):
            return None
        with open(mark, "w") as file:
            file.write(CLIENT)
    return python
