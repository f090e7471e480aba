"""Request sequences that are sent to both brokers. Each function gets a fresh topic prefix.

A scenario tells nothing about what is right: Apache Kafka's answer is. It only has to be the same
for any correct broker, so requests that race with time are followed up until they settle.
"""

import time
import uuid

import processes
import wire

NOW = int(time.time() * 1000)
NOBODY = uuid.UUID("00000000-0000-0000-0000-00000000beef")


def settle(target, topic, partitions):
    """Waits until all partitions of a topic have a leader (not noted)."""
    def has_leaders():
        answer = target.call("Metadata", 9, {"Topics": [{"Name": topic}],
                                             "AllowAutoTopicCreation": False}, note=False)
        found = answer["Topics"][0]
        if found["ErrorCode"] != 0 or len(found["Partitions"]) != partitions or any(
                part["ErrorCode"] != 0 or part["LeaderId"] < 0 for part in found["Partitions"]):
            return False
        probe = target.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": p, "Timestamp": -1}
                                           for p in range(partitions)]}]}, note=False)
        return all(part["ErrorCode"] == 0 for part in probe["Topics"][0]["Partitions"])

    processes.wait_until(has_leaders, f"{target.name}: leaders of {topic}")


def retry(call, *errors):
    """Asks until the answer is none of the errors; returns it."""
    def other_answer():
        answer = call()
        return answer if answer.get("ErrorCode") not in errors else None

    return processes.wait_until(other_answer, f"an answer that is none of {errors}")


def create(target, topic, partitions=1, configs=None, note=False):
    target.call("CreateTopics", 7, {"Topics": [{
        "Name": topic, "NumPartitions": partitions, "ReplicationFactor": 1,
        "Configs": [{"Name": k, "Value": v} for k, v in (configs or {}).items()]}],
        "TimeoutMs": 20000}, note=note)
    settle(target, topic, partitions)


def produce(target, topic, records, version=9, acks=-1, partition=0, note=True, label=None):
    name = {"TopicId": target.topic_id(topic)} if version >= 13 else {"Name": topic}
    return target.call("Produce", version, {"Acks": acks, "TimeoutMs": 10000, "TopicData": [
        {**name, "PartitionData": [{"Index": partition, "Records": records}]}]}, label, note)


def simple_batch(count=3, timestamp=NOW, **fields):
    return wire.batch([wire.record(i, b"k%d" % i, b"v%d" % i) for i in range(count)], timestamp,
                      **fields)


def fetch_values(target, topic, version, offset=0, partition=0, **fields):
    name = {"TopicId": target.topic_id(topic)} if version >= 13 else {"Topic": topic}
    return {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, **{
        key: value for key, value in fields.items() if key[0].isupper()},
        "Topics": [{**name, "Partitions": [
            {"Partition": partition, "FetchOffset": offset,
             "PartitionMaxBytes": fields.get("partition_max", 1 << 20)}]}]}


def api_versions(target, topic):
    for version in range(0, 5):
        values = {"ClientSoftwareName": "tester", "ClientSoftwareVersion": "1.0"} \
            if version >= 3 else {}
        answer = target.call("ApiVersions", version, values, note=False)
        target.note(f"error v{version}", answer["ErrorCode"])
        if "SupportedFeatures" in answer:
            target.note(f"features v{version}", sorted(f["Name"] for f in
                                                      answer["SupportedFeatures"]))
        names = {api.key: name for name, api in wire.APIS.items()}
        target.note(f"ranges v{version}", {names.get(key["ApiKey"], str(key["ApiKey"])): [
            key["MinVersion"], key["MaxVersion"]] for key in answer["ApiKeys"]})
    for name, software in (("", "1"), ("a b", "1"), ("-a", "1"), ("a", ""), ("a-b.c", "1.0-x")):
        answer = target.call("ApiVersions", 3, {"ClientSoftwareName": name,
                                                "ClientSoftwareVersion": software}, note=False)
        target.note(f"software {name!r} {software!r}", answer["ErrorCode"])


def unsupported(target, topic):
    """Versions and keys that nobody serves: the connection closes, ApiVersions excepted."""
    import struct
    for key, version in ((3, 99), (0, 2), (1, 3), (4, 0), (999, 0), (-1, 0), (18, 99), (18, -1)):
        connection = target.connect()
        header = struct.pack(">hhih", key, version, 7, 1) + b"c" + b"\0" * (version >= 3)
        connection.raw(struct.pack(">i", len(header)) + header)
        try:
            size = struct.unpack(">i", connection.receive(4))[0]
            answer = connection.receive(size)[:16].hex() if key == 18 else "answered"
        except wire.Closed:
            answer = "closed"
        target.note(f"key {key} version {version}", answer)
    for size in (-1, 0, 1, 7, 2000000000):
        connection = target.connect()
        try:
            connection.raw(struct.pack(">i", size) + b"\0" * 7)
            connection.socket.shutdown(1)
            connection.receive(4)
            answer = "answered"
        except (wire.Closed, OSError):
            answer = "closed"
        target.note(f"frame size {size}", answer)
    target.disconnect()


