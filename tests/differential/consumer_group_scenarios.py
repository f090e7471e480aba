"""Groups of the consumer protocol (KIP-848): requests that are sent to both brokers.

Member ids are such that Kafka's order of members (that of a hash map) is the order of their names.
"""

import struct

import processes
import wire
from group_scenarios import settle_coordinator
from scenarios import create

JOIN = {"MemberEpoch": 0, "RebalanceTimeoutMs": 60000, "TopicPartitions": []}


def in_order(value):
    """Kafka lists topics and partitions in the order of hash maps."""
    if isinstance(value, dict):
        value = {key: in_order(item) for key, item in value.items()}
        for key in ("TopicPartitions", "Members", "SubscribedTopicNames", "Groups"):
            if isinstance(value.get(key), list):
                value[key] = sorted(value[key], key=lambda item: str(
                    item if not isinstance(item, dict) else
                    item.get("MemberId") or item.get("GroupId") or item.get("TopicId")))
        if isinstance(value.get("Partitions"), list):
            value["Partitions"] = sorted(value["Partitions"])
        return value
    return [in_order(item) for item in value] if isinstance(value, list) else value


class Group:
    def __init__(self, target, group):
        self.target, self.group = target, group
        settle_coordinator(target, group)

    def note(self, label, answer):
        # Topics are compared by name, so they are put in order by name.
        self.target.note(label, in_order(self.target.plain(answer)))

    def beat(self, member, label, version=1, note=True, **values):
        answer = self.target.call("ConsumerGroupHeartbeat", version,
                                  {"GroupId": self.group, "MemberId": member, **values}, note=False)
        if note:
            self.note(f"heartbeat v{version} {label}", answer)
        return answer

    def join(self, member, topics, label="join", **values):
        return self.beat(member, f"{member} {label}",
                         **{**JOIN, "SubscribedTopicNames": topics, **values})

    def owning(self, member, epoch, topic, partitions, label, **values):
        owned = [{"TopicId": self.target.topic_id(topic), "Partitions": partitions}]
        return self.beat(member, f"{member} {label}", MemberEpoch=epoch,
                         TopicPartitions=owned if partitions else [], **values)

    def describe(self, label, versions=(0, 1)):
        for version in versions:
            answer = self.target.call("ConsumerGroupDescribe", version,
                                      {"GroupIds": [self.group],
                                       "IncludeAuthorizedOperations": True}, note=False)
            self.note(f"describe v{version} {label}", answer)

    def describe_counts(self, label):
        """Where topic ids, which are drawn, decide which partitions a member gets."""
        group = self.target.call("ConsumerGroupDescribe", 1, {"GroupIds": [self.group]},
                                 note=False)["Groups"][0]
        self.target.note(f"counts {label}", [
            group["GroupState"], group["GroupEpoch"], group["AssignmentEpoch"],
            group["AssignorName"], sorted(
                [m["MemberId"], m["MemberEpoch"], m["SubscribedTopicRegex"]] +
                [sum(len(t["Partitions"]) for t in m[key]["TopicPartitions"])
                 for key in ("Assignment", "TargetAssignment")] for m in group["Members"])])

    def until_epoch(self, epoch, beating=None):
        """Waits until the group is at an epoch, with heartbeats of (member, epoch) (not noted)."""
        def is_there():
            answer = self.target.call("ConsumerGroupDescribe", 0, {"GroupIds": [self.group]},
                                      note=False)
            if answer["Groups"][0]["GroupEpoch"] >= epoch:
                return True
            if beating:
                self.beat(beating[0], "", MemberEpoch=beating[1], note=False)
            return False

        processes.wait_until(is_there, f"{self.target.name}: {self.group} at epoch {epoch}")


