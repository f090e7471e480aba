"""Groups of the classic protocol and their offsets: requests that are sent to both brokers.

A member is a connection of its own with a client id of its own, so that its requests may wait while
others act. Steps are in an order in which no two of them race.
"""

import struct

import processes
import wire
from scenarios import NOBODY, create
from target import versions_of

SESSION_MS, REBALANCE_MS = 10000, 20000
PROTOCOLS = [{"Name": "range", "Metadata": b"\0\1"}, {"Name": "roundrobin", "Metadata": b"\0\2"}]


def subscription(*topics):
    """ConsumerProtocolSubscription, version 0."""
    names = b"".join(struct.pack(">h", len(name)) + name.encode() for name in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", 0)


def settle_coordinator(target, group):
    """Waits until the group's coordinator is there and has loaded (not noted)."""
    def is_there():
        found = target.call("FindCoordinator", 3, {"Key": group, "KeyType": 0}, note=False)
        if found["ErrorCode"] != 0:
            return False
        answer = target.call("OffsetFetch", 7, {"GroupId": group, "Topics": []}, note=False)
        return answer["ErrorCode"] == 0

    processes.wait_until(is_there, f"{target.name}: a coordinator of {group}")


class Member:
    """A client of a classic group."""

    def __init__(self, target, group, name, instance=None):
        self.target, self.group, self.name, self.instance = target, group, name, instance
        self.connection = wire.Connection(target.port, client_id=name)
        self.member_id, self.generation, self.is_leader = "", -1, False
        self.protocols, self.protocol_type = PROTOCOLS, "consumer"

    def close(self):
        self.connection.close()

    def note(self, label, answer):
        if isinstance(answer, dict) and "Members" in answer:
            answer = {**answer, "Members": sorted(answer["Members"], key=lambda m: m["MemberId"])}
        self.target.note(f"{self.name}: {label}", answer)

    def call(self, api, version, values, label=""):
        answer = self.connection.call(api, version, values)
        self.note(f"{api} v{version} {label}".strip(), answer)
        return answer

    # Joining: `send` and `joined` apart, because the answer waits for the others.

    def join_values(self, version, **changes):
        values = {"GroupId": self.group, "SessionTimeoutMs": SESSION_MS,
                  "MemberId": self.member_id, "ProtocolType": self.protocol_type,
                  "Protocols": self.protocols}
        if version >= 1:
            values["RebalanceTimeoutMs"] = REBALANCE_MS
        if version >= 5:
            values["GroupInstanceId"] = self.instance
        return {**values, **changes}

    def send_join(self, version=7, **changes):
        self.connection.send("JoinGroup", version, self.join_values(version, **changes))

    def joined(self, version=7, label=""):
        _, answer = self.connection.answer("JoinGroup", version)
        self.note(f"JoinGroup v{version} {label}".strip(), answer)
        if answer["ErrorCode"] in (0, 79):
            self.member_id = answer["MemberId"]
        if answer["ErrorCode"] == 0:
            self.generation = answer["GenerationId"]
            self.is_leader = answer["Leader"] == answer["MemberId"]
        return answer

    def join(self, version=7, label="", **changes):
        """Joins, coming back with the id when one is given out."""
        self.send_join(version, **changes)
        answer = self.joined(version, label)
        if answer["ErrorCode"] == 79:
            self.send_join(version, **changes)
            answer = self.joined(version, label)
        return answer

    def identity(self, version, since):
        return {"GroupInstanceId": self.instance} if version >= since else {}

    def sync_values(self, version, assignments=(), **changes):
        values = {"GroupId": self.group, "GenerationId": self.generation,
                  "MemberId": self.member_id, **self.identity(version, 3),
                  "Assignments": [{"MemberId": member.member_id, "Assignment": data}
                                  for member, data in assignments]}
        if version >= 5:
            values.update(ProtocolType=self.protocol_type, ProtocolName="range")
        return {**values, **changes}

    def send_sync(self, version=3, assignments=(), **changes):
        self.connection.send("SyncGroup", version, self.sync_values(version, assignments,
                                                                    **changes))

    def synced(self, version=3, label=""):
        _, answer = self.connection.answer("SyncGroup", version)
        self.note(f"SyncGroup v{version} {label}".strip(), answer)
        return answer

    def sync(self, version=3, assignments=(), label="", **changes):
        self.send_sync(version, assignments, **changes)
        return self.synced(version, label)

    def heartbeat(self, version=3, label="", **changes):
        return self.call("Heartbeat", version, {
            "GroupId": self.group, "GenerationId": self.generation, "MemberId": self.member_id,
            **self.identity(version, 3), **changes}, label)

    def leave(self, version=3, label="", **changes):
        values = ({"MemberId": self.member_id} if version < 3 else {"Members": [
            {"MemberId": self.member_id, "GroupInstanceId": self.instance}]})
        return self.call("LeaveGroup", version, {"GroupId": self.group, **values, **changes}, label)

    def commit(self, topic, offset=1, version=7, label="", partition=0, **changes):
        name = {"TopicId": self.target.topic_id(topic)} if version >= 10 else {"Name": topic}
        return self.call("OffsetCommit", version, {
            "GroupId": self.group, "GenerationIdOrMemberEpoch": self.generation,
            "MemberId": self.member_id, **self.identity(version, 7), "Topics": [
                {**name, "Partitions": [{"PartitionIndex": partition, "CommittedOffset": offset,
                                         "CommittedMetadata": "m"}]}], **changes}, label)


def describe(target, group, label, version=5):
    answer = target.call("DescribeGroups", version, {"Groups": [group]}, note=False)
    for found in answer["Groups"]:
        found["Members"].sort(key=lambda member: member["MemberId"])
    target.note(f"DescribeGroups {label}", answer)


def listed(target, group, label):
    answer = target.call("ListGroups", 5, {"StatesFilter": [], "TypesFilter": []}, note=False)
    target.note(f"ListGroups {label}", [answer["ErrorCode"], [
        found for found in answer["Groups"] if found["GroupId"] == group]])


def group_absent(target, topic):
    """Every request to a group that does not exist, and to the empty id."""
    settle_coordinator(target, topic)
    create(target, topic)
    settle_coordinator(target, "")
    for group in ("", f"no-{topic}"):
        label = "absent" if group else "empty id"
        settle_coordinator(target, group)

        def identity(version, since):
            return {"GroupInstanceId": None} if version >= since else {}

        for version in versions_of("JoinGroup"):
            target.call("JoinGroup", version, {
                "GroupId": group, "SessionTimeoutMs": SESSION_MS, "MemberId": "someone",
                "ProtocolType": "consumer", "Protocols": PROTOCOLS}, label)
        for version in versions_of("SyncGroup"):
            target.call("SyncGroup", version, {
                "GroupId": group, "GenerationId": 1, "MemberId": "someone", "Assignments": [],
                **({"ProtocolType": "consumer", "ProtocolName": "range"} if version >= 5 else {})},
                label)
        target.every("Heartbeat", {"GroupId": group, "GenerationId": 1, "MemberId": "someone"},
                     label)
        for version in versions_of("LeaveGroup"):
            who = ({"MemberId": "someone"} if version < 3 else {"Members": [
                {"MemberId": "someone", "GroupInstanceId": None},
                {"MemberId": "", "GroupInstanceId": "static"}]})
            target.call("LeaveGroup", version, {"GroupId": group, **who}, label)
        for version in versions_of("OffsetCommit"):
            name = ({"TopicId": target.topic_id(topic)} if version >= 10 else {"Name": topic})
            for generation, member in ((1, "someone"), (1, "")):
                target.call("OffsetCommit", version, {
                    "GroupId": group, "GenerationIdOrMemberEpoch": generation, "MemberId": member,
                    "Topics": [{**name, "Partitions": [
                        {"PartitionIndex": p, "CommittedOffset": 1, "CommittedMetadata": ""}
                        for p in (0, 1)]}]}, f"{label} {generation}")
        target.every("OffsetDelete", {"GroupId": group, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": 0}, {"PartitionIndex": 7}]},
            {"Name": "missing-" + topic, "Partitions": [{"PartitionIndex": 0}]}]}, label)
        target.every("DescribeGroups", {"Groups": [group]}, label)
        target.call("DescribeGroups", 3, {"Groups": [group], "IncludeAuthorizedOperations": True},
                    f"{label} operations")
        target.every("DeleteGroups", {"GroupsNames": [group]}, label)
        for version in versions_of("OffsetFetch"):
            fetch_offsets(target, group, version, topic, label=label)
            if version >= 2:
                fetch_offsets(target, group, version, None, label=f"{label} all")


