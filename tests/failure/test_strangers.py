"""Nodes that do not belong where they are: each is refused in one line that says why, and the cluster
at whose door it stands notices nothing.

 - the disks of two nodes are swapped
 - a node has a disk of another cluster, as a voter and as a broker
 - two processes have one node id
 - a voter stands on an empty disk
 - nobody is where the controllers should be

usage: test_strangers.py KLAMMD
"""

import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "differential")]
import processes  # noqa: E402
from cluster_requests import (active_controller, broker_ids, call, create, end_offsets,  # noqa: E402
                              is_in_sync, wait, write)
from loopback_nodes import BOTH, BROKER, KlammNode, Members, looked_after  # noqa: E402

TOPIC = "ours"
OTHER_CLUSTER = "QUJDREVGR0hJSktMTU5PUA"
PATIENCE = "initial.broker.registration.timeout.ms"
SETTINGS = {"broker.session.timeout.ms": "10000", "broker.heartbeat.interval.ms": "500",
            PATIENCE: "300000"}
ELECTIONS_S = 3.5  # in which a voter that hears of no leader has asked for votes, by its settings
# Of who has nothing to hope for.
IMPATIENT = {**SETTINGS, PATIENCE: "3000"}


class Counter:
    """What goes on in the cluster meanwhile: each look writes one record with acks=all."""

    def __init__(self, nodes):
        self.nodes, self.written = nodes, 0

    def look(self):
        """Asks somebody who runs; a record is taken and every record before is there."""
        leader = write(self.nodes, TOPIC, 0, [b"value"], 5000)
        self.written += 1
        ends = end_offsets(leader, TOPIC, 1)
        if ends == [-1]:  # it has been succeeded since
            ends = wait(lambda: next((found for found in (end_offsets(node, TOPIC, 1) for node in self.nodes)
                                      if found != [-1]), None), "an end")
        assert ends == [self.written], (ends, self.written)


def ends_with(node, *texts):
    """The process ends by itself with status 1; every text is in one line of its own."""
    status = node.process.wait(processes.DEADLINE_S)
    output = node.output()
    assert status == 1, f"status {status}\n{output}"
    for text in texts:
        assert sum(text in line for line in output.splitlines()) == 1, f"{text!r} in\n{output}"


def reset_output(node):
    os.truncate(node.log_path, 0)


def take_disk(node):
    """Stops the node and puts its directory aside; where that is now."""
    assert node.stop() == 0, node.output()
    reset_output(node)
    own = node.data + "-own"
    os.rename(node.data, own)
    return own


def swapped_disks_are_refused(nodes, counter):
    first, second = nodes[1], nodes[2]
    for node in (first, second):
        assert node.stop() == 0, node.output()
        reset_output(node)
    spare = first.data + "-spare"
    os.rename(first.data, spare)
    os.rename(second.data, first.data)
    os.rename(spare, second.data)
    for node, other in ((first, second), (second, first)):
        node.start(wait=False)
        ends_with(node, f"cannot start: log directory {node.data} belongs to node {other.number}, "
                        f"but node.id is {node.number}")
    os.rename(first.data, spare)
    os.rename(second.data, first.data)
    os.rename(spare, second.data)
    for node in (first, second):
        node.start(wait=False)
    wait(lambda: is_in_sync(nodes, TOPIC, [[1, 2, 3]]), "all are back", alive=nodes)
    counter.look()


def format_for(node, cluster_id):
    subprocess.run([node.binary, "--format", node.write_properties(), "--cluster-id", cluster_id],
                   check=True, stdout=subprocess.DEVNULL)


def a_voter_with_a_disk_of_another_cluster_takes_no_part(nodes, counter):
    stranger = nodes[2]
    own = take_disk(stranger)
    format_for(stranger, OTHER_CLUSTER)
    stranger.settings = IMPATIENT
    stranger.start(wait=False)
    ends_with(stranger, "no controller has registered this broker within "
                        "initial.broker.registration.timeout.ms")
    output = stranger.output()
    assert "refuses a fetch: the cluster id is another one" in output, output
    assert "serving" not in output and "registered: " not in output, output
    counter.look()
    # It does not count for a majority either: with one of two gone nobody is elected.
    reset_output(stranger)
    stranger.settings = SETTINGS
    stranger.start(wait=False)
    wait(lambda: "refuses a fetch: the cluster id is another one" in stranger.output(), "it is refused",
         alive=[stranger])
    other, left = nodes[1], nodes[0]
    other.kill()
    wait(lambda: active_controller([left]) is None, "no majority", alive=[stranger])
    tried = time.monotonic() + ELECTIONS_S

    def tried_in_vain():
        assert active_controller([left]) is None, "a leader without a majority"
        return time.monotonic() > tried

    wait(tried_in_vain, "elections", alive=[stranger])
    stranger.kill()
    shutil.rmtree(stranger.data)
    os.rename(own, stranger.data)
    other.start(wait=False)
    stranger.start(wait=False)
    wait(lambda: is_in_sync(nodes, TOPIC, [[1, 2, 3]]), "all are back", alive=nodes)
    counter.look()


