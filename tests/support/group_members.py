"""Members of consumer groups as processes, and the history of what they own and read.

A member is a process that prints events as JSON (tests/compat/group_worker.py, or Kafka's own
VerifiableConsumer). The history holds them against what a group promises:

 - every record is delivered to somebody;
 - no partition is owned by two members that live at the same time;
 - committed offsets never go back.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time

import current_client
import processes

WORKER = os.path.join(os.path.dirname(__file__), "..", "compat", "group_worker.py")
SESSION_S = 6
GIVEN, TAKEN, ENDED, BEGINS = range(4)  # what becomes of a member and its partitions
# A session timeout for tests, for members of the consumer protocol; classic ones bring their own.
SETTINGS = {
    "group.initial.rebalance.delay.ms": "500",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": str(SESSION_S * 1000),
    "group.consumer.min.heartbeat.interval.ms": "200",
    "group.consumer.heartbeat.interval.ms": "1000",
    "offsets.topic.num.partitions": "4",
}


class Kind:
    """How a member is made: a client library and a protocol."""

    def __init__(self, name, library, protocol, assignor="", python="/usr/bin/python3"):
        self.name = name
        self.library = library
        self.protocol = protocol
        self.assignor = assignor
        self.python = python

    def command(self, address, topic, group):
        if self.library == "java":
            command = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp",
                       os.path.join(processes.kafka_libraries(), "*"),
                       "org.apache.kafka.tools.VerifiableConsumer", "--bootstrap-server", address,
                       "--topic", topic, "--group-id", group, "--reset-policy", "earliest",
                       "--group-protocol", self.protocol]
            if self.protocol == "classic":
                command += ["--session-timeout", str(SESSION_S * 1000)]
            return command
        return [self.python, WORKER, self.library, address, topic, group, self.protocol,
                self.assignor]


class Member:
    """One member process. `owned` is what it believes to own while it lives."""

    def __init__(self, kind, address, topic, group, history, name):
        self.name = name
        self.history = history
        self.errors = open(os.path.join(history.directory, f"{group}-{name}.err"), "wb")
        self.process = subprocess.Popen(kind.command(address, topic, group),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.errors)
        self.is_stopped = False
        atexit.register(self.process.kill)  # no member outlives a test that failed
        history.members.append(self)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            self.history.take(self, event)

    def owned(self):
        return self.history.owned_by(self)

    def kill(self):
        self.history.ended(self)
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Silent, as a long pause of the process: it does not know."""
        self.history.ended(self)
        self.process.send_signal(signal.SIGSTOP)
        self.is_stopped = True

    def go_on(self):
        self.is_stopped = False
        self.history.goes_on(self)
        self.process.send_signal(signal.SIGCONT)

    def leave(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(processes.DEADLINE_S)
        self.history.ended(self)


class Pulse:
    """When this process, and so the machine, stood still: members may have lost their sessions by that."""

    def __init__(self):
        self.pauses = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        event, last = threading.Event(), time.time()
        while True:
            event.wait(0.1)
            now = time.time()
            if now - last > SESSION_S / 2:
                self.pauses.append((last, now))
            last = now

    def explains(self, at):
        return any(begin <= at <= end + SESSION_S for begin, end in self.pauses)


class History:
    """What members say is held against each other by the time at which they said it: the lines of one may
    be read long after those of another."""

    def __init__(self, partitions, directory):
        self.partitions = partitions
        self.directory = directory
        self.lock = threading.Lock()
        self.members = []
        self.owners = {partition: [] for partition in range(partitions)}  # members, newest last
        self.delivered = [set() for _ in range(partitions)]
        self.changes = []  # (time, member, kind, partitions)
        self.pulse = Pulse()
        self.commits = 0

    def take(self, member, event):
        kind = event.get("event") or event.get("name")
        with self.lock:
            if kind in ("assigned", "partitions_assigned"):
                self._assigned(member, self._numbers(event))
                self.changes.append((self._time(event), member, GIVEN, self._numbers(event)))
            elif kind in ("revoked", "partitions_revoked"):
                self._released(member, self._numbers(event))
                self.changes.append((self._time(event), member, TAKEN, self._numbers(event)))
            elif kind == "records":
                self.delivered[event["partition"]].update(event["offsets"])
            elif kind == "records_consumed":
                for part in event["partitions"]:
                    self.delivered[part["partition"]].update(
                        range(part["minOffset"], part["maxOffset"] + 1))
            elif kind in ("committed", "offsets_committed"):
                self.commits += 1

    @staticmethod
    def _numbers(event):
        return [p["partition"] if isinstance(p, dict) else p for p in event["partitions"]]

    @staticmethod
    def _time(event):
        return event["time"] if "time" in event else event["timestamp"] / 1000

    def _assigned(self, member, numbers):
        for number in numbers:
            if member not in self.owners[number]:
                self.owners[number].append(member)

    def _released(self, member, numbers):
        for number in numbers:
            if member in self.owners[number]:
                self.owners[number].remove(member)

    def ended(self, member):
        """Whatever it says from now on does not count."""
        with self.lock:
            self._released(member, range(self.partitions))
            self.changes.append((time.time(), member, ENDED, ()))

    def goes_on(self, member):
        with self.lock:
            self.changes.append((time.time(), member, BEGINS, ()))

    def overlaps(self):
        """Partitions that were given to a member while another one owned them."""
        owners, ended, found = [set() for _ in range(self.partitions)], set(), []
        for at, member, kind, numbers in sorted(self.changes, key=lambda change: change[0]):
            if kind == BEGINS:
                ended.discard(member)
            elif kind == ENDED:
                ended.add(member)
                numbers = range(self.partitions)
            if kind in (TAKEN, ENDED):
                for number in numbers:
                    owners[number].discard(member)
            elif member not in ended:
                for number in numbers:
                    others = ", ".join(other.name for other in owners[number] - {member})
                    if others and not self.pulse.explains(at):
                        found.append(f"partition {number} is given to {member.name} while {others} own it")
                    owners[number].add(member)
        return found

    def owned_by(self, member):
        with self.lock:
            return [number for number, owners in self.owners.items() if member in owners]

    def is_covered(self, members):
        """Whether these members own every partition, each at least one."""
        with self.lock:
            owners = [self.owners[number][-1:] for number in range(self.partitions)]
        flat = [one[0] for one in owners if one]
        return len(flat) == self.partitions and set(flat) == set(members)

    def check(self, ends, with_owners=True):
        with self.lock:
            overlaps = self.overlaps() if with_owners else []
            assert not overlaps, overlaps[:5]
            for partition, end in enumerate(ends):
                missing = set(range(end)) - self.delivered[partition]
                assert not missing, (f"partition {partition}: {len(missing)} of {end} records were "
                                     f"never delivered, first {min(missing)}")


class CommitWatch:
    """Reads the group's committed offsets over and over: they must not go back."""

    def __init__(self, address, topic, group, partitions):
        from confluent_kafka import Consumer, TopicPartition

        self.places = [TopicPartition(topic, number) for number in range(partitions)]
        self.consumer = Consumer({"bootstrap.servers": address, "group.id": group,
                                  "enable.auto.commit": False, "log_level": 0,
                                  "reconnect.backoff.max.ms": 200})
        self.last = [-1] * partitions
        self.problems = []
        self.reads = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def read(self, timeout_s=10):
        found = self.consumer.committed(self.places, timeout=timeout_s)
        return [max(place.offset, -1) for place in found]

    def _run(self):
        from confluent_kafka import KafkaException

        while not self.stopping.wait(0.1):
            try:
                offsets = self.read()
            except KafkaException:
                continue
            self.reads += 1
            for number, offset in enumerate(offsets):
                if offset < self.last[number]:
                    self.problems.append(f"partition {number}: {self.last[number]} was committed, "
                                         f"then {offset}")
            self.last = offsets

    def finish(self):
        self.stopping.set()
        self.thread.join()
        self.consumer.close()
        assert not self.problems, self.problems[:5]
        assert self.reads > 0


class Source:
    """Writes numbered records to every partition until it is told to end."""

    def __init__(self, address, topic, partitions, a_second=400):
        from confluent_kafka import Producer

        self.topic, self.partitions, self.a_second = topic, partitions, a_second
        self.producer = Producer({"bootstrap.servers": address, "acks": "all", "linger.ms": 5,
                                  "enable.idempotence": True, "message.timeout.ms": 300000,
                                  "reconnect.backoff.max.ms": 100, "log_level": 0,
                                  "retry.backoff.ms": 50})
        self.ends = [0] * partitions
        self.problems = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _delivered(self, error, message):
        if error:
            self.problems.append(str(error))
        else:
            self.ends[message.partition()] = max(self.ends[message.partition()],
                                                 message.offset() + 1)

    def _run(self):
        number = 0
        while not self.stopping.wait(0.05):
            for _ in range(self.a_second // 20):
                self.producer.produce(self.topic, b"record %d" % number,
                                      partition=number % self.partitions,
                                      on_delivery=self._delivered)
                number += 1
            self.producer.poll(0)

    def finish(self):
        self.stopping.set()
        self.thread.join()
        assert self.producer.flush(processes.DEADLINE_S) == 0, "records are not acknowledged"
        assert not self.problems, self.problems[:5]
        return list(self.ends)


def current_confluent(folder):
    """A python that has a current confluent-kafka, kept in `folder`; None without."""
    python = current_client.python_with_client(folder)
    if not python:
        print(f"note: {current_client.CLIENT} cannot be installed here; its members are left out",
              file=sys.stderr)
    return python


def create_topic(address, topic, partitions):
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(processes.DEADLINE_S)


def wait(condition, what, deadline_s=processes.DEADLINE_S):
    return processes.wait_until(condition, what, deadline_s)


def now():
    return time.monotonic()