def fetch_offsets(target, group, version, topic, partitions=(0, 1), stable=False, label="",
                  **changes):
    name = {}
    if topic is not None:
        name = {"TopicId": target.topic_id(topic)} if version >= 10 else {"Name": topic}
    topics = None if topic is None else [{**name, "PartitionIndexes": list(partitions)}]
    values = {"RequireStable": stable} if version >= 7 else {}
    if version >= 8:
        values["Groups"] = [{"GroupId": group, "Topics": topics, **changes}]
    else:
        values.update(GroupId=group, Topics=topics)
    answer = target.call("OffsetFetch", version, values, label, note=False)
    for found in answer.get("Groups", [answer]):
        found["Topics"].sort(key=lambda t: t.get("Name") or target.topic_ids.get(t["TopicId"], ""))
        for part in found["Topics"]:
            part["Partitions"].sort(key=lambda p: p["PartitionIndex"])
    target.note(f"OffsetFetch v{version} {label}".strip(), answer)


def group_join_refused(target, topic):
    """What is wrong with a JoinGroup, in every version."""
    settle_coordinator(target, topic)
    for version in versions_of("JoinGroup"):
        member = Member(target, f"{topic}-{version}", "alpha")
        for label, changes in {
            "short session": {"SessionTimeoutMs": 5999},
            "long session": {"SessionTimeoutMs": 1800001},
            "no type": {"ProtocolType": ""},
            "no protocols": {"Protocols": []},
        }.items():
            member.send_join(version, **changes)
            member.joined(version, label)
            member.member_id = ""
        describe(target, f"{topic}-{version}", f"after {version}")
        listed(target, f"{topic}-{version}", f"after {version}")
        member.close()


