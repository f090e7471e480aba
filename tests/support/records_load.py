"""Producers that remember what was acknowledged, and the check that a log holds exactly that.

Records are numbered per partition and name their topic, so that a log can be held against what was
sent: every acknowledged (partition, offset) holds the value that was acknowledged there; offsets have
no gap; with the idempotent producer the values of a partition are exactly 0, 1, 2, ... in order.
"""

import random
import threading
import time

import processes
from confluent_kafka import Consumer, Producer, TopicPartition

PARTITIONS = 6
RECORDS_A_POLL = 100


class Load:
    """One producer in a thread of its own, and what it knows about its records."""

    def __init__(self, address, topic, idempotent, seed, settings=None):
        self.topic = topic
        self.idempotent = idempotent
        self.random = random.Random(seed)
        self.sent = [0] * PARTITIONS
        self.acknowledged = [dict() for _ in range(PARTITIONS)]
        # Without an offset: librdkafka took the acknowledgement of a later batch for theirs.
        self.unplaced = [list() for _ in range(PARTITIONS)]
        self.stopping = threading.Event()
        self.errors = []
        self.producer = Producer({
            "bootstrap.servers": address,
            "enable.idempotence": idempotent,
            "acks": "all",
            "linger.ms": 2,
            "message.timeout.ms": 300000,
            "retry.backoff.ms": 20,
            "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 100,
            "queue.buffering.max.messages": 5000,
            "log_level": 0,
            "message.send.max.retries": 1000000,
            **(settings or {}),
        })
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def value(self, partition, number):
        return b"%s %d %d " % (self.topic.encode(), partition, number) + b"x" * (number * 37 % 300)

    def on_delivery(self, partition, number):
        def done(error, message):
            if error is not None:
                self.errors.append(f"partition {partition} record {number}: {error}")
            elif message.offset() is None:
                self.unplaced[partition].append(number)
            else:
                self.acknowledged[partition][message.offset()] = number
        return done

    def run(self):
        while not self.stopping.is_set():
            partition = self.random.randrange(PARTITIONS)
            number = self.sent[partition]
            try:
                self.producer.produce(self.topic, self.value(partition, number),
                                      partition=partition,
                                      on_delivery=self.on_delivery(partition, number))
            except BufferError:
                self.producer.poll(0.01)
                continue
            self.sent[partition] += 1
            # A bounded rate: what has been written is read back as a whole again and again.
            self.producer.poll(0.01 if sum(self.sent) % RECORDS_A_POLL == 0 else 0)

    def count(self):
        return sum(len(known) for known in self.acknowledged + self.unplaced)

    def finish(self):
        self.stopping.set()
        self.thread.join()
        left = self.producer.flush(processes.DEADLINE_S)
        if left:
            raise AssertionError(f"{left} records of {self.topic} still unanswered")


def read_all(address, topic):
    """Values of each partition in offset order, with their offsets."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "unused",
                         "enable.auto.commit": False, "fetch.wait.max.ms": 50, "log_level": 0})
    content = [[] for _ in range(PARTITIONS)]
    ends = {}
    for partition in range(PARTITIONS):
        place = TopicPartition(topic, partition)
        low, high = consumer.get_watermark_offsets(place, timeout=processes.DEADLINE_S)
        assert low == 0, f"log start {low}"
        ends[partition] = high
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    end = time.monotonic() + 2 * processes.DEADLINE_S
    while any(len(content[p]) < ends[p] for p in range(PARTITIONS)):
        if time.monotonic() > end:
            raise TimeoutError(f"{topic}: read {[len(c) for c in content]} of {ends}")
        for message in consumer.consume(5000, 0.2):
            if message.error():
                raise AssertionError(f"{topic}: {message.error()}")
            content[message.partition()].append((message.offset(), message.value()))
    consumer.close()
    return content


def check(load, acknowledged, content):
    for partition in range(PARTITIONS):
        numbers = []
        for place, (offset, value) in enumerate(content[partition]):
            assert offset == place, f"{load.topic}-{partition}: offset {offset} at place {place}"
            number = int(value.split(b" ", 3)[2])
            assert number < load.sent[partition], f"{load.topic}-{partition}: {number} never sent"
            assert value == load.value(partition, number), f"{load.topic}-{partition}: {offset}"
            numbers.append(number)
        for offset, number in acknowledged[partition].items():
            assert offset < len(numbers) and numbers[offset] == number, (
                f"{load.topic}-{partition}: record {number} was acknowledged at {offset}, "
                f"the log has {numbers[offset] if offset < len(numbers) else 'nothing'} there")
        assert load.idempotent or not load.unplaced[partition], f"{load.topic}-{partition}: no offset"
        lost = set(load.unplaced[partition]) - set(numbers)
        assert not lost, f"{load.topic}-{partition}: records {sorted(lost)[:5]} were acknowledged"
        if load.idempotent:
            assert numbers == list(range(len(numbers))), f"{load.topic}-{partition}: order"
