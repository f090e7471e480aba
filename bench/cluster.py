"""What three nodes cost beside one, and how long the loss of a partition's leader lasts.

usage: cluster.py KLAMMD KLAMM_BENCH [--only throughput|failover] [--seconds S] [--pairs N]
                  [--idle N] [--partitions 1,1000,10000] [--rounds N]

throughput: loads with acks=all against one node and against three (three replicas, min.insync.replicas
2), in interleaved pairs. Every node has one data shard. The broker's CPU is that of all nodes together.
Once all partitions are led by one node, so that one connection pool serves; once a third by each.
With --idle every node has that many more partitions that nobody writes to, all led by the first.

failover: the leader of a loaded topic is killed with -9. Printed is the time from the controller's line
that the broker is fenced to the next acknowledged record, to the first one in every partition, and the
same from the kill on. Once another node is the active controller, once the killed one is that too. What
is measured includes the client that asks; the clocks are this machine's.
"""

import argparse
import concurrent.futures
import contextlib
import datetime
import os
import re
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "differential"))
import bench_runs  # noqa: E402
import processes  # noqa: E402
import wire  # noqa: E402
from cluster_requests import (active_controller, call, end_offsets, is_in_sync,  # noqa: E402
                              partitions_of, try_create, wait)
from loopback_nodes import KlammCluster  # noqa: E402
from partitions import cpu_seconds, status_kib  # noqa: E402

NODES = 3
COMMON = {"auto.create.topics.enable": "false"}
GROUP = 500  # partitions of one request
LOADED = 288  # partitions that producers write to while their leader dies
PAUSE_S = 0.001


def create_topic(node, topic, replicas):
    """`replicas`: those of each partition, the preferred leader first."""
    # A node that is still registering is no place for a replica yet; 36: created by the try before,
    # whose answer was lost.
    wait(lambda: try_create(node, topic, replicas) in (0, 36), f"topic {topic}", 120)


def wait_settled(cluster, topic, replicas, deadline_s):
    """Until every node shows the preferred leaders and whole in-sync sets."""
    wait(lambda: is_in_sync(cluster.nodes.values(), topic, replicas, [ids[0] for ids in replicas]),
         f"{topic} has its leaders, everything is in sync", deadline_s)


# ---- Throughput ---------------------------------------------------------------------------------


def loads(seconds):
    s = str(seconds)
    bulk = ["--records-min", "500", "--records-max", "500", "--record-size", "1000",
            "--partitions", "12", "--bytes", str(3 << 28), "--seconds", "120"]
    many = ["--partitions", "288", "--seconds", s]
    return {
        "bulk produce": ("broker_cpu_s_per_gib", ["produce", *bulk]),
        "many producers (102), 600 requests/s": ("broker_cpu_s_per_million", [
            "many", *many, "--connections", "102", "--rate", "600"]),
        "one record at a time": ("broker_cpu_s_per_million", [
            "produce", "--connections", "3", "--in-flight", "1", "--records-min", "1",
            "--records-max", "1", "--record-size", "100", "--partitions", "12", "--seconds", s]),
    }


# What is divided among the benches when each node leads a third.
DIVIDED = {"--bytes": 4, "--connections": 4, "--rate": 600}


