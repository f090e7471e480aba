"""Topics that ask for a codec, fed by idempotent producers of other codecs: nothing lost, in order.

Batches are large enough for the broker to convert them outside of its loops, so this is also a test
that appends of a partition keep the order in which they arrived.

usage: test_conversion.py KLAMMD [RECORDS]
"""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402

import confluent_kafka  # noqa: E402
import confluent_kafka.admin  # noqa: E402

PARTITIONS = 3
TOPICS = [("uncompressed", "delete"), ("gzip", "delete"), ("snappy", "compact"),
          ("lz4", "compact"), ("zstd", "delete")]
SOURCES = ["none", "zstd", "lz4"]
LETTERS = bytes(random.Random(6).choices(b"abcdef", k=1 << 22))  # values are cut from it


def create(address, topic, settings):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": address})
    new = confluent_kafka.admin.NewTopic(topic, PARTITIONS, 1, config=settings)
    for future in admin.create_topics([new]).values():
        future.result(processes.DEADLINE_S)


def produce(address, topic, codec, records, chance, sent):
    producer = confluent_kafka.Producer({
        "bootstrap.servers": address, "compression.type": codec, "enable.idempotence": True,
        "linger.ms": 20, "batch.size": 900000, "message.max.bytes": 950000})
    errors = []

    def delivered(error, _message):
        if error:
            errors.append(error)

    for number in range(records):
        partition = chance.randrange(PARTITIONS)
        size = chance.choice([10, 100, 2000])
        place = chance.randrange(len(LETTERS) - size)
        filling = LETTERS[place:place + size]
        value = b"%d-%d-%s" % (number, partition, filling)
        sent[partition].append(value)
        while True:
            try:
                producer.produce(topic, value, key=b"%d" % number, partition=partition,
                                 callback=delivered)
                break
            except BufferError:
                producer.poll(0.1)
    left = producer.flush(processes.DEADLINE_S)
    assert left == 0 and not errors, f"{topic} from {codec}: {left} left, {errors[:2]}"


def consume(address, topic, count):
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": address, "group.id": "none", "enable.auto.commit": False,
        "check.crcs": True})
    consumer.assign([confluent_kafka.TopicPartition(topic, partition, 0)
                     for partition in range(PARTITIONS)])
    got = [[] for _ in range(PARTITIONS)]
    end = time.monotonic() + processes.DEADLINE_S
    while sum(map(len, got)) < count and time.monotonic() < end:
        for message in consumer.consume(2000, 0.2):
            assert not message.error(), message.error()
            got[message.partition()].append(message.value())
    consumer.close()
    return got


def main():
    records = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    chance = random.Random(5)
    with processes.Klamm(sys.argv[1]) as node:
        node.start()
        for codec, cleanup in TOPICS:
            topic = f"to-{codec}"
            create(node.address, topic, {"compression.type": codec, "cleanup.policy": cleanup})
            sent = [[] for _ in range(PARTITIONS)]
            for source in SOURCES:
                produce(node.address, topic, source, records, chance, sent)
            got = consume(node.address, topic, records * len(SOURCES))
            assert got == sent, f"{topic}: {list(map(len, got))} of {list(map(len, sent))} agree"
            print(f"ok: {topic} ({cleanup})")
        assert node.stop() == 0


if __name__ == "__main__":
    main()
