"""Many clients create and delete topics of the same few names at once.

A name's partition directory has one owner at a time, whichever shards the topics of that name live
on. Afterwards each name is made once more, and what is written to it survives the deletion of its
predecessors and a restart.

usage: test_names.py KLAMMD [CHANGES]
"""

import concurrent.futures
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402

import confluent_kafka  # noqa: E402
import confluent_kafka.admin  # noqa: E402

NAMES = ["one", "two"]
PARTITIONS = 3
CLIENTS = 8
RECORDS = 50
DELETE_DELAY_MS = "1000"
EXPECTED = {confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS,
            confluent_kafka.KafkaError.UNKNOWN_TOPIC_OR_PART}


def new_topic(name):
    return confluent_kafka.admin.NewTopic(name, PARTITIONS, 1,
                                          config={"file.delete.delay.ms": DELETE_DELAY_MS})


def change(address, wanted, seed, done, problems):
    """One client; counts what was carried out."""
    chance = random.Random(seed)
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": address})
    while len(done) < wanted and not problems:
        name = chance.choice(NAMES)
        create = chance.random() < 0.5
        futures = admin.create_topics([new_topic(name)]) if create else admin.delete_topics([name])
        try:
            futures[name].result(processes.DEADLINE_S)
            done.append(name)
        except confluent_kafka.KafkaException as problem:
            if problem.args[0].code() not in EXPECTED:
                problems.append(f"{name}: {problem}")
        except concurrent.futures.TimeoutError:
            problems.append(f"{name}: no answer")


def settle(admin, name):
    """Deletes the name if it is there and creates it again."""
    try:
        admin.delete_topics([name])[name].result(processes.DEADLINE_S)
    except confluent_kafka.KafkaException as problem:
        assert problem.args[0].code() in EXPECTED, problem
    admin.create_topics([new_topic(name)])[name].result(processes.DEADLINE_S)


def write(address, name):
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "acks": "all"})
    for number in range(RECORDS):
        producer.produce(name, str(number).encode(), partition=number % PARTITIONS)
    assert producer.flush(processes.DEADLINE_S) == 0


def read(address, name):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "none",
                                         "enable.auto.commit": False})
    consumer.assign([confluent_kafka.TopicPartition(name, partition, 0)
                     for partition in range(PARTITIONS)])
    found, end = [], time.monotonic() + processes.DEADLINE_S
    while len(found) < RECORDS and time.monotonic() < end:
        for message in consumer.consume(RECORDS, 0.2):
            assert message.error() is None, message.error()
            found.append(int(message.value()))
    consumer.close()
    assert sorted(found) == list(range(RECORDS)), f"{name}: {sorted(found)}"


def main():
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    with processes.Klamm(sys.argv[1]) as node:
        node.start()
        done, problems = [], []
        clients = [threading.Thread(target=change, args=(node.address, wanted, seed, done, problems))
                   for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert not problems, problems[:5]
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": node.address})
        for name in NAMES:
            settle(admin, name)
            write(node.address, name)
        processes.wait_until(
            lambda: not [entry for entry in os.listdir(node.data) if entry.endswith("-delete")],
            "what was deleted is gone")
        for name in NAMES:
            read(node.address, name)
        assert node.stop() == 0
        node.start()
        for name in NAMES:
            read(node.address, name)
        assert node.stop() == 0
        for line in node.output().splitlines():
            assert "cannot" not in line and "offline" not in line, line
        print(f"{len(done)} topics came and went under {len(NAMES)} names")


if __name__ == "__main__":
    main()