def share(arguments, count):
    out = list(arguments)
    values = dict(zip(out[1::2], out[2::2]))
    for option, default in DIVIDED.items():
        if option in values:
            out[out.index(option) + 1] = str(int(values[option]) // count)
        elif option == "--connections":
            out += [option, str(max(1, default // count))]
    return out


def run_benches(options, cluster, topics, arguments, quick):
    """One klamm-bench for each leader (leader -> topic), at the same time; their figures."""
    divided = share(arguments, len(topics))
    quicker = ["--seconds", "2"] if quick else []

    def run(leader):
        return bench_runs.run(options.bench, divided[0], cluster.nodes[leader].address,
                              "--topic", topics[leader], *divided[1:], *quicker, timeout_s=600)

    with concurrent.futures.ThreadPoolExecutor(len(topics)) as pool:
        try:
            return list(pool.map(run, topics))
        except RuntimeError as error:
            raise RuntimeError(f"{error}" + "".join(
                node.output()[-2000:] for node in cluster.nodes.values())) from None


def measure(options, cluster, topics, arguments, quick=False):
    before = sum(cpu_seconds(node) for node in cluster.nodes.values())
    figures = run_benches(options, cluster, topics, arguments, quick)
    cpu_s = sum(cpu_seconds(node) for node in cluster.nodes.values()) - before
    gib = sum(run["mib_per_s"] * run["elapsed_s"] for run in figures) / 1024
    requests = sum(run["requests"] for run in figures)
    elapsed_s = max(run["elapsed_s"] for run in figures)
    together = {"requests_per_s": requests / elapsed_s, "mib_per_s": gib * 1024 / elapsed_s,
                "broker_cpu_s_per_gib": cpu_s / gib,
                "broker_cpu_s_per_million": cpu_s / requests * 1e6}
    for key in ("latency_p50_ms", "latency_p99_ms", "latency_p999_ms"):
        together[key] = max(run[key] for run in figures)
    return together


def print_table(name, figure, columns):
    print(f"\n### {name}\n\n| figure | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for key in ("mib_per_s", "requests_per_s", "latency_p50_ms", "latency_p99_ms",
                "latency_p999_ms", figure):
        medians = [statistics.median(run[key] for run in runs) for runs in columns.values()]
        print(f"| {key} | " + " | ".join(f"{value:.4g}" for value in medians) + " |")
    sys.stdout.flush()


def rotations(count, leader):
    others = [number for number in range(1, NODES + 1) if number != leader]
    return [[leader, *others] if index % 2 else [leader, *reversed(others)]
            for index in range(count)]


def prepare_topics(cluster, name, arguments, leaders):
    """A topic for each leader; what a replica is afterwards is known."""
    partitions = int(arguments[arguments.index("--partitions") + 1])
    alone = len(cluster.nodes) == 1
    topics = {}
    for leader in leaders:
        topic = re.sub(r"[^a-z0-9]+", "-", f"{name} {len(leaders)} {leader}")
        replicas = [[1]] * partitions if alone else rotations(partitions, leader)
        create_topic(cluster.nodes[leader], topic, replicas)
        wait_settled(cluster, topic, replicas, 120)
        topics[leader] = topic
    return topics


def count_behind(cluster, topics):
    """Partitions whose in-sync set is not whole."""
    first = next(iter(cluster.nodes.values()))
    return sum(len(part["IsrNodes"]) < len(part["ReplicaNodes"])
               for topic in topics.values() for part in partitions_of(first, topic).values())


def run_throughput(options):
    for mode in options.modes.split(","):
        with contextlib.ExitStack() as stack:
            settings = {**COMMON, "klamm.durability": mode}
            one = stack.enter_context(KlammCluster(options.klammd, 1, settings)).start()
            three = stack.enter_context(KlammCluster(options.klammd, NODES, {
                **settings, "min.insync.replicas": "2"})).start()
            columns = {"one node": (one, [1]), "three nodes, one leads": (three, [1]),
                       "three nodes, all lead": (three, [1, 2, 3])}
            if options.idle:
                for cluster in (one, three):
                    prepare_topics(cluster, "idle", ["--partitions", str(options.idle)], [1])
            for name, (figure, arguments) in loads(options.seconds).items():
                runs = {column: [] for column in columns}
                topics = {}
                for column, (cluster, leaders) in columns.items():
                    topics[column] = prepare_topics(cluster, name, arguments, leaders)
                    measure(options, cluster, topics[column], arguments, quick=True)
                for _ in range(options.pairs):
                    for column, (cluster, _) in columns.items():
                        runs[column].append(measure(options, cluster, topics[column], arguments))
                print_table(f"{name}, {mode}", figure, runs)
                behind = sum(count_behind(three, topics[column]) for column in list(columns)[1:])
                print(f"\npartitions whose in-sync set was not whole at the end: {behind}")
            memory = [status_kib(node, "RssAnon") / 1024 for node in three.nodes.values()]
            print("\nmemory of the three nodes, anonymous: "
                  + ", ".join(f"{mib:.1f}" for mib in memory) + " MiB")


# ---- Failover -----------------------------------------------------------------------------------


class Prober:
    """Writes to a topic through the survivors until every partition has taken a record."""

    def __init__(self, survivors, topic, replicas):
        self.topic = topic
        self.first_s = None   # wall time of the first acknowledgement
        self.all_s = None
        self.lock = threading.Lock()
        # A partition goes to the first survivor of its replicas; each survivor has a thread.
        self.work = {node: [index for index, ids in enumerate(replicas) if ids[1] == node.number]
                     for node in survivors}
        records = wire.batch([wire.record(0, b"k", b"v" * 100)], int(time.time() * 1000))
        self.requests, self.connections = {}, {}
        for node, indices in self.work.items():
            connection = wire.Connection(node.port, timeout_s=60)
            self.connections[node] = connection
            groups = [indices[:1]] + [indices[at:at + GROUP] for at in range(1, len(indices), GROUP)]
            self.requests[node] = [(group, self.values(group, records)) for group in groups if group]
        self.records = records
        self.threads = [threading.Thread(target=self.run, args=(node,)) for node in survivors]

    def values(self, group, records):
        return {"Acks": -1, "TimeoutMs": 30000, "TopicData": [{"Name": self.topic, "PartitionData": [
            {"Index": index, "Records": records} for index in group]}]}

    def start(self):
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join(180)
        assert all(not thread.is_alive() for thread in self.threads), "some partition has no leader"
        return self.first_s, self.all_s

    def note(self):
        now = time.time()
        with self.lock:
            self.first_s = min(self.first_s or now, now)
            self.all_s = max(self.all_s or now, now)

    def run(self, node):
        connection = self.connections[node]
        for group, values in self.requests[node]:
            left = [group, values]

            def taken(left=left):
                answer = connection.call("Produce", 8, left[1])
                failed = [part["Index"] for part in answer["Responses"][0]["PartitionResponses"]
                          if part["ErrorCode"] != 0]
                if len(failed) < len(left[0]):
                    self.note()
                    left[:] = failed, self.values(failed, self.records)
                return not failed

            processes.wait_until(taken, f"records in {len(group)} partitions", 120, PAUSE_S)
        connection.close()


def fenced_at(nodes, victim):
    """Wall time of the controller's line that the broker is fenced, the newest."""
    pattern = re.compile(r"^(\S+)Z \S+ .*broker %d is fenced" % victim.number, re.MULTILINE)
    found = [stamp for node in nodes for stamp in pattern.findall(node.output())]
    if not found:
        return None
    return datetime.datetime.fromisoformat(max(found) + "+00:00").timestamp()


def start_load(options, node, topic, count):
    """Producers that die with the node."""
    return subprocess.Popen(
        [options.bench, "many", node.address, "--quiet", "--topic", topic, "--partitions",
         str(min(count, LOADED)), "--connections", "20", "--rate", "500", "--seconds", "600"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def loaded_records(node, topic, count):
    return sum(offset for offset in end_offsets(node, topic, min(count, LOADED)) if offset > 0)


def failover_round(options, cluster, topic, count, is_controller):
    """One kill; seconds from detection and from the kill to the first and to every partition."""
    controller = wait(lambda: active_controller(cluster.nodes.values()), "a controller")
    number = controller if is_controller else min(n for n in cluster.nodes if n != controller)
    victim = cluster.nodes[number]
    survivors = [node for node in cluster.nodes.values() if node is not victim]
    replicas = rotations(count, number)
    create_topic(survivors[0], topic, replicas)
    wait_settled(cluster, topic, replicas, 300)
    prober = Prober(survivors, topic, replicas)
    load = start_load(options, victim, topic, count)
    wait(lambda: loaded_records(victim, topic, count) > 1000, "the load runs")
    killed_s = time.time()
    victim.kill()
    prober.start()
    first_s, all_s = prober.join()
    load.wait(30)
    detected_s = fenced_at(survivors, victim)
    assert detected_s and detected_s > killed_s, "no line that the broker is fenced"
    victim.start(wait=True)
    wait(lambda: is_in_sync([victim], topic, replicas), "the killed node is in sync again", 300)
    call(survivors[0], "DeleteTopics", 3, {"TopicNames": [topic], "TimeoutMs": 60000})
    return {"detection": detected_s - killed_s, "first": first_s - detected_s,
            "all": all_s - detected_s, "whole": first_s - killed_s}


def run_failover(options):
    print("\n### Failover\n\nSeconds; median of the rounds, worst in brackets.\n")
    print("| partitions | killed node is | kill to fenced | fenced to the next record | "
          "fenced to a record in each | kill to the next record |\n|---|---|---|---|---|---|")
    settings = {**COMMON, "min.insync.replicas": "2"}
    with KlammCluster(options.klammd, NODES, settings) as cluster:
        cluster.start()
        for count in [int(text) for text in options.partitions.split(",")]:
            for is_controller in (False, True):
                rounds = []
                for number in range(options.rounds):
                    topic = f"failover-{count}-{int(is_controller)}-{number}"
                    rounds.append(failover_round(options, cluster, topic, count, is_controller))
                cells = [f"{statistics.median(r[key] for r in rounds):.3f} "
                         f"({max(r[key] for r in rounds):.3f})"
                         for key in ("detection", "first", "all", "whole")]
                print(f"| {count} | {'leader and controller' if is_controller else 'leader'} | "
                      + " | ".join(cells) + " |", flush=True)
        statuses = cluster.stop()
        assert statuses == [0] * NODES, f"clean stops ended with {statuses}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("klammd")
    parser.add_argument("bench")
    parser.add_argument("--only", choices=["throughput", "failover"])
    parser.add_argument("--modes", default="sync,cache")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--idle", type=int, default=0)
    parser.add_argument("--partitions", default="1,1000,10000")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.only != "failover":
        run_throughput(options)
    if options.only != "throughput":
        run_failover(options)


if __name__ == "__main__":
    main()