def metadata(target, topic):
    create(target, topic, 3)
    for version in range(0, 14):
        named = {"Topics": [{"Name": topic}]}
        target.call("Metadata", version, named, "one topic")
        target.call("Metadata", version, {"Topics": [{"Name": "missing-" + topic}],
                                          "AllowAutoTopicCreation": False}
                    if version >= 4 else named, "unknown topic")
        if version >= 4:
            target.call("Metadata", version, {"Topics": [{"Name": "bad name"}],
                                              "AllowAutoTopicCreation": True}, "bad name")
        if version >= 1:
            target.call("Metadata", version, {"Topics": []}, "no topics")
        if version >= 8:
            target.call("Metadata", version, {**named, "IncludeTopicAuthorizedOperations": True},
                        "operations")
        if version >= 10:
            target.call("Metadata", version, {"Topics": [{"TopicId": NOBODY, "Name": None}]},
                        "unknown id")
            target.call("Metadata", version, {"Topics": [
                {"TopicId": target.topic_id(topic), "Name": None}]}, "by id")


def create_topics(target, topic):
    def one(**fields):
        return {"Topics": [{"Name": topic + "-c", "NumPartitions": 1, "ReplicationFactor": 1,
                            **fields}], "TimeoutMs": 20000, "ValidateOnly": True}

    for version in range(2, 8):
        target.call("CreateTopics", version, one(), "validate")
        if version >= 4:
            target.call("CreateTopics", version, one(NumPartitions=-1, ReplicationFactor=-1),
                        "defaults")
    for label, fields in {
        "no partitions": {"NumPartitions": 0},
        "minus two partitions": {"NumPartitions": -2},
        "no replicas": {"ReplicationFactor": 0},
        "two replicas": {"ReplicationFactor": 2},
        "empty name": {"Name": ""},
        "dot": {"Name": "."},
        "dots": {"Name": ".."},
        "bad character": {"Name": "a/b"},
        "name of 249": {"Name": "a" * 249},
        "name of 250": {"Name": "a" * 250},
        "metadata topic": {"Name": "__cluster_metadata"},
        "unknown config": {"Configs": [{"Name": "no.such.key", "Value": "1"}]},
        "bad config": {"Configs": [{"Name": "retention.ms", "Value": "soon"}]},
        "config below range": {"Configs": [{"Name": "segment.bytes", "Value": "1"}]},
        "null config": {"Configs": [{"Name": "retention.ms", "Value": None}]},
        "good config": {"Configs": [{"Name": "retention.ms", "Value": "1000"}]},
        "cleanup list": {"Configs": [{"Name": "cleanup.policy", "Value": "compact,delete"}]},
        "cleanup wrong": {"Configs": [{"Name": "cleanup.policy", "Value": "burn"}]},
        "assignment": {"NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [
            {"PartitionIndex": 0, "BrokerIds": [1]}, {"PartitionIndex": 1, "BrokerIds": [1]}]},
        "assignment and counts": {"Assignments": [{"PartitionIndex": 0, "BrokerIds": [1]}]},
        "assignment gap": {"NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [
            {"PartitionIndex": 1, "BrokerIds": [1]}]},
        "assignment twice": {"NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [
            {"PartitionIndex": 0, "BrokerIds": [1]}, {"PartitionIndex": 0, "BrokerIds": [1]}]},
        "assignment unknown broker": {"NumPartitions": -1, "ReplicationFactor": -1,
                                      "Assignments": [{"PartitionIndex": 0, "BrokerIds": [9]}]},
        "assignment duplicate broker": {"NumPartitions": -1, "ReplicationFactor": -1,
                                        "Assignments": [{"PartitionIndex": 0,
                                                         "BrokerIds": [1, 1]}]},
        "assignment empty": {"NumPartitions": -1, "ReplicationFactor": -1,
                             "Assignments": [{"PartitionIndex": 0, "BrokerIds": []}]},
    }.items():
        target.call("CreateTopics", 5, one(**fields), label)
        target.call("CreateTopics", 7, one(**fields), label)
    target.call("CreateTopics", 7, {"Topics": [
        {"Name": topic + "-t", "NumPartitions": 1, "ReplicationFactor": 1}] * 2,
        "TimeoutMs": 20000}, "twice")
    target.call("CreateTopics", 7, {"Topics": [
        {"Name": topic, "NumPartitions": 2, "ReplicationFactor": 1}], "TimeoutMs": 20000}, "real")
    settle(target, topic, 2)
    target.call("CreateTopics", 7, one(Name=topic), "exists")
    target.call("CreateTopics", 7, one(Name=topic + ".a_b"), "with dot")
    create(target, topic + ".a")
    target.call("CreateTopics", 7, one(Name=topic + "_a"), "collides")


