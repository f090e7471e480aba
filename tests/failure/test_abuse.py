"""Bad input and pressure on a real klammd: what is refused, and that nobody else is harmed.

After every abuse the same healthy client must be served at once on the connection it has had since
the beginning, and the process must not have grown beyond its bound.

usage: test_abuse.py KLAMMD [IDLE_CONNECTIONS]
"""

import contextlib
import os
import random
import resource
import socket
import struct
import sys
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "differential"))
import processes  # noqa: E402
import scenarios  # noqa: E402
import wire  # noqa: E402
from target import Target  # noqa: E402

PASSED = []


def resident_mib(node):
    with open(f"/proc/{node.process.pid}/status") as status:
        for line in status:
            if line.startswith("RssAnon"):
                return int(line.split()[1]) / 1024
    return 0


def cpu_ticks(node):
    with open(f"/proc/{node.process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def sockets(node):
    folder = f"/proc/{node.process.pid}/fd"
    count = 0
    for name in os.listdir(folder):
        try:
            count += os.readlink(os.path.join(folder, name)).startswith("socket:")
        except OSError:
            pass
    return count


def comes_to_rest(node, before):
    """All connections of bad clients are gone, and nothing spins on what they left."""
    processes.wait_until(lambda: sockets(node) <= before, f"at most {before} sockets")

    def is_idle():
        start, end = cpu_ticks(node), time.monotonic() + 1
        processes.wait_until(lambda: time.monotonic() > end, "a second")
        return cpu_ticks(node) - start < 10

    processes.wait_until(is_idle, "a second with less than a tenth of it used")


class Healthy:
    """The client that must not notice anything."""

    def __init__(self, node):
        self.node = node
        self.target = Target("klamm", node.port)
        scenarios.create(self.target, "healthy", 2)
        self.connection = self.target.connection
        self.next = 0

    def produce(self, what):
        """How long it took, in seconds."""
        start = time.monotonic()
        answer = scenarios.produce(self.target, "healthy", scenarios.simple_batch(), note=False)
        took = time.monotonic() - start
        assert self.target.connection is self.connection, (
            f"{what} closed another's connection, or held it up for {took:.0f} s")
        part = answer["Responses"][0]["PartitionResponses"][0]
        assert part["ErrorCode"] == 0 and part["BaseOffset"] == self.next, f"after {what}: {part}"
        self.next += 3
        return took

    def check(self, what):
        # The machine may be slow once for reasons of its own; a broker that is held up is so again.
        took = [self.produce(what)]
        while min(took) > 2 and len(took) < 4:
            took.append(self.produce(what))
        assert min(took) <= 2, f"after {what} each produce took long: {took} s"
        PASSED.append(what)
        print(f"ok: {what}", flush=True)


def is_closed(sock, deadline_s=processes.DEADLINE_S):
    sock.settimeout(deadline_s)
    try:
        while True:
            if not sock.recv(65536):
                return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def raw(node, data, half_close=False):
    sock = socket.create_connection(("127.0.0.1", node.port), timeout=processes.DEADLINE_S)
    sock.sendall(data)
    if half_close:
        with contextlib.suppress(OSError):  # the broker may have closed it already
            sock.shutdown(socket.SHUT_WR)
    return sock


def garbage(node):
    chance = random.Random(4)
    for number in range(200):
        size = chance.choice([1, 3, 4, 5, 20, 300, 5000])
        raw(node, chance.randbytes(size), half_close=True).close()
    for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                 b"SSH-2.0-x\r\n"):
        sock = raw(node, text)
        assert is_closed(sock), f"{text!r} keeps its connection"


def frame_sizes(node):
    for size in (-1, -2147483648, 104857601, 2147483647):
        assert is_closed(raw(node, struct.pack(">i", size))), f"frame size {size} is accepted"


