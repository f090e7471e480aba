"""What many partitions cost one klammd: start, memory, creation, idling, clean stop, restarts.

usage: partitions.py KLAMMD [--partitions N] [--starts N] [--only STEPS] [--bytes B]

Steps (comma separated): empty, many, kill. `empty` starts on an empty directory; `many` creates
partitions, writes to them, stops, starts again; `kill` fills partitions with --bytes of data, kills
the node with SIGKILL and starts it again. Wall times are the best of --starts, because the machine
may be shared; CPU seconds are those of the same start. Files are in the temporary directory.
"""

import argparse
import contextlib
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "differential"))
import processes  # noqa: E402
import wire  # noqa: E402


def cpu_seconds(broker):
    """User and system time of the process so far."""
    return time.clock_gettime(~broker.process.pid << 3 | 2)


def try_metadata(broker):
    if broker.process.poll() is not None:
        raise RuntimeError(broker.output()[-3000:])
    with contextlib.suppress(OSError, wire.Closed):
        connection = wire.Connection(broker.port, timeout_s=300)
        connection.call("Metadata", 1, {"Topics": []})
        connection.close()
        return True
    return False


def start(broker):
    """Starts and waits for the first answer; wall and CPU seconds until then."""
    begin = time.monotonic()
    broker.start(wait=False)
    processes.wait_until(lambda: try_metadata(broker), "the first answer", 900, pause_s=0.0005)
    return time.monotonic() - begin, cpu_seconds(broker)


def best_start(broker, count, end):
    """The best of `count` starts; between them the broker is ended by `end`. It runs afterwards."""
    runs = []
    for left in range(count, 0, -1):
        runs.append(start(broker))
        if left > 1:
            end()
    return min(runs)


def status_kib(broker, key):
    with open(f"/proc/{broker.process.pid}/status") as status:
        for line in status:
            if line.startswith(key):
                return int(line.split()[1])
    return 0


def switches(broker):
    """Sleeps of every thread so far, by thread; one that ends meanwhile is passed over."""
    counts = {}
    folder = f"/proc/{broker.process.pid}/task"
    for task in os.listdir(folder):
        with contextlib.suppress(OSError), open(f"{folder}/{task}/status") as status:
            for line in status:
                if line.startswith("voluntary_ctxt_switches"):
                    counts[task] = int(line.split()[1])
    return counts


def written_bytes(broker):
    with open(f"/proc/{broker.process.pid}/io") as counters:
        for line in counters:
            if line.startswith("wchar"):
                return int(line.split()[1])
    return 0


def idle(broker, seconds=10):
    """Wake-ups a second and bytes written while nothing is asked of the broker."""
    before, written, end = switches(broker), written_bytes(broker), time.monotonic() + seconds
    processes.wait_until(lambda: time.monotonic() > end, "the idle time", seconds + 5)
    after = switches(broker)
    return (sum(after[task] - before.get(task, 0) for task in after) / seconds,
            written_bytes(broker) - written)


def settle(broker, deadline_s=300):
    """Waits until the work that writing left behind (background syncs) is done; its seconds."""
    begin = time.monotonic()
    while idle(broker, 2)[0] > 20 and time.monotonic() - begin < deadline_s:
        pass
    return time.monotonic() - begin


def create_partitions(broker, count, batch=5000):
    connection = wire.Connection(broker.port, timeout_s=600)
    made = 0
    while made < count:
        now = min(batch, count - made)
        answer = connection.call("CreateTopics", 5, {"Topics": [
            {"Name": f"wide-{made}", "NumPartitions": now, "ReplicationFactor": 1}],
            "TimeoutMs": 600000})
        assert answer["Topics"][0]["ErrorCode"] == 0, answer["Topics"][0]
        made += now
    connection.close()


def write_each(broker, count, batch=5000, value=b"value", group=500):
    """One record to every partition, `group` partitions a request."""
    connection = wire.Connection(broker.port, timeout_s=600)
    records = wire.batch([wire.record(0, b"k", value)], int(time.time() * 1000))
    made = 0
    while made < count:
        now = min(batch, count - made)
        for first in range(0, now, group):
            answer = connection.call("Produce", 8, {"Acks": -1, "TimeoutMs": 60000, "TopicData": [
                {"Name": f"wide-{made}", "PartitionData": [
                    {"Index": index, "Records": records}
                    for index in range(first, min(first + group, now))]}]})
            for part in answer["Responses"][0]["PartitionResponses"]:
                assert part["ErrorCode"] == 0, part
        made += now
    connection.close()


def wall_and_cpu(pair):
    return f"{pair[0]:.3f} s, {pair[1]:.3f} CPU s"


def timed(broker, act):
    begin, cpu = time.monotonic(), cpu_seconds(broker)
    act()
    return time.monotonic() - begin, cpu_seconds(broker) - cpu


