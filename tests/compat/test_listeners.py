"""Listeners of their own for clients, for brokers among each other and for controllers.

What the listener for clients is advertised as leads nowhere, so that whatever brokers say to each
other over it is lost; and a controller has no listener but its own.

usage: test_listeners.py KLAMMD
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "differential")]
import processes  # noqa: E402
import wire  # noqa: E402
from cluster_requests import call, create, end_offsets, is_in_sync, wait, write  # noqa: E402
from loopback_nodes import BROKER, CONTROLLER, KlammNode, Members, looked_after, start_all  # noqa: E402

TOPIC = "letters"
PARTITIONS = 2
RECORDS = 20


class Node(KlammNode):
    """Clients come in at `port`; brokers are told `inner_port`; clients are told `told_port`."""

    def __init__(self, binary, members, number, inner_port, told_port):
        super().__init__(binary, members, number)
        self.inner_port, self.told_port = inner_port, told_port

    def properties(self):
        values = super().properties()
        if self.members.roles[self.number] == BROKER:
            values.update({
                "listeners": f"CLIENT://127.0.0.1:{self.port},INNER://127.0.0.1:{self.inner_port}",
                "advertised.listeners": f"CLIENT://nowhere.invalid:{self.told_port},"
                                        f"INNER://127.0.0.1:{self.inner_port}",
                "inter.broker.listener.name": "INNER",
            })
        values["listener.security.protocol.map"] = (
            "CLIENT:PLAINTEXT,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT")
        return values


def told_addresses(port):
    connection = wire.Connection(port)
    brokers = connection.call("Metadata", 7, {"Topics": []})["Brokers"]
    described = connection.call("DescribeCluster", 0, {})["Brokers"]
    connection.close()
    told = {broker["NodeId"]: (broker["Host"], broker["Port"]) for broker in brokers}
    also = {broker["BrokerId"]: (broker["Host"], broker["Port"]) for broker in described}
    return told if told == also else None  # a broker came between the two


def everybody_is_told_his_own(brokers):
    outside = {node.number: ("nowhere.invalid", node.told_port) for node in brokers}
    inside = {node.number: ("127.0.0.1", node.inner_port) for node in brokers}
    for node in brokers:
        wait(lambda n=node: told_addresses(n.port) == outside, f"clients of {node.number}")
        wait(lambda n=node: told_addresses(n.inner_port) == inside, f"peers of {node.number}")


def brokers_find_each_other(brokers):
    create(brokers[0], TOPIC, [[2, 3], [3, 2]])
    wait(lambda: is_in_sync(brokers, TOPIC, [[2, 3], [3, 2]], [2, 3]), "followers", alive=brokers)
    for partition in range(PARTITIONS):
        write(brokers, TOPIC, partition, [b"value" * 20] * RECORDS)


def a_leader_that_dies_is_succeeded(brokers):
    wait(lambda: is_in_sync(brokers, TOPIC, [[2, 3], [3, 2]]), "both are in sync", alive=brokers)
    brokers[0].kill()
    wait(lambda: is_led_by(brokers[1], 3), "the other one leads", alive=brokers[1:])
    wait(lambda: end_offsets(brokers[1], TOPIC, PARTITIONS) == [RECORDS] * PARTITIONS, "every record",
         alive=brokers[1:])


def is_led_by(node, leader):
    topic = call(node, "Metadata", 7, {"Topics": [{"Name": TOPIC}],
                                       "AllowAutoTopicCreation": False})["Topics"][0]
    return all(part["LeaderId"] == leader for part in topic["Partitions"])


def a_controller_serves_no_clients(controller):
    port = controller.members.controller_ports[controller.number]
    connection = wire.Connection(port)
    apis = {api["ApiKey"] for api in connection.call("ApiVersions", 0, {})["ApiKeys"]}
    connection.close()
    for name in ("Produce", "Metadata", "FindCoordinator", "JoinGroup"):
        assert wire.APIS[name].key not in apis, name
    for name in ("Vote", "BrokerRegistration", "Envelope", "CreateTopics"):
        assert wire.APIS[name].key in apis, name


def main():
    members = Members({1: CONTROLLER, 2: BROKER, 3: BROKER})
    nodes = [Node(sys.argv[1], members, number, processes.free_port(), 1000 + number)
             for number in members.roles]
    with looked_after(nodes):
        start_all(nodes)
        controller, *brokers = nodes
        everybody_is_told_his_own(brokers)
        brokers_find_each_other(brokers)
        a_controller_serves_no_clients(controller)
        a_leader_that_dies_is_succeeded(brokers)
    print("5 passed, 0 failed")


if __name__ == "__main__":
    main()