def consumer_group_validation(target, prefix):
    group = Group(target, prefix)
    join = {**JOIN, "SubscribedTopicNames": ["nope"]}
    for version in (0, 1):
        for label, changes in {
            "no group": {"GroupId": ""}, "blank group": {"GroupId": "  "},
            "empty instance": {"InstanceId": ""}, "blank rack": {"RackId": " "},
            "no timeout": {"RebalanceTimeoutMs": -1}, "no owned": {"TopicPartitions": None},
            "owned": {"TopicPartitions": [{"TopicId": target.topic_id("x"), "Partitions": [0]}]},
            "no subscription": {"SubscribedTopicNames": None},
            "pause without instance": {"MemberEpoch": -2}, "epoch -3": {"MemberEpoch": -3},
            "unknown assignor": {"ServerAssignor": "nope"},
            "unknown group": {"MemberEpoch": 1}, "leave of nobody": {"MemberEpoch": -1},
            "pause of nobody": {"MemberEpoch": -2, "InstanceId": "i"},
        }.items():
            group.beat("m", label, version, **{**join, **changes})
    group.beat("", "no member, join", 1, **join)
    group.beat("", "no member, epoch 1", 0, **{**join, "MemberEpoch": 1})
    for regex in ("[", "a**", "(?=a)b", "(?<!a)b", "a++", "(a)\\1", "(?>a)", "a{1001}", "\\Z", "*"):
        group.beat("m", f"regex {regex}", 1, **{**JOIN, "SubscribedTopicRegex": regex})
    for version in (0, 1):
        for ids in ([""], ["nope-" + prefix], [prefix], []):
            answer = target.call("ConsumerGroupDescribe", version, {"GroupIds": ids}, note=False)
            group.note(f"describe v{version} {len(ids)}", answer)


def consumer_group_life(target, prefix):
    create(target, prefix, 4)
    group = Group(target, prefix)
    group.join("a", [prefix])
    group.describe("one member")
    group.beat("a", "nothing new", MemberEpoch=1)
    group.beat("a", "full", **{**JOIN, "MemberEpoch": 1, "SubscribedTopicNames": [prefix]})
    group.beat("a", "rejoin", **{**JOIN, "SubscribedTopicNames": [prefix]})
    group.join("b", [prefix])
    group.describe("two members")
    group.beat("a", "is to give up", MemberEpoch=1)
    group.describe("revoking")
    group.owning("a", 1, prefix, [0, 1, 2, 3], "still owns")
    group.beat("b", "waits", MemberEpoch=2)
    group.owning("a", 1, prefix, [0, 1], "has given up")
    group.beat("b", "gets", MemberEpoch=2)
    group.describe("stable")
    for label, epoch, partitions in (("too large", 3, None), ("too small", 1, None),
                                     ("previous, subset", 1, [0]), ("previous, superset", 1, [0, 3]),
                                     ("previous, none", 1, [])):
        if partitions is None:
            group.beat("a", label, MemberEpoch=epoch)
        else:
            group.owning("a", epoch, prefix, partitions, label)
    group.beat("x", "unknown", MemberEpoch=2)
    group.beat("x", "unknown leaves", MemberEpoch=-1)
    # Subscriptions change, topics come.
    group.beat("b", "other topic", MemberEpoch=2, SubscribedTopicNames=[prefix, prefix + "-2"])
    create(target, prefix + "-2", 2)
    group.until_epoch(4, ("a", 2))  # the coordinator hears of the topic in its own time
    group.owning("b", 2, prefix, [2, 3], "topic came")
    group.describe("second topic")
    group.beat("a", "after", MemberEpoch=4)
    group.beat("b", "leaves", MemberEpoch=-1)
    group.beat("b", "is gone", MemberEpoch=4)
    group.beat("a", "alone", MemberEpoch=4)
    group.describe("alone")
    group.beat("a", "leaves", MemberEpoch=-1)
    group.describe("empty")
    group.beat("a", "joins again", **{**JOIN, "SubscribedTopicNames": []})
    listed = target.call("ListGroups", 5, {"TypesFilter": ["Consumer"], "StatesFilter": []},
                         note=False)
    target.note("list", [item for item in listed["Groups"] if item["GroupId"] == prefix])
    group.note("describe as classic", target.call("DescribeGroups", 5, {"Groups": [prefix]},
                                                  note=False))
    group.note("delete", target.call("DeleteGroups", 2, {"GroupsNames": [prefix]}, note=False))
    group.beat("a", "leaves", MemberEpoch=-1)
    group.note("delete", target.call("DeleteGroups", 2, {"GroupsNames": [prefix]}, note=False))
    group.describe("deleted")


