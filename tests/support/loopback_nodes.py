"""Nodes of one cluster on loopback, of Klamm or of Apache Kafka, each with ports and files of its own.

The quorum is static: Members says who votes and at which port, so that every node can be written down
before the first starts. Where links are to be cut, see cluster_nodes.py instead.
"""

import contextlib

import processes

BOTH, BROKER, CONTROLLER = "broker,controller", "broker", "controller"


class Members:
    """Who is in the cluster: node id -> roles, and the ports of each."""

    def __init__(self, roles):
        self.roles = dict(roles)
        self.ports = {number: processes.free_port() for number in roles}
        self.controller_ports = {number: processes.free_port() for number in roles}

    def voters(self):
        return ",".join(f"{number}@127.0.0.1:{self.controller_ports[number]}"
                        for number, roles in sorted(self.roles.items()) if "controller" in roles)

    def properties(self, number, data):
        return processes.quorum_node(
            number, self.roles[number], f"127.0.0.1:{self.ports[number]}",
            f"127.0.0.1:{self.controller_ports[number]}", self.voters(), data)

    def listens(self, number):
        """The port at which the node is there for whoever asks first."""
        is_broker = "broker" in self.roles[number]
        return (self.ports if is_broker else self.controller_ports)[number]


class KlammNode(processes.Klamm):
    def __init__(self, binary, members, number, settings=None):
        super().__init__(binary, settings)
        self.members, self.number, self.port = members, number, members.listens(number)

    def properties(self):
        return {**self.members.properties(self.number, self.data), "klamm.shards": "1",
                **self.settings}


class KafkaNode(processes.Kafka):
    def __init__(self, members, number, settings=None, directory=None):
        super().__init__(settings, directory)
        self.members, self.number, self.port = members, number, members.listens(number)

    def properties(self):
        return {**self.members.properties(self.number, self.data), **self.settings}


def start_all(nodes):
    """All at once, since some wait for others."""
    for node in nodes:
        node.start(wait=False)
    for node in nodes:
        node.wait_ready()


@contextlib.contextmanager
def looked_after(nodes):
    """Removes the nodes at the end; if the test fails, what they said last comes first."""
    try:
        yield nodes
    except BaseException:
        for node in nodes:
            node.show(f"node {node.number}")
        raise
    finally:
        for node in nodes:
            node.remove()


class KlammCluster:
    """Nodes 1 .. count, each broker and controller."""

    def __init__(self, binary, count, settings=None):
        members = Members({number: BOTH for number in range(1, count + 1)})
        self.nodes = {number: KlammNode(binary, members, number, settings)
                      for number in members.roles}
        for node in self.nodes.values():
            node.format()

    def start(self):
        for node in self.nodes.values():
            node.start(wait=False)
        for node in self.nodes.values():
            node.wait_ready()
        return self

    def stop(self):
        for node in self.nodes.values():
            node.process.terminate()
        return [node.process.wait(processes.DEADLINE_S) for node in self.nodes.values()]

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        for node in self.nodes.values():
            if kind is not None:
                node.show(f"node {node.number}")
            node.remove()
