"""What tests of several nodes ask them, one connection a request; whoever imports this has wire's folder
(tests/differential) in the path.

`replicas` are the node ids of each partition of a topic, by partition.
"""

import contextlib
import random
import time

import processes
import wire

TOPIC_ALREADY_EXISTS = 36
# Of Produce, where another try may do: unknown topic, other leader, no answer in time, too few replicas.
TRY_AGAIN = (3, 5, 6, 7, 19, 20)


def call(node, name, version, values, timeout_s=processes.DEADLINE_S):
    connection = wire.Connection(node.port, timeout_s=timeout_s)
    try:
        return connection.call(name, version, values)
    finally:
        connection.close()


def wait(condition, what, deadline_s=processes.DEADLINE_S, alive=()):
    """Like wait_until; a node that is away or starting answers later, unless it is one of `alive`."""
    last = [None]

    def holds():
        for node in alive:
            assert node.process.poll() is None, f"a node has ended:\n{node.output()[-3000:]}"
        try:
            return condition()
        except (OSError, wire.Closed) as error:
            last[0] = error
            return False

    try:
        return processes.wait_until(holds, what, deadline_s)
    except TimeoutError as error:
        raise TimeoutError(f"{error}{f'; last: {last[0]!r}' if last[0] else ''}") from None


def broker_ids(node):
    return sorted(b["NodeId"] for b in call(node, "Metadata", 7, {"Topics": []})["Brokers"])


def partitions_of(node, topic):
    """The partitions that the node shows, by index; none when it does not know the topic."""
    answer = call(node, "Metadata", 7, {"Topics": [{"Name": topic}],
                                        "AllowAutoTopicCreation": False})["Topics"][0]
    return {p["PartitionIndex"]: p for p in answer["Partitions"]} if not answer["ErrorCode"] else {}


def try_create(node, topic, replicas):
    """The error code of CreateTopics."""
    return call(node, "CreateTopics", 5, {"Topics": [{
        "Name": topic, "NumPartitions": -1, "ReplicationFactor": -1, "Assignments": [
            {"PartitionIndex": index, "BrokerIds": ids} for index, ids in enumerate(replicas)]}],
        "TimeoutMs": 60000})["Topics"][0]["ErrorCode"]


def quorum_epoch(node):
    """The epoch of the metadata leader as the node's controller tells it; None while nobody can."""
    with contextlib.suppress(OSError, wire.Closed):
        answer = call(node, "DescribeQuorum", 0, {"Topics": [{
            "TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]})
        part = answer["Topics"][0]["Partitions"][0] if answer["ErrorCode"] == 0 else answer
        return part["LeaderEpoch"] if part["ErrorCode"] == 0 else None
    return None


def create(node, topic, replicas):
    """With a controller that goes before it has answered, the broker asks the next one: that one may
    find what its predecessor made."""
    before = quorum_epoch(node)
    error = try_create(node, topic, replicas)
    if error == TOPIC_ALREADY_EXISTS and before != quorum_epoch(node):
        wait(lambda: [sorted(part["ReplicaNodes"]) for _, part in sorted(
            partitions_of(node, topic).items())] == [sorted(ids) for ids in replicas], topic)
        return
    assert error == 0, f"{topic}: error {error}"


def produce(node, topic, partition, value, timeout_ms=20000, producer=(-1, -1, -1)):
    """The error code of a record with acks=all."""
    records = wire.batch([wire.record(0, b"key", value)], int(time.time() * 1000), producer=producer)
    answer = call(node, "Produce", 8, {"Acks": -1, "TimeoutMs": timeout_ms, "TopicData": [
        {"Name": topic, "PartitionData": [{"Index": partition, "Records": records}]}]},
        timeout_ms / 1000 + 30)
    return answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]


def leader_of(nodes, topic, partition):
    """The running node that finds itself leading, or None."""
    for node in nodes:
        if node.process.poll() is None:
            with contextlib.suppress(OSError, wire.Closed):
                part = partitions_of(node, topic).get(partition)
                if part and part["LeaderId"] == node.number:
                    return node
    return None


def write(nodes, topic, partition, values, timeout_ms=20000):
    """Each value once, with acks=all, at whoever leads; the last of those. What is not answered with success
    is sent again as the same record of an idempotent producer."""
    identity = random.SystemRandom().randrange(1 << 40)

    def taken(value, sequence):
        leader = leader_of(nodes, topic, partition)
        if not leader:
            return None
        error = produce(leader, topic, partition, value, timeout_ms, (identity, 0, sequence))
        assert error in (0, *TRY_AGAIN), f"{topic}-{partition}: error {error}"
        return leader if error == 0 else None

    for sequence, value in enumerate(values):
        leader = wait(lambda v=value, s=sequence: taken(v, s), f"{topic}-{partition} takes {value!r}")
    return leader


def is_in_sync(nodes, topic, replicas, leaders=None):
    """Every node shows all replicas in sync, each partition led by one of them, or by who is asked for."""
    for node in nodes:
        found = partitions_of(node, topic)
        if len(found) != len(replicas):
            return False
        for index, ids in enumerate(replicas):
            leader = found[index]["LeaderId"]
            if sorted(found[index]["IsrNodes"]) != sorted(ids) or leader not in ids:
                return False
            if leaders and leader != leaders[index]:
                return False
    return True


def reassign(node, topic, replicas):
    answer = call(node, "AlterPartitionReassignments", 0, {"TimeoutMs": 20000, "Topics": [{
        "Name": topic, "Partitions": [{"PartitionIndex": index, "Replicas": ids}
                                      for index, ids in enumerate(replicas)]}]})
    parts = [part for found in answer["Responses"] for part in found["Partitions"]]
    assert answer["ErrorCode"] == 0 and all(p["ErrorCode"] == 0 for p in parts), answer


def end_offsets(node, topic, count):
    """Of partitions [0, count), which the node leads."""
    answer = call(node, "ListOffsets", 5, {"ReplicaId": -1, "Topics": [{
        "Name": topic, "Partitions": [{"PartitionIndex": index, "Timestamp": -1}
                                      for index in range(count)]}]})
    return [part["Offset"] for part in answer["Topics"][0]["Partitions"]]


def active_controller(nodes):
    """The number of the one that leads the quorum, or None while there is none or nobody answers."""
    numbers = [node.number for node in nodes]
    for node in nodes:
        with contextlib.suppress(OSError, wire.Closed):
            answer = call(node, "DescribeQuorum", 0, {"Topics": [{
                "TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]}, 5)
            if answer["ErrorCode"] == 0:
                part = answer["Topics"][0]["Partitions"][0]
                if part["ErrorCode"] == 0 and part["LeaderId"] in numbers:
                    return part["LeaderId"]
    return None
