#!/usr/bin/env python3
"""Records of __transaction_state as Apache Kafka writes them: key and value in hex, in log order.

usage: KLAMM_KAFKA_LIBS=<kafka>/libs transaction_records.py > transactions/records.hex

A node is started and asked for transactions of both protocols; then the feature is taken back to
level 0, and one more transaction shows the plain form of the value.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "differential"))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support"))
import processes  # noqa: E402
import transaction_scenarios  # noqa: E402
from group_scenarios import java_hash, records_of  # noqa: E402
from scenarios import create  # noqa: E402
from target import Target  # noqa: E402


def records(target, name):
    answer = target.call("Fetch", 12, {
        "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "Topics": [
            {"Topic": "__transaction_state", "Partitions": [
                {"Partition": abs(java_hash(name)) % 50, "FetchOffset": 0,
                 "PartitionMaxBytes": 1 << 20}]}]}, note=False)
    for key, value in records_of(answer["Responses"][0]["Partitions"][0]["Records"]):
        if key[4:] == name.encode():
            print(key.hex(), "null" if value is None else value.hex())


def main():
    with processes.Kafka() as kafka:
        kafka.start()
        target = Target("kafka", kafka.port)
        create(target, "topic", 4)
        producer = transaction_scenarios.begin(target, "golden")
        producer.add("topic", 3)
        producer.end(True)
        producer.add("topic", 1)
        producer.end(False)
        producer.produce("topic", 0, version=transaction_scenarios.NEW)
        producer.end(True, 5)
        producer.end(False, 5)
        producer.add("topic", 2)
        producer.init()
        records(target, "golden")
        target.call("UpdateFeatures", 1, {"TimeoutMs": 10000, "FeatureUpdates": [
            {"Feature": "transaction.version", "MaxVersionLevel": 0, "UpgradeType": 2}]})
        producer = transaction_scenarios.begin(target, "plain")
        producer.add("topic", 0)
        producer.end(True)
        records(target, "plain")
        target.disconnect()


if __name__ == "__main__":
    main()