def delete_topics(target, topic):
    for version in range(1, 7):
        name = f"{topic}-{version}"
        create(target, name)
        if version < 6:
            values = {"TopicNames": [name, "missing-" + topic], "TimeoutMs": 20000}
        else:
            values = {"Topics": [{"Name": name}, {"Name": "missing-" + topic},
                                 {"Name": None, "TopicId": NOBODY}], "TimeoutMs": 20000}
        answer = target.call("DeleteTopics", version, values, note=False)
        answer["Responses"].sort(key=lambda r: r["Name"] or "")
        target.note(f"DeleteTopics v{version}", answer)

        def after(name=name):  # Kafka answers before its brokers know
            answer = target.call("Metadata", 9, {
                "Topics": [{"Name": name}], "AllowAutoTopicCreation": False}, note=False)
            return answer if answer["Topics"][0]["ErrorCode"] != 0 else None

        target.note(f"Metadata after DeleteTopics v{version}",
                    processes.wait_until(after, f"{target.name}: the end of {name}"))
    create(target, topic)
    identifier = target.topic_id(topic)
    target.call("DeleteTopics", 6, {"Topics": [{"Name": topic, "TopicId": identifier}],
                                    "TimeoutMs": 20000}, "name and id")
    target.call("DeleteTopics", 6, {"Topics": [{"Name": topic}, {"Name": topic}],
                                    "TimeoutMs": 20000}, "twice")
    target.call("DeleteTopics", 6, {"Topics": [{"Name": None, "TopicId": identifier}],
                                    "TimeoutMs": 20000}, "by id")


def create_partitions(target, topic):
    create(target, topic, 2)
    for version in range(0, 4):
        for label, fields in {
            "same": {"Count": 2}, "fewer": {"Count": 1}, "more": {"Count": 3},
            "unknown": {"Name": "missing-" + topic, "Count": 3},
            "zero": {"Count": 0},
            "assigned": {"Count": 3, "Assignments": [{"BrokerIds": [1]}]},
            "assigned wrong count": {"Count": 4, "Assignments": [{"BrokerIds": [1]}]},
            "assigned unknown broker": {"Count": 3, "Assignments": [{"BrokerIds": [7]}]},
            "assigned too many": {"Count": 3, "Assignments": [{"BrokerIds": [1, 2]}]},
        }.items():
            target.call("CreatePartitions", version, {
                "Topics": [{"Name": topic, "Assignments": None, **fields}], "TimeoutMs": 20000,
                "ValidateOnly": True}, label)
    target.call("CreatePartitions", 3, {"Topics": [
        {"Name": topic, "Count": 5, "Assignments": None}] * 2, "TimeoutMs": 20000,
        "ValidateOnly": False}, "twice")
    target.call("CreatePartitions", 3, {"Topics": [
        {"Name": topic, "Count": 5, "Assignments": None}], "TimeoutMs": 20000,
        "ValidateOnly": False}, "real")
    settle(target, topic, 5)
    target.call("Metadata", 9, {"Topics": [{"Name": topic}]}, "after")


def produce_versions(target, topic):
    create(target, topic, 2)
    for version in range(3, 14):
        produce(target, topic, simple_batch(), version)
    produce(target, topic, simple_batch(), 9, acks=1, label="acks 1")
    produce(target, topic, simple_batch(), 9, acks=2, label="acks 2")
    produce(target, topic, simple_batch(), 9, partition=7, label="unknown partition")
    for version in (3, 9, 12):
        target.call("Produce", version, {"Acks": -1, "TimeoutMs": 1000, "TopicData": [
            {"Name": "missing-" + topic, "PartitionData": [
                {"Index": 0, "Records": simple_batch()}]}]}, "unknown topic")
    target.call("Produce", 13, {"Acks": -1, "TimeoutMs": 1000, "TopicData": [
        {"TopicId": NOBODY, "PartitionData": [{"Index": 0, "Records": simple_batch()}]}]},
        "unknown id")


