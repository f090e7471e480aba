"""Several nodes in one terminal, for trying out: ./run --cluster N [--port P] [--override key=value]...

Every node is broker and controller, with files of its own under ./klamm-cluster. Not under
./klamm-data: that is the log directory of the node that ./run starts, which would take node-1 for
the first partition of a topic. A node that dies stays dead until it is started again by hand with
the line that is printed, so one can see what the others do. Ctrl-C stops all in order.

usage: cluster.py KLAMMD COUNT [option]...
"""

import glob
import os
import re
import signal
import subprocess
import sys
import threading

DIRECTORY = "klamm-cluster"
FIRST_PORT = 9092
COUNT_MAX = 9


class Node:
    def __init__(self, number, first_port):
        self.number = number
        self.port = first_port + 2 * (number - 1)
        self.controller_port = self.port + 1
        self.file = f"{DIRECTORY}/node-{number}.properties"
        self.data = f"{DIRECTORY}/node-{number}"
        self.process = None
        self.ready = False

    def properties(self, nodes):
        voters = ",".join(f"{node.number}@localhost:{node.controller_port}" for node in nodes)
        return (f"node.id={self.number}\n"
                "process.roles=broker,controller\n"
                f"listeners=PLAINTEXT://localhost:{self.port},"
                f"CONTROLLER://localhost:{self.controller_port}\n"
                "controller.listener.names=CONTROLLER\n"
                f"controller.quorum.voters={voters}\n"
                f"log.dirs={self.data}\n"
                f"default.replication.factor={min(3, len(nodes))}\n"
                f"min.insync.replicas={2 if len(nodes) >= 3 else 1}\n")

    def cluster_id(self):
        try:
            with open(f"{self.data}/meta.properties") as file:
                found = re.search(r"^cluster\.id=(\S+)$", file.read(), re.MULTILINE)
        except FileNotFoundError:
            return None
        return found.group(1) if found else None


def fail(text, status=1):
    print(f"Klamm: {text}", file=sys.stderr)
    sys.exit(status)


def parse(arguments):
    """The number of nodes, the first port, and what is klammd's."""
    first_port = FIRST_PORT
    rest = list(arguments)
    if not rest or not rest[0].isdigit() or not 1 <= int(rest[0]) <= COUNT_MAX:
        fail(f"--cluster needs a number of nodes from 1 to {COUNT_MAX}", 2)
    count = int(rest.pop(0))
    if rest and rest[0] == "--port":
        if len(rest) < 2 or not rest[1].isdigit() or not 1 <= int(rest[1]) <= 65536 - 2 * count:
            fail("--port needs the port of the first node", 2)
        first_port = int(rest[1])
        rest = rest[2:]
    if any(option != "--override" for option in rest[0::2]) or len(rest) % 2:
        fail("--cluster takes --port P and --override key=value; the nodes' files are "
             f"{DIRECTORY}/node-N.properties", 2)
    return count, first_port, rest


def prepare(nodes, binary):
    """Files and formatted directories, all of one cluster."""
    known = len(glob.glob(f"{DIRECTORY}/node-*.properties"))
    if known not in (0, len(nodes)):
        fail(f"./{DIRECTORY} holds a cluster of {known}: start that, or remove the directory")
    os.makedirs(DIRECTORY, exist_ok=True)
    for node in nodes:
        with open(node.file, "w") as file:
            file.write(f"# Written by ./run --cluster {len(nodes)} at each start.\n"
                       + node.properties(nodes))
    cluster_id = next(filter(None, (node.cluster_id() for node in nodes)), None)
    for node in nodes:
        if node.cluster_id():
            continue
        identity = ["--cluster-id", cluster_id] if cluster_id else []
        status = subprocess.run([binary, "--format", node.file, *identity], check=False).returncode
        if status != 0:
            sys.exit(status)
        cluster_id = node.cluster_id()


class Cluster:
    def __init__(self, nodes, binary, options):
        self.nodes = nodes
        self.binary = binary
        self.options = options
        self.stopping = False
        self.lock = threading.Lock()

    def say(self, text):
        with self.lock:
            print(text, flush=True)

    def command(self, node):
        return [self.binary, node.file, *self.options]

    def start(self, node):
        # A session of its own: Ctrl-C reaches this script alone, which passes it on once.
        node.process = subprocess.Popen(self.command(node), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        watcher = threading.Thread(target=self.watch, args=(node,))
        watcher.start()
        return watcher

    def watch(self, node):
        for line in node.process.stdout:
            self.say(f"node {node.number} | {line.decode(errors='replace').rstrip()}")
            if b"klammd is ready" in line:
                node.ready = True
                self.greet()
        status = node.process.wait()
        if self.stopping:
            return
        self.say(f"Klamm: node {node.number} has ended with status {status}; it comes back with\n"
                 f"  {' '.join(self.command(node))}")

    def greet(self):
        if not all(node.ready for node in self.nodes):
            return
        servers = ",".join(f"localhost:{node.port}" for node in self.nodes)
        pids = ", ".join(f"{node.number} is process {node.process.pid}" for node in self.nodes)
        self.say("\nKlamm: all nodes are ready. Try\n\n"
                 f"  echo hello | kcat -b {servers} -P -t greetings\n"
                 f"  kcat -b {servers} -C -t greetings -e\n"
                 f"  kcat -b {servers} -L\n\n"
                 f"Node {pids}; kill one and see what the others do. Ctrl-C stops all.\n")

    def stop(self, *_):
        if self.stopping:
            self.say("Klamm: stopping at once")
        self.stopping = True
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.process.send_signal(signal.SIGTERM)

    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.stop)
        watchers = [self.start(node) for node in self.nodes if not self.stopping]
        for watcher in watchers:
            watcher.join()
        return max(abs(node.process.returncode) for node in self.nodes if node.process)


def main():
    binary = sys.argv[1]
    count, first_port, options = parse(sys.argv[2:])
    nodes = [Node(number, first_port) for number in range(1, count + 1)]
    prepare(nodes, binary)
    sys.exit(1 if Cluster(nodes, binary, options).run() else 0)


if __name__ == "__main__":
    main()
