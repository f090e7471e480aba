"""A compacted topic of a real klammd: it shrinks while it is written to and keeps the last values.
So do the internal topics: offsets that were committed, in transactions too, are there after restarts.

Where Apache Kafka's jars are, its dump tool reads every file of the compacted directory, and Kafka
itself starts on it and serves the same last values.

usage: test_compaction.py KLAMMD
"""

import contextlib
import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import processes  # noqa: E402

import confluent_kafka  # noqa: E402
import confluent_kafka.admin  # noqa: E402

TOPIC = "compacted"
KEYS = 500
SEGMENT = 1 << 20
CLEANING = {"log.cleaner.backoff.ms": "100", "log.cleaner.min.cleanable.ratio": "0.3"}


def create(admin, name, config):
    topic = confluent_kafka.admin.NewTopic(name, 1, 1, config=config)
    admin.create_topics([topic])[name].result(processes.DEADLINE_S)


def size_of(node, topic=TOPIC):
    size = 0
    for path in glob.glob(f"{node.data}/{topic}-0/*.log"):
        with contextlib.suppress(FileNotFoundError):  # it was replaced just now
            size += os.path.getsize(path)
    return size


class Writer:
    """Writes values of a kilobyte under few keys, and remembers the last ones."""

    def __init__(self, node, codec, last):
        self.last = last
        self.count = 0
        self.producer = confluent_kafka.Producer({
            "bootstrap.servers": node.address, "acks": "all", "linger.ms": 5,
            "compression.type": codec, "enable.idempotence": True})

    def write(self, count):
        for _ in range(count):
            key = b"key-%d" % (self.count * 7919 % KEYS)
            value = b"%d " % self.count + b"." * 1000
            if self.count % 11 == 0:
                value = None
            self.last[key] = value
            self.count += 1
            self.producer.produce(TOPIC, key=key, value=value)
            self.producer.poll(0)
        assert self.producer.flush(processes.DEADLINE_S) == 0


def read_all(node):
    """(last value of each key, tombstones included; records read)"""
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": node.address, "group.id": "none", "enable.auto.commit": False,
        "check.crcs": True, "enable.partition.eof": True})
    low, high = consumer.get_watermark_offsets(confluent_kafka.TopicPartition(TOPIC, 0), processes.DEADLINE_S)
    consumer.assign([confluent_kafka.TopicPartition(TOPIC, 0, low)])
    last, count, offset = {}, 0, -1
    while True:
        message = consumer.poll(processes.DEADLINE_S)
        assert message is not None, f"nothing behind offset {offset} of {high}"
        if message.error():
            assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message
            break
        assert message.offset() > offset
        offset = message.offset()
        last[message.key()] = message.value()
        count += 1
    consumer.close()
    return last, count


def check_content(node, writer):
    last, count = read_all(node)
    assert last == writer.last, "other last values than were written"
    return count


def a_topic_shrinks_while_it_is_written_to(node, admin):
    create(admin, TOPIC, {"cleanup.policy": "compact", "segment.bytes": str(SEGMENT)})
    last = {}
    for codec in ("none", "zstd", "lz4"):
        writer = Writer(node, codec, last)
        for _ in range(12):
            writer.write(1000)
        if codec == "none":
            # Without compaction it would be 12 MB and more; what stays is the keys, about 0.5 MB,
            # the active segment and one or two that are not compacted yet.
            processes.wait_until(lambda: size_of(node) < 5 * SEGMENT, "a smaller topic")
            assert writer.count * 1000 > 11 * SEGMENT
        check_content(node, writer)
    output = node.output()
    assert "compacted compacted-0 from offset 0" in output, output[-2000:]
    assert "cannot be compacted" not in output
    return writer


def records_without_key_are_refused(node):
    failures = []
    producer = confluent_kafka.Producer({"bootstrap.servers": node.address})
    producer.produce(TOPIC, value=b"no key", on_delivery=lambda error, _: failures.append(error))
    producer.flush(processes.DEADLINE_S)
    assert failures[0].code() == confluent_kafka.KafkaError.INVALID_RECORD, failures