def group_one_member(target, topic):
    """The life of a group with one member, in every version."""
    create(target, topic)
    settle_coordinator(target, topic)
    for version in versions_of("JoinGroup"):
        group = f"{topic}-{version}"
        member = Member(target, group, "alpha")
        member.protocols = [{"Name": "range", "Metadata": subscription(topic)},
                            {"Name": "other", "Metadata": b""}]
        sync, beat = min(version, 5), min(version, 4)
        member.join(version, Reason="because") if version >= 8 else member.join(version)
        describe(target, group, "joined", min(version, 6))
        member.heartbeat(beat, "before sync")
        member.commit(topic, version=max(2, version), label="before sync")
        member.sync(sync, [(member, b"all of it")])
        describe(target, group, "synced", min(version, 6))
        listed(target, group, "synced")
        member.heartbeat(beat)
        member.heartbeat(beat, "wrong generation", GenerationId=member.generation + 1)
        member.heartbeat(beat, "wrong member", MemberId="someone")
        member.sync(sync, label="again")
        member.sync(sync, label="wrong generation", GenerationId=member.generation - 1)
        member.sync(sync, label="wrong member", MemberId="someone")
        if sync >= 5:
            member.sync(5, label="wrong protocol", ProtocolName="other")
            member.sync(5, label="wrong type", ProtocolType="connect")
            member.sync(5, label="no protocol", ProtocolName=None)
        commit = max(2, version)
        member.commit(topic, 5, commit)
        member.commit(topic, 6, commit, "wrong generation",
                      GenerationIdOrMemberEpoch=member.generation + 1)
        member.commit(topic, 7, commit, "wrong member", MemberId="someone")
        member.commit(topic, 8, commit, "outsider", MemberId="", GenerationIdOrMemberEpoch=-1)
        member.commit(topic, 4, commit, "back")
        target.call("OffsetDelete", 0, {"GroupId": group, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": 0}]}]}, "subscribed")
        target.call("DeleteGroups", 2, {"GroupsNames": [group]}, "with a member")
        member.leave(min(version, 5), "someone else", **(
            {"MemberId": "someone"} if version < 3 else {"Members": [
                {"MemberId": "someone", "GroupInstanceId": None}]}))
        member.leave(min(version, 5))
        describe(target, group, "left")
        listed(target, group, "left")
        member.heartbeat(beat, "after leaving")
        member.send_join(version)
        member.joined(version, "old id")
        fetch_offsets(target, group, 7, topic)
        target.call("DeleteGroups", 2, {"GroupsNames": [group]}, "without members")
        describe(target, group, "deleted")
        fetch_offsets(target, group, 7, topic, label="deleted")
        member.close()


def group_two_members(target, topic):
    """A second member comes, changes, goes; the first one follows."""
    create(target, topic, 2)
    settle_coordinator(target, topic)
    for version in (1, 4, 9):
        group = f"{topic}-{version}"
        alpha, beta = Member(target, group, "alpha"), Member(target, group, "beta")
        alpha.join(version)
        alpha.sync(3, [(alpha, b"alone")])
        beta.send_join(version)
        if version >= 4:
            beta.joined(version)
            beta.send_join(version)
        settled(target, group, "PreparingRebalance")
        describe(target, group, "preparing")
        alpha.heartbeat(3, "preparing")
        alpha.sync(3, label="preparing")
        alpha.commit(topic, 3, label="preparing")
        alpha.send_join(version)
        alpha.joined(version)
        beta.joined(version)
        describe(target, group, "completing")
        alpha.commit(topic, 4, label="completing")
        alpha.heartbeat(3, "completing")
        follower, leader = (beta, alpha) if alpha.is_leader else (alpha, beta)
        follower.send_join(version)
        follower.joined(version, "again while completing")
        leader.send_join(version)
        leader.joined(version, "again while completing")
        follower.send_sync(3)
        leader.sync(3, [(alpha, b"for alpha"), (beta, b"for beta"), (Nobody, b"for nobody")])
        follower.synced(3)
        describe(target, group, "stable")
        follower.send_join(version)
        follower.joined(version, "again while stable")
        follower.send_join(version, Protocols=[{"Name": "nobody else", "Metadata": b""}])
        follower.joined(version, "foreign protocol")
        follower.send_join(version, ProtocolType="connect")
        follower.joined(version, "foreign type")
        # The follower changes: a rebalance, in which the vote falls differently.
        follower.protocols = [PROTOCOLS[1]]
        follower.send_join(version)
        settled(target, group, "PreparingRebalance")
        leader.heartbeat(3, "follower changed")
        leader.send_join(version)
        leader.joined(version, "after the change")
        follower.joined(version, "after the change")
        follower.send_sync(3)
        leader.sync(3)
        follower.synced(3, "forgotten by the leader")
        # The leader leaves.
        leader.leave(3)
        follower.heartbeat(3, "leader left")
        follower.join(version, "alone")
        follower.sync(3, [(follower, b"")])
        follower.leave(2)
        describe(target, group, "empty")
        alpha.close()
        beta.close()


class Nobody:
    member_id = "nobody"


def settled(target, group, state):
    """Waits until the group is in a state (not noted)."""
    def has_state():
        answer = target.call("DescribeGroups", 4, {"Groups": [group]}, note=False)
        return answer["Groups"][0]["GroupState"] == state

    processes.wait_until(has_state, f"{target.name}: {group} is {state}")


def group_static(target, topic):
    """Static members: they come back under new ids, and fence each other."""
    create(target, topic)
    settle_coordinator(target, topic)
    for version in (5, 8, 9):
        group = f"{topic}-{version}"
        alpha = Member(target, group, "alpha", "one")
        alpha.join(version)
        alpha.sync(5, [(alpha, b"alone")])
        alpha.heartbeat(4, "unknown instance", GroupInstanceId="two")
        alpha.heartbeat(4, "wrong id", MemberId="someone")
        again = Member(target, group, "alpha", "one")
        again.join(version, "comes back")
        describe(target, group, "came back")
        alpha.heartbeat(4, "fenced")
        alpha.commit(topic, 5, 8, "fenced")
        alpha.sync(5, label="fenced")
        alpha.send_join(version)
        alpha.joined(version, "fenced")
        alpha.leave(4, "fenced")
        again.heartbeat(4)
        again.sync(5, [(again, b"new")], "came back")
        again.commit(topic, 6, 8)
        again.protocols = [PROTOCOLS[1]]
        third = Member(target, group, "alpha", "one")
        third.protocols = [PROTOCOLS[1]]
        third.join(version, "with another protocol")
        describe(target, group, "another protocol")
        third.sync(5, [(third, b"third")], ProtocolName="roundrobin")
        fourth = Member(target, group, "alpha", "one")
        fourth.protocols = [PROTOCOLS[1]]
        fourth.join(version, "with the same protocol")
        describe(target, group, "same protocol")
        # A follower comes back.
        other = Member(target, group, "beta", "two")
        other.protocols = fourth.protocols
        other.send_join(version)
        settled(target, group, "PreparingRebalance")
        fourth.join(version)
        other.joined(version)
        other.send_sync(5, ProtocolName="roundrobin")
        fourth.sync(5, [(fourth, b"4"), (other, b"other")], ProtocolName="roundrobin")
        other.synced(5)
        back = Member(target, group, "beta", "two")
        back.protocols = fourth.protocols
        back.join(version, "follower comes back")
        describe(target, group, "follower came back")
        # Taken out by an administrator.
        fourth.leave(4, "by instance", Members=[
            {"MemberId": "", "GroupInstanceId": "two"}, {"MemberId": "", "GroupInstanceId": None},
            {"MemberId": "", "GroupInstanceId": "three"},
            {"MemberId": "someone", "GroupInstanceId": "one"}])
        fourth.heartbeat(4, "beta was removed")
        fourth.join(version, "alone")
        fourth.leave(5, "the last one")
        describe(target, group, "empty")
        for member in (alpha, again, third, fourth, other, back):
            member.close()


def group_static_metadata(target, topic):
    """A static member that comes back with other metadata: the group stays as it is."""
    settle_coordinator(target, topic)
    for version in (5, 9):
        group = f"{topic}-{version}"
        alpha = Member(target, group, "alpha", "one")
        alpha.join(version)
        alpha.sync(5, [(alpha, b"alone")])
        again = Member(target, group, "alpha", "one")
        again.protocols = [{"Name": "range", "Metadata": b"changed"}]
        again.join(version)
        describe(target, group, "came back")
        again.heartbeat(4)
        alpha.close()
        again.close()


def group_pending(target, topic):
    """A member id that was given out and not used."""
    settle_coordinator(target, topic)
    alpha, beta = Member(target, topic, "alpha"), Member(target, topic, "beta")
    alpha.send_join(4)
    alpha.joined(4)
    settled(target, topic, "Empty")
    describe(target, topic, "pending only")
    listed(target, topic, "pending only")
    alpha.heartbeat(3, "pending")
    alpha.leave(3, "pending")
    alpha.send_join(4)
    alpha.joined(4, "after leaving")
    beta.join(4)
    describe(target, topic, "beta alone")
    beta.sync(3, [(beta, b"b")])
    target.call("DeleteGroups", 2, {"GroupsNames": [topic]}, "not empty")
    beta.leave(1)
    alpha.close()
    beta.close()


def group_not_consumer(target, topic):
    """A group of another protocol type: its metadata is not the broker's business."""
    create(target, topic)
    settle_coordinator(target, topic)
    worker = Member(target, topic, "worker")
    worker.protocol_type = "connect"
    worker.join(5)
    worker.sync(5, [(worker, b"tasks")])
    describe(target, topic, "stable")
    listed(target, topic, "stable")
    worker.commit(topic, 3)
    target.call("OffsetDelete", 0, {"GroupId": topic, "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": 0}]}]}, "not empty")
    for version in (4, 5):
        for states in ([], ["stable"], ["Empty", "STABLE"], ["nothing"]):
            for kinds in ([], ["classic"], ["CLASSIC", "share"], ["consumer"], ["odd"]):
                if version < 5 and kinds:
                    continue
                answer = target.call("ListGroups", version, {
                    "StatesFilter": states, **({"TypesFilter": kinds} if version >= 5 else {})},
                    note=False)
                target.note(f"ListGroups v{version} {states} {kinds}", [answer["ErrorCode"], [
                    found for found in answer["Groups"] if found["GroupId"] == topic]])
    worker.leave(3)
    target.call("OffsetDelete", 0, {"GroupId": topic, "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": 0}]}]}, "empty")
    fetch_offsets(target, topic, 7, topic, label="deleted")
    worker.close()


