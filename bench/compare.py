"""Measures klammd, and Apache Kafka beside it in the same run, with klamm-bench.

usage: compare.py KLAMMD KLAMM_BENCH [--only NAME] [--seconds S] [--pairs N] [--partitions N]
                  [--lag-mib N]

Each load runs in interleaved pairs (Klamm, Kafka, Klamm, Kafka, ...) after a warm-up of each; the
table gives medians and the ratio of medians. Without Kafka's jars (KLAMM_KAFKA_LIBS) the column
stays empty. Times on shared machines are noise; ratios taken in one run are what counts.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "differential"))
import processes  # noqa: E402
import wire  # noqa: E402

# What Kafka's own start script gives the virtual machine.
KAFKA_JAVA_OPTIONS = ("-Xms1G", "-Xmx1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                      "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent")
COMMON = {"log.retention.check.interval.ms": "3600000", "auto.create.topics.enable": "false"}


class Loads:
    """Named loads: how the broker is set up, and what klamm-bench is asked."""

    def __init__(self, seconds):
        s = str(seconds)
        bulk = ["--records-min", "500", "--records-max", "500", "--record-size", "1000",
                "--partitions", "12"]
        many = ["--partitions", "288", "--seconds", s]
        self.loads = {
            "bulk produce, cache": ("cache", ["produce", *bulk, "--bytes", str(1 << 30),
                                              "--seconds", "60"], "broker_cpu_s_per_gib"),
            "bulk fetch": ("cache", ["fetch", "--partitions", "12"], "broker_cpu_s_per_gib"),
            "bulk produce, sync": ("sync", ["produce", *bulk, "--bytes", str(1 << 29),
                                            "--seconds", "60"], "broker_cpu_s_per_gib"),
            "many producers (100), cache": ("cache", ["many", *many, "--connections", "100",
                                                      "--rate", "2000"],
                                            "broker_cpu_s_per_million"),
            "many producers (400), cache": ("cache", ["many", *many, "--connections", "400",
                                                      "--rate", "2000"],
                                            "broker_cpu_s_per_million"),
            "many producers (200), sync": ("sync", ["many", *many, "--connections", "200",
                                                    "--rate", "500"],
                                           "broker_cpu_s_per_million"),
            "tail, cache": ("cache", ["tail", "--seconds", s], "broker_cpu_s_per_million"),
            "tail, sync": ("sync", ["tail", "--seconds", s, "--rate", "300"],
                           "broker_cpu_s_per_million"),
        }


def topic_of(name):
    return name.split(",")[0].replace(" ", "-").replace("(", "").replace(")", "").replace(
        "fetch", "produce")


def measure(bench, broker, name, mode, arguments, quick=False):
    """One run; the figures of klamm-bench as a dictionary."""
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        command = [bench, arguments[0], broker.address, "--quiet", "--json", result.name,
                   "--broker-pid", str(broker.process.pid), "--directory", broker.directory,
                   "--topic", f"{topic_of(name)}-{mode}", *arguments[1:]]
        if quick:
            command += ["--seconds", "3"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300,
                              check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr.decode()}\n{broker.output()[-2000:]}")
        return json.load(open(result.name))


def settings(kind, mode):
    values = dict(COMMON)
    if kind == "klamm":
        values["klamm.durability"] = mode
    elif mode == "sync":
        values["log.flush.interval.messages"] = "1"
    return values


def kafka_broker(mode):
    broker = processes.Kafka(settings("kafka", mode))
    broker.java_options = KAFKA_JAVA_OPTIONS
    return broker


def compare_loads(options, brokers):
    rows = []
    for name, (mode, arguments, figure) in Loads(options.seconds).loads.items():
        if options.only and options.only not in name:
            continue
        figures = {kind: [] for kind in brokers}
        for kind in brokers:
            broker = brokers[kind][mode]
            if arguments[0] != "fetch":
                measure(options.bench, broker, name, mode, arguments, quick=True)
        for _ in range(options.pairs):
            for kind in brokers:
                figures[kind].append(measure(options.bench, brokers[kind][mode], name, mode,
                                             arguments))
        rows.append((name, figure, figures))
        print_row(*rows[-1])
    return rows


def median(runs, figure):
    values = [run[figure] for run in runs if figure in run]
    return statistics.median(values) if values else float("nan")


def print_row(name, figure, figures):
    keys = [figure, "requests_per_s", "mib_per_s", "latency_p50_ms", "latency_p99_ms",
            "latency_p999_ms", "broker_wakeups_per_request", "broker_cpu_to_floor"]
    print(f"\n### {name}\n\n| figure | " + " | ".join(figures) + " | Kafka / Klamm |")
    print("|---|" + "---|" * (len(figures) + 1))
    for key in keys:
        values = [median(figures[kind], key) for kind in figures]
        if all(value != value for value in values):
            continue
        ratio = f"{values[1] / values[0]:.2f}" if len(values) == 2 and values[0] else ""
        print(f"| {key} | " + " | ".join(f"{value:.4g}" for value in values) + f" | {ratio} |")
    sys.stdout.flush()


def evict(broker, topic):
    """Takes the topic's log files out of the page cache; what is appended to meanwhile stays."""
    for folder, _, names in os.walk(broker.directory):
        if not os.path.basename(folder).startswith(topic + "-"):
            continue
        for name in names:
            if name.endswith(".log"):
                descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def reading_evicted(options, broker, topic, reader, produce):
    """Runs `produce` while evicted data is read, again and again; its figures, MiB read."""
    read_mib = 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        evict(broker, topic)
        figures = pool.submit(produce)
        while not figures.done():
            with tempfile.NamedTemporaryFile(suffix=".json") as result:
                subprocess.run([options.bench, *reader, "--quiet", "--json", result.name],
                               stdout=subprocess.DEVNULL, check=True, timeout=600)
                report = json.load(open(result.name))
            read_mib += report["mib_per_s"] * report["elapsed_s"]
            if not figures.done():
                evict(broker, topic)
        return figures.result(), read_mib


