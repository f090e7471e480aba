"""Klamm and Apache Kafka as members of one cluster: how far each arrangement gets.

 broker      a Klamm broker beside a Kafka broker, under a Kafka controller
 controller  a Kafka broker beside a Klamm broker, under a Klamm controller
 quorum      three voters that are brokers too: two of Klamm, one of Kafka
 takeover    three Klamm nodes; Kafka goes on with the directory of one of them

Every arrangement is a list of steps. One that fails is told with its reason, and the next one is tried.
Ends with status 1 when any step failed. docs/design/mixed.md tells what came of it.

usage: mixed.py KLAMMD [ARRANGEMENT]...
"""

import contextlib
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import cluster_requests  # noqa: E402
import interchange  # noqa: E402
import processes  # noqa: E402
import wire  # noqa: E402
from cluster_requests import (active_controller, broker_ids, call, create, is_in_sync,  # noqa: E402
                              partitions_of, reassign)
from loopback_nodes import BOTH, BROKER, CONTROLLER, KafkaNode, KlammNode, Members  # noqa: E402

SETTINGS = {
    "broker.session.timeout.ms": "6000",
    "offsets.topic.replication.factor": "2",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.replication.factor": "2",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "2",
    "group.initial.rebalance.delay.ms": "0",
}
DEADLINE_S = 240  # a Kafka node takes a minute to start where others want the machine too
RECORDS = 50


class Steps:
    """Carries out steps and remembers which of them failed. A step may return a text to be told."""

    def __init__(self, arrangement):
        self.arrangement = arrangement
        self.rows = []

    def step(self, text, act, nodes=()):
        begin = time.monotonic()
        try:
            said = act()
            self.rows.append((text, True))
            print(f"{self.arrangement}: ok    {text}{f': {said}' if isinstance(said, str) else ''} "
                  f"({time.monotonic() - begin:.1f} s)", flush=True)
            return True
        except Exception as error:  # whatever it is, it is what the experiment is about
            self.rows.append((text, False))
            print(f"{self.arrangement}: FAILS {text}: {error!r}"[:2000], flush=True)
            if not isinstance(error, (AssertionError, TimeoutError)):
                traceback.print_exc()
            for node in nodes:
                tail = node.output()[-6000:]
                print(f"--- node {node.number}\n{tail}\n---", flush=True)
            return False


# ---- Asking -------------------------------------------------------------------------------------


def wait(condition, what, deadline_s=DEADLINE_S):
    return cluster_requests.wait(condition, what, deadline_s)


def write(nodes, name, partition, text):
    """RECORDS batches with acks=all, each to whoever leads at the time."""
    for number in range(RECORDS):
        record = wire.record(0, b"key", b"%s %d" % (text.encode(), number) + b"." * (number * 7))
        values = {"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": name, "PartitionData": [
            {"Index": partition, "Records": wire.batch([record], int(time.time() * 1000))}]}]}

        def acknowledged(values=values):
            for node in nodes:
                with contextlib.suppress(OSError, wire.Closed):
                    found = partitions_of(node, name).get(partition)
                    leader = next((n for n in nodes if found and n.number == found["LeaderId"]), None)
                    if leader:
                        part = call(leader, "Produce", 8, values)["Responses"][0][
                            "PartitionResponses"][0]
                        assert part["ErrorCode"] in (0, 3, 5, 6, 7, 19, 20), part
                        return part["ErrorCode"] == 0
            return False

        wait(acknowledged, f"{name}-{partition} takes record {number}", 30)


def log_bytes(node, name, partition):
    folder = os.path.join(node.data, f"{name}-{partition}")
    content = b""
    for file in sorted(f for f in os.listdir(folder) if f.endswith(".log")):
        with open(os.path.join(folder, file), "rb") as segment:
            content += segment.read()
    return content


def same_logs(first, second, name, count):
    total = 0
    for partition in range(count):
        one, other = log_bytes(first, name, partition), log_bytes(second, name, partition)
        # A log file may have room reserved behind its last batch until it is rolled.
        one, other = one.rstrip(b"\0"), other.rstrip(b"\0")
        assert one, f"{name}-{partition} is empty"
        assert one == other, f"{name}-{partition}: {len(one)} and {len(other)} bytes, not the same"
        total += len(one)
    return f"{total} bytes"


