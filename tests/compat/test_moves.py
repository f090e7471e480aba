"""Replicas that leave a broker and come back to it, and settings of one broker set through another.

usage: test_moves.py KLAMMD
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "differential"))
import cluster_requests  # noqa: E402
from cluster_requests import (broker_ids, call, create, end_offsets, is_in_sync,  # noqa: E402
                              reassign, wait)
from loopback_nodes import BOTH, BROKER, KlammNode, Members, looked_after  # noqa: E402

TOPIC = "moving"
PARTITIONS = 4
RECORDS = 20


def move(nodes, replicas):
    reassign(nodes[0], TOPIC, [replicas] * PARTITIONS)
    wait_in_sync(nodes, replicas)


def wait_in_sync(nodes, replicas):
    wait(lambda: is_in_sync(nodes, TOPIC, [replicas] * PARTITIONS), f"replicas on {replicas}",
         alive=nodes)


def write(nodes):
    for index in range(PARTITIONS):
        cluster_requests.write(nodes, TOPIC, index, [b"value" * 20] * RECORDS)


def a_replica_comes_back_to_a_broker_that_gave_it_away(nodes):
    first, second = nodes
    create(first, TOPIC, [[1, 2]] * PARTITIONS)
    wait_in_sync(nodes, [1, 2])
    write(nodes)
    # What a broker finds at its start is not what it has later.
    assert second.stop() == 0, second.output()
    second.start()
    wait_in_sync(nodes, [1, 2])
    for _ in range(3):
        move(nodes, [1])
        move(nodes, [1, 2])
    write(nodes)
    move(nodes, [2])
    wait(lambda: end_offsets(second, TOPIC, PARTITIONS) == [2 * RECORDS] * PARTITIONS, "every record",
         alive=nodes)
    write(nodes)
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

        wait(shown, f"node {node.number} shows its setting", alive=nodes)


def main():
    members = Members({1: BOTH, 2: BROKER})
    nodes = [KlammNode(sys.argv[1], members, number) for number in members.roles]
    with looked_after(nodes):
        first, second = nodes
        for node in nodes:
            node.format()
        for node in nodes:
            node.start(wait=False)
        wait(lambda: all(broker_ids(node) == [1, 2] for node in nodes), "two brokers", alive=nodes)
        settings_of_one_broker_are_set_through_it(nodes)
        a_replica_comes_back_to_a_broker_that_gave_it_away(nodes)
        assert second.stop() == 0, second.output()
        assert first.stop() == 0, first.output()


if __name__ == "__main__":
    main()