def lagging_run(options, kind, make_broker):
    """What a consumer that reads data from the disk does to the producers beside it."""
    bulk = ["--records-min", "500", "--records-max", "500", "--record-size", "1000",
            "--partitions", "12"]
    load = ["many", "--partitions", "288", "--connections", "100", "--rate", "1000",
            "--seconds", str(options.seconds)]
    p99, medians, read_mib = {"alone": [], "beside": []}, {"alone": [], "beside": []}, []
    with make_broker() as broker:
        broker.start()
        subprocess.run([options.bench, "produce", broker.address, "--topic", "evicted", "--quiet",
                        *bulk, "--bytes", str(options.lag_mib << 20), "--seconds", "600"],
                       stdout=subprocess.DEVNULL, check=True, timeout=900)

        def produce():
            return measure(options.bench, broker, "lagging producers", "cache", load)

        reader = ["fetch", broker.address, "--topic", "evicted", "--partitions", "12"]
        produce()
        for _ in range(options.pairs):
            figures = {"alone": produce()}
            figures["beside"], read = reading_evicted(options, broker, "evicted", reader,
                                                        produce)
            read_mib.append(read / figures["beside"]["elapsed_s"])
            for name, values in figures.items():
                p99[name].append(values["latency_p99_ms"])
                medians[name].append(values["latency_p50_ms"])
        assert broker.stop(120) == 0 or kind != "Klamm"
        turns = [line for line in broker.output().splitlines() if "turns: " in line]
    ratios = [beside / alone for alone, beside in zip(p99["alone"], p99["beside"])]
    print(f"\n### {kind}: a consumer on {options.lag_mib} MiB of evicted data, produce beside it\n")
    for name in p99:
        print(f"produce {name}: p50 {statistics.median(medians[name]):.3g} ms, p99 "
              + ", ".join(f"{value:.3g}" for value in p99[name]) + " ms")
    print(f"p99 beside / alone: {statistics.median(ratios):.2f}; "
          f"read {statistics.median(read_mib):.0f} MiB/s")
    print("\n".join(turns))
    sys.stdout.flush()


def first_answer(broker, start, deadline_s=300):
    """Seconds from `start` until the broker answers a request."""
    def answers():
        if broker.process.poll() is not None:
            raise RuntimeError(broker.output()[-3000:])
        with contextlib.suppress(OSError, wire.Closed):
            connection = wire.Connection(broker.port, timeout_s=deadline_s)
            connection.call("Metadata", 1, {"Topics": []})
            connection.close()
            return True
        return False

    while not answers():
        pass
    return time.monotonic() - start


def status_kib(broker, key):
    with open(f"/proc/{broker.process.pid}/status") as status:
        for line in status:
            if line.startswith(key):
                return int(line.split()[1])
    return 0


def switches(broker):
    """Sleeps of every thread so far, by thread; one that ends meanwhile is passed over."""
    counts = {}
    folder = f"/proc/{broker.process.pid}/task"
    for task in os.listdir(folder):
        with contextlib.suppress(OSError), open(f"{folder}/{task}/status") as status:
            for line in status:
                if line.startswith("voluntary_ctxt_switches"):
                    counts[task] = int(line.split()[1])
    return counts


def idle_wakeups(broker, seconds=10):
    before, end = switches(broker), time.monotonic() + seconds
    processes.wait_until(lambda: time.monotonic() > end, "the idle time", seconds + 5)
    after = switches(broker)
    return sum(after[task] - before.get(task, 0) for task in after) / seconds


def settle(broker, deadline_s=120):
    """Waits until the work that writing left behind (background syncs) is done; its seconds."""
    start = time.monotonic()
    while idle_wakeups(broker, 2) > 20 and time.monotonic() - start < deadline_s:
        pass
    return time.monotonic() - start