def a_restart_keeps_it(node, writer):
    assert node.stop() == 0
    checkpoint = open(os.path.join(node.data, "cleaner-offset-checkpoint")).read().split("\n")
    assert checkpoint[0] == "0" and checkpoint[2].startswith(f"{TOPIC} 0 "), checkpoint
    assert not glob.glob(f"{node.data}/*/*.cleaned") and not glob.glob(f"{node.data}/*/*.swap")
    node.start()
    check_content(node, writer)
    node.kill()
    node.start()
    check_content(node, writer)


def kafka_reads_it(node, writer):
    assert node.stop() == 0
    if not processes.kafka_libraries():
        return
    files = [path[:-4] + suffix for path in sorted(glob.glob(f"{node.data}/{TOPIC}-0/*.log"))
             for suffix in (".log", ".index", ".timeindex")]
    status, text = processes.kafka_tool("kafka.tools.DumpLogSegments", "--deep-iteration",
                                        "--index-sanity-check", "--files", ",".join(files))
    assert status == 0 and "isvalid: false" not in text and "Found" not in text, text[-3000:]
    assert text.count("Dumping ") == len(files), text[-3000:]
    kafka = processes.Kafka(CLEANING, directory=node.directory)
    kafka.port = node.port
    kafka.start()
    check_content(kafka, writer)
    assert kafka.stop() in (0, 143)


# ---- Internal topics ----

INTERNAL = {**CLEANING, "log.roll.ms": "500", "offsets.topic.num.partitions": "1",
            "transaction.state.log.num.partitions": "1", "num.partitions": "50",
            "offsets.topic.segment.bytes": str(SEGMENT),
            "transaction.state.log.segment.bytes": str(SEGMENT)}
PLACES = 50


def places(offset=confluent_kafka.OFFSET_INVALID):
    return [confluent_kafka.TopicPartition("input", place, offset) for place in range(PLACES)]


def check_committed(node, expected):
    for group, offset in expected.items():
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": node.address, "group.id": group, "isolation.level":
             "read_committed"})
        found = {place.offset for place in consumer.committed(places(), processes.DEADLINE_S)}
        consumer.close()
        assert found == {offset}, f"{group} committed {offset}, found {found}"


def commit_and_abort(node, rounds):
    """Offsets of a group without and of one with transactions; the last transaction is aborted."""
    plain = confluent_kafka.Consumer({"bootstrap.servers": node.address, "group.id": "plain"})
    member = confluent_kafka.Consumer({"bootstrap.servers": node.address, "group.id": "exact"})
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": node.address, "transactional.id": "compaction"})
    producer.init_transactions(processes.DEADLINE_S)
    expected = {}
    for turn in range(1, rounds + 1):
        plain.commit(offsets=places(turn), asynchronous=False)
        expected["plain"] = turn
        producer.begin_transaction()
        producer.send_offsets_to_transaction(places(turn), member.consumer_group_metadata(), processes.DEADLINE_S)
        if turn % 3 == 0:
            producer.abort_transaction(processes.DEADLINE_S)
        else:
            producer.commit_transaction(processes.DEADLINE_S)
            expected["exact"] = turn
    plain.close()
    member.close()
    return expected


def internal_topics_shrink_and_load(binary):
    with processes.Klamm(binary, INTERNAL) as node:
        node.start()
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": node.address})
        topic = confluent_kafka.admin.NewTopic("input", PLACES, 1)
        admin.create_topics([topic])["input"].result(processes.DEADLINE_S)
        for _ in range(2):
            begun = len(node.output())
            expected = commit_and_abort(node, 300)
            for name in ("__consumer_offsets", "__transaction_state"):
                processes.wait_until(lambda: f"compacted {name}-0 from" in node.output()[begun:],
                                     f"a compacted {name}")
            processes.wait_until(lambda: size_of(node, "__consumer_offsets") < 2 * SEGMENT,
                                 "a smaller __consumer_offsets")
            check_committed(node, expected)
            node.kill()
            node.start()
            check_committed(node, expected)
            assert node.stop() == 0
            node.start()
            check_committed(node, expected)
        assert "cannot be compacted" not in node.output()


def main():
    internal_topics_shrink_and_load(sys.argv[1])
    with processes.Klamm(sys.argv[1], CLEANING) as node:
        node.start()
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": node.address})
        writer = a_topic_shrinks_while_it_is_written_to(node, admin)
        records_without_key_are_refused(node)
        a_restart_keeps_it(node, writer)
        kafka_reads_it(node, writer)
    print("compaction: all passed")


if __name__ == "__main__":
    main()
