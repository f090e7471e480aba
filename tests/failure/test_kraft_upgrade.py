"""A quorum of controller.quorum.voters goes over to voters that change, under load (KIP-853).

Two of three static voters run: kafka-features is refused, with the voter that was not heard. When the
third one is there Kafka's own tools raise kraft.version, and take a controller out and add it again.
The nodes restart with the old setting, which counts for nothing any more, and then with bootstrap
servers in its place. A producer with acks=all goes on all the time, and at the end every record that
it was told of must be there. Without Kafka's tools the same is asked by hand.

usage: test_kraft_upgrade.py KLAMMD
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_voters  # noqa: E402
from test_voters import (NODES, NONE, add_with_tool, await_voters, begin_load, more,  # noqa: E402
                         processes, remove, tool, try_with_nodes)
from records_load import check, read_all  # noqa: E402

OUT_OF_TIME = "TimeoutException"  # of a tool that heard of nobody
NOT_FOUND = "VoterNotFoundException"
PATIENCE_S = 400  # with Java an attempt may take a minute, where the machine is busy
UPGRADE, UNSAFE_DOWNGRADE = 1, 3


class Node(test_voters.Node):
    is_static = True

    def properties(self):
        properties = super().properties()
        if self.is_static:
            del properties["controller.quorum.bootstrap.servers"]
            properties["controller.quorum.voters"] = ",".join(
                f"{number}@127.0.0.1:{port}" for number, port in self.controller_ports.items())
        return properties


def features_by_hand(node, level, upgrade_type):
    answer = node.call("UpdateFeatures", 1, {"TimeoutMs": 10000, "ValidateOnly": False,
        "FeatureUpdates": [{"Feature": "kraft.version", "MaxVersionLevel": level,
                            "UpgradeType": upgrade_type}]})
    return answer["ErrorCode"] == NONE, answer["ErrorMessage"] or ""


def raise_level(node):
    """Whether the level is 1, and what was said."""
    if not processes.kafka_libraries():
        return features_by_hand(node, 1, UPGRADE)
    status, output = processes.kafka_tool(
        "org.apache.kafka.tools.FeatureCommand", "--bootstrap-server", node.address, "upgrade",
        "--feature", "kraft.version=1")
    return status == 0, output


def upgrade(node):
    """Refused until the leader was told of all voters, and for no other reason."""
    def done():
        done, said = raise_level(node)
        assert done or "has not told this controller" in said or OUT_OF_TIME in said, said
        return done

    processes.wait_until(done, "kraft.version 1", PATIENCE_S)


def is_refused_for_the_third(node):
    """The others are heard of first."""
    done, said = raise_level(node)
    assert not done and ("has not told" in said or OUT_OF_TIME in said), said
    return "voter 3 has not told" in said


def level_of(node):
    answer = node.call("ApiVersions", 3, {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1"})
    return next((feature["MaxVersionLevel"] for feature in answer["FinalizedFeatures"]
                 if feature["Name"] == "kraft.version"), 0)


def remove_with_tool(through, number, node):
    if not processes.kafka_libraries():
        remove(through, number, node.directory_id())
        return
    output = tool(through, "remove-controller", "--controller-id", str(number),
                  "--controller-directory-id", node.directory_text(), was_done=NOT_FOUND)
    assert f"Removed  KRaft controller {number}" in output or NOT_FOUND in output, output


def restart(node):
    assert node.stop() == 0, node.output()[-2000:]
    node.start()


def run(nodes):
    first, second, third = (nodes[number] for number in NODES)
    for node in nodes.values():
        node.format()
    for node in (first, second):
        node.start(wait=False)
    for node in (first, second):
        node.wait_ready()
    processes.wait_until(lambda: is_refused_for_the_third(first), "a refusal for the third voter", PATIENCE_S)
    assert level_of(first) == 0

    third.start()
    load = begin_load(nodes)
    upgrade(second)
    processes.wait_until(lambda: level_of(third) == 1, "level 1 at another node")
    _, voters, _ = await_voters(first, NODES)
    assert voters == {number: node.directory_id() for number, node in nodes.items()}, voters
    assert features_by_hand(first, 1, UPGRADE)[0]
    done, said = features_by_hand(first, 0, UNSAFE_DOWNGRADE)
    assert not done and "cannot be lowered" in said, said
    more(load)
    print("kraft.version is 1", flush=True)

    remove_with_tool(second, 1, first)
    await_voters(third, {2, 3}, {1})
    more(load)
    for node in nodes.values():
        restart(node)
        await_voters(second, {2, 3}, {1})
    more(load)
    print("the setting counts for nothing", flush=True)

    for node in nodes.values():
        node.is_static = False
        restart(node)
    add_with_tool(second, first)
    _, voters, _ = await_voters(first, NODES)
    assert voters == {number: node.directory_id() for number, node in nodes.items()}, voters
    more(load)
    print("the first one votes again", flush=True)

    load.finish()
    assert not load.errors, load.errors[:5]
    check(load, load.acknowledged, read_all(second.address, "voters"))
    print(f"{load.count()} records acknowledged")


def main():
    try_with_nodes(run, Node)
    print("ok")


if __name__ == "__main__":
    main()
