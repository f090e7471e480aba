"""Brokers of one partition go one after the other, and only who still has every committed record may
lead it when the first is back (KIP-966).

usage: test_eligible.py KLAMMD
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
from loopback_nodes import (  # noqa: E402
    BROKER, CONTROLLER, KlammNode, Members, looked_after, start_all)

TOPIC = "eligible"
NOT_ENOUGH_REPLICAS = 19


def call(node, name, version, values):
    connection = wire.Connection(node.port, timeout_s=processes.DEADLINE_S)
    try:
        return connection.call(name, version, values)
    finally:
        connection.close()


def partition(node):
    answer = call(node, "DescribeTopicPartitions", 0, {
        "Topics": [{"Name": TOPIC}], "ResponsePartitionLimit": 10, "Cursor": None})
    part = answer["Topics"][0]["Partitions"][0]
    return (part["LeaderId"], sorted(part["IsrNodes"]),
            sorted(part["EligibleLeaderReplicas"] or []), part["LastKnownElr"] or [])


def await_state(node, leader, isr, eligible, last=()):
    wanted, seen = (leader, isr, eligible, list(last)), None

    def holds():
        nonlocal seen
        assert node.process.poll() is None, "the node has ended"
        with contextlib.suppress(OSError, wire.Closed, IndexError):
            seen = partition(node)
        return seen == wanted

    try:
        processes.wait_until(holds, f"leader, in sync, eligible, last known: {wanted}")
    except TimeoutError:
        print("seen instead:", seen)
        raise


def produce(node):
    records = wire.batch([wire.record(0, b"key", b"value" * 20)], int(time.time() * 1000))
    answer = call(node, "Produce", 8, {"Acks": -1, "TimeoutMs": 20000, "TopicData": [{
        "Name": TOPIC, "PartitionData": [{"Index": 0, "Records": records}]}]})
    return answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]


def end_of(node):
    answer = call(node, "ListOffsets", 5, {"ReplicaId": -1, "Topics": [{
        "Name": TOPIC, "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]})
    return answer["Topics"][0]["Partitions"][0]["Offset"]


def only_who_has_everything_leads(nodes):
    _, first, second, third = nodes
    answer = call(first, "CreateTopics", 5, {"Topics": [{
        "Name": TOPIC, "NumPartitions": -1, "ReplicationFactor": -1,
        "Assignments": [{"PartitionIndex": 0, "BrokerIds": [2, 3, 4]}]}], "TimeoutMs": 20000})
    assert answer["Topics"][0]["ErrorCode"] == 0, answer
    await_state(first, 2, [2, 3, 4], [])
    assert produce(first) == 0
    assert third.stop() == 0, third.output()
    await_state(first, 2, [2, 3], [])
    assert produce(first) == 0  # which the third does not have
    assert second.stop() == 0, second.output()
    await_state(first, 2, [2], [3])
    assert produce(first) == NOT_ENOUGH_REPLICAS
    first.kill()

    # The one that is back first has been away for too long.
    third.start(wait=False)
    await_state(third, -1, [], [2, 3], [2])
    # The next left in order, and nothing was committed since.
    second.start(wait=False)
    await_state(second, 3, [3, 4], [])
    assert end_of(second) == 2, end_of(second)
    assert produce(second) == 0
    first.start(wait=False)
    await_state(second, 3, [2, 3, 4], [])
    assert end_of(second) == 3, end_of(second)


def a_crash_ends_eligibility(nodes):
    _, first, second, third = nodes
    leader, other = second, first
    assert third.stop() == 0, third.output()
    await_state(leader, 3, [2, 3], [])
    other.kill()
    await_state(leader, 3, [3], [2])
    other.start(wait=False)
    # It loses its place with its registration, and gets it back by fetching.
    await_state(leader, 3, [2, 3], [])
    assert produce(leader) == 0
    third.start(wait=False)
    await_state(leader, 3, [2, 3, 4], [])


def main():
    members = Members({1: CONTROLLER, 2: BROKER, 3: BROKER, 4: BROKER})
    nodes = [KlammNode(sys.argv[1], members, number, {
        "min.insync.replicas": "2", "broker.session.timeout.ms": "10000",
        "broker.heartbeat.interval.ms": "500", "auto.leader.rebalance.enable": "false",
        "offsets.topic.replication.factor": "1"}) for number in members.roles]
    with looked_after(nodes):
        nodes[0].format()
        start_all(nodes)
        only_who_has_everything_leads(nodes)
        a_crash_ends_eligibility(nodes)
        for node in reversed(nodes):
            assert node.stop() == 0, node.output()
    print("2 passed, 0 failed")


if __name__ == "__main__":
    main()
