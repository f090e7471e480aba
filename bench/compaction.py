"""How long a large compacted topic takes to compact, and what others notice of it.

usage: compaction.py KLAMMD KLAMM_BENCH [--gib N] [--keys N] [--seconds S]

Fills a topic of one partition with values of a kilobyte under random keys while the cleaner is off,
and measures a load on another topic for comparison. Then the node starts again with the cleaner on,
and the same load runs, again and again, until the topic is compacted. Prints time, bytes, the CPU
seconds of the background threads, the load's latency without and with compaction, and what each
loop says of its turns at its stop. Needs python3-confluent-kafka.
"""

import argparse
import glob
import os
import random
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))
import bench_runs  # noqa: E402
import processes  # noqa: E402
from bench_runs import median  # noqa: E402

import confluent_kafka  # noqa: E402
import confluent_kafka.admin  # noqa: E402

TOPIC = "compacted"
VALUE = 1000
SEGMENT = 256 << 20


def fill(node, size, keys):
    """Writes `size` bytes of values; returns the seconds that it took."""
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": node.address})
    topic = confluent_kafka.admin.NewTopic(TOPIC, 1, 1, config={
        "cleanup.policy": "compact", "segment.bytes": str(SEGMENT)})
    admin.create_topics([topic])[TOPIC].result(30)
    producer = confluent_kafka.Producer({
        "bootstrap.servers": node.address, "linger.ms": 20, "batch.size": 1 << 20,
        "queue.buffering.max.kbytes": 1 << 18, "queue.buffering.max.messages": 1 << 18})
    noise = random.Random(1)
    filler = noise.randbytes(1 << 20)
    start = time.monotonic()
    for _ in range(size // VALUE):
        at = noise.randrange(len(filler) - VALUE)
        while True:
            try:
                producer.produce(TOPIC, key=b"key-%d" % noise.randrange(keys),
                                 value=filler[at:at + VALUE])
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    assert producer.flush(300) == 0
    return time.monotonic() - start


def load(bench, node, seconds):
    """One run of many small appends at a fixed rate; klamm-bench's figures."""
    return bench_runs.run(bench, "many", node.address, "--topic", "load", "--partitions", "32",
                          "--connections", "16", "--rate", "500", "--seconds", str(seconds))


def background_cpu(node):
    """CPU seconds of the threads that run compactions, as long as they live."""
    ticks = 0
    for path in glob.glob(f"/proc/{node.process.pid}/task/*/stat"):
        try:
            fields = open(path).read().rsplit(")", 1)
        except OSError:
            continue
        if "klamm-idle-work" in fields[0]:
            words = fields[1].split()
            ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def topic_bytes(node):
    return sum(os.path.getsize(path) for path in glob.glob(f"{node.data}/{TOPIC}-0/*.log"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("klammd")
    parser.add_argument("bench")
    parser.add_argument("--gib", type=float, default=5)
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    if options.gib * (1 << 30) < 2 * SEGMENT:
        parser.error("--gib takes at least two segments, 0.5: the active one is not compacted")
    rows = []
    settings = {"klamm.durability": "cache", "log.cleaner.enable": "false",
                "log.cleaner.backoff.ms": "100"}
    with processes.Klamm(options.klammd, settings) as node:
        node.start()
        seconds = fill(node, int(options.gib * (1 << 30)), options.keys)
        before = topic_bytes(node)
        rows.append(("bytes written", f"{before / 1e9:.2f} GB in {seconds:.0f} s"))
        quiet = [load(options.bench, node, options.seconds) for _ in range(3)]
        assert node.stop(120) == 0
        quiet_turns = re.findall(r"turns: .*", node.output())
        node.settings["log.cleaner.enable"] = "true"
        node.start()
        start, busy, cpu = time.monotonic(), [], 0
        while f"compacted {TOPIC}-0 from" not in node.output():
            busy.append(load(options.bench, node, options.seconds))
            cpu = max(cpu, background_cpu(node))
        took = time.monotonic() - start
        text = re.findall(rf"compacted {TOPIC}-0 from .*", node.output())[0]
        resident = open(f"/proc/{node.process.pid}/status").read()
        peak = int(re.search(r"VmHWM:\s+(\d+)", resident).group(1))
        assert node.stop(120) == 0
        turns = re.findall(r"turns: .*", node.output())[len(quiet_turns):]
        rows.append(("what the cleaner said", text))
        rows.append(("until it was compacted", f"at most {took:.0f} s"))
        rows.append(("CPU of the background threads", f"{cpu:.1f} s"))
        rows.append(("largest resident memory", f"{peak / 1024:.0f} MiB"))
        rows.append(("load, p50 / p99 without", f"{median(quiet, 'latency_p50_ms'):.2f} / "
                     f"{median(quiet, 'latency_p99_ms'):.1f} ms"))
        rows.append(("load, p50 / p99 with compaction", f"{median(busy, 'latency_p50_ms'):.2f} / "
                     f"{median(busy, 'latency_p99_ms'):.1f} ms"))
        rows += [("turns without", line) for line in quiet_turns]
        rows += [("turns with compaction", line) for line in turns]
    print(f"\n### compaction of {options.gib} GiB, {options.keys} keys\n\n| what | Klamm |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
