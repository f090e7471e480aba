"""Kafka's own command line tools on a cluster of Klamm nodes: what docs/cluster.md shows is what they say,
up to the node that is added, and what administrators do with them takes effect.

Three voters that are brokers too, and a fourth broker that joins. Some thirty tools, each a Java
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
            "min.insync.replicas": "2", "klamm.shards": "2"}
TOOLS = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "reassign": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "configs": "kafka.admin.ConfigCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "offsets": "org.apache.kafka.tools.GetOffsetShell",
    "producer": "org.apache.kafka.tools.ProducerPerformance",
}
PARTITIONS = 6


class Administrator:
    """Runs tools against a node; what they print is kept for the message of a failure."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.calls = 0

    def run(self, tool, *arguments, node=None, status=0, at_controller=False):
        node = node or self.nodes[self.calls % len(self.nodes)]
        self.calls += 1
        port = node.members.controller_ports[node.number] if at_controller else node.port
        option = "--bootstrap-controller" if at_controller else "--bootstrap-server"
        place = f"127.0.0.1:{port}"
        # Sub-commands of argparse come first.
        first = [arguments[0]] if tool == "cluster" else []
        found, output = processes.kafka_tool(TOOLS[tool], *first, option, place,
                                             *arguments[len(first):])
        assert found == status, f"{tool} {' '.join(arguments)}: status {found}\n{output}"
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
        except BaseException:
            for node in nodes:
                if node.process is None:
                    continue
                print(f"---- node {node.number}\n{node.output()[-3000:]}", flush=True)
            raise
    print(f"{admin.calls} calls of tools")


if __name__ == "__main__":
    main()
