"""A cluster under load and faults: nothing acknowledged is lost, no replica differs from another.

Nodes run in network namespaces of their own (cluster_nodes.py). Producers with acks=all write while
nodes are killed with -9, stopped with SIGSTOP, cut off from each other in one or both directions,
restarted one after the other, and while every partition is moved. In the end everything is healed and
held against the histories:

 - every acknowledged record is where it was acknowledged, none is there twice for an idempotent
   producer, and offsets have no gap (records_load.py);
 - no consumer saw an offset whose value changed;
 - after a clean stop the directories of all nodes hold the same batches below the lowest high
   watermark, byte for byte as far as their checksums and epochs tell.

usage: test_cluster.py KLAMMD [FAULTS] [SEED] [NODES]
"""

import contextlib
import hashlib
import os
import random
import socket
import struct
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import cluster_nodes  # noqa: E402
import processes  # noqa: E402
from confluent_kafka import Consumer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402
from records_load import PARTITIONS, Load, check, read_all  # noqa: E402

REPLICAS = 3
SESSION_MS = 3000
SETTINGS = {
    "broker.session.timeout.ms": str(SESSION_MS),
    "broker.heartbeat.interval.ms": "500",
    "replica.lag.time.max.ms": "3000",
    "min.insync.replicas": "2",
    "log.segment.bytes": str(1 << 20),
    "num.partitions": str(PARTITIONS),
    "default.replication.factor": str(REPLICAS),
}
PROGRESS_S = 180


class Watcher:
    """Reads everything again and again, and keeps what it saw at each offset."""

    def __init__(self, addresses, topic):
        self.topic = topic
        self.seen = [dict() for _ in range(PARTITIONS)]
        self.problems = []
        self.stopping = threading.Event()
        self.addresses = addresses
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            consumer = Consumer({"bootstrap.servers": self.addresses, "group.id": "unused",
                                 "enable.auto.commit": False, "auto.offset.reset": "error",
                                 "reconnect.backoff.max.ms": 500, "log_level": 0})
            consumer.assign([TopicPartition(self.topic, p, 0) for p in range(PARTITIONS)])
            end = time.monotonic() + 20
            while not self.stopping.is_set() and time.monotonic() < end:
                for message in consumer.consume(1000, 0.2):
                    if message.error() is None:
                        self.take(message)
            consumer.close()

    def take(self, message):
        known = self.seen[message.partition()]
        digest = hashlib.blake2b(message.value(), digest_size=8).digest()
        if known.setdefault(message.offset(), digest) != digest:
            self.problems.append(f"{self.topic}-{message.partition()} offset {message.offset()} "
                                 "was seen with two values")

    def finish(self, content):
        self.stopping.set()
        self.thread.join()
        assert not self.problems, self.problems[:5]
        for partition, known in enumerate(self.seen):
            for offset, digest in known.items():
                assert offset < len(content[partition]), (
                    f"{self.topic}-{partition}: offset {offset} was seen and is gone")
                value = content[partition][offset][1]
                assert hashlib.blake2b(value, digest_size=8).digest() == digest, (
                    f"{self.topic}-{partition}: offset {offset} was seen with another value")
        return sum(len(known) for known in self.seen)


# ---- What librdkafka's admin client cannot ask --------------------------------------------------


def compact(data):
    return bytes([len(data) + 1]) + data


def reassign(address, topics):
    """AlterPartitionReassignments version 0; topics: name -> [replicas of partition 0, ...]."""
    body = struct.pack(">i", 10000) + bytes([len(topics) + 1])
    for name, partitions in topics.items():
        body += compact(name.encode()) + bytes([len(partitions) + 1])
        for index, replicas in enumerate(partitions):
            body += struct.pack(">i", index) + bytes([len(replicas) + 1])
            body += b"".join(struct.pack(">i", replica) for replica in replicas) + b"\0"
        body += b"\0"
    body += b"\0"
    request = struct.pack(">hhih", 45, 0, 7, 4) + b"test" + b"\0" + body
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=15) as connection:
        connection.settimeout(15)
        connection.sendall(struct.pack(">i", len(request)) + request)
        size = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))[0]
        answer = connection.recv(size, socket.MSG_WAITALL)
    return struct.unpack(">h", answer[9:11])[0]