def lying_bodies(node):
    """Every API with random bodies and with counts that promise more than there is."""
    chance = random.Random(5)
    for api in wire.APIS.values():
        if "broker" not in api.listeners:
            continue
        for version in {api.stable.low, api.stable.high}:
            for body in (b"", b"\xff" * 40, b"\x7f\xff\xff\xff" * 10, chance.randbytes(100)):
                header = struct.pack(">hhih", api.key, version, 1, 1) + b"c"
                flexible = version in api.flexible
                frame = header + (b"\0" if flexible else b"") + body
                sock = raw(node, struct.pack(">i", len(frame)) + frame, half_close=True)
                is_closed(sock, 15)
                sock.close()


def truncated_requests(node):
    """A good Produce cut at every place: nothing of it may be appended, the connection ends."""
    connection = wire.Connection(node.port)
    data, _ = connection.frame("Produce", 9, {"Acks": -1, "TimeoutMs": 1000, "TopicData": [
        {"Name": "healthy", "PartitionData": [{"Index": 1, "Records": scenarios.simple_batch()}]}]})
    connection.close()
    for cut in range(0, len(data) - 1, 3):
        raw(node, data[:cut], half_close=True).close()
        whole = struct.pack(">i", max(cut - 4, 0)) + data[4:cut]
        sock = raw(node, whole, half_close=True)
        is_closed(sock)
        sock.close()
    target = Target("klamm", node.port)
    answer = target.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [
        {"Name": "healthy", "Partitions": [{"PartitionIndex": 1, "Timestamp": -1}]}]}, note=False)
    end = answer["Topics"][0]["Partitions"][0]["Offset"]
    assert end == 0, f"{end} records of cut requests were appended"
    target.disconnect()


def bombs(node):
    """A compressed batch that would unfold to gigabytes, on a topic that must look inside."""
    target = Target("klamm", node.port)
    scenarios.create(target, "compacted", 1, {"cleanup.policy": "compact"})
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(900)) + packer.flush()
    before = resident_mib(node)
    answer = scenarios.produce(target, "compacted", wire.batch([body], scenarios.NOW, attributes=1,
                                                               count=1), note=False)
    code = answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]
    assert code != 0, "a bomb was accepted"
    grown = resident_mib(node) - before
    assert grown < 300, f"a bomb made the process {grown:.0f} MiB larger"
    target.disconnect()


def half_sent(node):
    """Announces large requests and sends only a little of each: memory follows the bytes."""
    before = resident_mib(node)
    socks = [raw(node, struct.pack(">i", 100 << 20) + b"\0\1\0\x0b" + bytes(1000))
             for _ in range(200)]
    time_end = time.monotonic() + 1
    processes.wait_until(lambda: time.monotonic() > time_end, "a second")
    grown = resident_mib(node) - before
    assert grown < 64, f"200 half-sent requests hold {grown:.0f} MiB"
    for sock in socks:
        sock.close()


def never_reading(node):
    """Asks for megabytes again and again and never reads: bounded, and others are served."""
    target = Target("klamm", node.port)
    scenarios.create(target, "large", 1)
    batch = wire.batch([wire.record(0, b"k", os.urandom(900000))], scenarios.NOW)
    for _ in range(10):
        scenarios.produce(target, "large", batch, note=False)
    target.disconnect()
    before = resident_mib(node)
    connections = []
    for _ in range(50):
        connection = wire.Connection(node.port)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(20):
            connection.send("Fetch", 12, scenarios.fetch_values(
                None, "large", 12, MaxBytes=50 << 20, partition_max=50 << 20))
        connections.append(connection)
    questions = b"".join(connections[0].frame("Metadata", 9, {"Topics": None})[0] for _ in range(500))
    for _ in range(50):
        connection = wire.Connection(node.port)
        connection.socket.settimeout(0.2)
        try:
            for _ in range(40):
                connection.raw(questions)
        except (TimeoutError, BlockingIOError):
            pass
        connections.append(connection)
    grown = resident_mib(node) - before
    assert grown < 200, f"peers that never read hold {grown:.0f} MiB"
    for connection in connections:
        connection.close()