def produce_bad_batches(target, topic):
    """Each case has a partition of its own, so that one does not move the offsets of the next."""
    create(target, topic + "-compact", 1, {"cleanup.policy": "compact"})
    good = simple_batch()
    flipped = good[:70] + bytes([good[70] ^ 1]) + good[71:]
    cases = {
        "empty": b"", "short": good[:40], "cut": good[:-3],
        "two batches": good + good, "wrong crc": simple_batch(crc=1), "flipped": flipped,
        "base offset": simple_batch(base_offset=5), "count more": simple_batch(count=4, delta=3),
        "count less": simple_batch(count=2, delta=1), "delta wrong": simple_batch(delta=7),
        "count zero": wire.batch([], NOW), "count minus": simple_batch(count=-1, delta=2),
        "control": simple_batch(attributes=0x20), "append time bit": simple_batch(attributes=8),
        "transactional": simple_batch(attributes=0x10),
        "pid without sequence": simple_batch(producer=(5, 0, -1)),
        "magic 1": simple_batch(magic=1), "magic 3": simple_batch(magic=3),
        "length small": simple_batch(length=10), "length minus": simple_batch(length=-1),
        "old timestamp": simple_batch(timestamp=1), "no timestamp": simple_batch(timestamp=-1),
        "future": simple_batch(timestamp=NOW + 2 * 3600 * 1000),
        "trailing bytes": wire.batch([wire.record(0, b"k", b"v") + b"xyz"], NOW),
        "record longer": wire.batch([b"\x7e" + wire.record(0, b"k", b"v")[1:]], NOW),
        "delta jump": wire.batch([wire.record(0, b"k", b"v"), wire.record(2, b"k", b"v")], NOW),
        "max timestamp wrong": simple_batch(max_timestamp=NOW + 1000),
        "codec 5": simple_batch(attributes=5), "codec gzip of nothing": simple_batch(attributes=1),
        "unknown producer epoch": simple_batch(producer=(4000, 3, 7)),
        "large": wire.batch([wire.record(0, b"k", b"v" * 1100000)], NOW),
    }
    create(target, topic, len(cases))
    for partition, (label, records) in enumerate(cases.items()):
        for version in (3, 8, 11):
            produce(target, topic, records, version, partition=partition, label=label)
        target.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": partition, "Timestamp": -1}]}]},
            "after " + label)
    keyless = wire.batch([wire.record(0, b"k", b"v"), wire.record(1, None, b"v")], NOW)
    for version in (7, 9):
        produce(target, topic + "-compact", keyless, version, label="no key in compacted")


def produce_append_time(target, topic):
    create(target, topic, 1, {"message.timestamp.type": "LogAppendTime"})
    produce(target, topic, simple_batch())
    produce(target, topic, simple_batch(timestamp=1), label="old")
    answer = target.call("Fetch", 11, fetch_values(target, topic, 11), note=False)
    data = answer["Responses"][0]["Partitions"][0]["Records"]
    target.note("attributes", data[21:23].hex())


def idempotent(target, topic):
    create(target, topic)
    def init(version, fields):
        """Asks again while the broker has no producer ids yet (14)."""
        return retry(lambda: target.call("InitProducerId", version, {
            "TransactionTimeoutMs": 60000, **fields}, note=False), 14)

    for version in range(0, 6):
        answer = init(version, {"TransactionalId": None})
        target.note(f"InitProducerId v{version}", [answer["ErrorCode"], answer["ProducerEpoch"],
                                                   answer["ProducerId"] >= 0])
    for label, fields in {"empty id": {"TransactionalId": ""},
                          "epoch without id": {"TransactionalId": None, "ProducerEpoch": 3},
                          "id without epoch": {"TransactionalId": None, "ProducerId": 3},
                          "both": {"TransactionalId": None, "ProducerId": 3, "ProducerEpoch": 3},
                          }.items():
        target.note(label, init(4, fields)["ErrorCode"])
    producer = 777000
    steps = [("first", 0, 0, 3), ("second", 0, 3, 3), ("second again", 0, 3, 3),
             ("first again", 0, 0, 3), ("gap", 0, 9, 1), ("overlap", 0, 4, 2),
             ("new epoch from 5", 1, 5, 1), ("new epoch", 1, 0, 2), ("old epoch", 0, 6, 1)]
    steps += [(f"more {i}", 1, 2 + i, 1) for i in range(7)]
    steps += [("out of window", 1, 0, 2), ("within window", 1, 5, 1)]
    for label, epoch, sequence, count in steps:
        produce(target, topic, simple_batch(count, producer=(producer, epoch, sequence)), 9,
                label=label)
    wrap = 2**31 - 2
    for label, sequence, count in (("near the end", wrap, 2), ("wrapped", 0, 1)):
        produce(target, topic, simple_batch(count, producer=(producer + 1, 0, sequence)), 9,
                label=label)
    answer = target.call("DescribeProducers", 0, {"Topics": [
        {"Name": topic, "PartitionIndexes": [0, 5]},
        {"Name": "missing-" + topic, "PartitionIndexes": [0]}]}, note=False)
    for found in answer["Topics"]:
        for part in found["Partitions"]:
            part["ActiveProducers"] = sorted(
                [p["ProducerId"], p["ProducerEpoch"], p["LastSequence"], p["CoordinatorEpoch"],
                 p["CurrentTxnStartOffset"]] for p in part["ActiveProducers"])
    target.note("DescribeProducers", answer)