# ---- What every pair of brokers is asked --------------------------------------------------------


def consume_in_group(addresses, name, count):
    from confluent_kafka import Consumer
    consumer = Consumer({"bootstrap.servers": addresses, "group.id": f"readers-of-{name}",
                         "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "isolation.level": "read_committed"})
    consumer.subscribe([name])
    seen = 0
    end = time.monotonic() + DEADLINE_S
    while seen < count and time.monotonic() < end:
        message = consumer.poll(0.5)
        seen += message is not None and message.error() is None
    if seen:
        consumer.commit(asynchronous=False)
    consumer.close()
    assert seen >= count, f"{seen} of {count} records read"
    return f"{seen} records"


def transact(addresses, name):
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": addresses, "transactional.id": f"writer-of-{name}"})
    producer.init_transactions(DEADLINE_S)
    for commits in (True, False, True):
        producer.begin_transaction()
        for partition in (0, 1):
            producer.produce(name, b"in a transaction, %d" % commits, partition=partition)
        if commits:
            producer.commit_transaction(DEADLINE_S)
        else:
            producer.abort_transaction(DEADLINE_S)


def elect_preferred(node, name, count):
    answer = call(node, "ElectLeaders", 2, {"ElectionType": 0, "TimeoutMs": 20000, "TopicPartitions": [
        {"Topic": name, "Partitions": list(range(count))}]})
    assert answer["ErrorCode"] == 0, answer


def pair(steps, klamm, kafka):
    """What a Klamm broker and a Kafka broker of one cluster do together."""
    both = (klamm, kafka)
    k, a = klamm.number, kafka.number
    replicas = [[k, a], [a, k]]
    addresses = f"{klamm.address},{kafka.address}"
    ids = lambda node: set(broker_ids(node)) >= {k, a}  # noqa: E731
    step = lambda text, act: steps.step(text, act, both)  # noqa: E731
    if not step("the brokers see each other", lambda: wait(
            lambda: ids(klamm) and ids(kafka), "both are in the metadata")):
        return
    for node, name in ((kafka, "of-kafka"), (klamm, "of-klamm")):
        step(f"a topic created through node {node.number}", lambda n=node, t=name: create(
            n, t, replicas))
        step(f"{name}: one leads each partition, the other is in sync", lambda t=name: wait(
            lambda: is_in_sync(both, t, replicas, [k, a]), "in sync"))
    step("acks=all to the partition that Klamm leads", lambda: write(both, "of-kafka", 0, "first"))
    step("acks=all to the partition that Kafka leads", lambda: write(both, "of-kafka", 1, "first"))
    step("a group reads both", lambda: consume_in_group(addresses, "of-kafka", 2 * RECORDS))
    step("transactions over both", lambda: transact(addresses, "of-klamm"))
    step("read committed sees what was committed", lambda: consume_in_group(addresses, "of-klamm", 4))
    for node, other in ((kafka, klamm), (klamm, kafka)):
        def stopped(node=node, other=other):
            assert node.stop(60) in (0, 143), "no clean stop"
            wait(lambda: all(p["LeaderId"] == other.number for p in partitions_of(
                other, "of-kafka").values()), "the other one leads")
        text = f"node {node.number} stops cleanly, node {other.number}"
        if step(f"{text} leads", stopped):
            step(f"{text} takes records", lambda o=other, n=node: [
                write((o,), "of-kafka", p, f"without {n.number}") for p in (0, 1)])
        node.start(wait=False)
        step(f"node {node.number} comes back and is in sync", lambda: wait(
            lambda: is_in_sync(both, "of-kafka", replicas), "in sync again"))
        step("preferred leaders are elected", lambda n=node: (
            elect_preferred(n, "of-kafka", 2),
            wait(lambda: is_in_sync(both, "of-kafka", replicas, [k, a]), "preferred leaders")))
    for node, other in ((kafka, klamm), (klamm, kafka)):
        node.kill()
        step(f"node {node.number} is killed, node {other.number} takes records",
             lambda o=other, n=node: [write((o,), "of-kafka", p, f"killed {n.number}")
                                      for p in (0, 1)])
        node.start(wait=False)
        step(f"node {node.number} comes back and is in sync", lambda: wait(
            lambda: is_in_sync(both, "of-kafka", replicas), "in sync again"))
    step("a group reads on where it was", lambda: consume_in_group(
        addresses, "of-kafka", 4 * 2 * RECORDS))
    for targets in ([[k], [k]], [[a], [a]], replicas):
        step(f"replicas are moved to {targets}", lambda t=targets: (
            reassign(klamm, "of-kafka", t),
            wait(lambda: is_in_sync(both, "of-kafka", t), "moved")))


def pair_on_disk(steps, klamm, kafka):
    """After both have stopped."""
    for name in ("of-kafka", "of-klamm"):
        steps.step(f"the logs of {name} are the same bytes", lambda t=name: same_logs(
            klamm, kafka, t, 2))
    steps.step("Kafka's dump tool reads the Klamm broker's files",
               lambda: f"{interchange.dump_all(klamm.data)} files")


def stop(steps, *nodes):
    for node in nodes:
        steps.step(f"node {node.number} stops cleanly",
                   lambda n=node: check_status(n.stop(90)), (node,))


def check_status(status):
    assert status in (0, 143), f"status {status}"


# ---- The arrangements ---------------------------------------------------------------------------


def run_broker(klammd, steps):
    members = Members({1: CONTROLLER, 2: BROKER, 3: BROKER})
    with (KafkaNode(members, 1, SETTINGS) as controller, KafkaNode(members, 2, SETTINGS) as kafka,
          KlammNode(klammd, members, 3, SETTINGS) as klamm):
        controller.format()
        kafka.format()
        klamm.format()
        controller.start(deadline_s=300)
        kafka.start(deadline_s=300)
        klamm.start(wait=False)
        if steps.step("a Klamm broker registers with a Kafka controller", lambda: wait(
                lambda: 3 in broker_ids(kafka), "unfenced"), (klamm, controller)):
            pair(steps, klamm, kafka)
        stop(steps, klamm, kafka, controller)
        pair_on_disk(steps, klamm, kafka)


def run_controller(klammd, steps):
    members = Members({1: CONTROLLER, 2: BROKER, 3: BROKER})
    with (KlammNode(klammd, members, 1, SETTINGS) as controller,
          KafkaNode(members, 2, SETTINGS) as kafka,
          KlammNode(klammd, members, 3, SETTINGS) as klamm):
        for node in (controller, kafka, klamm):
            node.format()
        controller.start()
        klamm.start(wait=False)
        kafka.start(wait=False)
        if steps.step("a Kafka broker registers with a Klamm controller", lambda: wait(
                lambda: 2 in broker_ids(klamm), "unfenced"), (kafka, controller)):
            pair(steps, klamm, kafka)
        stop(steps, kafka, klamm, controller)
        pair_on_disk(steps, klamm, kafka)
        steps.step("Kafka's dump tool reads the Klamm controller's metadata log",
                   lambda: f"{interchange.dump_all(controller.data)} files")


def run_quorum(klammd, steps):
    members = Members({1: BOTH, 2: BOTH, 3: BOTH})
    settings = {**SETTINGS, "metadata.log.max.record.bytes.between.snapshots": "2000"}
    with (KlammNode(klammd, members, 1, settings) as one, KlammNode(klammd, members, 2, settings) as two,
          KafkaNode(members, 3, settings) as kafka):
        nodes = (one, two, kafka)
        for node in nodes:
            node.format()
        for node in nodes:
            node.start(wait=False)
        steps.step("three voters elect a controller", lambda: str(wait(
            lambda: active_controller(nodes), "a controller")), nodes)
        steps.step("all three register", lambda: wait(
            lambda: all(broker_ids(n) == [1, 2, 3] for n in nodes), "brokers"), nodes)
        replicas = [[1, 2, 3], [2, 3, 1], [3, 1, 2]]
        steps.step("a topic", lambda: create(one, "spread", replicas), nodes)
        steps.step("everything in sync", lambda: wait(
            lambda: is_in_sync(nodes, "spread", replicas), "in sync"), nodes)
        led = set()
        for number in range(8):
            leader = active_controller(nodes)
            if leader is None or led >= {1, 2, 3}:
                break
            led.add(leader)
            gone = nodes[leader - 1]
            rest = [n for n in nodes if n is not gone]
            kills = number % 2 == 0
            if kills:
                gone.kill()
            else:
                check_status(gone.stop(60))
            steps.step(f"node {leader} led and is {'killed' if kills else 'stopped'}: another one leads",
                       lambda r=rest: str(wait(lambda: active_controller(r), "a controller")), nodes)
            steps.step("a topic created meanwhile", lambda n=number, r=rest: create(
                r[0], f"meanwhile-{n}", [[x.number for x in r]]), nodes)
            steps.step("records written meanwhile", lambda r=rest, n=number: [
                write(r, "spread", p, f"meanwhile {n}") for p in range(3)], nodes)
            gone.start(wait=False)
            steps.step(f"node {leader} is back and in sync", lambda: wait(
                lambda: is_in_sync(nodes, "spread", replicas), "in sync"), nodes)
        print(f"quorum: led so far: {sorted(led)}")
        stop(steps, kafka, two, one)
        for node in (one, two):
            steps.step(f"Kafka's dump tool reads the files of node {node.number}",
                       lambda n=node: f"{interchange.dump_all(n.data)} files")
        steps.step("the logs are the same bytes", lambda: (
            same_logs(one, kafka, "spread", 3), same_logs(one, two, "spread", 3))[0])


def run_takeover(klammd, steps):
    members = Members({1: BOTH, 2: BOTH, 3: BOTH})
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(KlammNode(klammd, members, number, SETTINGS))
                 for number in (1, 2, 3)]
        for node in nodes:
            node.format()
        for node in nodes:
            node.start(wait=False)
        replicas = [[1, 2, 3], [2, 3, 1], [3, 1, 2]]
        steps.step("three Klamm nodes and a topic", lambda: (
            wait(lambda: all(broker_ids(n) == [1, 2, 3] for n in nodes), "brokers"),
            create(nodes[0], "spread", replicas),
            wait(lambda: is_in_sync(nodes, "spread", replicas), "in sync")), nodes)
        steps.step("records", lambda: [write(nodes, "spread", p, "before") for p in range(3)])
        stop(steps, nodes[2])
        kafka = stack.enter_context(KafkaNode(members, 3, SETTINGS, nodes[2].directory))
        kafka.start(wait=False)
        now = [nodes[0], nodes[1], kafka]
        steps.step("Kafka takes over node 3 and is in sync", lambda: wait(
            lambda: is_in_sync(now, "spread", replicas), "in sync"), now)
        steps.step("records with it", lambda: [write(now, "spread", p, "after") for p in range(3)])
        stop(steps, kafka)
        nodes[2].start(wait=False)
        steps.step("Klamm takes over again", lambda: wait(
            lambda: is_in_sync(nodes, "spread", replicas), "in sync"), nodes)
        stop(steps, *nodes)
        steps.step("the logs are the same bytes", lambda: (
            same_logs(nodes[0], nodes[1], "spread", 3), same_logs(nodes[0], nodes[2], "spread", 3))[0])


ARRANGEMENTS = {"broker": run_broker, "controller": run_controller, "quorum": run_quorum,
                "takeover": run_takeover}


def main():
    if not processes.kafka_libraries():
        print("skipped: KLAMM_KAFKA_LIBS names no folder with Kafka's jars, or there is no Java")
        return 77
    failed = 0
    for name in sys.argv[2:] or ARRANGEMENTS:
        steps = Steps(name)
        ARRANGEMENTS[name](os.path.abspath(sys.argv[1]), steps)
        bad = [text for text, ok in steps.rows if not ok]
        print(f"{name}: {len(steps.rows) - len(bad)} of {len(steps.rows)} steps", flush=True)
        failed += len(bad)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
