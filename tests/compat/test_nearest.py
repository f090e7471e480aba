"""Consumers that name their rack read from the replica in it (KIP-392), and from the leader where there
is none in sync.

usage: test_nearest.py KLAMMD
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "differential")]
from cluster_requests import broker_ids, call, create, is_in_sync, wait, write  # noqa: E402
from confluent_kafka import Consumer, TopicPartition  # noqa: E402
from loopback_nodes import BOTH, BROKER, KlammNode, Members, looked_after, start_all  # noqa: E402

TOPIC = "near"
RECORDS = 50
RACKS = {1: "a", 2: "b", 3: "c"}
SETTINGS = {"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
            "broker.session.timeout.ms": "10000", "broker.heartbeat.interval.ms": "500",
            "auto.leader.rebalance.enable": "false"}
NOT_LEADER, OFFSET_OUT_OF_RANGE = 6, 1


def write_some(leader):
    write([leader], TOPIC, 0, [b"value %d" % number for number in range(RECORDS)])


def fetch(node, rack, offset=0, version=11):
    answer = call(node, "Fetch", version, {
        "ReplicaId": -1, "MaxWaitMs": 500, "MinBytes": 1, "MaxBytes": 1 << 20, "SessionId": 0,
        "SessionEpoch": -1, "RackId": rack, "Topics": [{"Topic": TOPIC, "Partitions": [
            {"Partition": 0, "CurrentLeaderEpoch": -1, "FetchOffset": offset,
             "LogStartOffset": -1, "PartitionMaxBytes": 1 << 20}]}]})
    part = answer["Responses"][0]["Partitions"][0]
    return part["ErrorCode"], part["PreferredReadReplica"], len(part["Records"] or b"")


def the_replica_in_the_rack_is_named_and_serves(nodes):
    leader, second, third = nodes
    for rack, replica in (("b", 2), ("c", 3)):
        wait(lambda r=rack, n=replica: fetch(leader, r) == (0, n, 0), f"rack {rack}", alive=nodes)
    for rack in ("a", "elsewhere", ""):
        error, replica, size = fetch(leader, rack)
        assert (error, replica) == (0, -1) and size > 0, (rack, error, replica, size)
    # A follower's watermark is a fetch behind the leader's.
    wait(lambda: fetch(second, "b", RECORDS - 1)[2] > 0, "the last record at the follower")
    assert fetch(second, "b")[:2] == (0, -1)
    # Whoever is sent to it is not sent on, whatever it says.
    assert fetch(second, "c")[:2] == (0, -1)
    assert fetch(third, "b", RECORDS + 1000)[0] == OFFSET_OUT_OF_RANGE
    # Before KIP-392 a client does not know that a follower can answer.
    answer = call(third, "Fetch", 10, {
        "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 1, "MaxBytes": 1 << 20, "SessionEpoch": -1,
        "Topics": [{"Topic": TOPIC, "Partitions": [{"Partition": 0, "PartitionMaxBytes": 1 << 20}]}]})
    assert answer["Responses"][0]["Partitions"][0]["ErrorCode"] == NOT_LEADER, answer


class Reader:
    """A stock client in a rack, and how many records it has had."""

    def __init__(self, nodes, rack):
        self.consumer = Consumer({
            "bootstrap.servers": ",".join(node.address for node in nodes), "group.id": "unused",
            "client.rack": rack, "enable.auto.commit": False, "auto.offset.reset": "error",
            "log_level": 0, "reconnect.backoff.max.ms": 500})
        self.consumer.assign([TopicPartition(TOPIC, 0, 0)])
        self.offsets = []

    def read_to(self, end):
        def has_all():
            for message in self.consumer.consume(1000, 0.2):
                if message.error() is None:
                    self.offsets.append(message.offset())
            return len(self.offsets) >= end

        wait(has_all, f"{end} records")
        assert self.offsets == list(range(end)), self.offsets


def who_reads_there_reads_on_without_it(nodes):
    """Stock clients of the rack; one that has been sent to a replica may wait for it for minutes."""
    leader, second, third = nodes
    sent_there = Reader(nodes, "b")
    sent_there.read_to(RECORDS)
    second.kill()
    write_some(leader)
    wait(lambda: is_in_sync([leader, third], TOPIC, [[1, 3]]), "the near one is out", alive=[leader])
    assert fetch(leader, "b")[1] == -1
    Reader(nodes, "b").read_to(2 * RECORDS)
    second.start(wait=False)
    wait(lambda: is_in_sync(nodes, TOPIC, [[1, 2, 3]]), "the near one is back", alive=nodes)
    wait(lambda: fetch(leader, "b") == (0, 2, 0), "it is named again", alive=nodes)
    write_some(leader)
    sent_there.read_to(3 * RECORDS)
    Reader(nodes, "b").read_to(3 * RECORDS)


def main():
    members = Members({1: BOTH, 2: BROKER, 3: BROKER})
    nodes = [KlammNode(sys.argv[1], members, number, {**SETTINGS, "broker.rack": RACKS[number]})
             for number in members.roles]
    with looked_after(nodes):
        start_all(nodes)
        wait(lambda: broker_ids(nodes[0]) == [1, 2, 3], "three brokers", alive=nodes)
        create(nodes[0], TOPIC, [[1, 2, 3]])
        wait(lambda: is_in_sync(nodes, TOPIC, [[1, 2, 3]], [1]), "followers", alive=nodes)
        write_some(nodes[0])
        the_replica_in_the_rack_is_named_and_serves(nodes)
        who_reads_there_reads_on_without_it(nodes)
    print("2 passed, 0 failed")


if __name__ == "__main__":
    main()
