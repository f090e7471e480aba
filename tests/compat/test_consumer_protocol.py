"""Groups of the consumer protocol (KIP-848) against a real klammd: a current librdkafka (through
confluent-kafka from the Python package index) and Apache Kafka's Java consumer. Members join, leave,
crash and pause, change from the classic protocol; the node is killed. Every record is delivered, no
partition is owned twice, no acknowledged commit is lost.

usage: test_consumer_protocol.py KLAMMD FOLDER      (FOLDER: where the client is installed)

Where the client cannot be installed the test is skipped (status 77).
"""

import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "differential")]
import current_client  # noqa: E402
import processes  # noqa: E402
import wire  # noqa: E402
from processes import wait_until  # noqa: E402

GROUP = 32  # a kind of resource
SETTINGS = {"group.consumer.min.heartbeat.interval.ms": "100",
            "group.consumer.heartbeat.interval.ms": "200",
            "group.consumer.min.session.timeout.ms": "1000",
            "group.consumer.session.timeout.ms": "4000",
            "group.initial.rebalance.delay.ms": "200"}


def worker(address, group, topic, protocol, *settings):
    """A member; says what it is assigned, each record, and each commit once it is acknowledged."""
    import confluent_kafka
    options = {"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
               "enable.auto.commit": False, "group.protocol": protocol}
    is_classic = protocol == "classic"
    if is_classic:
        # The cooperative assignor of librdkafka puts data of its own into assignments, and a group
        # with such data cannot be upgraded, here as with Apache Kafka.
        options.update({"session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                        "partition.assignment.strategy": "range"})
    options.update(setting.split("=", 1) for setting in settings)
    consumer = confluent_kafka.Consumer(options)

    def say(*words):
        sys.stdout.write(" ".join(str(word) for word in words) + "\n")
        sys.stdout.flush()

    def assigned(_, partitions):
        (consumer.assign if is_classic else consumer.incremental_assign)(partitions)
        say("assigned", *(place.partition for place in partitions))

    def revoked(_, partitions):
        say("revoked", *(place.partition for place in partitions))
        if is_classic:
            consumer.unassign()
        else:
            consumer.incremental_unassign(partitions)

    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    while not stopping:
        message = consumer.poll(0.1)
        if message is None or message.error():
            continue
        say("record", message.partition(), message.offset(), message.value().decode())
        try:
            for place in consumer.commit(message, asynchronous=False):
                if not place.error:
                    say("committed", place.partition, place.offset)
        except confluent_kafka.KafkaException:
            pass  # fenced, or the node is down: the record comes again to somebody
    consumer.close()
    say("closed")


def start(base, node, group, topic, protocol="consumer", **settings):
    return base.Worker([sys.executable, os.path.abspath(__file__), "worker", node.address, group, topic,
                        protocol, *base.setting_arguments(settings)])


class Members:
    """Members that end with the block."""

    def __init__(self, base, node, group, topic):
        self.base, self.node, self.group, self.topic, self.all = base, node, group, topic, []

    def add(self, protocol="consumer", topic=None, **settings):
        self.all.append(start(self.base, self.node, self.group, topic or self.topic, protocol,
                              **settings))
        return self.all[-1]

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        for member in self.all:
            if kind is not None:
                member.show()
            if member.process.poll() is None:
                member.end(signal.SIGKILL)


def members_come_leave_and_crash(base, node):
    base.create(node, "life", 6)
    base.produce(node, "life", 0, 300, 6)
    with Members(base, node, "life", "life") as group:
        first, second, third = group.add(), group.add(), group.add()
        wait_until(lambda: base.split(group.all, 6), "three members share")
        base.produce(node, "life", 300, 300, 6)
        assert third.end(signal.SIGTERM) == 0
        wait_until(lambda: base.split([first, second], 6), "two members share")
        first.end(signal.SIGKILL)
        wait_until(lambda: second.owned == set(range(6)), "one has all after a crash")
        fourth = group.add()
        wait_until(lambda: base.split([second, fourth], 6), "two members share again")
        second.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: fourth.owned == set(range(6)), "the other has all of a paused one")
        base.produce(node, "life", 600, 60, 6)
        second.process.send_signal(signal.SIGCONT)
        wait_until(lambda: base.split([second, fourth], 6), "the paused one comes back")
        wait_until(lambda: len(base.values_of(group.all)) == 660, "every record")
        base.assert_commits_hold(node, "life", "life", 6, group.all)


def a_killed_node_loses_nothing(base, node):
    base.create(node, "killed", 4)
    with Members(base, node, "killed", "killed") as group:
        members = [group.add(), group.add()]
        wait_until(lambda: base.split(members, 4), "two members share")
        for round_number in range(3):
            base.produce(node, "killed", 100 * round_number, 100, 4)
            members.append(group.add())  # a rebalance is under way when the node dies
            wait_until(lambda: len(base.values_of(members)) > 100 * round_number + 10, "some")
            node.kill()
            node.start()
            base.assert_commits_hold(node, "killed", "killed", 4, members)
            wait_until(lambda: len(base.values_of(members)) == 100 * (round_number + 1),
                       "all records after a crash")
            wait_until(lambda: base.split(members, 4, exactly=False), "they share again")


def keep_members_for_long(node, group):
    """However long one that comes back takes to start, or the machine stands still."""
    connection = wire.Connection(node.port)
    answer = connection.call("IncrementalAlterConfigs", 1, {"Resources": [
        {"ResourceType": GROUP, "ResourceName": group, "Configs": [
            {"Name": "consumer.session.timeout.ms", "ConfigOperation": 0, "Value": "60000"}]}]})
    connection.close()
    assert answer["Responses"][0]["ErrorCode"] == 0, answer


def a_static_member_comes_back_undisturbed(base, node):
    base.create(node, "static", 4)
    keep_members_for_long(node, "static")
    with Members(base, node, "static", "static") as group:
        first = group.add(group_instance_id="one")
        second = group.add(group_instance_id="two")
        wait_until(lambda: base.split([first, second], 4), "two members share")
        before, owned = list(first.lines), set(second.owned)
        assert second.end(signal.SIGTERM) == 0
        back = group.add(group_instance_id="two")
        wait_until(lambda: back.owned == owned, "its own partitions again")
        assert first.lines == before, "the other member was disturbed"


def patterns_find_topics(base, node):
    base.create(node, "pattern-1", 2)
    base.produce(node, "pattern-1", 0, 10, 2)
    with Members(base, node, "pattern", "^pattern-.*") as group:
        member = group.add()
        wait_until(lambda: len(base.values_of(group.all)) == 10, "the first topic")
        base.create(node, "pattern-2", 2)
        base.produce(node, "pattern-2", 10, 10, 2)
        wait_until(lambda: len(base.values_of(group.all)) == 20, "the second topic")
        assert member.end(signal.SIGTERM) == 0


def a_group_changes_its_protocol_and_back(base, node):
    base.create(node, "change", 4)
    keep_members_for_long(node, "change")  # they leave here, nobody is lost
    with Members(base, node, "change", "change") as group:
        old = [group.add("classic", session_timeout_ms=60000) for _ in range(2)]
        wait_until(lambda: base.split(old, 4), "two classic members share")
        base.produce(node, "change", 0, 100, 4)
        new = group.add()
        wait_until(lambda: base.split(group.all, 4), "both protocols share")
        base.produce(node, "change", 100, 100, 4)
        for member in old:
            assert member.end(signal.SIGTERM) == 0
        wait_until(lambda: new.owned == set(range(4)), "the new one has all")
        last = group.add("classic", session_timeout_ms=60000)
        wait_until(lambda: base.split([new, last], 4), "both protocols share again")
        assert new.end(signal.SIGTERM) == 0
        wait_until(lambda: last.owned == set(range(4)), "a classic group again")
        base.produce(node, "change", 200, 100, 4)
        wait_until(lambda: len(base.values_of(group.all)) == 300, "every record")
        base.assert_commits_hold(node, "change", "change", 4, group.all)


def kafkas_own_consumer_shares(base, node):
    if not processes.kafka_libraries():
        print("kafkas_own_consumer_shares: skipped, KLAMM_KAFKA_LIBS is not set")
        return
    base.create(node, "java", 4)
    base.produce(node, "java", 0, 40, 4)
    status, output = processes.kafka_tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", node.address,
        "--topic", "java", "--group", "java", "--command-property", "group.protocol=consumer",
        "--from-beginning", "--max-messages", "40", "--timeout-ms", "120000")
    seen = {line for line in output.split() if line[:1] == "v" and line[1:].isdigit()}
    assert status == 0 and seen == {f"v{i}" for i in range(40)}, output
    assert base.committed(node, "java", "java", 4) == [10] * 4
    base.produce(node, "java", 40, 4, 4)
    with Members(base, node, "java", "java") as group:
        group.add()
        wait_until(lambda: base.values_of(group.all) == {f"v{i}" for i in range(40, 44)},
                   "librdkafka goes on where the Java consumer was")
        status, output = processes.kafka_tool(
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server",
            node.address, "--describe", "--group", "java", "--members", "--verbose")
        assert status == 0 and "java:0,1,2,3" in output, output


TESTS = [members_come_leave_and_crash, a_killed_node_loses_nothing,
         a_static_member_comes_back_undisturbed, patterns_find_topics,
         a_group_changes_its_protocol_and_back, kafkas_own_consumer_shares]


def main(klammd, only=None):
    import test_groups as base
    passed = 0
    with processes.Klamm(klammd, SETTINGS) as node:
        node.start()
        for test in TESTS:
            if only in (None, test.__name__):
                begun = time.monotonic()
                test(base, node)
                passed += 1
                print(f"{test.__name__}: passed in {time.monotonic() - begun:.1f} s", flush=True)
        assert node.stop() == 0
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(*sys.argv[2:])
    elif sys.argv[1] == "run":
        main(*sys.argv[2:])
    else:
        client_python = current_client.python_with_client(sys.argv[2])
        if client_python is None:
            print(f"skipped: {current_client.CLIENT} cannot be installed here")
            sys.exit(77)
        sys.exit(subprocess.call([client_python, os.path.abspath(__file__), "run", sys.argv[1],
                                  *sys.argv[3:]]))