def group_offsets(target, topic):
    """Offsets of a group without members."""
    create(target, topic, 3)
    create(target, topic + "-b", 1)
    settle_coordinator(target, topic)
    outsider = {"GroupId": topic, "GenerationIdOrMemberEpoch": -1, "MemberId": ""}

    def part(index, offset=7, metadata="", **fields):
        return {"PartitionIndex": index, "CommittedOffset": offset,
                "CommittedMetadata": metadata, **fields}

    for version in versions_of("OffsetCommit"):
        def named(name):
            if version < 10:
                return {"Name": name}
            known = name.startswith("missing") and NOBODY or target.topic_id(name)
            return {"TopicId": known}

        for label, topics in {
            "one": [{**named(topic), "Partitions": [part(0, 10 + version, "text")]}],
            "several": [{**named(topic), "Partitions": [part(1), part(2, 0, None), part(3), part(-1)]},
                        {**named("missing-" + topic), "Partitions": [part(0), part(1)]},
                        {**named(topic + "-b"), "Partitions": [part(0, -1)]}],
            "long metadata": [{**named(topic), "Partitions": [
                part(0, 99, "x" * 4097), part(1, 98, "ä" * 4096), part(2, 97, "😀" * 2049)]}],
            "none": [],
            "no partitions": [{**named(topic), "Partitions": []}],
        }.items():
            target.call("OffsetCommit", version, {**outsider, "Topics": topics}, label)
        if version >= 6:
            target.call("OffsetCommit", version, {**outsider, "Topics": [
                {**named(topic), "Partitions": [part(0, 3, "", CommittedLeaderEpoch=5)]}]},
                "leader epoch")
        target.call("OffsetCommit", version, {**outsider, "MemberId": "someone", "Topics": [
            {**named(topic), "Partitions": [part(0)]}]}, "with a member id")
        target.call("OffsetCommit", version, {
            **outsider, "GenerationIdOrMemberEpoch": 3, "Topics": [
                {**named(topic), "Partitions": [part(0)]}]}, "with a generation")
        for fetch in versions_of("OffsetFetch"):
            fetch_offsets(target, topic, fetch, topic, (0, 1, 2, 3, -1), label=f"after {version}")
            if fetch >= 2:
                fetch_offsets(target, topic, fetch, None, label=f"all after {version}")
    for version in (8, 9, 10):
        target.call("OffsetFetch", version, {"RequireStable": True, "Groups": [
            {"GroupId": "other-" + topic, "Topics": []},
            {"GroupId": topic, "Topics": [
                {"TopicId": target.topic_id(topic), "PartitionIndexes": [0]},
                {"TopicId": NOBODY, "PartitionIndexes": [0, 1]}] if version >= 10 else
                [{"Name": topic, "PartitionIndexes": [0]}]}]}, "two groups")
    for fields in ({"MemberId": "someone", "MemberEpoch": 3}, {"MemberId": "", "MemberEpoch": -1}):
        fetch_offsets(target, topic, 9, topic, label="by a member", **fields)
    describe(target, topic, "simple")
    listed(target, topic, "simple")
    target.call("OffsetDelete", 0, {"GroupId": topic, "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": i} for i in (0, 2, 9)]},
        {"Name": "missing-" + topic, "Partitions": [{"PartitionIndex": 0}]},
        {"Name": topic + "-b", "Partitions": [{"PartitionIndex": 0}, {"PartitionIndex": 0}]}]})
    fetch_offsets(target, topic, 8, None, label="after deletion")
    target.call("DeleteTopics", 4, {"TopicNames": [topic + "-b"], "TimeoutMs": 20000}, note=False)
    target.call("OffsetDelete", 0, {"GroupId": topic, "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": 1}]}]}, "the last")
    fetch_offsets(target, topic, 8, None, label="nothing left")
    describe(target, topic, "nothing left")
    target.call("DeleteGroups", 2, {"GroupsNames": [topic, "other-" + topic, topic]}, "twice")
    listed(target, topic, "deleted")


