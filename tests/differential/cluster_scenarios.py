"""What administrators ask about brokers and the placement of partitions, on clusters of one node."""

import time

import processes
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


def entity(**parts):
    """Keyword arguments are kinds with '_' for '-'; None is the default entity."""
    return [{"EntityType": kind.replace("_", "-"), "EntityName": name}
            for kind, name in parts.items()]


def client_quotas(target, topic):
    def op(key, value=None):
        return {"Key": key, "Value": 0.0 if value is None else value, "Remove": value is None}

    def alter(version, label, entries, validate=False):
        answer = target.call("AlterClientQuotas", version, {
            "Entries": [{"Entity": e, "Ops": ops} for e, ops in entries],
            "ValidateOnly": validate}, note=False)
        for found in answer["Entries"]:
            found["Entity"].sort(key=str)
        answer["Entries"].sort(key=str)
        target.note(f"AlterClientQuotas v{version} {label}", answer)

    def describe(version, label, components, strict=False):
        answer = target.call("DescribeClientQuotas", version, {"Components": [
            {"EntityType": kind, "MatchType": how, "Match": name}
            for kind, how, name in components], "Strict": strict}, note=False)
        for found in answer["Entries"] or []:
            found["Entity"].sort(key=str)
            found["Values"].sort(key=str)
        (answer["Entries"] or []).sort(key=str)
        target.note(f"DescribeClientQuotas v{version} {label}", answer)

    def settled(name, strictly_there):
        """Kafka's broker follows its controller's answer a moment later."""
        def is_so():
            answer = target.call("DescribeClientQuotas", 1, {"Components": [
                {"EntityType": "user", "MatchType": 0, "Match": name}], "Strict": True}, note=False)
            return bool(answer["Entries"]) == strictly_there
        processes.wait_until(is_so, f"{target.name}: quotas of {name}")

    user, client = f"user-{topic}", f"client-{topic}"
    rate = op("producer_byte_rate", 1000.0)
    for version in range(0, 2):
        for label, entries in {
            "user": [(entity(user=user), [rate, op("request_percentage", 12.5)])],
            "default user": [(entity(user=None), [op("consumer_byte_rate", 5.0)])],
            "client": [(entity(client_id=client), [rate])],
            "both": [(entity(user=user, client_id=client), [op("controller_mutation_rate", 2.5)])],
            "address": [(entity(ip="127.0.0.1"), [op("connection_creation_rate", 10.0)])],
            "address of version 6": [(entity(ip="::1"), [op("connection_creation_rate", 10.0)])],
            "no address": [(entity(ip="1.2.3.999"), [op("connection_creation_rate", 10.0)])],
            "nobody": [([], [rate])],
            "unknown kind": [(entity(group="g"), [rate])],
            "empty name": [(entity(user=""), [rate])],
            "address and user": [(entity(user=user, ip="127.0.0.1"), [rate])],
            "unknown key": [(entity(user=user), [op("no_such_rate", 1.0)])],
            "key of addresses": [(entity(user=user), [op("connection_creation_rate", 1.0)])],
            "key of users": [(entity(ip="127.0.0.1"), [rate])],
            "fraction": [(entity(user=user), [op("producer_byte_rate", 1.5)])],
            "zero": [(entity(user=user), [op("producer_byte_rate", 0.0)])],
            "below zero": [(entity(user=user), [op("request_percentage", -1.0)])],
            "key twice": [(entity(user=user), [rate, op("producer_byte_rate", 7.0)])],
            "remove what is not there": [(entity(user=user), [op("consumer_byte_rate")])],
            "good and bad": [(entity(user=user + "2"), [rate]),
                             (entity(user=user + "3"), [op("no_such_rate", 1.0)])],
            "nothing": [],
        }.items():
            alter(version, label, entries)
        settled(user + "2", True)
        alter(version, "validate", [(entity(user="never"), [rate])], True)
        for label, components in {
            "all": [], "user": [("user", 0, user)], "default user": [("user", 1, None)],
            "any user": [("user", 2, None)],
            "both": [("user", 0, user), ("client-id", 0, client)],
            "unknown user": [("user", 0, "nobody")], "any address": [("ip", 2, None)],
            "unknown kind": [("group", 2, None)], "empty kind": [("", 2, None)],
            "kind twice": [("user", 2, None), ("user", 1, None)],
            "no name": [("user", 0, None)], "name of the default": [("user", 1, "x")],
            "name of any": [("user", 2, "x")], "unknown match": [("user", 9, None)],
            "address and user": [("user", 2, None), ("ip", 2, None)],
        }.items():
            describe(version, label, components)
            describe(version, "strict " + label, components, True)
    alter(1, "remove", [(entity(user=user), [op("producer_byte_rate"), op("request_percentage")]),
                        (entity(user=None), [op("consumer_byte_rate")])])
    settled(user, False)
    describe(1, "after", [])