def consumer_group_static(target, prefix):
    create(target, prefix, 4)
    group = Group(target, prefix)
    static = {"InstanceId": "i"}
    group.join("a", [prefix], **static)
    group.join("b", [prefix])
    group.owning("a", 1, prefix, [0, 1, 2, 3], "learns", **static)
    group.owning("a", 1, prefix, [0, 1], "gave up", **static)
    group.beat("b", "gets", MemberEpoch=2)
    group.join("c", [prefix], "instance not released", **static)
    group.beat("c", "fenced", MemberEpoch=2, **static)
    group.beat("c", "fenced leaves", MemberEpoch=-1, **static)
    group.beat("c", "unknown instance", MemberEpoch=2, InstanceId="j")
    group.beat("a", "pauses", MemberEpoch=-2, **static)
    group.describe("paused")
    group.join("c", [prefix], "takes over", **static)
    group.describe("taken over")
    group.beat("a", "old id", MemberEpoch=2, **static)
    group.beat("c", "pauses", MemberEpoch=-2, **static)
    group.join("c", [prefix], "comes back", **static)
    group.beat("c", "leaves for good", MemberEpoch=-1, **static)
    group.beat("b", "has all", MemberEpoch=2)
    group.describe("left")


def consumer_group_range(target, prefix):
    for suffix in ("-1", "-2"):
        create(target, prefix + suffix, 3)
    group = Group(target, prefix)
    topics = [prefix + "-1", prefix + "-2"]
    group.join("a", topics, ServerAssignor="range")
    group.join("b", topics)
    group.describe("range", [1])
    group.beat("b", "wishes uniform", MemberEpoch=2, ServerAssignor="uniform")
    group.join("c", topics, ServerAssignor="uniform")
    group.describe_counts("uniform")


def consumer_group_regex(target, prefix):
    create(target, prefix + "-1", 2)
    create(target, prefix + "-2", 1)
    group = Group(target, prefix)
    group.beat("a", "joins", **{**JOIN, "SubscribedTopicRegex": prefix + "-.*"})
    group.until_epoch(2)
    group.beat("a", "resolved", MemberEpoch=1)
    group.describe("resolved", [1])
    group.beat("b", "same pattern", **{**JOIN, "SubscribedTopicRegex": prefix + "-.*"})
    group.describe_counts("two")
    group.beat("b", "name and pattern", MemberEpoch=3, SubscribedTopicNames=[prefix + "-1"])
    group.beat("b", "no pattern", MemberEpoch=3, SubscribedTopicRegex="")
    group.describe_counts("pattern gone")
    group.beat("a", "leaves", MemberEpoch=-1)
    group.describe_counts("left")


def commit(target, group, label, member, epoch, version=9, topic="t"):
    answer = target.call("OffsetCommit", version, {
        "GroupId": group, "MemberId": member, "GenerationIdOrMemberEpoch": epoch,
        "Topics": [{"Name": topic, "Partitions": [
            {"PartitionIndex": 0, "CommittedOffset": 7, "CommittedMetadata": ""}]}]}, note=False)
    target.note(f"commit v{version} {label}", answer)


def consumer_group_offsets(target, prefix):
    create(target, prefix, 2)
    group = Group(target, prefix)
    group.join("a", [prefix])
    for label, member, epoch, version in (
            ("good", "a", 1, 9), ("too old a version", "a", 1, 8), ("stale", "a", 0, 9),
            ("ahead", "a", 2, 9), ("unknown member", "x", 1, 9), ("nobody", "", -1, 9)):
        commit(target, prefix, label, member, epoch, version, prefix)
    for label, member, epoch in (("nobody", None, -1), ("good", "a", 1), ("stale", "a", 0),
                                 ("unknown", "x", 1), ("no member", None, 1)):
        answer = target.call("OffsetFetch", 9, {"Groups": [{
            "GroupId": prefix, "MemberId": member, "MemberEpoch": epoch,
            "Topics": [{"Name": prefix, "PartitionIndexes": [0, 1]}]}]}, note=False)
        target.note(f"fetch {label}", answer)
    group.beat("a", "leaves", MemberEpoch=-1)
    commit(target, prefix, "empty group", "", -1, 9, prefix)
    commit(target, prefix, "member of an empty group", "a", 1, 9, prefix)


