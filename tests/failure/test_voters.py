"""The voters of a dynamic quorum come and go under load (KIP-853).

One node is formatted as the only voter; two more join as observers and are added, the first through
another broker, the second with Kafka's own tool where that is there. The first node is killed and
removed; later it comes back on an empty disk and is added under its new directory id. A producer with
acks=all goes on all the time, and at the end every record that it was told of must be there.

usage: test_voters.py KLAMMD
"""

import base64
import contextlib
import os
import shutil
import subprocess
import sys
import uuid

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [os.path.join(TESTS, "support"), os.path.join(TESTS, "differential")]
import processes  # noqa: E402
import wire  # noqa: E402
from cluster_requests import broker_ids, create, wait  # noqa: E402
from loopback_nodes import looked_after  # noqa: E402
from records_load import PARTITIONS, Load, check, read_all  # noqa: E402

CLUSTER_ID = "a2xhbW0tdm90ZXJzLTEyMw"
NODES = (1, 2, 3)
NONE, DUPLICATE_VOTER, VOTER_NOT_FOUND = 0, 126, 127
DUPLICATE = "DuplicateVoterException"
TOOL_S = 400  # with Java one call may take a minute, where the machine is busy
AGAIN = (6, 7)  # another one leads, or the last change is not committed yet


class Node(processes.Klamm):
    def __init__(self, binary, number, controller_ports):
        super().__init__(binary)
        self.number, self.controller_ports = number, controller_ports

    def properties(self):
        servers = ",".join(f"127.0.0.1:{port}" for port in self.controller_ports.values())
        return {
            "node.id": str(self.number),
            "process.roles": "broker,controller",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},"
                         f"CONTROLLER://127.0.0.1:{self.controller_ports[self.number]}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "controller.quorum.bootstrap.servers": servers,
            "log.dirs": self.data,
            "default.replication.factor": "3",
            "min.insync.replicas": "2",
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "klamm.shards": "1",
        }

    def format(self, *arguments):
        path = os.path.join(self.directory, "format.properties")
        with open(path, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in self.properties().items())
        subprocess.run([self.binary, "--format", path, "--cluster-id", CLUSTER_ID, *arguments],
                       check=True, stdout=subprocess.DEVNULL)

    def directory_text(self):
        with open(os.path.join(self.data, "meta.properties")) as file:
            lines = dict(line.strip().split("=", 1) for line in file if "=" in line)
        return lines["directory.id"]

    def directory_id(self):
        text = self.directory_text()
        return uuid.UUID(bytes=base64.urlsafe_b64decode(text + "=="))

    def call(self, name, version, values):
        connection = wire.Connection(self.port, timeout_s=60)
        try:
            return connection.call(name, version, values)
        finally:
            connection.close()


