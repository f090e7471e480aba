"""Data directories change hands between Klamm and Apache Kafka.

 1. Klamm writes records of every codec, idempotent batches, deletes records, rolls segments, stops.
 2. Kafka's own dump tool reads every file of the directory.
 3. Kafka starts on the directory, serves the same records, writes more and stops.
 4. Klamm starts on it again, serves all of them, and stops.

usage: interchange.py KLAMMD [--self]     (--self: Kafka plays Klamm's part, to check the test)
"""

import glob
import gzip
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import processes  # noqa: E402
import scenarios  # noqa: E402
import wire  # noqa: E402
from target import Target  # noqa: E402

PARTITIONS = 3
KINDS = ("*.log", "*.index", "*.timeindex", "*.txnindex", "*.snapshot", "*.checkpoint")
NOW = scenarios.NOW


def gzip_batch(records, timestamp):
    body = gzip.compress(b"".join(records))
    return wire.batch([body], timestamp, attributes=1, count=len(records))


def write(target, topic, base):
    """A few hundred batches; values tell who wrote them."""
    for number in range(300):
        records = [wire.record(i, b"key %d" % (number % 7), b"%s %d %d " % (base, number, i) + b"." *
                               (number * 13 % 400)) for i in range(1 + number % 5)]
        timestamp = NOW + number * 10
        data = gzip_batch(records, timestamp) if number % 4 == 0 else wire.batch(records, timestamp)
        answer = scenarios.produce(target, topic, data, partition=number % PARTITIONS, note=False)
        part = answer["Responses"][0]["PartitionResponses"][0]
        assert part["ErrorCode"] == 0, f"{target.name}: {part}"
    for sequence in range(4):
        data = scenarios.simple_batch(3, producer=(9000 + len(base), 0, sequence * 3))
        scenarios.produce(target, topic, data, note=False)


def content(target, topic):
    """Everything that can be fetched: per partition the bytes from the log start on, and offsets."""
    found = []
    for partition in range(PARTITIONS):
        answer = target.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": partition, "Timestamp": -2}]}]},
            note=False)
        offset = answer["Topics"][0]["Partitions"][0]["Offset"]
        start, data = offset, b""
        while True:
            values = scenarios.fetch_values(target, topic, 12, offset=offset, partition=partition)
            part = target.call("Fetch", 12, values, note=False)["Responses"][0]["Partitions"][0]
            assert part["ErrorCode"] == 0, f"{target.name}: {part}"
            records = part["Records"] or b""
            if not records:
                break
            data += records
            at = 0
            while at < len(records):
                base = int.from_bytes(records[at:at + 8], "big")
                length = int.from_bytes(records[at + 8:at + 12], "big")
                offset = base + int.from_bytes(records[at + 23:at + 27], "big") + 1
                at += 12 + length
        found.append((start, offset, data))
    return found


def same(ours, theirs, what):
    for partition, (one, other) in enumerate(zip(ours, theirs)):
        assert one[:2] == other[:2], f"{what}, partition {partition}: {one[:2]} and {other[:2]}"
        assert one[2] == other[2], f"{what}, partition {partition}: the bytes differ"


def dump_all(data):
    """Runs Kafka's dump tool over every file it knows, once for each way of looking; returns how many it read."""
    files = [path for kind in KINDS for path in sorted(glob.glob(os.path.join(data, "*", kind)))
             if os.path.getsize(path) or kind == "*.log"]
    metadata = [path for path in files if "__cluster_metadata" in path]
    indexes = [path for path in files if path not in metadata and path.endswith(".index")]
    others = [path for path in files if path not in metadata + indexes]
    count = 0
    for group, option in ((metadata, "--cluster-metadata-decoder"), (indexes, "--index-sanity-check"),
                          (others, "--print-data-log")):
        if not group:
            continue
        status, text = processes.kafka_tool(
            "kafka.tools.DumpLogSegments", option, "--files", ",".join(group))
        bad = [line for line in text.splitlines() if any(
            word in line for word in ("rror", "Exception", "ismatch", "isvalid: false",
                                      "Non-consecutive", "Found timestamp", "Indexed offset",
                                      "corrupt", "could not"))]
        assert status == 0 and not bad, f"{option}: status {status}\n" + "\n".join(
            bad[:10] or text.splitlines()[-10:])
        dumped = text.count("Dumping ")
        assert dumped == len(group), f"{option}: {dumped} of {len(group)} files"
        count += dumped
    return count


def main():
    if not processes.kafka_libraries():
        print("skipped: KLAMM_KAFKA_LIBS names no folder with Kafka's jars, or there is no Java")
        return 77
    first = processes.Kafka() if "--self" in sys.argv else processes.Klamm(sys.argv[1])
    with first:
        first.start()
        klamm = Target("klamm", first.port)
        for topic, configs in (("moving", {"segment.bytes": "1048576"}),
                               ("cut", {"index.interval.bytes": "100"})):
            scenarios.create(klamm, topic, PARTITIONS, configs)
            write(klamm, topic, b"first")
        klamm.call("DeleteRecords", 2, {"Topics": [{"Name": "cut", "Partitions": [
            {"PartitionIndex": 1, "Offset": 17}]}], "TimeoutMs": 5000}, note=False)
        before = {topic: content(klamm, topic) for topic in ("moving", "cut")}
        klamm.disconnect()
        status = first.stop()
        assert status in (0, 143), f"clean stop ended with {status}:\n{first.output()[-3000:]}"
        print(f"dump tool: {dump_all(first.data)} files read")

        second = processes.Kafka(directory=first.directory)
        second.log_path = os.path.join(first.directory, "kafka.log")
        second.start()
        kafka = Target("kafka", second.port)
        for topic in before:
            scenarios.settle(kafka, topic, PARTITIONS)
            same(before[topic], content(kafka, topic), f"{topic} under Kafka")
            write(kafka, topic, b"second")
        duplicate = scenarios.produce(kafka, "moving", scenarios.simple_batch(
            3, producer=(9005, 0, 9)), note=False)["Responses"][0]["PartitionResponses"][0]
        assert duplicate["ErrorCode"] == 0, f"producer state is lost: {duplicate}"
        scenarios.create(kafka, "new", PARTITIONS)
        write(kafka, "new", b"second")
        after = {topic: content(kafka, topic) for topic in ("moving", "cut", "new")}
        kafka.disconnect()
        second.stop()

        first.start()
        klamm = Target("klamm", first.port)
        for topic in after:
            scenarios.settle(klamm, topic, PARTITIONS)
            same(content(klamm, topic), after[topic], f"{topic} back under Klamm")
        klamm.disconnect()
        first.stop()
        print(f"dump tool: {dump_all(first.data)} files read")
    print("1 passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
