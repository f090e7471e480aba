"""Kafka's own command line tools on a cluster of Klamm nodes: what docs/cluster.md shows is what they say,
from the first topic to the node that is taken away and the voters that change, and what administrators do
with them takes effect.

Three voters that are brokers too, and a fourth broker that joins and leaves. Some fifty tools, each a Java
process: only in nightly runs, or with --now.

usage: cluster_tools.py KLAMMD [--now]
"""

import contextlib
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), HERE]
import processes  # noqa: E402
from cluster_requests import broker_ids, is_in_sync, partitions_of, wait  # noqa: E402
from loopback_nodes import BOTH, BROKER, KlammNode, Members  # noqa: E402

SETTINGS = {"broker.session.timeout.ms": "6000", "broker.heartbeat.interval.ms": "500",
            "auto.leader.rebalance.enable": "false", "default.replication.factor": "3",
            "min.insync.replicas": "2", "replica.fetch.max.bytes": "16384", "klamm.shards": "2"}
TOOLS = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "reassign": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "configs": "kafka.admin.ConfigCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "offsets": "org.apache.kafka.tools.GetOffsetShell",
    "election": "org.apache.kafka.tools.LeaderElectionCommand",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "producer": "org.apache.kafka.tools.ProducerPerformance",
}
PARTITIONS = 6