def group_offsets_of_deleted_topic(target, topic):
    """Offsets go with their topic, and do not come back with its name."""
    create(target, topic)
    settle_coordinator(target, topic)
    values = {"GroupId": topic, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
        {"Name": topic, "Partitions": [
            {"PartitionIndex": 0, "CommittedOffset": 5, "CommittedMetadata": ""}]}]}
    target.call("OffsetCommit", 9, values)
    fetch_offsets(target, topic, 9, topic, (0,))
    target.call("DeleteTopics", 4, {"TopicNames": [topic], "TimeoutMs": 20000})
    target.topic_ids = {k: v for k, v in target.topic_ids.items() if v != topic}
    processes.wait_until(lambda: not target.call(
        "OffsetFetch", 7, {"GroupId": topic, "Topics": None}, note=False)["Topics"],
        f"{target.name}: no offsets of {topic}")
    create(target, topic)
    fetch_offsets(target, topic, 9, topic, (0,), label="a new topic")
    describe(target, topic, "a new topic")


# ---- What stands in __consumer_offsets ----

def java_hash(text):
    value = 0
    for unit in struct.unpack(f">{len(text.encode('utf-16-be')) // 2}H", text.encode("utf-16-be")):
        value = (31 * value + unit) & 0xFFFFFFFF
    value -= (value & 0x80000000) << 1
    return 0 if value == -(1 << 31) else abs(value)


