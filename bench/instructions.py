"""Counts the broker's user-space instructions: plain, idempotent and transactional produce.

usage: instructions.py KLAMMD KLAMM_BENCH [--only NAME] [--pairs N] [--requests N] [--keep DIRECTORY]

klammd runs under valgrind's callgrind (Debian package valgrind), which needs no counters of the
processor. The work is fixed by count, not by time, and the load runs in interleaved pairs in one
broker of one shard; a dump before and one after each run delimit what it cost. One request is under
way at a time, so that each is a turn of the loop of its own and the count does not depend on how
fast anything was, but for what is done now and then (a burst some seconds after a load, probably memory given back, is
up to 1.6 million instructions): that only adds, so the least of the runs counts. The load of many
producers is due at a rate that klammd keeps up with under valgrind, and its count varies with how
requests meet. The kernel's instructions are not in these figures; the CPU seconds beside them, user
and system, are those of the same load on a broker without valgrind.

--keep leaves the profiles there, by load: callgrind_annotate shows where a difference comes from.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))
import bench_runs  # noqa: E402
import processes  # noqa: E402

SETTINGS = {"klamm.durability": "cache", "klamm.shards": "1",
            "log.retention.check.interval.ms": "3600000"}
START_S = 120  # under valgrind, on a busy machine


class Load:
    """Two variants of the same requests."""

    def __init__(self, name, records, rates, share, mode, arguments, first, second):
        self.name, self.mode = name, mode
        self.records = records  # of a request
        self.counted_rate, self.native_rate = rates
        self.share = share      # of the requests asked for
        self.arguments = [*arguments, "--records-min", str(records), "--records-max", str(records)]
        self.variants = {"first": first, "second": second}


ONE = ("--connections", "1", "--in-flight", "1")
SMALL = ("--record-size", "100")
TWELVE = ("--partitions", "12")
AT_ONCE = 1e6  # a rate that makes every request due: the next one goes when one is answered
LOADS = (
    Load("plain / idempotent, 4 records of 100 B", 4, (0, 0), 1, "many", [*ONE, *TWELVE, *SMALL],
         [], ["--idempotent"]),
    Load("plain / idempotent, 500 records of 1 KB", 500, (0, 0), 0.2, "produce", [*ONE, *TWELVE],
         [], ["--idempotent"]),
    Load("idempotent / transactional, 4 records of 100 B, a commit each 100", 4,
         (AT_ONCE, AT_ONCE), 1, "stream", [*ONE, *TWELVE, *SMALL], [],
         ["--commit-requests", "100"]),
    Load("idempotent / transactional, 4 records of 100 B, a commit each 25", 4,
         (AT_ONCE, AT_ONCE), 1, "stream", [*ONE, *TWELVE, *SMALL], [],
         ["--commit-requests", "25"]),
    Load("idempotent / transactional, 16 records of 1 KB, a commit each 100", 16,
         (AT_ONCE, AT_ONCE), 1, "stream", [*ONE, *TWELVE], [], ["--commit-requests", "100"]),
    Load("idempotent / transactional, 16 producers, 4 records of 100 B, a commit each 25", 4,
         (100, 4000), 1, "stream", ["--connections", "16", *TWELVE, *SMALL], [],
         ["--commit-requests", "25"]),
)


class CountedKlamm(processes.Klamm):
    """klammd under callgrind."""

    def _start(self, command, environment=None):
        super()._start(["valgrind", "--tool=callgrind",
                        f"--callgrind-out-file={self.directory}/counts", *command], environment)
        self.dumps = 0

    def dump(self):
        """Instructions since the dump before, and the file with the profile."""
        subprocess.run(["callgrind_control", "--dump", str(self.process.pid)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
        self.dumps += 1
        path = f"{self.directory}/counts.{self.dumps}"

        def total():
            if not os.path.exists(path):
                return None
            with open(path) as file:
                found = re.search(r"^totals: (\d+)", file.read(), re.MULTILINE)
            return int(found.group(1)) if found else None

        return processes.wait_until(total, f"the profile {path}"), path


def topic_of(load, variant):
    """Names as long as each other, so that they cost the same."""
    return f"load-{LOADS.index(load)}-{'a' if variant == 'first' else 'b'}"


def run(options, node, load, variant, rate, requests, *more):
    """The figures of klamm-bench; every request was made, or this raises."""
    figures = bench_runs.run(
        options.bench, load.mode, node.address, *more, *load.arguments, "--topic",
        topic_of(load, variant), "--rate", str(rate), "--requests", str(requests), "--seconds",
        "600", *load.variants[variant], timeout_s=900)
    if figures["requests"] != requests:
        raise RuntimeError(f"{figures['requests']} of {requests} requests in 600 s")
    return figures


def count(options, node, load, variant, requests):
    node.dump()
    figures = run(options, node, load, variant, load.counted_rate, requests)
    instructions, profile = node.dump()
    if options.keep:
        name = re.sub(r"[^a-z0-9]+", "-", f"{load.name} {variant}")
        shutil.copy(profile, os.path.join(options.keep, name))
    return {"per_request": instructions / requests,
            "per_record": instructions / requests / load.records,
            "per_mib": instructions / (figures["mib_per_s"] * figures["elapsed_s"]),
            "retries": figures.get("retries", 0)}


def pairs(options, measure):
    """Runs of both variants in turn, by variant."""
    found = {"first": [], "second": []}
    for _ in range(options.pairs):
        for variant, runs in found.items():
            runs.append(measure(variant))
    return found


def row(text, found, figure, scale=1):
    """The least of the runs, because what comes in between only adds; the ratio of the least, and the
    least and the most ratio of a pair."""
    values = {variant: [run[figure] * scale for run in runs] for variant, runs in found.items()}
    least = {variant: min(runs) for variant, runs in values.items()}
    pair_ratios = [b / a for a, b in zip(values["first"], values["second"])]
    columns = " | ".join(f"{least[variant]:.4g} ({max(runs):.4g})" for variant, runs in values.items())
    print(f"| {text} | {columns} | {least['second'] / least['first']:.3f} "
          f"({min(pair_ratios):.3f} to {max(pair_ratios):.3f}) |")


def compare(options, counted, native, load):
    requests = max(int(options.requests * load.share), 1)
    for node, rate in ((counted, load.counted_rate), (native, load.native_rate)):
        for variant in load.variants:  # makes the topic, and what is made once
            run(options, node, load, variant, rate, max(requests // 10, 1))
    found = pairs(options, lambda variant: count(options, counted, load, variant, requests))
    cpu = pairs(options, lambda variant: run(options, native, load, variant, load.native_rate,
                                             requests * options.native_factor,
                                             *bench_runs.cost_of(native)))
    print(f"\n### {load.name}\n\n{requests} requests counted, {requests * options.native_factor} "
          "timed; the least of the runs (the most)\n\n| figure | first | second | ratio of the least "
          "(of pairs) |\n|---|---|---|---|")
    row("instructions a request", found, "per_request")
    row("instructions a record", found, "per_record")
    row("million instructions a MiB", found, "per_mib", 1e-6)
    row("CPU s a million requests, without valgrind", cpu, "broker_cpu_s_per_million")
    retries = [run["retries"] for run in found["second"]]
    if any(retries):
        print(f"\nRequests that came too early and were sent again: {retries}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("klammd")
    parser.add_argument("bench")
    parser.add_argument("--only", help="loads whose name has this")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--requests", type=int, default=2000, help="counted, of small ones")
    parser.add_argument("--native-factor", type=int, default=20,
                        help="so many times the requests without valgrind")
    parser.add_argument("--keep", help="a directory for the profiles of the last pair")
    options = parser.parse_args()
    for program in ("valgrind", "callgrind_control"):
        if not shutil.which(program):
            sys.exit(f"no {program}: apt-get install valgrind")
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)
    with CountedKlamm(options.klammd, SETTINGS) as counted, \
            processes.Klamm(options.klammd, SETTINGS) as native:
        counted.start(wait=False)
        counted.wait_ready(START_S)
        native.start()
        for load in LOADS:
            if not options.only or options.only in load.name:
                compare(options, counted, native, load)


if __name__ == "__main__":
    main()