def voters_of(node):
    """Leader, voters and observers as {id: directory id}; None where nobody can say."""
    try:
        answer = node.call("DescribeQuorum", 2, {"Topics": [
            {"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]})
    except (OSError, wire.Closed):
        return None
    if answer["ErrorCode"] != NONE:
        return None
    partition = answer["Topics"][0]["Partitions"][0]
    if partition["ErrorCode"] != NONE:
        return None
    return (partition["LeaderId"],
            {voter["ReplicaId"]: voter["ReplicaDirectoryId"] for voter in
             partition["CurrentVoters"]},
            {voter["ReplicaId"]: voter["ReplicaDirectoryId"] for voter in partition["Observers"]})


def await_voters(node, wanted, observers=()):
    def reached():
        found = voters_of(node)
        return found and set(found[1]) == set(wanted) and set(observers) <= set(found[2]) and found
    return processes.wait_until(reached, f"the voters {wanted} and the observers {observers}")


def change(through, name, version, values):
    """Asks until the answer is one; a change may have been made by the request before."""
    def answered():
        with contextlib.suppress(OSError, wire.Closed):
            response = through.call(name, version, values)
            return response if response["ErrorCode"] not in AGAIN else None
    response = processes.wait_until(answered, name)
    assert response["ErrorCode"] in (NONE, DUPLICATE_VOTER, VOTER_NOT_FOUND), response


def add(through, node):
    change(through, "AddRaftVoter", 1, {
        "ClusterId": CLUSTER_ID, "TimeoutMs": 10000, "VoterId": node.number,
        "VoterDirectoryId": node.directory_id(), "AckWhenCommitted": True,
        "Listeners": [{"Name": "CONTROLLER", "Host": "127.0.0.1",
                       "Port": node.controller_ports[node.number]}]})


def remove(through, number, directory_id):
    change(through, "RemoveRaftVoter", 0, {"ClusterId": CLUSTER_ID, "VoterId": number,
                                           "VoterDirectoryId": directory_id})


def tool(node, *arguments, config=None, was_done=None):
    """What it prints. One that was told nothing in time is called again, and may then find that what it asked
    for the first time was done: `was_done` is what it says in this case."""
    options = ["--command-config", config] if config else []
    attempts = []

    def said():
        status, output = processes.kafka_tool("org.apache.kafka.tools.MetadataQuorumCommand",
                                              "--bootstrap-server", node.address, *options, *arguments)
        attempts.append(output)
        if status == 0 or (len(attempts) > 1 and was_done and was_done in output):
            return output
        assert "TimeoutException" in output, output
        return None

    return processes.wait_until(said, arguments[0], TOOL_S)


def add_with_tool(through, node):
    if not processes.kafka_libraries():
        add(through, node)
        return
    config = os.path.join(node.directory, "server.properties")
    output = tool(through, "add-controller", config=config, was_done=DUPLICATE)
    assert (f"Added controller {node.number} with directory id {node.directory_text()}" in output
            or DUPLICATE in output), output


def begin_load(nodes):
    """A producer, when all nodes are brokers."""
    wait(lambda: all(broker_ids(node) == list(NODES) for node in nodes.values()), "three brokers",
         alive=nodes.values())
    create(nodes[1], "voters", [list(NODES)] * PARTITIONS)
    load = Load(",".join(node.address for node in nodes.values()), "voters", True, 1)
    more(load)
    return load


def more(load):
    """The producer is told of more."""
    count = load.count() + 200
    processes.wait_until(lambda: load.count() > count, "acknowledgements")


def run(nodes):
    first, second, third = (nodes[number] for number in NODES)
    first.format("--standalone")
    second.format("--no-initial-controllers")
    for node in nodes.values():  # the third one asks which cluster it is in
        node.start(wait=False)
    for node in nodes.values():
        node.wait_ready()
    await_voters(first, {1}, {2, 3})
    load = begin_load(nodes)

    add(third, second)
    await_voters(first, {1, 2}, {3})
    add_with_tool(second, third)
    _, voters, _ = await_voters(second, {1, 2, 3})
    assert voters == {number: nodes[number].directory_id() for number in NODES}, voters
    more(load)
    print("three voters", flush=True)

    lost = first.directory_id()
    first.kill()
    leader = processes.wait_until(lambda: (voters_of(second) or [0])[0] in (2, 3), "a leader")
    assert leader
    remove(second, 1, lost)
    await_voters(second, {2, 3})
    more(load)
    print("the first one is removed", flush=True)

    shutil.rmtree(first.data)
    first.start(wait=False)
    first.wait_ready()
    await_voters(second, {2, 3}, {1})
    assert first.directory_id() != lost
    add(second, first)
    _, voters, _ = await_voters(third, {1, 2, 3})
    assert voters[1] == first.directory_id()
    more(load)
    if processes.kafka_libraries():
        output = tool(first, "describe", "--replication")
        assert output.count("Leader") == 1 and output.count("Follower") == 2, output
    print("the first one votes again, with another disk", flush=True)

    load.finish()
    assert not load.errors, load.errors[:5]
    check(load, load.acknowledged, read_all(second.address, "voters"))
    print(f"{load.count()} records acknowledged")


def run_together(nodes):
    """Three controllers that were formatted with one list begin together; two of them are enough."""
    ids = {number: base64.urlsafe_b64encode(bytes([65 + number]) * 16).decode().rstrip("=")
           for number in NODES}
    voters = ",".join(f"{number}@127.0.0.1:{node.controller_ports[number]}:{ids[number]}"
                      for number, node in nodes.items())
    for node in nodes.values():
        node.format("--initial-controllers", voters)
        assert node.directory_text() == ids[node.number]
    for number in (2, 3):
        nodes[number].start(wait=False)
    nodes[3].wait_ready()
    leader, found, _ = await_voters(nodes[3], NODES)
    assert leader in (2, 3), leader
    assert found == {number: node.directory_id() for number, node in nodes.items()}
    nodes[1].start()
    nodes[2].wait_ready()
    print("three began together", flush=True)


def try_with_nodes(story, kind=Node):
    ports = {number: processes.free_port() for number in NODES}
    nodes = {number: kind(sys.argv[1], number, ports) for number in NODES}
    with looked_after(nodes.values()):
        story(nodes)
        for node in nodes.values():
            assert node.stop() == 0, f"node {node.number}"


def main():
    try_with_nodes(run)
    try_with_nodes(run_together)
    print("ok")


if __name__ == "__main__":
    main()