def records_of(data):
    """(key, value) of every record in batches that are not compressed."""
    at = 0
    while at + 61 <= len(data):
        length = struct.unpack_from(">i", data, at + 8)[0]
        reader = wire.Reader(data[at + 61:at + 12 + length])
        count = struct.unpack_from(">i", data, at + 57)[0]
        is_control = struct.unpack_from(">h", data, at + 21)[0] & 0x20
        for _ in range(count):
            size = unzigzag(reader.uvarint())
            record = wire.Reader(reader.take(size))
            record.take(1)
            record.uvarint(), record.uvarint()
            parts = []
            for _ in range(2):
                size = unzigzag(record.uvarint())
                parts.append(None if size < 0 else record.take(size))
            if not is_control:
                yield parts
        at += 12 + length


def unzigzag(raw):
    return (raw >> 1) ^ -(raw & 1)


def without_times(kind, value):
    """A value of type 1 or 2 as text, without the times that it holds."""
    if value is None:
        return None
    version = struct.unpack_from(">h", value)[0]
    if kind == 1:
        at = 2 + 8 + (4 if version >= 3 else 0)
        size = (value[at] - 1 + 1) if version >= 4 else 2 + struct.unpack_from(">h", value, at)[0]
        end = at + size + (0 if version >= 4 else 0)
        cut = value[:end] + value[end + (16 if version == 1 else 8):]
        return cut[:-16].decode("latin-1") if version >= 4 and len(cut) - end > 16 else \
            cut.decode("latin-1")
    reader = wire.Reader(value[2:])
    for _ in range(1):
        reader.take(struct.unpack(">h", reader.take(2))[0])
    reader.take(4)
    for _ in range(2):
        size = struct.unpack(">h", reader.take(2))[0]
        reader.take(max(size, 0))
    at = 2 + reader.at
    return (value[:at] + value[at + 8:]).decode("latin-1")