def create_partitions(broker, count, batch=5000):
    connection = wire.Connection(broker.port, timeout_s=600)
    made = 0
    while made < count:
        now = min(batch, count - made)
        answer = connection.call("CreateTopics", 5, {"Topics": [
            {"Name": f"wide-{made}", "NumPartitions": now, "ReplicationFactor": 1}],
            "TimeoutMs": 600000})
        assert answer["Topics"][0]["ErrorCode"] == 0, answer["Topics"][0]
        made += now
    connection.close()


def write_each(broker, count, batch=5000):
    """One small record to every partition."""
    connection = wire.Connection(broker.port, timeout_s=600)
    records = wire.batch([wire.record(0, b"k", b"value")], int(time.time() * 1000))
    made = 0
    while made < count:
        now = min(batch, count - made)
        for first in range(0, now, 500):
            answer = connection.call("Produce", 8, {"Acks": -1, "TimeoutMs": 60000, "TopicData": [
                {"Name": f"wide-{made}", "PartitionData": [
                    {"Index": index, "Records": records}
                    for index in range(first, min(first + 500, now))]}]})
            for part in answer["Responses"][0]["PartitionResponses"]:
                assert part["ErrorCode"] == 0, part
        made += now
    connection.close()


def partitions_run(options, count):
    """Start, memory, creation, writing, clean restart and restart after kill -9."""
    rows = []
    with processes.Klamm(options.klammd, {"klamm.durability": "sync"}) as node:
        start = time.monotonic()
        node.start(wait=False)
        rows.append(("start on an empty directory", f"{first_answer(node, start) * 1000:.0f} ms"))
        resident = status_kib(node, "VmRSS")
        rows.append(("memory idle (resident / anonymous)",
                     f"{resident / 1024:.1f} / {status_kib(node, 'RssAnon') / 1024:.1f} MiB"))
        rows.append(("wake-ups a second, idle", f"{idle_wakeups(node, 10):.1f}"))
        anonymous = status_kib(node, "RssAnon")
        start = time.monotonic()
        create_partitions(node, count)
        rows.append((f"create {count} partitions", f"{time.monotonic() - start:.2f} s"))
        rows.append(("memory a partition, never written",
                     f"{(status_kib(node, 'RssAnon') - anonymous) / count:.2f} KiB"))
        start = time.monotonic()
        write_each(node, count)
        rows.append(("write one record to each", f"{time.monotonic() - start:.2f} s"))
        rows.append(("memory a partition, written once",
                     f"{(status_kib(node, 'RssAnon') - anonymous) / count:.2f} KiB"))
        rows.append(("until all of it is in the partitions' own files", f"{settle(node):.0f} s"))
        rows.append(("wake-ups a second, idle", f"{idle_wakeups(node, 10):.1f}"))
        start = time.monotonic()
        assert node.stop(300) == 0
        rows.append(("clean stop", f"{time.monotonic() - start:.2f} s"))
        start = time.monotonic()
        node.start(wait=False)
        rows.append(("start after a clean stop, first answer",
                     f"{first_answer(node, start):.2f} s"))
        node.wait_ready()
        rows.append(("memory a partition, after start",
                     f"{(status_kib(node, 'RssAnon') - anonymous) / count:.2f} KiB"))
        start = time.monotonic()
        write_each(node, count)
        rows.append(("write one record to each", f"{time.monotonic() - start:.2f} s"))
        node.kill()
        start = time.monotonic()
        node.start(wait=False)
        rows.append(("start after kill -9, first answer", f"{first_answer(node, start):.2f} s"))
        start = time.monotonic()
        write_each(node, count)
        rows.append(("write one record to each", f"{time.monotonic() - start:.2f} s"))
    print(f"\n### {count} partitions\n\n| step | Klamm |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("klammd")
    parser.add_argument("bench")
    parser.add_argument("--only", help="loads whose name has this; 'partitions' or 'lagging' for "
                        "that run alone")
    parser.add_argument("--lag-mib", type=int, default=8192)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=10000)
    parser.add_argument("--no-kafka", action="store_true")
    options = parser.parse_args()
    if options.only not in ("partitions", "lagging"):
        with contextlib.ExitStack() as stack:
            brokers = {"Klamm": {}}
            for mode in ("cache", "sync"):
                brokers["Klamm"][mode] = stack.enter_context(
                    processes.Klamm(options.klammd, settings("klamm", mode)))
            if processes.kafka_libraries() and not options.no_kafka:
                brokers["Kafka"] = {mode: stack.enter_context(kafka_broker(mode))
                                    for mode in ("cache", "sync")}
            for kind in brokers.values():
                for broker in kind.values():
                    broker.start()
            compare_loads(options, brokers)
    if options.only in (None, "lagging"):
        lagging_run(options, "Klamm", lambda: processes.Klamm(
            options.klammd, settings("klamm", "cache")))
        if processes.kafka_libraries() and not options.no_kafka:
            lagging_run(options, "Kafka", lambda: kafka_broker("cache"))
    if options.only in (None, "partitions"):
        partitions_run(options, options.partitions)


if __name__ == "__main__":
    main()
