"""kill -9 under load: no acknowledged record is lost, and a recovered log holds nothing else.

A librdkafka producer keeps writing numbered records to several partitions with acks=all while the
broker is killed at random moments and started again on the same directory. After every restart the
whole log is read back by a second client:

 - every acknowledged (partition, offset) holds the value that was acknowledged there;
 - offsets have no gap, and every value is one that was sent to that partition;
 - with the idempotent producer the values of a partition are exactly 0, 1, 2, ... in order: a prefix
   of what was written.

usage: test_kill.py KLAMMD [KILLS] [SEED]
"""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402
from confluent_kafka import Consumer, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

PARTITIONS = 6
RECORDS_A_POLL = 100


class Load:
    """One producer in a thread of its own, and what it knows about its records."""

    def __init__(self, address, topic, idempotent, seed):
        self.topic = topic
        self.idempotent = idempotent
        self.random = random.Random(seed)
        self.sent = [0] * PARTITIONS
        self.acknowledged = [dict() for _ in range(PARTITIONS)]
        self.stopping = threading.Event()
        self.errors = []
        self.producer = Producer({
            "bootstrap.servers": address,
            "enable.idempotence": idempotent,
            "acks": "all",
            "linger.ms": 2,
            "message.timeout.ms": 120000,
            "retry.backoff.ms": 20,
            "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 100,
            "queue.buffering.max.messages": 5000,
            "log_level": 0,
            "message.send.max.retries": 1000000,
        })
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def value(self, partition, number):
        return b"%s %d %d " % (self.topic.encode(), partition, number) + b"x" * (number * 37 % 300)

    def on_delivery(self, partition, number):
        def done(error, message):
            if error is not None:
                self.errors.append(f"partition {partition} record {number}: {error}")
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
        return sum(len(known) for known in self.acknowledged)

    def finish(self):
        self.stopping.set()
        self.thread.join(30)
        left = self.producer.flush(60)
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
        low, high = consumer.get_watermark_offsets(place, timeout=30)
        assert low == 0, f"log start {low}"
        ends[partition] = high
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    end = time.monotonic() + 120
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
        if load.idempotent:
            assert numbers == list(range(len(numbers))), f"{load.topic}-{partition}: order"


def main():
    klammd = sys.argv[1]
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 100 if "KLAMM_NIGHTLY" in os.environ else 15
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    chance = random.Random(seed)
    print(f"seed {seed}, {kills} kills")
    settings = {"log.segment.bytes": str(1 << 20),
                "klamm.durability": "cache" if seed % 2 == 0 else "sync"}
    with processes.Klamm(klammd, settings) as node:
        node.start()
        admin = AdminClient({"bootstrap.servers": node.address, "log_level": 0})
        loads = []
        for topic, idempotent in (("plain", False), ("idempotent", True)):
            admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
            loads.append(Load(node.address, topic, idempotent, seed))
        for kill in range(kills):
            before = [load.count() for load in loads]
            pause = chance.uniform(0.05, 0.6)
            end = time.monotonic() + pause
            processes.wait_until(
                lambda: time.monotonic() > end and all(
                    load.count() > count for load, count in zip(loads, before)),
                "acknowledgements before a kill", 60)
            node.kill()
            known = [[dict(a) for a in load.acknowledged] for load in loads]
            node.start()
            if kill % 10 == 9 or kill == kills - 1:
                for load, acknowledged in zip(loads, known):
                    check(load, acknowledged, read_all(node.address, load.topic))
                print(f"kill {kill + 1}: acknowledged {[load.count() for load in loads]}", flush=True)
        for load in loads:
            load.finish()
            assert not load.errors, load.errors[:5]
            check(load, load.acknowledged, read_all(node.address, load.topic))
        status = node.stop()
        assert status == 0, f"clean stop ended with {status}"
        node.start()
        for load in loads:
            check(load, load.acknowledged, read_all(node.address, load.topic))
        print(f"{kills} kills, {sum(load.count() for load in loads)} acknowledged records: none lost")


if __name__ == "__main__":
    main()
