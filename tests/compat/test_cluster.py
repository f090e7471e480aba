"""Nodes with roles of their own, and several in one terminal (./run --cluster).

usage: test_cluster.py KLAMMD CLUSTER_SCRIPT
"""

import os
import re
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402

MARKER = ".kafka_cleanshutdown"


class Script(processes.Process):
    """The script behind ./run --cluster, as a person would start it."""

    def __init__(self, binary, script, count):
        super().__init__()
        self.count = count
        self.port = processes.free_ports(2 * count)
        self.command = [sys.executable, os.path.abspath(script), os.path.abspath(binary),
                        str(count), "--port", str(self.port)]

    def start(self):
        self._start(self.command)
        try:
            processes.wait_until(self.is_ready, "every node is ready")
        except TimeoutError:
            print(self.output(), file=sys.stderr)
            raise
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(self.output())
        return "all nodes are ready" in self.output()

    def node_process(self, number):
        """The newest process of a node."""
        return int(re.findall(rf"\b{number} is process (\d+)", self.output())[-1])

    def has_marker(self, number):
        return os.path.exists(
            os.path.join(self.directory, "klamm-cluster", f"node-{number}", MARKER))

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(processes.DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)
        super().remove()


def a_port_that_is_taken_ends_its_node_with_one_line(binary, script):
    """The others are a cluster by then, so the node is registered when it finds out."""
    with Script(binary, script, 3) as cluster, socket.socket() as taken:
        taken.bind(("127.0.0.1", cluster.port))
        taken.listen()
        cluster._start(cluster.command)
        processes.wait_until(lambda: "node 1 has ended" in cluster.output(), "node 1 ends")
        output = cluster.output()
        assert f"cannot listen on PLAINTEXT://localhost:{cluster.port}: address in use" in output, output
        assert "node 1 has ended with status 1;" in output, output


def three_nodes_start_and_stop_in_one_terminal(binary, script):
    with Script(binary, script, 3) as cluster:
        cluster.start()
        output = cluster.output()
        for number in (1, 2, 3):
            assert f"PLAINTEXT://127.0.0.1:{cluster.port + 2 * (number - 1)}" in output, output
        cluster.process.send_signal(signal.SIGINT)
        assert cluster.process.wait(processes.DEADLINE_S) == 0, cluster.output()
        assert all(cluster.has_marker(number) for number in (1, 2, 3)), cluster.output()
        # The same directories again.
        os.truncate(cluster.log_path, 0)
        cluster.start()
        cluster.process.send_signal(signal.SIGINT)
        assert cluster.process.wait(processes.DEADLINE_S) == 0, cluster.output()


def a_node_that_dies_leaves_the_others_alone(binary, script):
    with Script(binary, script, 3) as cluster:
        cluster.start()
        os.kill(cluster.node_process(2), signal.SIGKILL)
        processes.wait_until(lambda: "node 2 has ended with status -9" in cluster.output(),
                             "the script says so")
        assert processes.accepts_connections(cluster.port)
        cluster.process.send_signal(signal.SIGINT)
        assert cluster.process.wait(processes.DEADLINE_S) == 1, cluster.output()
        assert cluster.has_marker(1) and cluster.has_marker(3), cluster.output()
        assert not cluster.has_marker(2)


def the_number_of_nodes_does_not_change(binary, script):
    with Script(binary, script, 1) as cluster:
        cluster.start()
        cluster.process.send_signal(signal.SIGINT)
        assert cluster.process.wait(processes.DEADLINE_S) == 0, cluster.output()
        command = list(cluster.command)
        command[3] = "3"
        done = subprocess.run(command, cwd=cluster.directory, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=processes.DEADLINE_S)
        assert done.returncode == 1 and b"holds a cluster of 1" in done.stdout, done.stdout


def a_controller_alone_and_a_broker_alone(binary):
    controller_port = processes.free_port()
    common = {"controller.listener.names": "CONTROLLER",
              "controller.quorum.voters": f"1@127.0.0.1:{controller_port}"}
    with processes.Klamm(binary, {**common, "process.roles": "controller",
                                  "listeners": f"CONTROLLER://127.0.0.1:{controller_port}"}
                         ) as controller, processes.Klamm(
                             binary, {**common, "process.roles": "broker", "node.id": "2"}
                         ) as broker:
        broker.start(wait=False)  # first: it waits for its controller
        controller.start(wait=False)
        processes.wait_until(lambda: "klammd is ready" in controller.output(), "a controller")
        assert "PLAINTEXT" not in controller.output().split("klammd is ready")[1]
        broker.wait_ready()
        assert broker.stop() == 0, broker.output()
        assert controller.stop() == 0, controller.output()


def main():
    binary, script = sys.argv[1:]
    a_controller_alone_and_a_broker_alone(binary)
    the_number_of_nodes_does_not_change(binary, script)
    three_nodes_start_and_stop_in_one_terminal(binary, script)
    a_node_that_dies_leaves_the_others_alone(binary, script)
    a_port_that_is_taken_ends_its_node_with_one_line(binary, script)


if __name__ == "__main__":
    main()
