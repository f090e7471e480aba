"""A cluster of real processes, each in a network namespace of its own, with links that can be cut.

    bridge (this process, 10.77.0.254) ──── node 1 (10.77.0.1)
                                       ├─── node 2 (10.77.0.2) ...

A cut from a to b lets everything that a sends to b vanish without a sign, as a broken link does;
each direction by itself. enter_namespace() gives this process user, network and mount namespaces
of its own first, so all of it goes away with the process.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess

import processes
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

NETWORK = "10.77.0"
CLIENTS_HOST = 254
CLIENT_PORT, CONTROLLER_PORT = 9092, 9093
NOWHERE = "02:00:00:00:00:fe"  # nobody has this link address: what is sent to it is lost

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def enter_namespace():
    """Moves this process into namespaces of its own; False where the system does not allow it."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNS | CLONE_NEWNET | (CLONE_NEWUSER if user != 0 else 0)
    if libc.unshare(flags) != 0:
        return False
    if user != 0:
        with open("/proc/self/setgroups", "w") as file:
            file.write("deny")
        with open("/proc/self/uid_map", "w") as file:
            file.write(f"0 {user} 1")
        with open("/proc/self/gid_map", "w") as file:
            file.write(f"0 {group} 1")
    libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    run("mount", "-t", "tmpfs", "none", "/run")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "bridge0", "type", "bridge")
    run("ip", "address", "add", f"{NETWORK}.{CLIENTS_HOST}/24", "dev", "bridge0")
    run("ip", "link", "set", "bridge0", "up")
    return True


def host(number):
    return f"{NETWORK}.{number}"


class Place:
    """A network namespace with one address; where a node runs."""

    def __init__(self, number):
        self.number = number
        self.name = f"node-{number}"
        port = f"port{number}"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "link", "set", port, "master", "bridge0", "up")
        self.run("ip", "address", "add", f"{host(number)}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "link", "set", "lo", "up")

    def command(self, *command):
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, *command):
        run(*self.command(*command))

    def cut_to(self, number):
        self.run("ip", "neighbor", "replace", host(number), "lladdr", NOWHERE, "dev", "eth0",
                 "nud", "permanent")

    def heal_to(self, number):
        self.run("ip", "neighbor", "flush", "to", host(number), "dev", "eth0", "nud", "permanent")


class Node(processes.Process):
    """klammd as one node of a cluster with static voters 1 .. voters."""

    def __init__(self, binary, number, voters, settings, directory, roles="broker,controller"):
        super().__init__(directory)
        self.binary = os.path.abspath(binary)
        self.number = number
        self.place = Place(number)
        self.port = CLIENT_PORT
        self.roles = roles
        self.voters = voters
        self.settings = dict(settings or {})
        self.is_paused = False

    @property
    def address(self):
        return f"{host(self.number)}:{CLIENT_PORT}"

    def properties(self):
        listeners = []
        if "broker" in self.roles:
            listeners.append(f"PLAINTEXT://{host(self.number)}:{CLIENT_PORT}")
        if "controller" in self.roles:
            listeners.append(f"CONTROLLER://{host(self.number)}:{CONTROLLER_PORT}")
        voters = ",".join(f"{n}@{host(n)}:{CONTROLLER_PORT}" for n in range(1, self.voters + 1))
        values = {
            "node.id": str(self.number),
            "process.roles": self.roles,
            "listeners": ",".join(listeners),
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": voters,
            "log.dirs": self.data,
            "klamm.shards": "1",
        }
        values.update(self.settings)
        return values

    def write_properties(self):
        path = os.path.join(self.directory, "server.properties")
        with open(path, "w") as file:
            for key, value in self.properties().items():
                file.write(f"{key}={value}\n")
        return path

    def format(self, cluster_id):
        subprocess.run([self.binary, "--format", self.write_properties(), "--cluster-id",
                        cluster_id], check=True, stdout=subprocess.DEVNULL)

    def start(self):
        path = self.write_properties()
        # `ip netns exec` becomes what it runs: the process id is the node's own.
        self._start(self.place.command(self.binary, path))
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_paused = False

    def accepts(self):
        return processes.accepts_at(host(self.number), CLIENT_PORT)


class Cluster:
    """Nodes 1 .. count. Every node is formatted with one cluster id."""

    CLUSTER_ID = "a2xhbW0tY2x1c3Rlci0xMg"

    def __init__(self, binary, count, directory, settings=None, voters=None):
        self.nodes = []
        self.directory = directory
        voters = voters or count
        for number in range(1, count + 1):
            home = os.path.join(directory, f"node-{number}")
            os.makedirs(home)
            roles = "broker,controller" if number <= voters else "broker"
            node = Node(binary, number, voters, settings, home, roles)
            node.format(self.CLUSTER_ID)
            self.nodes.append(node)
        self.cuts = set()

    @property
    def addresses(self):
        return ",".join(node.address for node in self.nodes)

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            processes.wait_until(node.accepts, f"node {node.number} listens")

    def wait_for_brokers(self):
        """Until all nodes are registered brokers that any of them names."""
        admin = AdminClient({"bootstrap.servers": self.addresses, "log_level": 0})
        count = sum("broker" in node.roles for node in self.nodes)

        def known():
            with contextlib.suppress(KafkaException):
                return len(admin.list_topics(timeout=5).brokers) == count
            return False

        processes.wait_until(known, f"{count} brokers")

    def node(self, number):
        return self.nodes[number - 1]

    def cut(self, source, target):
        self.node(source).place.cut_to(target)
        self.cuts.add((source, target))

    def heal(self):
        for source, target in sorted(self.cuts):
            self.node(source).place.heal_to(target)
        self.cuts.clear()

    def stop(self):
        for node in self.nodes:
            if node.is_running():
                if node.is_paused:
                    node.resume()
                node.process.send_signal(signal.SIGTERM)
        return [node.process.wait(processes.DEADLINE_S) for node in self.nodes if node.process is not None]

    def remove(self):
        for node in self.nodes:
            node.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        if kind is not None:
            for node in self.nodes:
                node.show(f"node {node.number}")
        self.remove()
