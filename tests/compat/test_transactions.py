"""Transactions with librdkafka and real processes: visibility and fencing (transactions.c), and a
copier (copier.c) that is killed again and again, as is its node; every input must come out once.

usage: test_transactions.py KLAMMD TRANSACTIONS COPIER
"""

import os
import random
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402

PARTITIONS = 3
ENDED = 3  # the copier's own status


class Copier:
    """A copier that is started again whenever it ends."""

    def __init__(self, binary, node, log):
        self.command = [binary, "copy", node.address, "input", "output", "group", "copier"]
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


def copied(node):
    """Bytes of the output's log; a cheap sign of progress."""
    size = 0
    for partition in range(PARTITIONS):
        directory = os.path.join(node.data, f"output-{partition}")
        if os.path.isdir(directory):
            size += sum(os.path.getsize(os.path.join(directory, name))
                        for name in os.listdir(directory) if name.endswith(".log"))
    return size


def progress(node, copier, more):
    """Waits until the output has grown by `more` bytes, restarting the copier where it gave up."""
    start = copied(node)

    def grown():
        copier.ensure()
        return copied(node) >= start + more

    processes.wait_until(grown, f"{more} more bytes of output", 60)


def disturb(node, copier, draw, event):
    """One kill at a random moment: of the copier, of the node, or of both."""
    event.wait(draw.random() * 0.3)
    what = draw.choice(["copier", "copier", "node", "both"])
    if what in ("node", "both"):
        node.kill()
    if what in ("copier", "both"):
        copier.kill()
    if what in ("node", "both"):
        node.start()
    copier.ensure()
    return what


def copy(node, binary, records, kills, seed):
    draw = random.Random(seed)
    event = threading.Event()
    subprocess.run([binary, "fill", node.address, "input", str(records), str(PARTITIONS)],
                   check=True, timeout=120)
    counts = {"copier": 0, "node": 0, "both": 0}
    with open(os.path.join(node.directory, "copier.log"), "ab") as log:
        copier = Copier(binary, node, log)
        try:
            progress(node, copier, 1)
            for _ in range(kills):
                counts[disturb(node, copier, draw, event)] += 1
                progress(node, copier, draw.randrange(20000))
            # The copier goes on while the output is read.
            result = subprocess.Popen([binary, "verify", node.address, "input", "output", "group",
                                       str(records), str(PARTITIONS)])
            processes.wait_until(lambda: copier.ensure() or result.poll() is not None,
                                 "every record in the output", 150)
            assert result.returncode == 0, f"verify ended with {result.returncode}"
        finally:
            copier.kill()
    print(f"records={records} kills={counts} copiers={copier.starts} seed={seed}")


def main():
    klammd, transactions, copier = sys.argv[1:4]
    nightly = "KLAMM_NIGHTLY" in os.environ
    settings = {"num.partitions": str(PARTITIONS), "group.initial.rebalance.delay.ms": "0"}
    seed = int(os.environ.get("KLAMM_SEED", random.SystemRandom().randrange(1 << 32)))
    with processes.Klamm(klammd, settings) as node:
        node.start()
        subprocess.run([transactions, node.address, "data", "200" if nightly else "40",
                        str(PARTITIONS)], check=True, timeout=300)
        try:
            copy(node, copier, 200000 if nightly else 20000, 200 if nightly else 8, seed)
            status = node.stop()
            assert status == 0, f"clean stop ended with {status}"
        except BaseException:
            print(f"seed={seed}\n{node.output()[-6000:]}")
            raise


if __name__ == "__main__":
    main()