class Administrator:
    """Runs tools against a node; what they print is kept for the message of a failure."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.calls = 0

    def run(self, tool, *arguments, node=None, status=0, at_controller=False):
        """status None: any is fine."""
        node = node or self.nodes[self.calls % len(self.nodes)]
        self.calls += 1
        port = node.members.controller_ports[node.number] if at_controller else node.port
        option = "--bootstrap-controller" if at_controller else "--bootstrap-server"
        place = f"127.0.0.1:{port}"
        # Sub-commands of argparse come first.
        first = [arguments[0]] if tool == "cluster" else []
        found, output = processes.kafka_tool(TOOLS[tool], *first, option, place,
                                             *arguments[len(first):])
        assert status in (found, None), f"{tool} {' '.join(arguments)}: status {found}\n{output}"
        return output


def expect(output, *patterns):
    for pattern in patterns:
        assert re.search(pattern, output, re.MULTILINE), f"no {pattern!r} in\n{output}"
    return output


def the_quorum_is_described(admin):
    for at_controller in (False, True):
        output = admin.run("quorum", "describe", "--replication", at_controller=at_controller)
        assert output.count("Leader") == 1 and output.count("Follower") == 2, output
        expect(admin.run("quorum", "describe", "--status", at_controller=at_controller),
               r"^CurrentVoters: +\[.*1.*2.*3", r"^LeaderId: +[123]$")
    expect(admin.run("cluster", "cluster-id"), f"Cluster ID: {processes.CLUSTER_ID}")
    expect(admin.run("cluster", "cluster-id", at_controller=True), processes.CLUSTER_ID)
    output = admin.run("cluster", "list-endpoints")
    expect(output, *(rf"^{node.number} +127.0.0.1 +{node.port}" for node in admin.nodes))
    output = admin.run("cluster", "list-endpoints", at_controller=True)
    expect(output, *(rf"^{node.number} +127.0.0.1 +{node.members.controller_ports[node.number]}"
                     for node in admin.nodes))


def topics_are_made_and_described(admin):
    expect(admin.run("topics", "--create", "--topic", "orders", "--partitions", str(PARTITIONS)),
           "Created topic orders")
    wait(lambda: all(len(partitions_of(node, "orders")) == PARTITIONS for node in admin.nodes),
         "the topic everywhere")
    output = admin.run("topics", "--describe", "--topic", "orders")
    expect(output, rf"Topic: orders\tTopicId: \S+\tPartitionCount: {PARTITIONS}\tReplicationFactor: 3")
    found = re.findall(r"Replicas: ([\d,]+)\tIsr: ([\d,]+)", output)
    assert len(found) == PARTITIONS, output
    assert all(sorted(replicas.split(",")) == sorted(isr.split(",")) == ["1", "2", "3"]
               for replicas, isr in found), output
    assert admin.run("topics", "--describe", "--under-replicated-partitions").strip() == ""
    output = admin.run("topics", "--create", "--topic", "orders", status=1)
    expect(output, "there is a topic orders already")
    output = admin.run("topics", "--create", "--topic", "wide", "--replication-factor", "4", status=1)
    expect(output, "replication factor 4 is not possible: fewer brokers are registered")
    expect(admin.run("topics", "--list"), "^orders$")


def records_are_written_and_deleted(admin, scratch):
    output = admin.run("producer", "--topic", "orders", "--num-records", "5000", "--record-size",
                       "2000", "--throughput", "-1", "--command-property", "acks=all")
    expect(output, "^5000 records sent")
    offsets = admin.run("offsets", "--topic", "orders")
    assert sum(int(line.split(":")[2]) for line in offsets.split() if line.count(":") == 2) == 5000
    with open(scratch("offsets.json"), "w") as file:
        json.dump({"version": 1, "partitions": [{"topic": "orders", "partition": 0, "offset": 10}]},
                  file)
    expect(admin.run("delete-records", "--offset-json-file", scratch("offsets.json")),
           "partition: orders-0\tlow_watermark: 10")
    output = admin.run("log-dirs", "--describe", "--topic-list", "orders")
    found = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    assert sorted(broker["broker"] for broker in found["brokers"]) == [1, 2, 3], found
    for broker in found["brokers"]:
        for directory in broker["logDirs"]:
            assert directory["error"] is None and len(directory["partitions"]) == PARTITIONS, found
            assert all(part["offsetLag"] == 0 for part in directory["partitions"]), found


def settings_and_quotas_are_kept(admin):
    def change(kind, name, *arguments):
        entity = ["--entity-default"] if name is None else ["--entity-name", name]
        return admin.run("configs", "--alter", "--entity-type", kind, *entity, *arguments)

    def shown(kind, name):
        entity = ["--entity-default"] if name is None else ["--entity-name", name]
        return admin.run("configs", "--describe", "--entity-type", kind, *entity)

    expect(change("topics", "orders", "--add-config", "retention.ms=86400000"), "Completed updating")
    expect(shown("topics", "orders"), r"retention.ms=86400000 .*DYNAMIC_TOPIC_CONFIG")
    expect(change("topics", "orders", "--delete-config", "retention.ms"), "Completed updating")
    assert "retention.ms=86400000" not in shown("topics", "orders")
    change("brokers", None, "--add-config", "log.retention.ms=3600000")
    expect(shown("brokers", None), r"log.retention.ms=3600000 .*DYNAMIC_DEFAULT_BROKER_CONFIG")
    change("brokers", "2", "--add-config", "log.retention.ms=7200000")
    expect(shown("brokers", "2"), r"log.retention.ms=7200000 .*DYNAMIC_BROKER_CONFIG:log.retention.ms="
                                  r"7200000, DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=3600000")
    change("brokers", "2", "--delete-config", "log.retention.ms")
    change("brokers", None, "--delete-config", "log.retention.ms")
    change("users", "alice", "--add-config", "producer_byte_rate=1048576")
    expect(shown("users", "alice"), "Quota configs for user-principal 'alice' are "
                                    "producer_byte_rate=1048576.0")
    change("clients", None, "--add-config", "request_percentage=50")
    expect(shown("clients", None), "default client-id are request_percentage=50.0")
    output = admin.run("configs", "--alter", "--entity-type", "topics", "--entity-name", "orders",
                       "--add-config", "no.such.key=1", status=1)
    expect(output, "InvalidConfigurationException|InvalidConfigException|Unknown topic config")


def a_node_is_added_and_partitions_move_to_it(admin, fourth, scratch):
    """Under a throttle, which the tool takes away when all has moved."""
    fourth.start(wait=False)
    wait(lambda: broker_ids(admin.nodes[0]) == [1, 2, 3, 4], "a fourth broker", alive=admin.nodes)
    with open(scratch("topics.json"), "w") as file:
        json.dump({"version": 1, "topics": [{"topic": "orders"}]}, file)
    output = admin.run("reassign", "--topics-to-move-json-file", scratch("topics.json"),
                       "--broker-list", "1,2,3,4", "--generate")
    plan = json.loads(output.split("Proposed partition reassignment configuration")[1])
    assert any(4 in part["replicas"] for part in plan["partitions"]), plan
    with open(scratch("plan.json"), "w") as file:
        json.dump(plan, file)
    output = admin.run("reassign", "--reassignment-json-file", scratch("plan.json"), "--execute",
                       "--throttle", "50000000")
    expect(output, "Successfully started partition reassignments for orders-0",
           "The inter-broker throttle limit was set to 50000000 B/s")
    by_partition = [part["replicas"] for part in sorted(plan["partitions"],
                                                        key=lambda part: part["partition"])]
    nodes = [*admin.nodes, fourth]
    wait(lambda: is_in_sync(nodes, "orders", by_partition), "everything has moved", 120, alive=nodes)
    output = admin.run("reassign", "--reassignment-json-file", scratch("plan.json"), "--verify")
    expect(output, "Reassignment of partition orders-0 is completed",
           "Clearing broker-level throttles", "Clearing topic-level throttles")
    assert "still in progress" not in output, output
    assert "throttled" not in admin.run("configs", "--describe", "--entity-type", "topics",
                                        "--entity-name", "orders")
    expect(admin.run("reassign", "--list"), "No partition reassignments found")


def is_led(nodes, topic, leader):
    """Every node shows this leader of the first partition; -1: none."""
    return all(partitions_of(node, topic)[0]["LeaderId"] == leader for node in nodes)


def write_plan(path, topic, replicas):
    with open(path, "w") as file:
        json.dump({"version": 1, "partitions": [
            {"topic": topic, "partition": index, "replicas": ids} for index, ids in replicas.items()]},
            file)


def leaders_are_elected(admin, nodes):
    """The third node comes back and gets its partitions; then one that nobody in sync can lead."""
    *rest, third, fourth = nodes
    kept = [node for node in nodes if node is not third]
    before = {index: part["ReplicaNodes"] for index, part in partitions_of(third, "orders").items()}
    replicas = [before[index] for index in range(PARTITIONS)]
    preferred = [ids[0] for ids in replicas]
    admin.run("election", "--election-type", "preferred", "--all-topic-partitions")
    wait(lambda: is_in_sync(nodes, "orders", replicas, preferred), "the first replicas lead")
    assert third.number in preferred, replicas
    assert third.stop() == 0
    wait(lambda: all(part["LeaderId"] not in (third.number, -1) for node in kept
                     for part in partitions_of(node, "orders").values()), "other leaders", alive=kept)
    third.start()
    wait(lambda: is_in_sync(nodes, "orders", replicas), "the third node is in sync", alive=nodes)
    output = admin.run("election", "--election-type", "preferred", "--all-topic-partitions",
                       node=rest[0])
    expect(output, r"^Successfully completed leader election \(PREFERRED\) for partitions .*orders-"
                   f"{preferred.index(third.number)}")
    wait(lambda: is_in_sync(nodes, "orders", replicas, preferred), "the first replicas lead again")
    expect(admin.run("election", "--election-type", "preferred", "--topic", "orders", "--partition",
                     "0", node=rest[0]), "Valid replica already elected for partitions orders-0")

    # Only the fourth has all of it, and is killed; the third is there, and lacks some.
    admin.run("topics", "--create", "--topic", "torn", "--replica-assignment",
              f"{fourth.number}:{third.number}", "--config", "min.insync.replicas=1", node=rest[0])
    wait(lambda: is_in_sync(nodes, "torn", [[fourth.number, third.number]]), "the torn topic",
         alive=nodes)
    third.kill()
    wait(lambda: partitions_of(fourth, "torn")[0]["IsrNodes"] == [fourth.number], "the third is out")
    fourth.kill()
    wait(lambda: is_led(rest, "torn", -1), "no leader", alive=rest)
    third.start()
    wait(lambda: broker_ids(rest[0]) == [1, 2, third.number], "the third is back", alive=rest)
    election = ["--topic", "torn", "--partition", "0"]
    output = admin.run("election", "--election-type", "preferred", *election, node=rest[0], status=1)
    expect(output, "1 replica\\(s\\) could not be elected", "torn-0.*PreferredLeaderNotAvailable")
    assert is_led(rest, "torn", -1)
    output = admin.run("election", "--election-type", "unclean", *election, node=rest[0])
    expect(output, r"^Successfully completed leader election \(UNCLEAN\) for partitions torn-0$")
    wait(lambda: is_led([*rest, third], "torn", third.number), "the third leads", alive=rest)
    fourth.start()
    wait(lambda: is_in_sync(nodes, "torn", [[fourth.number, third.number]]), "both have torn",
         alive=nodes)
    wait(lambda: is_in_sync(nodes, "orders", replicas), "all are in sync", alive=nodes)


def a_move_is_cancelled(admin, nodes, scratch):
    """It crawls under its throttle and in small bites (SETTINGS), so that it cannot be over before."""
    shown = partitions_of(nodes[0], "orders")[0]["ReplicaNodes"]
    new = next(node.number for node in nodes if node.number not in shown)
    write_plan(scratch("crawl.json"), "orders", {0: [*shown[:2], new]})
    expect(admin.run("reassign", "--reassignment-json-file", scratch("crawl.json"), "--execute",
                     "--throttle", "100"), "Successfully started partition reassignment for orders-0")
    expect(admin.run("reassign", "--list"), rf"^orders-0: .*adding: {new}")
    expect(admin.run("reassign", "--reassignment-json-file", scratch("crawl.json"), "--cancel"),
           "Successfully cancelled partition reassignments? for: \\{?orders-0")
    wait(lambda: is_in_sync(nodes, "orders", [
        part["ReplicaNodes"] for _, part in sorted(partitions_of(nodes[0], "orders").items())]),
         "nothing moves", alive=nodes)
    assert partitions_of(nodes[0], "orders")[0]["ReplicaNodes"] == shown
    expect(admin.run("reassign", "--list"), "No partition reassignments found")
    assert "throttled" not in admin.run("configs", "--describe", "--entity-type", "topics",
                                        "--entity-name", "orders")


def a_node_is_drained_and_forgotten(admin, nodes, scratch):
    *rest, fourth = nodes
    with open(scratch("topics.json"), "w") as file:
        json.dump({"version": 1, "topics": [{"topic": "orders"}, {"topic": "torn"}]}, file)
    output = admin.run("reassign", "--topics-to-move-json-file", scratch("topics.json"),
                       "--broker-list", "1,2,3", "--generate")
    with open(scratch("drain.json"), "w") as file:
        file.write(output.split("Proposed partition reassignment configuration")[1])
    admin.run("reassign", "--reassignment-json-file", scratch("drain.json"), "--execute")
    wait(lambda: all(fourth.number not in part["ReplicaNodes"] for topic in ("orders", "torn")
                     for part in partitions_of(rest[0], topic).values()), "it is drained", 120,
         alive=nodes)
    output = admin.run("reassign", "--reassignment-json-file", scratch("drain.json"), "--verify")
    expect(output, *(f"Reassignment of partition {name} is completed" for name in ("orders-0", "torn-0")))
    assert fourth.stop() == 0
    expect(admin.run("cluster", "unregister", "--id", str(fourth.number)),
           f"Broker {fourth.number} is no longer registered")
    wait(lambda: all(broker_ids(node) == [1, 2, 3] for node in rest), "three brokers", alive=rest)
    output = admin.run("cluster", "list-endpoints", "--include-fenced-brokers")
    assert not re.search(rf"^{fourth.number} ", output, re.MULTILINE), output


def voters_of_the_settings_go_into_the_log(admin):
    def level(number):
        return rf"^Feature: kraft\.version\t.*FinalizedVersionLevel: {number}\t"

    def raised():
        """A leader that is new has not heard all voters yet, and says so."""
        output = admin.run("features", "upgrade", "--feature", "kraft.version=1", status=None)
        if "kraft.version was upgraded to 1." in output:
            return True
        expect(output, "has not told this controller|try again")
        return False

    expect(admin.run("features", "describe"), level(0), r"^Feature: metadata\.version\t.*: 4\.")
    output = admin.run("features", "upgrade", "--feature", "no.such.feature=1", status=1)
    expect(output, "knows no feature|not supported|Unknown")
    wait(raised, "kraft.version 1", 120, alive=admin.nodes)
    expect(admin.run("features", "describe"), level(1))
    output = admin.run("features", "downgrade", "--feature", "kraft.version=0", status=1)
    expect(output, "kraft.version is 1 and cannot be lowered")


def main():
    if not processes.kafka_libraries():
        print("skipped: KLAMM_KAFKA_LIBS names no folder with Kafka's jars, or there is no Java")
        sys.exit(77)
    if not os.environ.get("KLAMM_NIGHTLY") and "--now" not in sys.argv:
        print("skipped: in nightly runs only")
        sys.exit(77)
    members = Members({1: BOTH, 2: BOTH, 3: BOTH, 4: BROKER})
    nodes = [KlammNode(sys.argv[1], members, number, SETTINGS) for number in members.roles]
    *voters, fourth = nodes
    admin = Administrator(voters)

    def scratch(name):
        return os.path.join(fourth.directory, name)

    with contextlib.ExitStack() as stack:
        for node in nodes:
            stack.callback(node.remove)
        try:
            for node in voters:
                node.format()
                node.start(wait=False)
            wait(lambda: all(broker_ids(node) == [1, 2, 3] for node in voters), "three brokers",
                 alive=voters)
            the_quorum_is_described(admin)
            topics_are_made_and_described(admin)
            records_are_written_and_deleted(admin, scratch)
            settings_and_quotas_are_kept(admin)
            a_node_is_added_and_partitions_move_to_it(admin, fourth, scratch)
            leaders_are_elected(admin, nodes)
            a_move_is_cancelled(admin, nodes, scratch)
            a_node_is_drained_and_forgotten(admin, nodes, scratch)
            voters_of_the_settings_go_into_the_log(admin)
        except BaseException:
            for node in nodes:
                if node.process is None:
                    continue
                print(f"---- node {node.number}\n{node.output()[-3000:]}", flush=True)
            raise
    print(f"{admin.calls} calls of tools")


if __name__ == "__main__":
    main()
