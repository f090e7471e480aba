"""Every request that only the controller decides, through every broker of a cluster: the one that is
the controller, those that forward it, and again after the controller has died.

usage: test_forwarding.py KLAMMD
"""

import os
import sys
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "differential")]
import wire  # noqa: E402
from cluster_requests import (active_controller, broker_ids, call, create, is_in_sync,  # noqa: E402
                              partitions_of, try_create, wait)
from loopback_nodes import KlammCluster  # noqa: E402

SETTINGS = {"broker.session.timeout.ms": "8000", "broker.heartbeat.interval.ms": "500",
            "auto.leader.rebalance.enable": "false"}
NOT_CONTROLLER, UNSUPPORTED_VERSION, SECURITY_DISABLED = 41, 35, 54
TOPIC_ALREADY_EXISTS, NO_REASSIGNMENT, BROKER_ID_NOT_REGISTERED = 36, 85, 102
ELECTION_NOT_NEEDED, INVALID_UPDATE_VERSION = 84, 95
SET, TOPIC, BROKER = 0, 2, 4


def one(answer, *path):
    """The error code at the end of a path of lists with one entry each."""
    for name in path:
        assert len(answer[name]) == 1, answer
        answer = answer[name][0]
    return answer["ErrorCode"]


def topics_are_made_grown_and_deleted(node, name):
    create(node, name, [[1, 2]])
    assert try_create(node, name, [[1, 2]]) == TOPIC_ALREADY_EXISTS
    answer = call(node, "CreatePartitions", 3, {"TimeoutMs": 20000, "Topics": [
        {"Name": name, "Count": 2, "Assignments": [{"BrokerIds": [2, 3]}]}]})
    assert one(answer, "Results") == 0, answer
    wait(lambda: len(partitions_of(node, name)) == 2, "the second partition")
    answer = call(node, "DeleteTopics", 5, {"TimeoutMs": 20000, "TopicNames": [name]})
    assert one(answer, "Responses") == 0, answer
    wait(lambda: not partitions_of(node, name), "the topic is gone")


def shown_value(node, kind, resource, key):
    found = call(node, "DescribeConfigs", 4, {"Resources": [
        {"ResourceType": kind, "ResourceName": resource, "ConfigurationKeys": [key]}]})
    return [config["Value"] for config in found["Results"][0]["Configs"]]


def settings_are_changed(node, name, number):
    value = str(100000 + number)
    for kind, resource, key in ((TOPIC, name, "retention.ms"), (BROKER, "", "log.retention.ms"),
                                (BROKER, str(node.number), "log.retention.ms")):
        answer = call(node, "IncrementalAlterConfigs", 1, {"Resources": [
            {"ResourceType": kind, "ResourceName": resource, "Configs": [
                {"Name": key, "ConfigOperation": SET, "Value": value}]}]})
        assert one(answer, "Responses") == 0, answer
        wait(lambda k=kind, r=resource, n=key: shown_value(node, k, r, n) == [value],
             f"{key} of {resource!r}")
    answer = call(node, "AlterConfigs", 2, {"Resources": [
        {"ResourceType": TOPIC, "ResourceName": name, "Configs": [
            {"Name": "retention.ms", "Value": "200000"}]}]})
    assert one(answer, "Responses") == 0, answer
    wait(lambda: shown_value(node, TOPIC, name, "retention.ms") == ["200000"], "the older request")


def quotas_are_stored(node, number):
    user = [{"EntityType": "user", "EntityName": "somebody"}]
    rate = float(1000 + number)
    answer = call(node, "AlterClientQuotas", 1, {"Entries": [
        {"Entity": user, "Ops": [{"Key": "producer_byte_rate", "Value": rate}]}]})
    assert one(answer, "Entries") == 0, answer

    def shown():
        found = call(node, "DescribeClientQuotas", 1, {"Components": [
            {"EntityType": "user", "MatchType": 0, "Match": "somebody"}]})["Entries"]
        return found and found[0]["Values"] == [{"Key": "producer_byte_rate", "Value": rate}]

    wait(shown, "the quota")


def partitions_move_and_leaders_change(node, nodes, name):
    def alter(replicas):
        return one(call(node, "AlterPartitionReassignments", 1, {"TimeoutMs": 20000, "Topics": [
            {"Name": name, "Partitions": [{"PartitionIndex": 0, "Replicas": replicas}]}]}),
            "Responses", "Partitions")

    def elect(kind):
        return one(call(node, "ElectLeaders", 2, {"ElectionType": kind, "TimeoutMs": 20000,
                                                  "TopicPartitions": [
                                                      {"Topic": name, "Partitions": [0]}]}),
                   "ReplicaElectionResults", "PartitionResult")

    alive = [n.number for n in nodes]
    first = partitions_of(node, name)[0]["ReplicaNodes"]
    assert alter(None) == NO_REASSIGNMENT
    target = [number for number in reversed(alive) if number != first[0]][:1] + first[:1]
    assert alter(target) == 0
    wait(lambda: is_in_sync(nodes, name, [target])
         and partitions_of(node, name)[0]["ReplicaNodes"] == target, f"replicas {target}", alive=nodes)
    answer = call(node, "ListPartitionReassignments", 0, {"TimeoutMs": 20000, "Topics": None})
    assert answer["ErrorCode"] == 0 and not answer["Topics"], answer
    assert elect(0) in (0, ELECTION_NOT_NEEDED)
    wait(lambda: is_in_sync(nodes, name, [target], [target[0]]), "the preferred leader", alive=nodes)
    assert elect(0) == ELECTION_NOT_NEEDED
    assert elect(1) == ELECTION_NOT_NEEDED


