"""Nodes with two log directories, one of which fails (KIP-858): leaderships move away from it, what
lies in the other goes on, and nothing is begun anew while the lost directory may come back.

usage: test_directories.py KLAMMD
"""

import base64
import contextlib
import glob
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "differential"))
import processes  # noqa: E402
import cluster_requests  # noqa: E402
import wire  # noqa: E402
from loopback_nodes import KlammCluster  # noqa: E402

TOPIC = "places"
PARTITIONS = 12
RECORDS = 5


def call(node, name, version, values):
    assert node.process.poll() is None, node.output()[-3000:]
    connection = wire.Connection(node.port, timeout_s=processes.DEADLINE_S)
    try:
        return connection.call(name, version, values)
    finally:
        connection.close()


def wait(condition, what):
    def holds():
        with contextlib.suppress(OSError, wire.Closed):
            return condition()
        return False

    processes.wait_until(holds, what)


def second_of(node):
    return os.path.join(node.directory, "second")


def use_two(node):
    node.settings["log.dirs"] = f"{node.data},{second_of(node)}"
    node.settings["replica.high.watermark.checkpoint.interval.ms"] = "200"
    node.settings["klamm.shards"] = "2"


def create(node, replicas):
    cluster_requests.create(node, TOPIC, [replicas] * PARTITIONS)


def partitions_of(node):
    """Index -> what the node says of it."""
    assert node.process.poll() is None, "a node has ended"
    return cluster_requests.partitions_of(node, TOPIC)


def lie_in(path):
    return {index for index in range(PARTITIONS)
            if os.path.isdir(os.path.join(path, f"{TOPIC}-{index}"))}


def is_assigned(node, voter, path, indexes):
    """Whether the metadata log of the voter names the directory for that many replicas."""
    with open(os.path.join(path, "meta.properties")) as file:
        text = next(line for line in file if line.startswith("directory.id=")).split("=", 1)[1]
    identifier = base64.urlsafe_b64decode(text.strip() + "==")
    content = b""
    for name in glob.glob(os.path.join(voter.data, "__cluster_metadata-0", "*.log")):
        with open(name, "rb") as file:
            content += file.read()
    return content.count(identifier) > len(indexes)  # and once in the registration


def write(nodes, indexes):
    """Records to each partition, at its leader, acknowledged by everybody in sync."""
    parts = partitions_of(nodes[0])
    by_number = {getattr(node, "number", 1): node for node in nodes}
    for index in indexes:
        if index not in parts or parts[index]["LeaderId"] not in by_number:
            return False
        records = wire.batch([wire.record(0, b"key", b"value" * 20)], int(time.time() * 1000))
        answer = call(by_number[parts[index]["LeaderId"]], "Produce", 8, {
            "Acks": -1, "TimeoutMs": 20000, "TopicData": [{"Name": TOPIC, "PartitionData": [
                {"Index": index, "Records": records}]}]})
        part = answer["Responses"][0]["PartitionResponses"][0]
        if part["ErrorCode"] != 0:
            return False
    return True


def end_of(node, index):
    answer = call(node, "ListOffsets", 5, {"ReplicaId": -1, "Topics": [{
        "Name": TOPIC, "Partitions": [{"PartitionIndex": index, "Timestamp": -1}]}]})
    return answer["Topics"][0]["Partitions"][0]["Offset"]


def is_marked_clean(path):
    return os.path.exists(os.path.join(path, ".kafka_cleanshutdown"))


def lose(path):
    """Whatever is asked for by a name in the directory fails, in a way that is not a mistake of names."""
    os.rename(path, path + "-lost")
    os.symlink(path, path)


def find_again(path):
    os.remove(path)
    os.rename(path + "-lost", path)