def a_broker_with_a_disk_of_another_cluster_ends(binary, members, counter):
    with KlammNode(binary, members, 4, IMPATIENT) as stranger:
        format_for(stranger, OTHER_CLUSTER)
        stranger.start(wait=False)
        ends_with(stranger, "no controller has registered this broker within "
                            "initial.broker.registration.timeout.ms")
        assert "refuses a fetch: the cluster id is another one" in stranger.output()
    counter.look()


def the_second_of_one_node_id_ends(binary, members, nodes, counter):
    with (KlammNode(binary, members, 4, SETTINGS) as fourth,
          KlammNode(binary, members, 4, IMPATIENT) as double):
        fourth.start(wait=False)
        wait(lambda: broker_ids(nodes[0]) == [1, 2, 3, 4], "a fourth broker", alive=nodes)
        double.members = Members({})
        double.members.roles, double.members.controller_ports = members.roles, members.controller_ports
        double.members.ports = {**members.ports, 4: processes.free_port()}
        double.start(wait=False)
        ends_with(double, "this broker is not registered yet: the broker id is in use by a live "
                          "broker",
                  "no controller has registered this broker within")
        assert fourth.process.poll() is None
        assert "registered: " not in double.output()
        assert "stale" not in fourth.output() and "is gone" not in fourth.output(), fourth.output()
        # The one that was there first is gone: its place is free again, also without its disk.
        fourth.kill()
        reset_output(double)
        double.settings = SETTINGS
        double.start(wait=False)
        double.port = double.members.ports[4]
        double.wait_ready()
        assert double.stop() == 0, double.output()
    answer = call(nodes[0], "UnregisterBroker", 0, {"BrokerId": 4})
    assert answer["ErrorCode"] == 0, answer
    counter.look()


def a_voter_on_an_empty_disk_is_refused(nodes, counter):
    node = nodes[1]
    own = take_disk(node)
    node.start(wait=False)
    ends_with(node, "format it once with klammd --format [server.properties] --cluster-id ID")
    left = [name for _, _, names in os.walk(node.data) for name in names]
    assert left in ([], [".lock"]), left
    shutil.rmtree(node.data)
    os.rename(own, node.data)
    node.start(wait=False)
    wait(lambda: is_in_sync(nodes, TOPIC, [[1, 2, 3]]), "all are back", alive=nodes)
    counter.look()


def a_broker_without_controllers_ends(binary):
    """Formatted, or it would go on looking for the cluster id."""
    members = Members({1: BOTH, 4: BROKER})
    with KlammNode(binary, members, 4, IMPATIENT) as alone:
        format_for(alone, OTHER_CLUSTER)
        alone.start(wait=False)
        ends_with(alone, "no controller has registered this broker within "
                         "initial.broker.registration.timeout.ms")


def main():
    binary = sys.argv[1]
    members = Members({1: BOTH, 2: BOTH, 3: BOTH, 4: BROKER})
    nodes = [KlammNode(binary, members, number, SETTINGS) for number in (1, 2, 3)]
    with looked_after(nodes):
        for node in nodes:
            node.format()
            node.start(wait=False)
        wait(lambda: broker_ids(nodes[0]) == [1, 2, 3], "three brokers", alive=nodes)
        create(nodes[0], TOPIC, [[1, 2, 3]])
        counter = Counter(nodes)
        counter.look()
        swapped_disks_are_refused(nodes, counter)
        a_voter_with_a_disk_of_another_cluster_takes_no_part(nodes, counter)
        a_broker_with_a_disk_of_another_cluster_ends(binary, members, counter)
        the_second_of_one_node_id_ends(binary, members, nodes, counter)
        a_voter_on_an_empty_disk_is_refused(nodes, counter)
        a_broker_without_controllers_ends(binary)
        for node in nodes:
            node.process.terminate()
        assert [node.process.wait(processes.DEADLINE_S) for node in nodes] == [0, 0, 0]
    print("6 passed, 0 failed")


if __name__ == "__main__":
    main()