def print_rows(title, rows):
    print(f"\n### {title}\n\n| step | Klamm |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    sys.stdout.flush()


def run_empty(options):
    """Starts on empty directories, each its own."""
    first, again = [], []
    for _ in range(options.starts):
        with processes.Klamm(options.klammd, {"klamm.durability": "sync"}) as node:
            first.append(start(node))
            resident, anonymous = status_kib(node, "VmRSS"), status_kib(node, "RssAnon")
            assert node.stop(60) == 0
            again.append(start(node))
            assert node.stop(60) == 0
    print_rows("an empty node", [
        ("start on an empty directory, first answer", wall_and_cpu(min(first))),
        ("the second start", wall_and_cpu(min(again))),
        ("memory, resident / anonymous", f"{resident / 1024:.1f} / {anonymous / 1024:.1f} MiB"),
    ])


def run_many(options):
    """Creation, memory, writing, idling, clean restart and restart after kill -9."""
    count = options.partitions
    rows = []

    def stop():
        assert node.stop(900) == 0

    def memory(name):
        kib = (status_kib(node, "RssAnon") - anonymous) / count
        rows.append((f"memory a partition, {name}", f"{kib:.2f} KiB"))

    def idling(name, seconds=20):
        wakeups, written = idle(node, seconds)
        rows.append((f"idle, {name}", f"{wakeups:.2f} wake-ups a second, {written} bytes written"))

    with processes.Klamm(options.klammd, {"klamm.durability": "sync"}) as node:
        start(node)
        idling("no partition")
        anonymous = status_kib(node, "RssAnon")
        rows.append((f"create {count} partitions", wall_and_cpu(timed(
            node, lambda: create_partitions(node, count)))))
        memory("never written")
        settle(node)
        idling("never written")
        if not options.unwritten:
            rows.append(("write one record to each", wall_and_cpu(timed(
                node, lambda: write_each(node, count)))))
            rows.append(("until all of it is in the partitions' own files",
                         f"{settle(node):.0f} s"))
            memory("written once")
            idling("written once")
        begin = time.monotonic()
        stop()
        rows.append(("clean stop", f"{time.monotonic() - begin:.2f} s"))
        rows.append((f"start after a clean stop, first answer, best of {options.starts}",
                     wall_and_cpu(best_start(node, options.starts, stop))))
        memory("after start")
        settle(node)
        idling("after start")
        begin = time.monotonic()
        stop()
        rows.append(("clean stop, nothing written", f"{time.monotonic() - begin:.2f} s"))
        start(node)
        if not options.unwritten:
            write_each(node, count)
            node.kill()
            rows.append(("start after kill -9 at once after a record to each",
                         wall_and_cpu(start(node))))
        node.kill()
        rows.append((f"start after kill -9, nothing written since, best of {options.starts}",
                     wall_and_cpu(best_start(node, options.starts, node.kill))))
    print_rows(f"{count} partitions", rows)


def run_kill(options):
    """Restart after kill -9 with much data of which little is new."""
    count, value = options.partitions, bytes(range(256)) * 1024
    rounds = max(1, options.bytes // (count * len(value)))
    rows = []
    with processes.Klamm(options.klammd, {"klamm.durability": "cache"}) as node:
        start(node)
        create_partitions(node, count)
        for _ in range(rounds):
            write_each(node, count, value=value, group=100)
        rows.append(("data", f"{rounds * count * len(value) / 1e9:.2f} GB in {count} partitions"))
        # A checkpoint of recovery points is due every minute and covers what is synced by then.
        path = os.path.join(node.data, "recovery-point-offset-checkpoint")

        def is_covered():
            with contextlib.suppress(OSError), open(path) as checkpoint:
                lines = [line.split() for line in checkpoint.readlines()[2:]]
                return len(lines) >= count and all(
                    int(line[2]) >= rounds for line in lines if line[0].startswith("wide-"))
            return False

        processes.wait_until(is_covered, "a checkpoint of everything", 300)
        node.kill()
        rows.append((f"start after kill -9, all of it below the checkpoint, best of "
                     f"{options.starts}", wall_and_cpu(best_start(node, options.starts, node.kill))))
        write_each(node, count)
        node.kill()
        rows.append(("start after kill -9, one small record in each since the checkpoint",
                     wall_and_cpu(start(node))))
        write_each(node, min(count, 100), value=value, group=100)
        node.kill()
        rows.append(("start after kill -9, 26 MB in 100 partitions since then",
                     wall_and_cpu(start(node))))
    print_rows("kill -9", rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("klammd")
    parser.add_argument("--only", default="empty,many")
    parser.add_argument("--partitions", type=int, default=10000)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--bytes", type=int, default=10_000_000_000)
    parser.add_argument("--unwritten", action="store_true", help="`many` writes no records")
    options = parser.parse_args()
    steps = {"empty": run_empty, "many": run_many, "kill": run_kill}
    for step in options.only.split(","):
        steps[step](options)


if __name__ == "__main__":
    main()
