"""Replicas that leave a broker and come back to it, and settings of one broker set through another.

usage: test_moves.py KLAMMD
"""

import contextlib
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "differential"))
import processes  # noqa: E402
import wire  # noqa: E402
from loopback_nodes import BOTH, BROKER, KlammNode, Members  # noqa: E402

TOPIC = "moving"
PARTITIONS = 4
RECORDS = 20


def call(node, name, version, values):
    assert node.process.poll() is None, node.output()[-3000:]
    connection = wire.Connection(node.port, timeout_s=30)
    try:
        return connection.call(name, version, values)
    finally:
        connection.close()


def wait(condition, what):
    def holds():
        with contextlib.suppress(OSError, wire.Closed):
            return condition()
        return False

    processes.wait_until(holds, what, 60)


def is_in_sync(nodes, replicas):
    for node in nodes:
        answer = call(node, "Metadata", 7, {"Topics": [{"Name": TOPIC}]})["Topics"][0]
        if answer["ErrorCode"] != 0 or any(
                sorted(part["IsrNodes"]) != sorted(replicas) or part["LeaderId"] not in replicas
                for part in answer["Partitions"]):
            return False
    return True


def create(node, replicas):
    answer = call(node, "CreateTopics", 5, {"Topics": [{
        "Name": TOPIC, "NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [
            {"PartitionIndex": index, "BrokerIds": replicas} for index in range(PARTITIONS)]}],
        "TimeoutMs": 20000})["Topics"][0]
    assert answer["ErrorCode"] == 0, answer


def move(nodes, replicas):
    answer = call(nodes[0], "AlterPartitionReassignments", 0, {"TimeoutMs": 20000, "Topics": [{
        "Name": TOPIC, "Partitions": [{"PartitionIndex": index, "Replicas": replicas}
                                      for index in range(PARTITIONS)]}]})
    parts = answer["Responses"][0]["Partitions"]
    assert answer["ErrorCode"] == 0 and all(p["ErrorCode"] == 0 for p in parts), answer
    wait(lambda: is_in_sync(nodes, replicas), f"replicas on {replicas}")


def write(leader):
    records = wire.batch([wire.record(0, b"key", b"value" * 20)], int(time.time() * 1000))
    values = {"Acks": -1, "TimeoutMs": 20000, "TopicData": [{"Name": TOPIC, "PartitionData": [
        {"Index": index, "Records": records} for index in range(PARTITIONS)]}]}
    for _ in range(RECORDS):
        answer = call(leader, "Produce", 8, values)["Responses"][0]["PartitionResponses"]
        assert all(part["ErrorCode"] == 0 for part in answer), answer


def ends(leader):
    answer = call(leader, "ListOffsets", 5, {"ReplicaId": -1, "Topics": [{
        "Name": TOPIC, "Partitions": [{"PartitionIndex": index, "Timestamp": -1}
                                      for index in range(PARTITIONS)]}]})
    return [part["Offset"] for part in answer["Topics"][0]["Partitions"]]


def a_replica_comes_back_to_a_broker_that_gave_it_away(nodes):
    first, second = nodes
    create(first, [1, 2])
    wait(lambda: is_in_sync(nodes, [1, 2]), "both are in sync")
    write(first)
    # What a broker finds at its start is not what it has later.
    assert second.stop() == 0, second.output()
    second.start()
    wait(lambda: is_in_sync(nodes, [1, 2]), "both are in sync again")
    for _ in range(3):
        move(nodes, [1])
        move(nodes, [1, 2])
    write(first)
    move(nodes, [2])
    assert ends(second) == [2 * RECORDS] * PARTITIONS, ends(second)
    write(second)
    move(nodes, [2, 1])
    assert all(node.process.poll() is None for node in nodes)


def settings_of_one_broker_are_set_through_it(nodes):
    for node in nodes:
        answer = call(node, "IncrementalAlterConfigs", 1, {"Resources": [{
            "ResourceType": 4, "ResourceName": str(node.number), "Configs": [
                {"Name": "log.retention.ms", "ConfigOperation": 0, "Value": "123456789"}]}]})
        assert answer["Responses"][0]["ErrorCode"] == 0, answer

        def shown(node=node):
            found = call(node, "DescribeConfigs", 4, {"Resources": [{
                "ResourceType": 4, "ResourceName": str(node.number),
                "ConfigurationKeys": ["log.retention.ms"]}]})["Results"][0]["Configs"]
            return found and found[0]["Value"] == "123456789"

        wait(shown, f"node {node.number} shows its setting")


def main():
    members = Members({1: BOTH, 2: BROKER})
    with (KlammNode(sys.argv[1], members, 1) as first, KlammNode(sys.argv[1], members, 2) as second):
        nodes = (first, second)
        for node in nodes:
            node.format()
        for node in nodes:
            node.start(wait=False)
        wait(lambda: all(len(call(node, "Metadata", 7, {"Topics": []})["Brokers"]) == 2
                         for node in nodes), "two brokers")
        settings_of_one_broker_are_set_through_it(nodes)
        a_replica_comes_back_to_a_broker_that_gave_it_away(nodes)
        assert second.stop() == 0, second.output()
        assert first.stop() == 0, first.output()


if __name__ == "__main__":
    main()
