"""Brokers as real processes for tests: one klammd, or one Apache Kafka node from its released jars.

Both are started on loopback with ports of their own and a directory of their own, and are stopped
by process id. Waiting is always for a condition with a deadline.
"""

import contextlib
import glob
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

# Of whatever comes by itself if nothing is wrong: longer than a machine with better things to do lets a test wait.
DEADLINE_S = 120
# kafka-python gives a broker two seconds to say which versions it has, if not told otherwise.
KAFKA_PYTHON = {"api_version_auto_timeout_ms": DEADLINE_S * 1000}
CLUSTER_ID = "a2xhbW0tY2x1c3Rlci0xMg"


def _end_in_order(*unused):
    """Whoever loses patience with a test learns from it what it waited for, and what its nodes said."""
    raise KeyboardInterrupt("the test was told to end")


if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, _end_in_order)


# The ports of this test, for as long as it runs, each with the socket whose name keeps other tests from it:
# a node that is down for a while finds its port again.
_held_ports = {}


def _holds(port):
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        holder.bind(f"\0klamm-test-port-{port}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return False
    _held_ports[port] = holder
    return True


def _ports_for_listeners():
    """[from, to) without those that the system gives to connections: one of them would be there first."""
    with contextlib.suppress(OSError), open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        low, high = map(int, file.read().split())
        below, above = (10240, low), (high + 1, 65536)
        widest = max(below, above, key=lambda ports: ports[1] - ports[0])
        if widest[1] - widest[0] >= 1000:
            return widest
    return 10240, 32768


def free_ports(count):
    """The first of `count` neighbouring ports that are this test's from now on."""
    low, high = _ports_for_listeners()
    while True:
        first = random.SystemRandom().randrange(low, high - count)
        if all(_holds(first + number) for number in range(count)):
            return first


def free_port():
    return free_ports(1)


def wait_until(condition, what, deadline_s=DEADLINE_S, pause_s=None):
    """Polls `condition` until it is true and returns its value; raises when the deadline passes. Without a
    pause: the longer it takes the less often, so that who waits does not keep others from what he waits for."""
    begin = time.monotonic()
    event = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - begin
        if waited > deadline_s:
            raise TimeoutError(f"not within {deadline_s} s: {what}")
        event.wait(pause_s or min(max(waited / 20, 0.01), 0.1))


def accepts_at(host, port):
    with contextlib.suppress(OSError):
        socket.create_connection((host, port), timeout=1).close()
        return True
    return False


def accepts_connections(port):
    return accepts_at("127.0.0.1", port)


class Process:
    """A broker process, its directory and its port."""

    def __init__(self, directory=None):
        self.directory = directory or tempfile.mkdtemp(prefix="klamm-test-")
        self.port = free_port()
        self.process = None
        self.log_path = os.path.join(self.directory, "output.log")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def data(self):
        return os.path.join(self.directory, "data")

    def write_properties(self, name="server.properties"):
        """What properties() of the kind of broker says, as a file; its path."""
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in self.properties().items())
        return path

    def _start(self, command, environment=None):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.directory,
            env=environment)
        log.close()

    def output(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def output_size(self):
        """Bytes written so far; a place for has_said."""
        return os.path.getsize(self.log_path)

    def show(self, name=None):
        """Prints how it ended, if it did, and what it said last: for the reader of a test that failed."""
        if self.process is None:
            return
        status = self.process.poll()
        print(f"---- {name or f'the node of port {self.port}'} "
              f"{'runs' if status is None else f'has ended with {status}'}\n{self.output()[-4000:]}",
              flush=True)

    def has_said(self, text, since):
        """Whether `text` is in the output behind `since` bytes."""
        with open(self.log_path, "rb") as log:
            log.seek(since)
            return text.encode() in log.read()

    def wait_ready(self, deadline_s=DEADLINE_S):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"ended with {self.process.returncode}:\n{self.output()[-4000:]}")
            return accepts_connections(self.port)

        wait_until(ready, f"a listener on port {self.port}", deadline_s)

    def stop(self, deadline_s=DEADLINE_S):
        """A clean stop; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"no clean stop within {deadline_s} s:\n{self.output()[-4000:]}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        if kind is not None:
            self.show()
        self.remove()


def quorum_node(number, roles, place, controller_place, voters, data):
    """Properties of one node of a static quorum; places are host:port, voters as Kafka writes them."""
    listeners = []
    if "broker" in roles:
        listeners.append(f"PLAINTEXT://{place}")
    if "controller" in roles:
        listeners.append(f"CONTROLLER://{controller_place}")
    return {
        "node.id": str(number),
        "process.roles": roles,
        "listeners": ",".join(listeners),
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "controller.quorum.voters": voters,
        "log.dirs": data,
    }


class Klamm(Process):
    """klammd; `settings` are properties that override those of the test."""

    def __init__(self, binary, settings=None, directory=None):
        super().__init__(directory)
        self.binary = os.path.abspath(binary)
        self.settings = dict(settings or {})

    def properties(self):
        values = {
            "node.id": "1",
            "process.roles": "broker,controller",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": self.data,
            "klamm.shards": "2",
        }
        values.update(self.settings)
        return values

    def format(self):
        subprocess.run([self.binary, "--format", self.write_properties(), "--cluster-id",
                        CLUSTER_ID], check=True, stdout=subprocess.DEVNULL)

    def start(self, wait=True):
        self._start([self.binary, self.write_properties()])
        if wait:
            self.wait_ready()
        return self


def kafka_libraries():
    """The folder of Kafka's jars, or None: KLAMM_KAFKA_LIBS, set by the script that fetches them."""
    folder = os.environ.get("KLAMM_KAFKA_LIBS", "")
    if folder and glob.glob(os.path.join(folder, "kafka_2.13-*.jar")) and shutil.which("java"):
        return folder
    return None


def kafka_tool(main_class, *arguments, deadline_s=600):
    """Runs one of Kafka's own command line tools; returns (exit status, output)."""
    command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp",
               os.path.join(kafka_libraries(), "*"), main_class, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=deadline_s, stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


class Kafka(Process):
    """One Apache Kafka node, broker and controller, formatted on first start."""

    # Quick to start, which is what a test wants; who measures passes others.
    java_options = ("-Xmx512m", "-XX:TieredStopAtLevel=1")

    def __init__(self, settings=None, directory=None):
        super().__init__(directory)
        self.controller_port = free_port()
        self.settings = dict(settings or {})

    def properties(self):
        controller = f"127.0.0.1:{self.controller_port}"
        values = {
            **quorum_node(1, "broker,controller", self.address, controller, f"1@{controller}",
                          self.data),
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }
        values.update(self.settings)
        return values

    def format(self):
        status, text = kafka_tool("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID,
                                  "-c", self.write_properties())
        if status != 0:
            raise RuntimeError(f"format failed:\n{text}")

    def start(self, wait=True, deadline_s=300):
        path = self.write_properties()
        if not os.path.exists(os.path.join(self.data, "meta.properties")):
            self.format()
        self._start(["java", *self.java_options, "-cp",
                     os.path.join(kafka_libraries(), "*"), "kafka.Kafka", path])
        if wait:
            self.wait_ready(deadline_s)
        return self