def group_records(target, topic):
    """The records behind all this, byte by byte but for times and ids."""
    create(target, topic)
    settle_coordinator(target, topic)
    outsider = {"GroupId": topic, "GenerationIdOrMemberEpoch": -1, "MemberId": ""}
    for version, fields in ((2, {"RetentionTimeMs": 60000}), (2, {}), (6, {}), (9, {})):
        target.call("OffsetCommit", version, {**outsider, **fields, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": version,
                                            "CommittedMetadata": f"v{version}"}]}]})
    target.call("OffsetCommit", 10, {**outsider, "Topics": [
        {"TopicId": target.topic_id(topic), "Partitions": [
            {"PartitionIndex": 0, "CommittedOffset": 10, "CommittedLeaderEpoch": 0,
             "CommittedMetadata": None}]}]})
    alpha = Member(target, topic, "alpha", "one")
    alpha.join(9)
    alpha.sync(5, [(alpha, b"everything")])
    again = Member(target, topic, "alpha", "one")
    again.join(9)
    again.leave(5)
    settled(target, topic, "Empty")
    pending = Member(target, topic, "beta")
    pending.send_join(9)
    pending.joined(9)
    pending.leave(5)
    target.call("OffsetDelete", 0, {"GroupId": topic, "Topics": [
        {"Name": topic, "Partitions": [{"PartitionIndex": 0}]}]})
    target.call("DeleteGroups", 2, {"GroupsNames": [topic]})
    partition = java_hash(topic) % 50
    answer = target.call("Fetch", 12, {
        "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "Topics": [
            {"Topic": "__consumer_offsets", "Partitions": [
                {"Partition": partition, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}]}]},
        note=False)
    records = answer["Responses"][0]["Partitions"][0]["Records"] or b""
    found = []
    for key, value in records_of(records):
        kind = struct.unpack_from(">h", key)[0]
        if topic.encode() in key:
            found.append([kind, key[2:].decode("latin-1"), without_times(kind, value)])
    target.note("records", found)
    for member in (alpha, again, pending):
        member.close()


SCENARIOS = [group_absent, group_join_refused, group_one_member, group_two_members, group_static,
             group_static_metadata, group_pending, group_not_consumer, group_offsets, group_offsets_of_deleted_topic,
             group_records]
