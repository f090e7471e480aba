"""A transactional copier (tests/compat/copier.c) that is killed again and again, as are the nodes that
it works on; every input must come out once.

`nodes` is a list of processes; whoever calls says how one of them is disturbed.
"""

import contextlib
import glob
import os
import random
import subprocess

import processes

PARTITIONS = 3
WRITTEN = ("output-*", "__consumer_offsets-*", "__transaction_state-*")
LEAST_SIZE = 20  # bytes of a record of the output: its frame, its number and its result
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


def written(nodes):
    """Bytes of the logs that a copier has written to, on all nodes; a cheap sign of progress."""
    size = 0
    for node in nodes:
        for topic in WRITTEN:
            for path in glob.iglob(os.path.join(glob.escape(node.data), topic, "*.log")):
                with contextlib.suppress(FileNotFoundError):  # it was replaced just now
                    size += os.path.getsize(path)
    return size


def progress(nodes, copier, size):
    """Waits until the logs are that long, starting the copier again where it gave up."""
    def grown():
        copier.ensure()
        return written(nodes) >= size

    processes.wait_until(grown, f"{size} bytes in the logs of the copy")


def disturb(nodes, copier, draw):
    """One kill: of the copier, of the node, or of both."""
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


class Input:
    """Records in equal shares, each written by a process of its own."""

    def __init__(self, binary, address, records, shares):
        self.command = [binary, "fill", address, "input"]
        self.ends = [records * (number + 1) // shares for number in range(shares)]
        self.first = 0
        self.filling = None

    def begin_share(self):
        """Starts to write the next share; its number of records."""
        self.finish_share()
        end = self.ends.pop(0)
        count = end - self.first
        self.filling = subprocess.Popen([*self.command, str(end), str(PARTITIONS),
                                         str(self.first)], stdin=subprocess.DEVNULL)
        self.first = end
        return count

    def finish_share(self):
        """The share before is written, whatever was killed meanwhile."""
        if self.filling:
            status = self.filling.wait(300)
            assert status == 0, f"fill ended with {status}"

    def kill(self):
        if self.filling:
            self.filling.kill()
            self.filling.wait()


def disturb_the_copy(nodes, source, copier, kills, draw):
    """A share of the input before each kill, so that there is always something left to copy. The
    moment is a number of bytes that the share makes certain, more often a small one: then the copier
    has just come back, and joins or begins. How often what was killed."""
    counts = {"copier": 0, "node": 0, "both": 0}
    source.begin_share()  # and with it the topic, which a copier that starts has to find
    source.finish_share()
    for _ in range(kills):
        size = written(nodes)
        certain = source.begin_share() * LEAST_SIZE
        progress(nodes, copier, size + int(certain ** draw.random()))
        counts[disturb(nodes, copier, draw)] += 1
    source.finish_share()
    return counts


def copy(nodes, address, directory, binary, records, kills, seed):
    draw = random.Random(seed)
    source = Input(binary, address, records, kills + 1)
    with open(os.path.join(directory, "copier.log"), "ab") as log:
        copier = Copier(binary, address, log)
        try:
            counts = disturb_the_copy(nodes, source, copier, kills, draw)
            # The copier goes on while the output is read.
            result = subprocess.Popen([binary, "verify", address, "input", "output", "group",
                                       str(records), str(PARTITIONS)])
            processes.wait_until(lambda: copier.ensure() or result.poll() is not None,
                                 "every record in the output", 400)
            assert result.returncode == 0, f"verify ended with {result.returncode}"
        finally:
            copier.kill()
            source.kill()
    print(f"records={records} kills={counts} copiers={copier.starts} seed={seed}")
