"""Consumer groups of stock clients against a real klammd: kcat, librdkafka through
confluent-kafka-python, kafka-python. Members join, leave, crash and pause; the node restarts and is
killed. Every record is delivered, no acknowledged commit is lost or goes back.

usage: test_groups.py KLAMMD
       test_groups.py worker ADDRESS GROUP TOPIC [SETTING=VALUE...]     (a member, for the test)
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402
from processes import wait_until  # noqa: E402

import confluent_kafka  # noqa: E402
import kafka  # noqa: E402
import kafka.admin  # noqa: E402

PASSED = []
SETTINGS = {"group.initial.rebalance.delay.ms": "200"}


# ---- A member in a process of its own ----

def worker(address, group, topic, *settings):
    """Says what it is assigned, each record, and each commit once it is acknowledged."""
    options = dict(setting.split("=", 1) for setting in settings)
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
        **options})
    is_cooperative = "cooperative" in options.get("partition.assignment.strategy", "")

    def say(*words):
        sys.stdout.write(" ".join(str(word) for word in words) + "\n")
        sys.stdout.flush()

    def assigned(_, partitions):
        say("assigned", *(place.partition for place in partitions))
        (consumer.incremental_assign if is_cooperative else consumer.assign)(partitions)

    def revoked(_, partitions):
        say("revoked", *(place.partition for place in partitions))
        if is_cooperative:
            consumer.incremental_unassign(partitions)
        else:
            consumer.unassign()

    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked)
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    while not stopping:
        message = consumer.poll(0.1)
        if message is None or message.error():
            continue
        say("record", message.partition(), message.offset(), message.value().decode())
        with contextlib.suppress(confluent_kafka.KafkaException):
            for place in consumer.commit(message, asynchronous=False):
                if not place.error:
                    say("committed", place.partition, place.offset)
    consumer.close()
    say("closed")


def setting_arguments(settings):
    return [f"{key.replace('_', '.')}={value}" for key, value in settings.items()]


class Worker:
    def __init__(self, command):
        self.lines, self.owned, self.records, self.commits = [], set(), [], []
        self.errors = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def show(self):
        """What it said last, for the reader of a test that failed."""
        status = self.process.poll()
        self.errors.seek(0)
        print(f"---- member {self.process.pid} {'runs' if status is None else f'has ended with {status}'}, "
              f"owns {sorted(self.owned)}", *self.lines[-10:], self.errors.read()[-2000:], sep="\n", flush=True)

    def read(self):
        for line in self.process.stdout:
            kind, *words = line.split()
            if kind == "assigned":
                self.owned |= {int(word) for word in words}
            elif kind == "revoked":
                self.owned -= {int(word) for word in words}
            elif kind == "record":
                self.records.append((int(words[0]), int(words[1]), words[2]))
            elif kind == "committed":
                self.commits.append((int(words[0]), int(words[1])))
            self.lines.append(line.strip())

    def end(self, how):
        self.process.send_signal(how)
        status = self.process.wait(processes.DEADLINE_S)
        self.thread.join()
        return status


@contextlib.contextmanager
def members(node, group, topic, count, **settings):
    started = [Worker([sys.executable, os.path.abspath(__file__), "worker", node.address, group, topic,
                       *setting_arguments(settings)]) for _ in range(count)]
    try:
        yield started
    except BaseException:
        for member in started:
            member.show()
        raise
    finally:
        for member in started:
            if member.process.poll() is None:
                member.end(signal.SIGKILL)


def split(group, partitions, exactly=True):
    """Whether the members own all partitions, each by one."""
    owned = sorted(place for member in group for place in member.owned)
    return owned == list(range(partitions)) and (not exactly or all(m.owned for m in group))


def produce(node, topic, first, count, partitions):
    producer = confluent_kafka.Producer({"bootstrap.servers": node.address, "acks": "all"})
    for number in range(first, first + count):
        producer.produce(topic, b"v%d" % number, partition=number % partitions)
    assert producer.flush(processes.DEADLINE_S) == 0


def create(node, topic, partitions):
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=node.address, **processes.KAFKA_PYTHON)
    admin.create_topics([kafka.admin.NewTopic(topic, partitions, 1)])
    admin.close()


def values_of(group):
    return {value for member in group for _, _, value in member.records}


def committed(node, group, topic, partitions):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": node.address, "group.id": group})
    places = consumer.committed(
        [confluent_kafka.TopicPartition(topic, p) for p in range(partitions)], timeout=processes.DEADLINE_S)
    consumer.close()
    return [place.offset for place in places]


def assert_commits_hold(node, group, topic, partitions, everybody):
    """What was acknowledged is there, or something later."""
    highest = [-1001] * partitions  # how the client says that there is none
    for member in everybody:
        for place, offset in list(member.commits):
            highest[place] = max(highest[place], offset)
    found = committed(node, group, topic, partitions)
    assert all(f >= h for f, h in zip(found, highest)), (found, highest)


# ---- The tests ----

def kcat_goes_on_where_it_was(node):
    def consume(count):
        done = subprocess.run(
            ["kcat", "-b", node.address, "-q", "-G", "kcat-group", "-c", str(count), "-X",
             "auto.offset.reset=earliest", "kcat-topic"], timeout=processes.DEADLINE_S, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().split()

    create(node, "kcat-topic", 1)
    produce(node, "kcat-topic", 0, 10, 1)
    first = consume(10)
    produce(node, "kcat-topic", 10, 10, 1)
    assert first == [f"v{i}" for i in range(10)], first
    assert consume(10) == [f"v{i}" for i in range(10, 20)]


def kafka_python_groups(node):
    create(node, "pure", 3)
    produce(node, "pure", 0, 30, 3)
    consumer = kafka.KafkaConsumer("pure", bootstrap_servers=node.address, group_id="pure-group",
                                   auto_offset_reset="earliest", enable_auto_commit=False,
                                   session_timeout_ms=30000, **processes.KAFKA_PYTHON)
    seen = []
    while len(seen) < 30:
        for messages in consumer.poll(1000).values():
            seen += [message.value for message in messages]
    consumer.commit()
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=node.address, **processes.KAFKA_PYTHON)
    assert ("pure-group", "consumer") in admin.list_consumer_groups()
    found = admin.describe_consumer_groups(["pure-group"])[0]
    assert found.state == "Stable" and len(found.members) == 1, found
    offsets = admin.list_consumer_group_offsets("pure-group")
    assert {place.partition: at.offset for place, at in offsets.items()} == {0: 10, 1: 10, 2: 10}
    consumer.close()
    assert admin.describe_consumer_groups(["pure-group"])[0].state == "Empty"
    again = kafka.KafkaConsumer("pure", bootstrap_servers=node.address, group_id="pure-group",
                                auto_offset_reset="earliest", consumer_timeout_ms=3000,
                                **processes.KAFKA_PYTHON)
    assert not list(again), "consumed twice"
    again.close()
    assert admin.delete_consumer_groups(["pure-group"])[0][1] is kafka.errors.NoError
    assert admin.list_consumer_group_offsets("pure-group") == {}
    admin.close()


def members_come_leave_and_crash(node):
    for strategy in ("range", "cooperative-sticky"):
        group = topic = f"life-{strategy}"
        create(node, topic, 6)
        produce(node, topic, 0, 300, 6)
        with members(node, group, topic, 2, partition_assignment_strategy=strategy) as two:
            wait_until(lambda: split(two, 6), "two members share")
            with members(node, group, topic, 1, partition_assignment_strategy=strategy) as third:
                everybody = two + third
                wait_until(lambda: split(everybody, 6), "three members share")
                produce(node, topic, 300, 300, 6)
                assert third[0].end(signal.SIGTERM) == 0
                wait_until(lambda: split(two, 6), "two members share again")
                two[0].end(signal.SIGKILL)
                wait_until(lambda: split(two[1:], 6), "one has all after a crash")
                produce(node, topic, 600, 60, 6)
                wait_until(lambda: len(values_of(everybody)) == 660, "every record")
                assert_commits_hold(node, group, topic, 6, everybody)


def a_paused_member_loses_its_place(node):
    topic = group = "paused"
    create(node, topic, 4)
    with members(node, group, topic, 2) as two:
        wait_until(lambda: split(two, 4), "two members share")
        two[0].process.send_signal(signal.SIGSTOP)
        wait_until(lambda: two[1].owned == {0, 1, 2, 3}, "the other one has all")
        two[0].process.send_signal(signal.SIGCONT)
        wait_until(lambda: split(two, 4), "it comes back")


def static_members_come_back_without_a_rebalance(node):
    topic = group = "static"
    create(node, topic, 4)
    with members(node, group, topic, 1, group_instance_id="one",
                 session_timeout_ms=30000) as first:
        with members(node, group, topic, 1, group_instance_id="two",
                     session_timeout_ms=30000) as second:
            wait_until(lambda: split(first + second, 4), "two members share")
            before = list(first[0].lines)
            owned = set(second[0].owned)
            second[0].end(signal.SIGKILL)
            with members(node, group, topic, 1, group_instance_id="two",
                         session_timeout_ms=30000) as back:
                wait_until(lambda: back[0].owned == owned, "its own partitions again")
                assert first[0].lines == before, "the other member was disturbed"


def groups_live_through_restarts(node):
    topic = group = "restarts"
    create(node, topic, 4)
    produce(node, topic, 0, 200, 4)
    with members(node, group, topic, 3) as three:
        wait_until(lambda: len(values_of(three)) == 200, "all records")
        assert node.stop() == 0
        node.start()
        produce(node, topic, 200, 200, 4)
        wait_until(lambda: len(values_of(three)) == 400, "all records after a clean stop")
        for round_number in range(3):  # killed in the middle of commits, and of a rebalance
            first = 400 + 200 * round_number
            produce(node, topic, first, 200, 4)
            wait_until(lambda: len(values_of(three)) > first + 20, "some records")
            if round_number == 1:
                three[0].process.send_signal(signal.SIGKILL)
            node.kill()
            node.start()
            assert_commits_hold(node, group, topic, 4, three)
            wait_until(lambda: len(values_of(three)) == first + 200, "all records after a crash")
        assert_commits_hold(node, group, topic, 4, three)


TESTS = [kcat_goes_on_where_it_was, kafka_python_groups, members_come_leave_and_crash,
         a_paused_member_loses_its_place, static_members_come_back_without_a_rebalance,
         groups_live_through_restarts]


def main():
    with processes.Klamm(sys.argv[1], SETTINGS) as node:
        node.start()
        for test in TESTS:
            test(node)
            PASSED.append(test.__name__)
            print(f"{test.__name__}: passed", flush=True)
        assert node.stop() == 0
    print(f"{len(PASSED)} passed, 0 failed")


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(*sys.argv[2:])
    else:
        main()
