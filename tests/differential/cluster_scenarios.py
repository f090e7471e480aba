"""What administrators ask about brokers and the placement of partitions, on clusters of one node."""

from scenarios import create


def reassignments(target, topic):
    create(target, topic, 2)

    def one(replicas, partition=0, name=topic, **fields):
        return {"TimeoutMs": 10000, **fields, "Topics": [{"Name": name, "Partitions": [
            {"PartitionIndex": partition, "Replicas": replicas}]}]}

    for version in range(0, 2):
        for label, values in {
            "as it is": one([1]),
            "unknown topic": one([1], name="missing-" + topic),
            "unknown partition": one([1], partition=9),
            "negative partition": one([1], partition=-1),
            "unknown broker": one([9]),
            "one broker more": one([1, 9]),
            "broker twice": one([1, 1]),
            "nobody": one([]),
            "back": one(None),
            "back for an unknown topic": one(None, name="missing-" + topic),
            "no topics": {"TimeoutMs": 10000, "Topics": []},
            "no partitions": {"TimeoutMs": 10000, "Topics": [{"Name": topic, "Partitions": []}]},
            "some good, some bad": {"TimeoutMs": 10000, "Topics": [{"Name": topic, "Partitions": [
                {"PartitionIndex": 1, "Replicas": [1]}, {"PartitionIndex": 0, "Replicas": [5]}]}]},
        }.items():
            target.call("AlterPartitionReassignments", version, values, label)
    target.call("AlterPartitionReassignments", 1, one(
        [1], AllowReplicationFactorChange=False), "count stays")
    target.call("AlterPartitionReassignments", 1, one(
        [], AllowReplicationFactorChange=False), "count may not change")
    for label, topics in {
        "all": None,
        "none": [],
        "not moving": [{"Name": topic, "PartitionIndexes": [0, 1]}],
        "unknown": [{"Name": "missing-" + topic, "PartitionIndexes": [0]},
                    {"Name": topic, "PartitionIndexes": [9]}],
    }.items():
        target.call("ListPartitionReassignments", 0, {"TimeoutMs": 10000, "Topics": topics}, label)
    target.call("Metadata", 9, {"Topics": [{"Name": topic}]}, "after")


def unregister_broker(target, topic):
    for broker in (9, -1):
        target.call("UnregisterBroker", 0, {"BrokerId": broker}, f"broker {broker}")


SCENARIOS = [reassignments, unregister_broker]