def list_offsets(target, topic):
    create(target, topic, 2)
    for i in range(4):
        produce(target, topic, simple_batch(3, timestamp=NOW - 1000 + i * 100), note=False)
    for version in range(1, 12):
        for timestamp in (-1, -2, -3, -4, -5, -6, -7, 0, NOW - 1000, NOW - 950, NOW - 700, NOW):
            target.call("ListOffsets", version, {
                "ReplicaId": -1, "TimeoutMs": 1000, "Topics": [{"Name": topic, "Partitions": [
                    {"PartitionIndex": 0, "Timestamp": timestamp, "CurrentLeaderEpoch": -1}]}]},
                f"timestamp {timestamp if timestamp <= 0 else timestamp - NOW}")
    for label, part in {"empty partition": {"PartitionIndex": 1, "Timestamp": -3},
                        "unknown partition": {"PartitionIndex": 9, "Timestamp": -1},
                        "old epoch": {"PartitionIndex": 0, "Timestamp": -1,
                                      "CurrentLeaderEpoch": 0},
                        "new epoch": {"PartitionIndex": 0, "Timestamp": -1,
                                      "CurrentLeaderEpoch": 50}}.items():
        target.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [
            {"Name": topic, "Partitions": [part]}]}, label)
    target.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": [
        {"PartitionIndex": 0, "Timestamp": -1}] * 2}]}, "same twice")
    target.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [
        {"Name": "missing-" + topic, "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]},
        "unknown topic")


def fetch(target, topic):
    create(target, topic, 2)
    for i in range(4):
        produce(target, topic, simple_batch(3, timestamp=NOW + i), note=False)
    for version in range(4, 19):
        target.call("Fetch", version, fetch_values(target, topic, version), "from 0")
        target.call("Fetch", version, fetch_values(target, topic, version, offset=4), "mid-batch")
        target.call("Fetch", version, fetch_values(target, topic, version, offset=12), "end")
        target.call("Fetch", version, fetch_values(target, topic, version, offset=13), "past end")
        target.call("Fetch", version, fetch_values(target, topic, version, offset=-1), "minus")
        target.call("Fetch", version, fetch_values(target, topic, version, partition_max=1),
                    "one byte")
        target.call("Fetch", version, fetch_values(target, topic, version, MaxBytes=100,
                                                   partition_max=100), "100 bytes")
        target.call("Fetch", version, fetch_values(target, topic, version, IsolationLevel=1),
                    "committed")
        target.call("Fetch", version, fetch_values(target, topic, version, partition=8),
                    "unknown partition")
    target.call("Fetch", 12, {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "Topics": [
        {"Topic": "missing-" + topic, "Partitions": [
            {"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 100}]}]}, "unknown topic")
    target.call("Fetch", 13, {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "Topics": [
        {"TopicId": NOBODY, "Partitions": [
            {"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 100}]}]}, "unknown id")
    for epoch in (0, 5):
        values = fetch_values(target, topic, 12)
        values["Topics"][0]["Partitions"][0]["CurrentLeaderEpoch"] = epoch
        target.call("Fetch", 12, values, f"epoch {epoch}")
    for last in (0, 5):
        values = fetch_values(target, topic, 12, offset=12)
        values["Topics"][0]["Partitions"][0]["LastFetchedEpoch"] = last
        target.call("Fetch", 12, values, f"last fetched epoch {last}")


def whole_batches(records):
    """How many whole batches stand in a fetched range; Kafka may cut the last one."""
    count, position = 0, 0
    while position + 12 <= len(records or b""):
        position += 12 + int.from_bytes(records[position + 8:position + 12], "big")
        count += position <= len(records)
    return count


def fetch_many(target, topic):
    """Several partitions and topics in one request: who gets how much."""
    create(target, topic, 4)
    create(target, topic + "-2", 1)
    for partition in (0, 1, 3):
        for _ in range(4):
            produce(target, topic, simple_batch(), 9, partition=partition, note=False)
    produce(target, topic + "-2", simple_batch(), 9, note=False)
    size = len(simple_batch())

    def ask(label, order, version=12, **fields):
        values = {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 1, "MaxBytes": 1 << 20,
                  "Topics": [], **fields}
        limit = values.pop("limit", 1 << 20)
        for name, partition, offset in order:
            values["Topics"].append({"Topic": name, "Partitions": [
                {"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": limit}]})
        answer = target.call("Fetch", version, values, note=False)
        for found in answer["Responses"]:
            for part in found["Partitions"]:
                part["Records"] = whole_batches(part["Records"])
        target.note(label, answer)

    every = [(topic, p, 0) for p in range(4)]
    for version in (4, 11, 12):
        ask(f"all v{version}", every, version)
        ask(f"reversed v{version}", every[::-1], version)
    for room in (0, 1, size - 1, size, 2 * size, 5 * size, 9 * size):
        ask(f"{room * 100 // size} % of a batch", every, MaxBytes=room)
        ask(f"{room * 100 // size} % of a batch each", every, limit=room)
    ask("the first is empty", [(topic, 2, 0)] + every[:2], MaxBytes=1)
    ask("two topics", [(topic + "-2", 0, 0), (topic, 1, 3), (topic, 3, 6)])
    ask("an error among them", [(topic, 0, 99), (topic, 1, 0), (topic, 9, 0)], MaxBytes=1)
    ask("nothing", [])


def fetch_sessions(target, topic):
    create(target, topic, 2)
    produce(target, topic, simple_batch(), note=False)

    def step(label, session, epoch, topics, version=12, forgotten=()):
        answer = target.call("Fetch", version, {
            "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "SessionId": session,
            "SessionEpoch": epoch, "Topics": topics, "ForgottenTopicsData": list(forgotten)},
            note=False)
        found = answer["SessionId"]
        answer["SessionId"] = "<session>" if found else 0
        target.note(label, answer)
        return found

    def part(partition, offset, name=topic):
        return [{"Topic": name, "Partitions": [
            {"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}]}]

    session = step("open", 0, 0, part(0, 0) + part(1, 0)[:0])
    step("nothing new at 0", session, 1, [])
    step("move on", session, 2, part(0, 3))
    step("empty", session, 3, [])
    produce(target, topic, simple_batch(), note=False)
    step("news", session, 4, [])
    step("add partition", session, 5, part(1, 0))
    step("wrong epoch", session, 9, [])
    step("unknown session", session + 12345, 1, [])
    step("forget", session, 6, [], forgotten=[{"Topic": topic, "Partitions": [0]}])
    step("after forgetting", session, 7, [])
    step("unknown topic joins", session, 8, part(0, 0, "missing-" + topic))
    step("still unknown", session, 9, [])
    step("ids in a session of names", session, 10, [], version=13)
    step("close", session, -1, part(0, 0))
    step("closed", session, 11, [])
    step("sessionless", 0, -1, part(0, 0))


def offsets_for_epoch(target, topic):
    create(target, topic)
    produce(target, topic, simple_batch(), note=False)
    for version in range(2, 5):
        for current, epoch in ((-1, 0), (-1, 1), (-1, -1), (0, 0), (9, 0)):
            target.call("OffsetForLeaderEpoch", version, {"ReplicaId": -1, "Topics": [
                {"Topic": topic, "Partitions": [{"Partition": 0, "CurrentLeaderEpoch": current,
                                                 "LeaderEpoch": epoch}]}]},
                        f"current {current} epoch {epoch}")
    target.call("OffsetForLeaderEpoch", 4, {"ReplicaId": -1, "Topics": [
        {"Topic": "missing-" + topic, "Partitions": [{"Partition": 0, "LeaderEpoch": 0}]}]},
        "unknown topic")


def delete_records(target, topic):
    create(target, topic, 2)
    for _ in range(3):
        produce(target, topic, simple_batch(), note=False)

    def values(offset, partition=0, name=topic):
        return {"Topics": [{"Name": name, "Partitions": [
            {"PartitionIndex": partition, "Offset": offset}]}], "TimeoutMs": 5000}

    for version in range(0, 3):
        target.call("DeleteRecords", version, values(1 + version), "forward")
        target.call("DeleteRecords", version, values(0), "back")
        target.call("DeleteRecords", version, values(100), "beyond")
        target.call("DeleteRecords", version, values(-2), "minus two")
        target.call("DeleteRecords", version, values(0, 9), "unknown partition")
        target.call("DeleteRecords", version, values(0, 0, "missing-" + topic), "unknown topic")
    for timestamp in (-1, -2, -3, -4):
        target.call("ListOffsets", 8, {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": [
            {"PartitionIndex": 0, "Timestamp": timestamp}]}]}, f"offset {timestamp}")
    target.call("Fetch", 12, fetch_values(target, topic, 12, offset=0), "below the start")
    target.call("Fetch", 12, fetch_values(target, topic, 12, offset=4), "from the rest")
    target.call("DeleteRecords", 2, values(-1), "all")
    target.call("Fetch", 12, fetch_values(target, topic, 12, offset=9), "at the end")
    create(target, topic + "-compact", 1, {"cleanup.policy": "compact"})
    target.call("DeleteRecords", 2, values(0, 0, topic + "-compact"), "compacted")


def describe_cluster(target, topic):
    target.every("DescribeCluster", lambda version: {
        "IncludeClusterAuthorizedOperations": version == 1})
    target.call("DescribeCluster", 1, {"EndpointType": 3}, "unknown endpoint type")


def describe_topic_partitions(target, topic):
    create(target, topic, 5)

    def values(names=(topic,), limit=2000, cursor=None):
        return {"Topics": [{"Name": name} for name in names], "ResponsePartitionLimit": limit,
                "Cursor": cursor}

    target.call("DescribeTopicPartitions", 0, values(), "all")
    target.call("DescribeTopicPartitions", 0, values(limit=2), "two")
    target.call("DescribeTopicPartitions", 0, values(limit=2, cursor={
        "TopicName": topic, "PartitionIndex": 2}), "two more")
    target.call("DescribeTopicPartitions", 0, values(limit=2, cursor={
        "TopicName": topic, "PartitionIndex": 9}), "past the end")
    target.call("DescribeTopicPartitions", 0, values(cursor={
        "TopicName": topic, "PartitionIndex": -1}), "minus one")
    target.call("DescribeTopicPartitions", 0, values(cursor={
        "TopicName": topic + "z", "PartitionIndex": 0}), "cursor elsewhere")
    target.call("DescribeTopicPartitions", 0, values(("missing-" + topic, topic)), "one missing")
    target.call("DescribeTopicPartitions", 0, values(("bad name",)), "bad name")
    target.call("DescribeTopicPartitions", 0, values(limit=0), "limit 0")


def describe_log_dirs(target, topic):
    create(target, topic, 2)
    produce(target, topic, simple_batch(), note=False)
    for version in range(1, 5):
        for label, asked in {"one": [{"Topic": topic, "Partitions": [0]}],
                             "unknown": [{"Topic": "missing-" + topic, "Partitions": [0]}],
                             "none": []}.items():
            answer = target.call("DescribeLogDirs", version, {"Topics": asked}, note=False)
            for result in answer["Results"]:
                result["LogDir"] = "<directory>"
                for field in ("TotalBytes", "UsableBytes"):
                    if field in result:
                        result[field] = result[field] > 0
            target.note(f"v{version} {label}", answer)


def odd_partition_requests(target, topic):
    """Requests about partitions that no client would send: repeated, empty, out of any range."""
    create(target, topic, 2)
    produce(target, topic, simple_batch(), note=False)

    def offsets(label, topics, **fields):
        answer = target.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": topics, **fields},
                             note=False)
        for found in answer["Topics"]:
            found["Partitions"].sort(key=lambda part: part["PartitionIndex"])
        answer["Topics"].sort(key=lambda found: found["Name"])
        target.note(label, answer)

    latest = {"PartitionIndex": 0, "Timestamp": -1}
    other = {"PartitionIndex": 1, "Timestamp": 0}
    offsets("repeated in one topic", [{"Name": topic, "Partitions": [latest, other, latest]}])
    offsets("repeated in two topics", [{"Name": topic, "Partitions": [latest, other]},
                                       {"Name": topic, "Partitions": [latest]}])
    offsets("no partitions", [{"Name": topic, "Partitions": []}])
    offsets("bad names", [{"Name": "bad name", "Partitions": [latest]},
                          {"Name": "", "Partitions": [latest]}])
    for replica, isolation in ((-1, 0), (-1, 1), (-1, 2), (-2, 0), (-3, 1), (7, 0), (7, 9)):
        offsets(f"replica {replica} isolation {isolation}", [
            {"Name": topic, "Partitions": [latest, other]}], ReplicaId=replica,
            IsolationLevel=isolation)
    for partition in (-1, 2**31 - 1):
        target.call("DeleteRecords", 2, {"TimeoutMs": 0, "Topics": [{"Name": topic, "Partitions": [
            {"PartitionIndex": partition, "Offset": 0}]}]}, f"partition {partition}")
    for name in ("bad name", "", "__cluster_metadata"):
        target.call("DeleteRecords", 2, {"TimeoutMs": 0, "Topics": [{"Name": name, "Partitions": [
            {"PartitionIndex": 0, "Offset": 0}]}]}, f"topic {name!r}")
    for epoch in (-1, -2, -2**31, 2**31 - 1):
        target.call("OffsetForLeaderEpoch", 4, {"ReplicaId": 7, "Topics": [
            {"Topic": topic, "Partitions": [{"Partition": 0, "LeaderEpoch": epoch}] * 2}]},
            f"epoch {epoch} twice")
    for name in (topic, "missing-" + topic, "bad name", ""):
        target.call("DescribeProducers", 0, {"Topics": [
            {"Name": name, "PartitionIndexes": [0, 0, -1, 7]}]}, f"topic {name!r}")
    for asked in ([{"Topic": topic, "Partitions": [0, 0, -1, 7]}, {"Topic": topic,
                                                                   "Partitions": [0]}],
                  [{"Topic": "bad name", "Partitions": [0]}]):
        answer = target.call("DescribeLogDirs", 4, {"Topics": asked}, note=False)
        target.note("DescribeLogDirs", answer["Results"][0]["Topics"])


def find_coordinator_errors(target, topic):
    """What is refused; what is found depends on how far the broker's own topics are."""
    for version in range(1, 7):
        keys = {"CoordinatorKeys": ["g", "h", "g"]} if version >= 4 else {"Key": "g"}
        for kind in (-1, 2, 3, 127):
            target.call("FindCoordinator", version, {**keys, "KeyType": kind}, f"type {kind}")
    target.call("FindCoordinator", 4, {"CoordinatorKeys": [], "KeyType": 0}, "no keys")
    some = "AAAAAAAAAAAAAAAAAAAAAA"
    target.call("FindCoordinator", 6, {"KeyType": 2, "CoordinatorKeys": [
        "", f"a:b:{some}:0", f":{some}:0", f" :{some}:0", f"g:{some}:x", f"g:{some}:",
        f"g:{some}", f"g:{some[1:]}:0", f"g:{some}:99999999999", "g::0", f"g:{some[1:]}!:0"]},
        "share keys")
    for timeout in (0, -1, 900001):
        target.call("InitProducerId", 4, {"TransactionalId": "t", "TransactionTimeoutMs": timeout},
                    f"timeout {timeout}")


def pipelining(target, topic):
    """Many requests on one connection before the first answer: order, and acks=0 among them."""
    create(target, topic, 2)
    target.topic_id(topic)

    def values(partition, acks=-1, name=topic, records=None):
        return {"Acks": acks, "TimeoutMs": 10000, "TopicData": [{"Name": name, "PartitionData": [
            {"Index": partition, "Records": records or simple_batch()}]}]}

    latest = {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": [
        {"PartitionIndex": p, "Timestamp": -1} for p in range(2)]}]}

    def send(requests):
        """All requests in one write; then as many answers as are due."""
        connection = target.connect()
        sent = [(name, version, *connection.frame(name, version, fields))
                for name, version, fields in requests]
        connection.raw(b"".join(data for _, _, data, _ in sent))
        answers = []
        for (name, version, _, number), (_, _, fields) in zip(sent, requests):
            if fields.get("Acks") == 0:
                continue
            try:
                answered, answer = connection.answer(name, version)
                answers.append([name, answered - number, answer])
            except wire.Closed:
                answers.append([name, "closed"])
                break
        target.disconnect()
        return answers

    for label, requests in {
        "produce 20 times": [("Produce", 9, values(i % 2)) for i in range(20)],
        "everything": [("Produce", 9, values(0)), ("ListOffsets", 7, latest),
                       ("Produce", 9, values(1, 1)), ("Fetch", 12, fetch_values(
                           target, topic, 12, offset=36)), ("ListOffsets", 7, latest),
                       ("Metadata", 9, {"Topics": []})],
        "acks 0": [("Produce", 9, values(0, 0)), ("Produce", 9, values(1, 0)),
                   ("Produce", 9, values(0)), ("Produce", 9, values(1)),
                   ("ListOffsets", 7, latest)],
        "acks 0 for nobody": [("Produce", 9, values(0, 0, "missing-" + topic)),
                              ("ListOffsets", 7, latest)],
        "acks 0 with a bad batch": [("Produce", 9, values(0, 0, records=simple_batch(crc=1))),
                                    ("ListOffsets", 7, latest)],
        "acks 0 behind others": [("Produce", 9, values(0)), ("ListOffsets", 7, latest),
                                 ("Produce", 9, values(9, 0)), ("ListOffsets", 7, latest)],
    }.items():
        target.note(label, send(requests))
    target.call("ListOffsets", 7, latest, "at the end")


def coordinators_and_rest(target, topic):
    """Requests whose answers do not need a group: errors and single-node truths."""
    for version in range(0, 2):
        target.call("ElectLeaders", version, {"ElectionType": 0, "TimeoutMs": 5000,
                    "TopicPartitions": [{"Topic": "missing-" + topic, "Partitions": [0]}]},
                    "unknown")
    create(target, topic)
    for version in range(0, 3):
        target.call("ElectLeaders", version, {"ElectionType": 0, "TimeoutMs": 5000,
                    "TopicPartitions": [{"Topic": topic, "Partitions": [0, 4]}]}, "preferred")
        target.call("ElectLeaders", version, {"ElectionType": 1, "TimeoutMs": 5000,
                    "TopicPartitions": [{"Topic": topic, "Partitions": [0]}]}, "unclean")
    for version in range(0, 3):
        for label, update in {
            "unknown feature": {"Feature": "no.such.feature", "MaxVersionLevel": 1},
            "level too high": {"Feature": "metadata.version", "MaxVersionLevel": 9999},
        }.items():
            target.call("UpdateFeatures", version, {"timeoutMs": 5000, "FeatureUpdates": [update]},
                        label)
    for version in range(0, 3):
        answer = target.call("DescribeQuorum", version, {"Topics": [
            {"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]},
            note=False)
        part = answer["Topics"][0]["Partitions"][0]
        target.note(f"quorum v{version}", [answer["ErrorCode"], part["ErrorCode"],
                                           part["LeaderId"], part["HighWatermark"] > 0,
                                           [v["ReplicaId"] for v in part["CurrentVoters"]],
                                           [v["ReplicaId"] for v in part["Observers"]]])
        target.call("DescribeQuorum", version, {"Topics": [
            {"TopicName": topic, "Partitions": [{"PartitionIndex": 0}]}]}, "other topic")


SCENARIOS = [api_versions, unsupported, metadata, create_topics, delete_topics, create_partitions,
             produce_versions, produce_bad_batches, produce_append_time, idempotent, list_offsets,
             fetch, fetch_many, fetch_sessions, offsets_for_epoch, delete_records, describe_cluster,
             describe_topic_partitions, describe_log_dirs, odd_partition_requests,
             find_coordinator_errors, pipelining, coordinators_and_rest]