def acls_without_an_authorizer(target, topic):
    acl = {"ResourceType": 2, "ResourceName": topic, "ResourcePatternType": 3,
           "Principal": "User:a", "Host": "*", "Operation": 3, "PermissionType": 3}
    match = {"ResourceTypeFilter": 2, "ResourceNameFilter": topic, "PatternTypeFilter": 3,
             "PrincipalFilter": None, "HostFilter": None, "Operation": 1, "PermissionType": 1}
    for version in range(1, 4):
        target.call("CreateAcls", version, {"Creations": [acl, acl]})
        target.call("DescribeAcls", version, match)
        target.call("DeleteAcls", version, {"Filters": [match, match]})


def scram_credentials(target, topic):
    for label, names in {"all": None, "none": [], "unknown": ["a", "b"],
                         "twice": ["a", "b", "a"]}.items():
        users = None if names is None else [{"Name": name} for name in names]
        answer = target.call("DescribeUserScramCredentials", 0, {"Users": users}, note=False)
        answer["Results"].sort(key=str)
        target.note(f"DescribeUserScramCredentials {label}", answer)


def eligible_leaders(target, topic):
    """The feature off and on again, and the one min.insync.replicas that it needs (KIP-966)."""
    name = "eligible.leader.replicas.version"

    def update(label, *levels, kind=1, validate=False, versions=(1, 2)):
        for version in versions:
            target.call("UpdateFeatures", version, {
                "timeoutMs": 10000, "ValidateOnly": validate, "FeatureUpdates": [
                    {"Feature": feature, "MaxVersionLevel": level, "UpgradeType": kind}
                    for feature, level in levels]}, label)

    def set_minimum(label, resource, value, operation=0, kind=4):
        target.call("IncrementalAlterConfigs", 1, {"ValidateOnly": False, "Resources": [
            {"ResourceType": kind, "ResourceName": resource, "Configs": [
                {"Name": "min.insync.replicas", "ConfigOperation": operation, "Value": value}]}]},
            label)

    def state():
        answer = target.call("ApiVersions", 3, {"ClientSoftwareName": "tester",
                                                "ClientSoftwareVersion": "1.0"}, note=False)
        levels = [feature["MaxVersionLevel"] for feature in answer["FinalizedFeatures"]
                  if feature["Name"] == name]
        minima = []
        for kind, resource in ((4, ""), (4, "1"), (2, topic)):
            answer = target.call("DescribeConfigs", 4, {"Resources": [
                {"ResourceType": kind, "ResourceName": resource,
                 "ConfigurationKeys": ["min.insync.replicas"]}]}, note=False)
            minima.append([[config["Value"], config["ConfigSource"]]
                           for config in answer["Results"][0]["Configs"]])
        return [levels, minima]

    def show(label):
        """Kafka answers before it applies, but it applies in order: what is made afterwards is there no
        earlier. A broker's own settings follow a moment later."""
        marks.append(f"{topic}-mark-{len(marks)}")
        create(target, marks[-1])
        seen = [state()]
        end = time.monotonic() + 0.4
        while time.monotonic() < end or len(seen) < 2 or seen[-1] != seen[-2]:
            seen.append(state())
        target.note(label, seen[-1])

    marks = []
    create(target, topic, 1, {"min.insync.replicas": "2"})
    show("at first")
    target.call("DescribeTopicPartitions", 0, {
        "Topics": [{"Name": topic}], "ResponsePartitionLimit": 10, "Cursor": None}, "topic")
    update("too high", (name, 2))
    update("off by an upgrade", (name, 0))
    update("off, only asked", (name, 0), kind=2, validate=True)
    update("without what it needs", ("metadata.version", 22), kind=2)
    set_minimum("a broker's", "1", "1")
    set_minimum("a broker's away", "1", None, 1)
    set_minimum("the cluster's away", "", None, 1)
    set_minimum("the cluster's", "", "2")
    show("the cluster's is two")
    update("off", (name, 0), kind=2, versions=(1,))
    set_minimum("a broker's, off", "1", "3")
    set_minimum("the cluster's away, off", "", None, 1)
    show("off")
    update("on", (name, 1), versions=(1,))
    update("on again", (name, 1))
    show("on")
    set_minimum("the topic's", topic, "1", kind=2)
    set_minimum("the topic's away", topic, None, 1, kind=2)
    show("at last")


SCENARIOS = [eligible_leaders, reassignments, unregister_broker, client_quotas, acls_without_an_authorizer,
             scram_credentials]
