#!/usr/bin/env python3
"""Records of __consumer_offsets as Apache Kafka writes them: type, key, value in hex, in log order.

usage: KLAMM_KAFKA_LIBS=<kafka>/libs group_records.py > groups/classic.hex

A node is started, asked for the commits and joins below, and the partition is fetched.
"""
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "differential"))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))
import group_scenarios  # noqa: E402
import processes  # noqa: E402
from scenarios import create  # noqa: E402
from target import Target  # noqa: E402


def part(index, offset, metadata, **fields):
    return {"PartitionIndex": index, "CommittedOffset": offset, "CommittedMetadata": metadata,
            **fields}


def main():
    group, topic = "golden", "topic"
    with processes.Kafka() as kafka:
        kafka.start()
        target = Target("kafka", kafka.port)
        create(target, topic, 4)
        group_scenarios.settle_coordinator(target, group)
        outsider = {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": ""}
        for version, topics in (
                (2, [part(0, 2, "kept for long")]),
                (9, [part(1, 9, "", CommittedLeaderEpoch=0), part(2, 10, "grüße"),
                     part(3, 11, None)])):
            target.call("OffsetCommit", version, {
                **outsider, **({"RetentionTimeMs": 1 << 40} if version == 2 else {}),
                "Topics": [{"Name": topic, "Partitions": topics}]})
        target.call("OffsetCommit", 10, {**outsider, "Topics": [
            {"TopicId": target.topic_id(topic), "Partitions": [part(1, 12, "by id")]}]})
        one = group_scenarios.Member(target, group, "alpha", "one")
        two = group_scenarios.Member(target, group, "beta")
        one.join(9)
        one.sync(5, [(one, b"everything")])
        two.send_join(9)
        two.joined(9)
        two.send_join(9)
        group_scenarios.settled(target, group, "PreparingRebalance")
        one.join(9)
        two.joined(9)
        two.send_sync(5)
        one.sync(5, [(one, b"half of it"), (two, b"the other half")])
        two.synced(5)
        target.call("OffsetDelete", 0, {"GroupId": group, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": 3}]}]})
        answer = target.call("Fetch", 12, {
            "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "Topics": [
                {"Topic": "__consumer_offsets", "Partitions": [
                    {"Partition": group_scenarios.java_hash(group) % 50, "FetchOffset": 0,
                     "PartitionMaxBytes": 1 << 20}]}]})
        for key, value in group_scenarios.records_of(
                answer["Responses"][0]["Partitions"][0]["Records"]):
            print(struct.unpack_from(">h", key)[0], key.hex(),
                  "null" if value is None else value.hex())


if __name__ == "__main__":
    main()
