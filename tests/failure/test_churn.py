"""Clients that vanish in the middle of everything: producers and consumers killed at random.

Afterwards the broker serves, holds no memory of theirs, and stops cleanly.

usage: test_churn.py KLAMMD [SECONDS]
"""

import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402

import confluent_kafka  # noqa: E402
import confluent_kafka.admin  # noqa: E402

TOPIC = "churn"
PARTITIONS = 60
CLIENTS = 8
MEMORY_MIB = 24


def produce(address, chance):
    producer = confluent_kafka.Producer({
        "bootstrap.servers": address, "linger.ms": chance.choice([0, 5]),
        "acks": chance.choice(["0", "1", "all"]),
        "compression.type": chance.choice(["none", "gzip", "snappy", "lz4", "zstd"])})
    while True:
        try:
            producer.produce(TOPIC, chance.randbytes(chance.choice([5, 50, 500, 5000])),
                             partition=chance.randrange(PARTITIONS))
        except BufferError:
            pass
        producer.poll(0)


def consume(address, chance):
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": address, "group.id": "none", "enable.auto.commit": False,
        "fetch.min.bytes": chance.choice([1, 5000, 200000]),
        "fetch.wait.max.ms": chance.choice([10, 300, 1000]),
        "isolation.level": chance.choice(["read_committed", "read_uncommitted"])})
    partitions = chance.sample(range(PARTITIONS), chance.choice([1, 5, PARTITIONS]))
    consumer.assign([confluent_kafka.TopicPartition(TOPIC, partition, chance.choice([0, -1, -2]))
                     for partition in partitions])
    while True:
        for message in consumer.consume(500, 0.2):
            if message.error():
                sys.exit(str(message.error()))


def anonymous_mib(node):
    with open(f"/proc/{node.process.pid}/status") as status:
        for line in status:
            if line.startswith("RssAnon"):
                return int(line.split()[1]) / 1024
    return 0


def churn(node, seconds, chance):
    """Starts clients and kills one at random, again and again; returns how many there were."""
    clients = []
    count = 0
    end = time.monotonic() + seconds
    pace = __import__("threading").Event()
    while time.monotonic() < end:
        while len(clients) < CLIENTS:
            role = chance.choice(["produce", "consume", "consume"])
            clients.append(subprocess.Popen(
                [sys.executable, __file__, role, node.address, str(chance.random())]))
            count += 1
        pace.wait(0.3)
        victim = clients.pop(chance.randrange(len(clients)))
        status = victim.poll()
        assert status is None, f"a client ended by itself with {status}"
        victim.kill()
        victim.wait()
    for client in clients:
        client.kill()
        client.wait()
    return count


def main():
    roles = {"produce": produce, "consume": consume}
    if sys.argv[1] in roles:
        roles[sys.argv[1]](sys.argv[2], random.Random(sys.argv[3]))
        return
    # What is freed goes back at once: what the allocator would keep for later is not held by anybody.
    os.environ["MIMALLOC_DECOMMIT_DELAY"] = os.environ["MIMALLOC_PURGE_DELAY"] = "0"
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 12
    with processes.Klamm(sys.argv[1]) as node:
        node.start()
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": node.address})
        topic = confluent_kafka.admin.NewTopic(TOPIC, PARTITIONS, 1)
        for future in admin.create_topics([topic]).values():
            future.result(processes.DEADLINE_S)
        count = churn(node, seconds, random.Random(3))
        producer = confluent_kafka.Producer({"bootstrap.servers": node.address})
        producer.produce(TOPIC, b"still here", partition=0)
        assert producer.flush(processes.DEADLINE_S) == 0, "the broker does not serve any more"
        # It sees them leave, one after the other.
        processes.wait_until(lambda: anonymous_mib(node) < MEMORY_MIB,
                             f"less than {MEMORY_MIB} MiB after everybody left")
        memory = anonymous_mib(node)
        assert node.stop() == 0
        print(f"{count} clients came and went, {memory:.1f} MiB at the end")


if __name__ == "__main__":
    main()