# ---- The logs on disk ---------------------------------------------------------------------------


def batches(directory):
    """Base offset -> (last offset, epoch, checksum) of every batch of a partition's directory."""
    found = {}
    for name in sorted(n for n in os.listdir(directory) if n.endswith(".log")):
        with open(os.path.join(directory, name), "rb") as file:
            data = file.read()
        place = 0
        while place + 61 <= len(data):
            base, size, epoch, magic, crc = struct.unpack_from(">qiibI", data, place)
            if magic != 2 or size <= 0 or place + 12 + size > len(data):
                break
            last = base + struct.unpack_from(">i", data, place + 23)[0]
            found[base] = (last, epoch, crc)
            place += 12 + size
    return found


def high_watermarks(data):
    marks = {}
    with open(os.path.join(data, "replication-offset-checkpoint")) as file:
        for line in file.read().splitlines()[2:]:
            topic, partition, offset = line.split()
            marks[f"{topic}-{partition}"] = int(offset)
    return marks


def compare_directories(nodes, topics):
    compared = 0
    for topic in topics:
        for partition in range(PARTITIONS):
            name = f"{topic}-{partition}"
            holders = [node for node in nodes if os.path.isdir(os.path.join(node.data, name))]
            assert holders, f"nobody has {name}"
            low = min(high_watermarks(node.data).get(name, 0) for node in holders)
            logs = [batches(os.path.join(node.data, name)) for node in holders]
            first = {b: v for b, v in logs[0].items() if v[0] < low}
            for node, log in zip(holders[1:], logs[1:]):
                other = {b: v for b, v in log.items() if v[0] < low}
                assert other == first, f"{name} differs between nodes {holders[0].number} and {node.number}"
            compared += len(first) * len(holders)
    return compared


# ---- Faults -------------------------------------------------------------------------------------


class Faults:
    """Draws faults, carries them out and takes them back when a drawn sign is there."""

    def __init__(self, cluster, draws, loads):
        self.cluster, self.random, self.loads = cluster, draws, loads
        self.topics = [load.topic for load in loads]
        self.counts = {}

    def some_node(self):
        return self.random.choice(self.cluster.nodes)

    def acknowledged(self):
        return sum(load.count() for load in self.loads)

    def hold(self, node=None):
        """Keeps a fault up until the cluster has gone on for some records without the node, or has
        fenced it; or for three sessions, where it cannot do either."""
        fenced = None
        if node is not None and self.random.random() < 0.5:
            text = f"broker {node.number} is fenced"
            fenced = [(other, other.output_size(), text) for other in self.cluster.nodes]
        enough = self.acknowledged() + self.random.choice((0, 100, 3000, 20000))

        def is_there():
            if fenced is None:
                return self.acknowledged() >= enough
            return any(other.has_said(text, size) for other, size, text in fenced)

        with contextlib.suppress(TimeoutError):
            processes.wait_until(is_there, "the end of a fault", 3 * SESSION_MS / 1000)

    def kill(self):
        node = self.some_node()
        node.kill()
        self.hold(node)
        node.start()

    def kill_two(self):
        first, second = self.random.sample(self.cluster.nodes, 2)
        first.kill()
        self.hold(first)
        second.kill()
        self.hold(second)
        for node in (first, second):
            node.start()

    def stop_for_a_while(self):
        node = self.some_node()
        node.pause()
        self.hold(node)
        node.resume()

    def cut_pair(self):
        first, second = self.random.sample(self.cluster.nodes, 2)
        self.cluster.cut(first.number, second.number)
        self.cluster.cut(second.number, first.number)
        self.hold(second)
        self.cluster.heal()

    def cut_one_way(self):
        first, second = self.random.sample(self.cluster.nodes, 2)
        self.cluster.cut(first.number, second.number)
        self.hold(first)
        self.cluster.heal()

    def isolate(self):
        """From the other nodes, not from the clients."""
        node = self.some_node()
        ways = self.random.choice(("both", "from", "to"))
        for other in self.cluster.nodes:
            if other is not node and ways != "to":
                self.cluster.cut(node.number, other.number)
            if other is not node and ways != "from":
                self.cluster.cut(other.number, node.number)
        self.hold(node)
        self.cluster.heal()

    def rolling_restart(self):
        for node in self.cluster.nodes:
            processes.wait_until(node.accepts, f"node {node.number} is there to be stopped")
            status = node.stop()
            assert status == 0, f"node {node.number} did not stop cleanly: status {status}"
            node.start()
            processes.wait_until(node.accepts, f"node {node.number} is back")

    def reassign_all(self):
        numbers = [node.number for node in self.cluster.nodes]
        plan = {topic: [self.random.sample(numbers, REPLICAS) for _ in range(PARTITIONS)]
                for topic in self.topics}
        answers = []

        def asked():
            try:
                answers.append(reassign(self.some_node().address, plan))
                return answers[-1] == 0
            except (OSError, struct.error) as error:
                answers.append(error)
                return False

        try:
            processes.wait_until(asked, "a reassignment is accepted")
        except TimeoutError:
            print(f"answers: {answers}", flush=True)
            raise

    def one(self):
        kind = self.random.choices(
            (self.kill, self.stop_for_a_while, self.cut_pair, self.cut_one_way, self.isolate,
             self.kill_two, self.rolling_restart, self.reassign_all),
            (6, 3, 3, 3, 4, 1, 1, 2))[0]
        self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1
        print(f"{time.strftime('%H:%M:%S')} {kind.__name__}", flush=True)
        kind()


