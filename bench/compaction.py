"""What a large compacted topic takes to compact, and what others notice of it.

usage: compaction.py KLAMMD KLAMM_BENCH [--gib N] [--keys N] [--pairs N] [--seconds S]
                     [--other KLAMMD]

Fills a topic of one partition with values of a kilobyte under random keys while the cleaner is off.
Then come pairs: a node on a copy of the directory without the cleaner, and one on another copy with
it, each with a load of small appends on another topic until the one is compacted. Of every life of
a node it tells the load's latency, its turns above 2 ms, and what the scheduler did to its shards
(seconds that they waited for a core while they could have run, and how often they were put off it;
and in a virtual machine, what its host stole from all CPUs).
With --other a second build compacts in every pair too, in the same minute; so a busy machine can
compare the two. The last lines are the verdicts: no turn above 2 ms while it compacts, and the
median of the pairs' ratios of p99 at most 1.25.

Copies share the sealed segments, which nothing changes in place; for the last life the source goes
away first, so that its old segments really leave the disk while it is measured. With the defaults
it takes some three minutes, and a half more disk than the bytes written. Needs
python3-confluent-kafka.
"""

import argparse
import glob
import os
import random
import re
import shutil
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))
import bench_runs  # noqa: E402
import processes  # noqa: E402

import confluent_kafka  # noqa: E402
import confluent_kafka.admin  # noqa: E402

TOPIC = "compacted"
VALUE = 1000
SEGMENT = 256 << 20
RATIO_MAX = 1.25
SETTINGS = {"klamm.durability": "cache", "log.cleaner.enable": "false",
            "log.cleaner.backoff.ms": "100"}


# ---- Filling, and copies ----------------------------------------------------------------------

def fill(node, size, keys):
    """Writes `size` bytes of values; returns the seconds that it took."""
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": node.address})
    topic = confluent_kafka.admin.NewTopic(TOPIC, 1, 1, config={
        "cleanup.policy": "compact", "segment.bytes": str(SEGMENT),
        "file.delete.delay.ms": "1000"})  # so that deleting is part of what is measured
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


def copy_data(source, target):
    """A directory of its own; only the segments that are sealed are shared."""
    segments = sorted(glob.glob(f"{source}/{TOPIC}-0/*.log"))
    sealed = set(segments[:-1])

    def copy(path, to):
        if path in sealed:
            os.link(path, to)
        else:
            shutil.copy2(path, to)

    shutil.copytree(source, target, copy_function=copy)


# ---- One life of a node -----------------------------------------------------------------------

def load(bench, node, seconds):
    """One run of many small appends at a fixed rate; klamm-bench's figures."""
    return bench_runs.run(bench, "many", node.address, "--topic", "load", "--partitions", "32",
                          "--connections", "16", "--rate", "500", "--seconds", str(seconds))


def threads(node, name):
    """The folders of a node's threads whose names begin so."""
    for folder in glob.glob(f"/proc/{node.process.pid}/task/*"):
        try:
            if open(f"{folder}/comm").read().startswith(name):
                yield folder
        except OSError:
            continue


def background_cpu(node):
    """CPU seconds of the threads that run compactions, as long as they live."""
    total = 0.0
    for folder in threads(node, "klamm-idle-work"):
        try:
            total += int(open(f"{folder}/schedstat").read().split()[0]) / 1e9
        except OSError:
            continue
    return total


def shard_switches(node):
    """Of the shards: seconds on a core, seconds of waiting for one, times they were put off it."""
    on_core, waited, put_off = 0.0, 0.0, 0
    for folder in threads(node, "klamm-shard"):
        words = open(f"{folder}/schedstat").read().split()
        on_core += int(words[0]) / 1e9
        waited += int(words[1]) / 1e9
        put_off += int(re.search(r"nonvoluntary_ctxt_switches:\s+(\d+)",
                                 open(f"{folder}/status").read()).group(1))
    return on_core, waited, put_off


