"""What goes on while somebody is away, and what becomes of it when he is back.

 - every controller dies: brokers take records and hand them out, what must be decided waits, a broker
   that starts waits too; when the controllers are back, all of it is done and nothing is lost
 - a broker is away while topics are deleted, deleted and made again, grown, and moved to it and
   back: it sets aside what was deleted and does not take the old for the new

usage: test_absent.py KLAMMD
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "differential")]
import processes  # noqa: E402
from cluster_requests import (broker_ids, call, create, end_offsets, is_in_sync,  # noqa: E402
                              leader_of, partitions_of, reassign, wait, write)
from loopback_nodes import BROKER, CONTROLLER, KlammNode, Members, looked_after  # noqa: E402
from records_load import PARTITIONS, Load, check, read_all  # noqa: E402

CONTROLLERS, BROKERS = (1, 2, 3), (4, 5, 6)
SESSION_MS = 8000
SETTINGS = {"broker.session.timeout.ms": str(SESSION_MS), "broker.heartbeat.interval.ms": "500",
            "replica.lag.time.max.ms": "3000", "min.insync.replicas": "2",
            "auto.leader.rebalance.enable": "false", "log.segment.delete.delay.ms": "1000",
            "log.segment.bytes": str(1 << 20)}
REQUEST_TIMED_OUT = 7


def more(load, records=500):
    count = load.count() + records
    processes.wait_until(lambda: load.count() >= count, "acknowledgements")


def kill_all(nodes):
    for node in nodes:
        node.process.kill()
    for node in nodes:
        node.process.wait()


def ask_for_a_topic(node, timeout_ms):
    """The error code, and how long it took in seconds."""
    begin = time.monotonic()
    answer = call(node, "CreateTopics", 5, {"Topics": [
        {"Name": "late", "NumPartitions": 1, "ReplicationFactor": 3}], "TimeoutMs": timeout_ms})
    return answer["Topics"][0]["ErrorCode"], time.monotonic() - begin


def every_controller_dies(controllers, brokers):
    load = Load(",".join(node.address for node in brokers), "steady", True, 5)
    more(load)
    kill_all(controllers)
    began = time.monotonic()
    # Longer than a session: nobody is there to fence anybody.
    processes.wait_until(lambda: time.monotonic() > began + 1.25 * SESSION_MS / 1000, "a session and more")
    more(load, 2000)
    for node in brokers:
        assert broker_ids(node) == list(BROKERS), broker_ids(node)
    error, seconds = ask_for_a_topic(brokers[0], 1500)
    assert error == REQUEST_TIMED_OUT and 1 < seconds < 60, (error, seconds)

    # One broker dies as well: its leaderships cannot be given away, the others' records need it.
    last = brokers[-1]
    last.kill()
    last.start(wait=False)
    led = {index for index, part in partitions_of(brokers[0], "steady").items()
           if part["LeaderId"] == last.number}
    assert led, "the last broker led nothing"

    for node in controllers:
        node.start(wait=False)
    wait(lambda: is_in_sync(brokers, "steady", [list(BROKERS)] * PARTITIONS), "all in sync again",
         alive=controllers + brokers)
    more(load)
    create(brokers[0], "later", [[4, 5, 6]])
    load.finish()
    assert not load.errors, load.errors[:5]
    check(load, load.acknowledged, read_all(brokers[0].address, "steady"))
    return load.count()


def delete(node, *topics):
    answer = call(node, "DeleteTopics", 5, {"TimeoutMs": 20000, "TopicNames": list(topics)})
    assert all(found["ErrorCode"] == 0 for found in answer["Responses"]), answer


def folders(node, topic):
    """Directories that have to do with a topic: its partitions, and what is about to go."""
    return sorted(name for name in os.listdir(node.data) if name.startswith(f"{topic}-")
                  or name.startswith(f"{topic}."))


def log_of(node, topic, partition):
    content = b""
    folder = os.path.join(node.data, f"{topic}-{partition}")
    for name in sorted(n for n in os.listdir(folder) if n.endswith(".log")):
        with open(os.path.join(folder, name), "rb") as file:
            content += file.read().rstrip(b"\0")
    return content


def a_broker_is_away_while_topics_come_and_go(brokers, clean):
    first, second, away = brokers
    kind = "clean" if clean else "killed"
    gone, again, grown, moved = (f"{name}.{kind}" for name in ("gone", "again", "grown", "moved"))
    for topic in (gone, again, grown):
        create(first, topic, [[4, 5, 6]])
        write(brokers, topic, 0, [b"before"] * 30)
    create(first, moved, [[4, 5]])
    write(brokers, moved, 0, [b"before"] * 30)
    wait(lambda: all(is_in_sync(brokers, topic, [[4, 5, 6]]) for topic in (gone, again, grown)),
         "followers", alive=brokers)
    if clean:
        assert away.stop() == 0, away.output()
    else:
        away.kill()
    rest = [first, second]
    wait(lambda: all(broker_ids(node) == [4, 5] for node in rest), "it is fenced", alive=rest)

    delete(first, gone, again)
    wait(lambda: not any(partitions_of(node, topic) for node in rest for topic in (gone, again)),
         "they are gone")
    create(second, again, [[5, 4, 6]])
    write(rest, again, 0, [b"after"] * 3)
    call(first, "CreatePartitions", 3, {"TimeoutMs": 20000, "Topics": [
        {"Name": grown, "Count": 2, "Assignments": [{"BrokerIds": [5, 6, 4]}]}]})
    wait(lambda: len(partitions_of(first, grown)) == 2, "the second partition")
    write(rest, grown, 0, [b"after"] * 3)
    write(rest, grown, 1, [b"after"] * 3)
    # To the one that is away, which cannot end; then back, which can.
    reassign(first, moved, [[6, 4]])
    wait(lambda: sorted(partitions_of(first, moved)[0]["ReplicaNodes"]) == [4, 5, 6], "it is to move")
    answer = call(second, "AlterPartitionReassignments", 0, {"TimeoutMs": 20000, "Topics": [
        {"Name": moved, "Partitions": [{"PartitionIndex": 0, "Replicas": None}]}]})
    assert answer["Responses"][0]["Partitions"][0]["ErrorCode"] == 0, answer
    wait(lambda: sorted(partitions_of(first, moved)[0]["ReplicaNodes"]) == [4, 5], "it is back")

    away.start(wait=False)
    wait(lambda: is_in_sync(brokers, again, [[4, 5, 6]])
         and is_in_sync(brokers, grown, [[4, 5, 6]] * 2), "all in sync", alive=brokers)
    # What it had of them is set aside, with the clean stop and without it, and used for nothing.
    for topic, led in ((gone, []), (again, [f"{again}-0"])):
        plain = [name for name in folders(away, topic) if not name.endswith("-stray")]
        assert plain == led, folders(away, topic)
        assert len(folders(away, topic)) == len(led) + 1, folders(away, topic)
        said = [line for line in away.output().splitlines() if f"partition {topic}-0 " in line]
        assert len(said) == 1 and "is not in the metadata; kept as" in said[0], said
    assert folders(away, moved) == [], folders(away, moved)
    for topic, count in ((again, 1), (grown, 2)):
        for partition in range(count):
            wait(lambda t=topic, p=partition: log_of(away, t, p) == log_of(first, t, p),
                 f"{topic}-{partition} is the same", alive=brokers)
    leader = wait(lambda: leader_of(brokers, again, 0), "it is led")
    assert end_offsets(leader, again, 1) == [3]


def main():
    members = Members({**{number: CONTROLLER for number in CONTROLLERS},
                       **{number: BROKER for number in BROKERS}})
    nodes = [KlammNode(sys.argv[1], members, number, SETTINGS) for number in members.roles]
    controllers, brokers = nodes[:len(CONTROLLERS)], nodes[len(CONTROLLERS):]
    with looked_after(nodes):
        for node in controllers:
            node.format()
        for node in nodes:
            node.start(wait=False)
        wait(lambda: all(broker_ids(node) == list(BROKERS) for node in brokers), "three brokers",
             alive=nodes)
        create(brokers[0], "steady", [[4, 5, 6], [5, 6, 4], [6, 4, 5]] * (PARTITIONS // 3))
        count = every_controller_dies(controllers, brokers)
        a_broker_is_away_while_topics_come_and_go(brokers, True)
        a_broker_is_away_while_topics_come_and_go(brokers, False)
        for node in brokers:
            assert node.stop() == 0, node.output()
        for node in controllers:
            node.process.terminate()
        assert [node.process.wait(processes.DEADLINE_S) for node in controllers] == [0] * len(CONTROLLERS)
    print(f"3 passed, 0 failed; {count} records acknowledged, none lost")


if __name__ == "__main__":
    main()