def leaders_leave_a_directory_that_fails(klammd):
    with KlammCluster(klammd, 3) as cluster:
        first, hurt, third = (cluster.nodes[number] for number in (1, 2, 3))
        nodes = [first, hurt, third]
        use_two(hurt)
        cluster.start()
        create(first, [2, 1, 3])

        def all_in_sync(indexes, leader, among):
            parts = partitions_of(first)
            return len(parts) == PARTITIONS and all(
                sorted(parts[index]["IsrNodes"]) == among and
                (leader is None or parts[index]["LeaderId"] == leader) for index in indexes)

        everything = range(PARTITIONS)
        wait(lambda: all_in_sync(everything, 2, [1, 2, 3]), "all are in sync")
        lost = lie_in(second_of(hurt))
        kept = lie_in(hurt.data)
        assert lost and kept and lost | kept == set(everything), (lost, kept)
        wait(lambda: is_assigned(hurt, first, second_of(hurt), lost), "directories are told")
        wait(lambda: write(nodes, everything), "all take records")

        lose(second_of(hurt))

        def have_moved():
            write(nodes, everything)  # until something has to be written there
            parts = partitions_of(first)
            return all(parts[index]["LeaderId"] in (1, 3) and
                       sorted(parts[index]["IsrNodes"]) == [1, 3] and
                       parts[index]["OfflineReplicas"] == [2] for index in lost)

        wait(have_moved, "leaders have moved")
        assert all_in_sync(kept, 2, [1, 2, 3]), partitions_of(first)
        wait(lambda: write(nodes, everything), "all take records")

        # As long as the directory may come back, nothing takes its place.
        assert hurt.stop() == 0, hurt.output()
        assert is_marked_clean(hurt.data) and not is_marked_clean(second_of(hurt) + "-lost")
        hurt.start()
        wait(lambda: all_in_sync(kept, None, [1, 2, 3]), "what is left is in sync")
        assert all_in_sync(lost, None, [1, 3]), partitions_of(first)
        assert not lie_in(hurt.data) & lost, lie_in(hurt.data)

        # Without it the node begins anew.
        hurt.stop()
        hurt.settings["log.dirs"] = hurt.data
        hurt.start()
        wait(lambda: all_in_sync(everything, None, [1, 2, 3]), "all are in sync again")
        assert lie_in(hurt.data) == set(everything)
        wait(lambda: write(nodes, everything), "all take records")
        parts = partitions_of(first)
        for index in lost:
            leader = cluster.nodes[parts[index]["LeaderId"]]
            assert end_of(leader, index) >= 3, f"partition {index} has lost records"
        cluster.stop()


def a_lone_node_begins_nothing_anew(klammd):
    with processes.Klamm(klammd) as node:
        use_two(node)
        node.start()
        create(node, [1])
        wait(lambda: len(partitions_of(node)) == PARTITIONS, "the partitions are there")
        lost = lie_in(second_of(node))
        kept = lie_in(node.data)
        assert lost and kept, (lost, kept)
        wait(lambda: is_assigned(node, node, second_of(node), lost), "directories are told")
        for _ in range(RECORDS):
            wait(lambda: write([node], range(PARTITIONS)), "all take records")
        assert node.stop() == 0, node.output()
        lose(second_of(node))
        node.start()
        wait(lambda: write([node], kept), "the other directory goes on")
        parts = partitions_of(node)
        assert all(parts[index]["LeaderId"] == -1 for index in lost), parts
        assert not lie_in(node.data) & lost
        assert node.stop() == 0, node.output()
        assert is_marked_clean(node.data)
        find_again(second_of(node))
        node.start()
        wait(lambda: write([node], range(PARTITIONS)), "all are led again")
        for index in range(PARTITIONS):
            assert end_of(node, index) >= RECORDS + 1, f"partition {index}: {end_of(node, index)}"
        assert node.stop() == 0, node.output()


def main():
    klammd = sys.argv[1]
    a_lone_node_begins_nothing_anew(klammd)
    leaders_leave_a_directory_that_fails(klammd)
    print("2 passed, 0 failed")


if __name__ == "__main__":
    main()