def stolen():
    """Seconds that the machine's host has kept its CPUs for others; no turn can help that."""
    return int(open("/proc/stat").readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def turns_of(output):
    """(turns, above 2 ms, longest in ms) of the shards, from what the node says at its stop."""
    turns, above, longest = 0, 0, 0
    for match in re.finditer(r"turns: loop=(\d+) turns=(\d+) p99_us=\d+ longest_us=(\d+) "
                             r"above_2_ms=(\d+)", output):
        if int(match.group(1)) > 0:
            turns += int(match.group(2))
            above += int(match.group(4))
            longest = max(longest, int(match.group(3)) / 1000)
    return turns, above, longest


def live(klammd, options, data, compacts, is_last=False):
    """One life on a copy of the filled directory; what was measured, as a dictionary."""
    said = f"compacted {TOPIC}-0 from"
    settings = dict(SETTINGS, **{"log.cleaner.enable": "true" if compacts else "false"})
    with processes.Klamm(klammd, settings) as node:
        copy_data(data, node.data)
        if is_last:
            shutil.rmtree(data)
        node.start()
        start, runs, cpu = time.monotonic(), [], 0.0
        before, stolen_before = shard_switches(node), stolen()
        while True:
            runs.append(load(options.bench, node, options.seconds))
            cpu = max(cpu, background_cpu(node))
            if said in node.output() if compacts else len(runs) == options.quiet_runs:
                break
        took = time.monotonic() - start
        after = shard_switches(node)
        peak = int(re.search(r"VmHWM:\s+(\d+)", open(
            f"/proc/{node.process.pid}/status").read()).group(1)) / 1024
        assert node.stop(120) == 0
        output = node.output()
    if compacts and len(runs) > 1:
        runs.pop()  # it went on after the end
    turns, above, longest = turns_of(output)
    return {"p50": statistics.median(run["latency_p50_ms"] for run in runs),
            "p99": statistics.median(run["latency_p99_ms"] for run in runs),
            "turns": turns, "above": above, "longest": longest, "took": took, "cpu": cpu,
            "peak": peak, "waited": after[1] - before[1],
            "put_off": after[2] - before[2], "stolen": stolen() - stolen_before,
            "said": "".join(re.findall(rf"{said} .*", output)[:1])}


# ---- Report -----------------------------------------------------------------------------------

def print_life(name, result):
    print(f"{name:<18} p50 {result['p50']:.2f} p99 {result['p99']:.2f} ms; "
          f"turns above 2 ms: {result['above']} of {result['turns']}, "
          f"longest {result['longest']:.1f} ms; shards waited {result['waited']:.2f} s for a core, "
          f"put off {result['put_off']} times, {result['stolen']:.2f} s stolen; "
          f"{result['took']:.0f} s"
          + (f", background {result['cpu']:.1f} CPU s, {result['peak']:.0f} MiB at most"
             if result["said"] else ""), flush=True)


def verdict(name, quiet, busy):
    above = sum(result["above"] for result in busy)
    ratios = [with_it["p99"] / without["p99"] for without, with_it in zip(quiet, busy)]
    ratio = statistics.median(ratios)
    print(f"verdict, {name}: turns above 2 ms: {sum(r['above'] for r in quiet)} of "
          f"{sum(r['turns'] for r in quiet)} without, {above} of {sum(r['turns'] for r in busy)} "
          f"with compaction (longest {max(r['longest'] for r in quiet):.1f} and "
          f"{max(r['longest'] for r in busy):.1f} ms): {'missed' if above else 'met'}")
    pairs = ", ".join(f"{without['p99']:.2f} and {with_it['p99']:.2f} ms ({one:.2f}x)"
                      for without, with_it, one in zip(quiet, busy, ratios))
    print(f"verdict, {name}: p99 in pairs {pairs}; median {ratio:.2f}x of {RATIO_MAX}x allowed: "
          f"{'missed' if ratio > RATIO_MAX else 'met'}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("klammd")
    parser.add_argument("bench")
    parser.add_argument("--gib", type=float, default=5)
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of one run of the load")
    parser.add_argument("--quiet-runs", type=int, default=5, help="of the load without the cleaner")
    parser.add_argument("--other", help="a klammd to compare with")
    options = parser.parse_args()
    if options.gib * (1 << 30) < 2 * SEGMENT:
        parser.error("--gib takes at least two segments, 0.5: the active one is not compacted")
    quiet, busy, other = [], [], []
    with processes.Klamm(options.klammd, SETTINGS) as source:
        source.start()
        seconds = fill(source, int(options.gib * (1 << 30)), options.keys)
        assert source.stop(120) == 0
        size = sum(map(os.path.getsize, glob.glob(f"{source.data}/{TOPIC}-0/*.log")))
        print(f"### compaction of {size / 1e9:.2f} GB, {options.keys} keys "
              f"(written in {seconds:.0f} s)", flush=True)
        for pair in range(options.pairs):
            quiet.append(live(options.klammd, options, source.data, False))
            print_life("without", quiet[-1])
            if options.other:
                other.append(live(options.other, options, source.data, True))
                print_life("with, other build", other[-1])
            busy.append(live(options.klammd, options, source.data, True,
                             is_last=pair == options.pairs - 1))
            print_life("with compaction", busy[-1])
    print(busy[0]["said"])
    verdict("this build", quiet, busy)
    if other:
        verdict("other build", quiet, other)


if __name__ == "__main__":
    main()
