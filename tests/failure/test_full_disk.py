"""A full disk: appends are refused with an error, reads go on, and writes return with the space.

The log directory lies on a small tmpfs. A ballast file beside the broker's data takes most of it;
the broker fills the rest, is checked, and gets the ballast's space back. Needs the right to mount;
skipped (status 77) without.

usage: test_full_disk.py KLAMMD
"""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "differential"))
import processes  # noqa: E402
import scenarios  # noqa: E402
import wire  # noqa: E402
from target import Target  # noqa: E402

STORAGE_ERROR = 56
SIZE_MIB = 48


def put(target, data):
    answer = scenarios.produce(target, "full", data, note=False)
    part = answer["Responses"][0]["PartitionResponses"][0]
    return part["ErrorCode"], part["BaseOffset"]


def end_offset(target):
    answer = target.call("ListOffsets", 7, {"ReplicaId": -1, "Topics": [
        {"Name": "full", "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]}, note=False)
    return answer["Topics"][0]["Partitions"][0]["Offset"]


def check_content(target, acknowledged):
    """Every acknowledged batch is where it was acknowledged, and nothing else follows."""
    offset, seen = 0, {}
    while True:
        part = target.call("Fetch", 12, scenarios.fetch_values(target, "full", 12, offset=offset),
                           note=False)["Responses"][0]["Partitions"][0]
        assert part["ErrorCode"] == 0, part
        data = part["Records"] or b""
        if not data:
            break
        while len(data) >= 61:
            base = int.from_bytes(data[:8], "big")
            size = 12 + int.from_bytes(data[8:12], "big")
            if size > len(data):
                break
            seen[base] = data[61:size]
            offset = base + int.from_bytes(data[23:27], "big") + 1
            data = data[size:]
    assert seen == acknowledged, f"{len(seen)} batches in the log, {len(acknowledged)} acknowledged"


def run(klammd, directory, mode):
    node = processes.Klamm(klammd, {"klamm.durability": mode, "log.segment.bytes": "4194304"},
                           directory)
    ballast = os.path.join(directory, "ballast")
    with open(ballast, "wb") as file:
        file.write(bytes((SIZE_MIB - 28) << 20))
    node.start()
    target = Target("klamm", node.port)
    scenarios.create(target, "full")
    acknowledged, refused, number = {}, 0, 0
    while refused < 20:
        body = wire.record(0, b"%d" % number, os.urandom(200000 if refused == 0 else 5000))
        data = wire.batch([body], scenarios.NOW)
        error, base = put(target, data)
        if error == 0:
            acknowledged[base] = body
        else:
            assert error == STORAGE_ERROR, f"a full disk answers {error}"
            refused += 1
        number += 1
        assert number < 2000, "the disk does not fill"
    assert end_offset(target) == len(acknowledged)
    check_content(target, acknowledged)
    os.remove(ballast)

    def accepted():
        body = wire.record(0, b"again", b"v")
        error, base = put(target, wire.batch([body], scenarios.NOW))
        if error == 0:
            acknowledged[base] = body
        return error == 0

    processes.wait_until(accepted, "writes after space returned")
    check_content(target, acknowledged)
    node.kill()
    node.start()
    target.disconnect()
    check_content(target, acknowledged)
    target.disconnect()
    status = node.stop()
    assert status == 0, f"clean stop ended with {status}:\n{node.output()[-2000:]}"
    print(f"{mode}: {len(acknowledged)} batches kept, {refused} refused while full")


def main():
    passed = 0
    for mode in ("sync", "cache"):
        outside = processes.Process()
        inside = os.path.join(outside.directory, "disk")
        os.mkdir(inside)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "klamm-test",
                                  inside], stderr=subprocess.PIPE, check=False)
        if mounted.returncode != 0:
            print("skipped: no right to mount a file system")
            outside.remove()
            return 77
        try:
            run(sys.argv[1], inside, mode)
            passed += 1
        finally:
            subprocess.run(["umount", "-l", inside], check=False)
            outside.remove()
    print(f"{passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
