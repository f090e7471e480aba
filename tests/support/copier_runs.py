"""A transactional copier (tests/compat/copier.c) that is killed again and again, as are the nodes that
it works on; every input must come out once.

`nodes` is a list of processes; whoever calls says how one of them is disturbed.
"""

import os
import random
import subprocess
import threading

import processes

PARTITIONS = 3
ENDED = 3  # the copier's own status


class Copier:
    """A copier that is started again whenever it ends."""

    def __init__(self, binary, address, log):
        self.command = [binary, "copy", address, "input", "output", "group", "copier"]
        self.log = log
        self.process = None
        self.starts = 0

    def ensure(self):
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return
            assert status in (ENDED, -9), f"the copier ended with {status}"
        self.process = subprocess.Popen(self.command, stderr=self.log, stdin=subprocess.DEVNULL)
        self.starts += 1

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def copied(nodes):
    """Bytes of the output's logs; a cheap sign of progress."""
    size = 0
    for node in nodes:
        for partition in range(PARTITIONS):
            directory = os.path.join(node.data, f"output-{partition}")
            if os.path.isdir(directory):
                size += sum(os.path.getsize(os.path.join(directory, name))
                            for name in os.listdir(directory) if name.endswith(".log"))
    return size


def progress(nodes, copier, more):
    """Waits until the output has grown by `more` bytes, restarting the copier where it gave up."""
    start = copied(nodes)

    def grown():
        copier.ensure()
        return copied(nodes) >= start + more

    processes.wait_until(grown, f"{more} more bytes of output", 120)


def disturb(nodes, copier, draw, event):
    """One kill at a random moment: of the copier, of the node, or of both."""
    event.wait(draw.random() * 0.3)
    what = draw.choice(["copier", "copier", "node", "both"])
    node = draw.choice(nodes)
    if what in ("node", "both"):
        node.kill()
    if what in ("copier", "both"):
        copier.kill()
    if what in ("node", "both"):
        node.start()
    copier.ensure()
    return what


def copy(nodes, address, directory, binary, records, kills, seed):
    draw = random.Random(seed)
    event = threading.Event()
    subprocess.run([binary, "fill", address, "input", str(records), str(PARTITIONS)],
                   check=True, timeout=120)
    counts = {"copier": 0, "node": 0, "both": 0}
    with open(os.path.join(directory, "copier.log"), "ab") as log:
        copier = Copier(binary, address, log)
        try:
            progress(nodes, copier, 1)
            for _ in range(kills):
                counts[disturb(nodes, copier, draw, event)] += 1
                progress(nodes, copier, draw.randrange(20000))
            # The copier goes on while the output is read.
            result = subprocess.Popen([binary, "verify", address, "input", "output", "group",
                                       str(records), str(PARTITIONS)])
            processes.wait_until(lambda: copier.ensure() or result.poll() is not None,
                                 "every record in the output", 150)
            assert result.returncode == 0, f"verify ended with {result.returncode}"
        finally:
            copier.kill()
    print(f"records={records} kills={counts} copiers={copier.starts} seed={seed}")
