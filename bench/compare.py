"""Measures klammd, and Apache Kafka beside it in the same run, with klamm-bench.

usage: compare.py KLAMMD KLAMM_BENCH [--only NAME] [--seconds S] [--pairs N] [--lag-mib N]

Each load runs in interleaved pairs (Klamm, Kafka, Klamm, Kafka, ...) after a warm-up of each; the
table gives medians and the ratio of medians. Without Kafka's jars (KLAMM_KAFKA_LIBS) the column
stays empty. Many partitions, starts and restarts: partitions.py. Times on shared machines are noise;
ratios taken in one run are what counts.
"""

import argparse
import concurrent.futures
import contextlib
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))
import bench_runs  # noqa: E402
import processes  # noqa: E402

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
    quicker = ["--seconds", "3"] if quick else []
    try:
        return bench_runs.run(bench, arguments[0], broker.address, *bench_runs.cost_of(broker),
                              "--topic", f"{topic_of(name)}-{mode}", *arguments[1:], *quicker)
    except RuntimeError as error:
        raise RuntimeError(f"{name}: {error}\n{broker.output()[-2000:]}") from None


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


def print_row(name, figure, figures):
    keys = [figure, "requests_per_s", "mib_per_s", "latency_p50_ms", "latency_p99_ms",
            "latency_p999_ms", "broker_wakeups_per_request", "broker_cpu_to_floor"]
    print(f"\n### {name}\n\n| figure | " + " | ".join(figures) + " | Kafka / Klamm |")
    print("|---|" + "---|" * (len(figures) + 1))
    for key in keys:
        values = [bench_runs.median(figures[kind], key) for kind in figures]
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
            report = bench_runs.run(options.bench, *reader, timeout_s=600)
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
        bench_runs.run(options.bench, "produce", broker.address, "--topic", "evicted", *bulk,
                       "--bytes", str(options.lag_mib << 20), "--seconds", "600", timeout_s=900)

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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("klammd")
    parser.add_argument("bench")
    parser.add_argument("--only", help="loads whose name has this; 'lagging' for that run alone")
    parser.add_argument("--lag-mib", type=int, default=8192)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--no-kafka", action="store_true")
    options = parser.parse_args()
    if options.only != "lagging":
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


if __name__ == "__main__":
    main()