def the_quorum_answers(node, nodes):
    """Whoever is asked names the same leader, while there is one."""
    def named():
        found = call(node, "DescribeQuorum", 2, {"Topics": [
            {"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]})
        part = found["Topics"][0]["Partitions"][0]
        is_so = (found["ErrorCode"], part["ErrorCode"], part["LeaderId"]) == (0, 0, active_controller(nodes))
        return found if is_so else None

    answer = wait(named, f"the leader through node {node.number}", alive=nodes)
    part = answer["Topics"][0]["Partitions"][0]
    assert sorted(voter["ReplicaId"] for voter in part["CurrentVoters"]) == [1, 2, 3], answer
    values = {"ClusterId": None, "VoterId": 9, "VoterDirectoryId": uuid.UUID(int=1 << 70)}
    answer = call(node, "RemoveRaftVoter", 0, values)
    assert answer["ErrorCode"] == UNSUPPORTED_VERSION, answer  # voters of the settings stay
    answer = call(node, "AddRaftVoter", 0, {**values, "TimeoutMs": 5000, "Listeners": [
        {"Name": "CONTROLLER", "Host": "127.0.0.1", "Port": 1}]})
    assert answer["ErrorCode"] == UNSUPPORTED_VERSION, answer


def what_cannot_be_is_refused_by_the_controller(node):
    answer = call(node, "UnregisterBroker", 0, {"BrokerId": 77})
    assert answer["ErrorCode"] == BROKER_ID_NOT_REGISTERED and answer["ErrorMessage"], answer
    answer = call(node, "UpdateFeatures", 1, {"timeoutMs": 20000, "FeatureUpdates": [
        {"Feature": "metadata.version", "MaxVersionLevel": 10000, "UpgradeType": 1}]})
    codes = [answer["ErrorCode"]] + [result["ErrorCode"] for result in answer["Results"]]
    assert INVALID_UPDATE_VERSION in codes, answer


def ask_everything(node, nodes, number):
    name = f"topic-{number}"
    alive = [n.number for n in nodes]
    create(node, name, [[alive[0], alive[1]]])
    wait(lambda: is_in_sync(nodes, name, [[alive[0], alive[1]]]), f"{name} everywhere", alive=nodes)
    if len(nodes) == 3:
        topics_are_made_grown_and_deleted(node, f"short-{number}")
    settings_are_changed(node, name, number)
    quotas_are_stored(node, number)
    partitions_move_and_leaders_change(node, nodes, name)
    the_quorum_answers(node, nodes)
    what_cannot_be_is_refused_by_the_controller(node)
    answer = call(node, "CreateAcls", 3, {"Creations": [
        {"ResourceType": 2, "ResourceName": name, "ResourcePatternType": 3, "Principal": "User:a",
         "Host": "*", "Operation": 3, "PermissionType": 3}]})
    assert one(answer, "Results") == SECURITY_DISABLED, answer


def a_controller_that_is_not_active_says_so(cluster):
    """At the controllers' own listeners nothing is forwarded: whoever asks there goes on himself."""
    def refused():
        """Those that refuse."""
        numbers = []
        for node in cluster.nodes.values():
            connection = wire.Connection(node.members.controller_ports[node.number])
            answer = connection.call("DeleteTopics", 5, {"TimeoutMs": 20000, "TopicNames": ["missing"]})
            connection.close()
            if one(answer, "Responses") == NOT_CONTROLLER:
                numbers.append(node.number)
        return numbers

    def all_but_the_leader():
        leader = active_controller(list(cluster.nodes.values()))
        return refused() == [number for number in cluster.nodes if number != leader]

    wait(all_but_the_leader, "all refuse but the leader", alive=list(cluster.nodes.values()))


def every_controller_tells_where_all_of_them_are(cluster):
    """Also those that have never been the active one."""
    ports = {number: cluster.nodes[number].members.controller_ports[number]
             for number in cluster.nodes}

    def told(port):
        connection = wire.Connection(port)
        found = connection.call("DescribeCluster", 1, {"EndpointType": 2})["Brokers"]
        connection.close()
        return {node["BrokerId"]: node["Port"] for node in found}

    for port in ports.values():
        wait(lambda p=port: told(p) == ports, f"all controllers at port {port}")


def main():
    with KlammCluster(sys.argv[1], 3, SETTINGS) as cluster:
        cluster.start()
        nodes = list(cluster.nodes.values())
        wait(lambda: all(broker_ids(node) == [1, 2, 3] for node in nodes), "three brokers", alive=nodes)
        for node in nodes:
            ask_everything(node, nodes, node.number)
        a_controller_that_is_not_active_says_so(cluster)
        every_controller_tells_where_all_of_them_are(cluster)
        gone = cluster.nodes[wait(lambda: active_controller(nodes), "a controller")]
        gone.kill()
        rest = [node for node in nodes if node is not gone]
        # Asked at once: it waits for the next controller.
        create(rest[0], "meanwhile", [[rest[0].number, rest[1].number]])
        wait(lambda: all(broker_ids(node) == [n.number for n in rest] for node in rest),
             "the dead one is fenced", alive=rest)
        for node in rest:
            ask_everything(node, rest, 10 + node.number)
    print("every request through every broker")


if __name__ == "__main__":
    main()