def subscription(topic, owned=()):
    """ConsumerProtocolSubscription, version 1."""
    names = struct.pack(">h", len(topic)) + topic.encode()
    text = struct.pack(">hi", 1, 1) + names + struct.pack(">i", -1)
    if not owned:
        return text + struct.pack(">i", 0)
    return text + struct.pack(">i", 1) + names + struct.pack(f">i{len(owned)}i", len(owned), *owned)


class Classic:
    """A classic member, with a connection of its own."""

    def __init__(self, group, topic):
        self.group, self.topic, self.member, self.generation = group, topic, "", -1
        self.connection = wire.Connection(group.target.port, client_id="classic")

    def call(self, api, version, values, label, hidden=()):
        answer = self.connection.call(api, version, {"GroupId": self.group.group, **values})
        shown = {key: "<hidden>" if key in hidden else value for key, value in answer.items()}
        self.group.target.note(f"{api} {label}", shown)
        return answer

    def join(self, label, owned=()):
        answer = self.call("JoinGroup", 7, {
            "SessionTimeoutMs": 10000, "RebalanceTimeoutMs": 20000, "MemberId": self.member,
            "ProtocolType": "consumer", "Protocols": [
                {"Name": "range", "Metadata": subscription(self.topic, owned)}]},
            label, ("MemberId", "Leader", "Members"))
        self.member = answer["MemberId"] or self.member
        if answer["ErrorCode"] == 79:
            return self.join(label, owned)
        self.generation = answer["GenerationId"]
        return answer

    def sync(self, label, partitions=None):
        assignment = b""
        if partitions is not None:
            assignment = struct.pack(">hi", 1, 1) + struct.pack(">h", len(self.topic)) + \
                self.topic.encode() + struct.pack(f">i{len(partitions)}ii", len(partitions),
                                                  *partitions, -1)
        return self.call("SyncGroup", 5, {
            "GenerationId": self.generation, "MemberId": self.member, "ProtocolType": "consumer",
            "ProtocolName": "range", "Assignments": [] if partitions is None else [
                {"MemberId": self.member, "Assignment": assignment}]}, label)

    def beat(self, label):
        return self.call("Heartbeat", 4, {"GenerationId": self.generation,
                                          "MemberId": self.member}, label)


def consumer_group_migration(target, prefix):
    create(target, prefix, 4)
    group = Group(target, prefix)
    old = Classic(group, prefix)
    old.join("joins")
    old.sync("owns all", [0, 1, 2, 3])
    old.beat("stable")
    # Upgrade. The names of the members decide who gets what; the classic one's is not ours.
    answer = group.beat("~", "joins", note=False, **{**JOIN, "SubscribedTopicNames": [prefix]})
    target.note("upgraded", [answer["ErrorCode"], answer["MemberEpoch"], answer["Assignment"]])
    old.beat("told to join")
    old.sync("too early")
    old.join("joins the consumer group", [0, 1, 2, 3])
    answer = old.connection.call("SyncGroup", 5, {
        "GroupId": prefix, "GenerationId": old.generation, "MemberId": old.member,
        "ProtocolType": "consumer", "ProtocolName": "range", "Assignments": []})
    target.note("sync", [answer["ErrorCode"], answer["ProtocolType"], len(answer["Assignment"])])
    answer = target.call("ConsumerGroupDescribe", 1, {"GroupIds": [prefix]}, note=False)["Groups"][0]
    target.note("mixed", [answer["GroupState"], answer["GroupEpoch"], sorted(
        (m["MemberType"], m["MemberEpoch"], sum(len(t["Partitions"]) for t in
                                               m["TargetAssignment"]["TopicPartitions"]))
        for m in answer["Members"])])
    old.generation += 1
    old.beat("wrong generation")
    old.generation -= 1
    # Downgrade.
    group.beat("~", "leaves", MemberEpoch=-1)
    answer = target.call("DescribeGroups", 5, {"Groups": [prefix]}, note=False)["Groups"][0]
    target.note("downgraded", [answer["ErrorCode"], answer["GroupState"], answer["ProtocolType"],
                               len(answer["Members"])])
    old.beat("old generation")
    old.join("joins the classic group")
    old.connection.close()


SCENARIOS = [consumer_group_validation, consumer_group_life, consumer_group_static,
             consumer_group_range, consumer_group_regex, consumer_group_offsets,
             consumer_group_migration]