def idle_connections(node, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(count, hard - 200) if hard != resource.RLIM_INFINITY else count
    network = random.SystemRandom().randrange(1, 255)  # ports of the last run may still be held
    before = resident_mib(node)
    start = time.monotonic()
    socks = []
    for number in range(count):
        sock = socket.socket()
        sock.bind((f"127.{network}.0.{2 + number // 10000}", 0))
        sock.connect(("127.0.0.1", node.port))
        socks.append(sock)
    took = time.monotonic() - start
    connection = wire.Connection(node.port)
    assert connection.call("ApiVersions", 0)["ErrorCode"] == 0
    per = (resident_mib(node) - before) * 1024 / count
    print(f"{count} idle connections in {took:.1f} s, {per:.2f} KiB of process memory each")
    assert per < 8, f"an idle connection takes {per:.1f} KiB"
    for sock in socks:
        sock.close()
    connection.close()


def too_many_connections(klammd):
    with processes.Klamm(klammd, {"max.connections": "20"}) as node:
        node.start()
        healthy = Healthy(node)
        socks = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(40)]

        def closed():
            return sum(is_closed(sock, 0.001) for sock in socks)

        processes.wait_until(lambda: closed() >= 20, "20 of 40 are closed over a limit of 20")
        healthy.check("more connections than allowed")
        assert closed() < 40, "all of 40 were closed over a limit of 20"
        for sock in socks:
            sock.close()


def refused_starts(klammd, node):
    """One clear line and a status other than 0 for each; the running node goes on."""
    def start(settings, words, directory=None):
        second = processes.Klamm(klammd, settings, directory)
        second.start(wait=False)
        status = second.process.wait(processes.DEADLINE_S)
        with open(second.log_path) as log:
            lines = [line for line in log.read().splitlines() if "INFO" not in line]
        assert status not in (0, None) and status > 0, f"{settings}: status {status}: {lines}"
        assert lines and any(all(word in line for word in words) for line in lines), \
            f"{settings}: no line with {words} in {lines}"
        assert len(lines) <= 3, f"{settings}: {len(lines)} lines: {lines}"
        second.remove()

    start({"log.dirs": node.data}, [node.data])
    start({"listeners": f"PLAINTEXT://127.0.0.1:{node.port}"}, [str(node.port)])
    start({"num.partitions": "many"}, ["num.partitions", "many"])
    start({"listeners": "PLAINTEXT:127.0.0.1"}, ["listeners"])
    start({"klamm.durability": "perhaps"}, ["klamm.durability", "perhaps", "sync"])
    with processes.Klamm(klammd) as broken:
        broken.start()
        assert broken.stop() == 0
        path = os.path.join(broken.data, "meta.properties")
        text = open(path).read()
        for content, words in (("version=7\n", ["meta.properties"]), ("", ["meta.properties"]),
                               (text.replace("node.id=1", "node.id=5"), ["5"])):
            with open(path, "w") as file:
                file.write(content)
            broken.start(wait=False)
            assert broken.process.wait(processes.DEADLINE_S) > 0, f"meta.properties {content!r} is accepted"
            tail = broken.output().splitlines()[-3:]
            assert any(all(word in line for word in words) for line in tail), tail
        with open(path, "w") as file:
            file.write(text)
        broken.start()
        assert broken.stop() == 0


def main():
    klammd = sys.argv[1]
    idle = int(sys.argv[2]) if len(sys.argv) > 2 else 15000
    with processes.Klamm(klammd) as node:
        node.start()
        healthy = Healthy(node)
        healthy.check("nothing")
        open_sockets = sockets(node)
        for abuse in (garbage, frame_sizes, lying_bodies, truncated_requests, bombs, half_sent,
                      never_reading):
            abuse(node)
            healthy.check(abuse.__name__)
        idle_connections(node, idle)
        healthy.check("idle connections")
        refused_starts(klammd, node)
        healthy.check("refused starts")
        comes_to_rest(node, open_sockets)
        healthy.check("coming to rest")
        print(f"memory at the end: {resident_mib(node):.1f} MiB")
        status = node.stop()
        assert status == 0, f"clean stop ended with {status}\n{node.output()[-2000:]}"
    too_many_connections(klammd)
    print(f"{len(PASSED)} passed, 0 failed")


if __name__ == "__main__":
    main()