# ---- The run ------------------------------------------------------------------------------------


def create_topics(addresses, topics):
    admin = AdminClient({"bootstrap.servers": addresses, "log_level": 0})
    def created():
        futures = admin.create_topics([NewTopic(t, PARTITIONS, REPLICAS) for t in topics])
        for future in futures.values():
            try:
                future.result(60)
            except Exception as error:
                if "already exists" not in str(error):
                    return False
        return True
    processes.wait_until(created, "topics are created")


def main():
    klammd = sys.argv[1]
    faults_wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    if os.environ.get("KLAMM_NIGHTLY"):
        faults_wanted *= 25
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(1 << 30)
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    if not cluster_nodes.enter_namespace():
        print("skipped: no network namespaces may be made here")
        sys.exit(77)
    print(f"seed {seed}, {count} nodes, {faults_wanted} faults", flush=True)
    draws = random.Random(seed)
    directory = tempfile.mkdtemp(prefix="klamm-test-")
    settings = dict(SETTINGS)
    settings["klamm.durability"] = "cache" if seed % 2 == 0 else "sync"
    topics = {"plain": False, "idempotent": True}
    with cluster_nodes.Cluster(klammd, count, directory, settings) as cluster:
        cluster.start()
        create_topics(cluster.addresses, topics)
        loads = [Load(cluster.addresses, topic, idempotent, seed,
                      {"message.timeout.ms": 300000, "socket.timeout.ms": 5000})
                 for topic, idempotent in topics.items()]
        watchers = [Watcher(cluster.addresses, topic) for topic in topics]
        faults = Faults(cluster, draws, loads)
        for _ in range(faults_wanted):
            before = [load.count() for load in loads]
            processes.wait_until(
                lambda: all(load.count() > count + 20 for load, count in zip(loads, before)),
                "acknowledgements between two faults", PROGRESS_S)
            faults.one()
        for load in loads:
            load.finish()
            assert not load.errors, load.errors[:5]
        contents = [read_all(cluster.addresses, load.topic) for load in loads]
        for load, content in zip(loads, contents):
            check(load, load.acknowledged, content)
        seen = [watcher.finish(content) for watcher, content in zip(watchers, contents)]
        statuses = cluster.stop()
        assert statuses == [0] * count, f"clean stops ended with {statuses}"
        compared = compare_directories(cluster.nodes, topics)
        print(f"{sum(faults.counts.values())} faults {faults.counts}: "
              f"{sum(load.count() for load in loads)} acknowledged records, none lost; "
              f"{sum(seen)} offsets seen by consumers, none changed; {compared} batches compared")


main()
