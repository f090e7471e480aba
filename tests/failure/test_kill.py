"""kill -9 under load: no acknowledged record is lost, and a recovered log holds nothing else.

A librdkafka producer keeps writing numbered records to several partitions with acks=all while the
broker is killed at random moments and started again on the same directory. After every restart the
whole log is read back by a second client:

 - every acknowledged (partition, offset) holds the value that was acknowledged there;
 - offsets have no gap, and every value is one that was sent to that partition;
 - with the idempotent producer the values of a partition are exactly 0, 1, 2, ... in order: a prefix
   of what was written.

usage: test_kill.py KLAMMD [KILLS] [SEED]
"""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402
from records_load import PARTITIONS, Load, check, read_all  # noqa: E402


def main():
    klammd = sys.argv[1]
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 100 if "KLAMM_NIGHTLY" in os.environ else 15
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    chance = random.Random(seed)
    print(f"seed {seed}, {kills} kills")
    settings = {"log.segment.bytes": str(1 << 20),
                "klamm.durability": "cache" if seed % 2 == 0 else "sync"}
    with processes.Klamm(klammd, settings) as node:
        node.start()
        admin = AdminClient({"bootstrap.servers": node.address, "log_level": 0})
        loads = []
        for topic, idempotent in (("plain", False), ("idempotent", True)):
            admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(processes.DEADLINE_S)
            loads.append(Load(node.address, topic, idempotent, seed))
        for kill in range(kills):
            before = [load.count() for load in loads]
            pause = chance.uniform(0.05, 0.6)
            end = time.monotonic() + pause
            processes.wait_until(
                lambda: time.monotonic() > end and all(
                    load.count() > count for load, count in zip(loads, before)),
                "acknowledgements before a kill")
            node.kill()
            known = [[dict(a) for a in load.acknowledged] for load in loads]
            node.start()
            if kill % 10 == 9 or kill == kills - 1:
                for load, acknowledged in zip(loads, known):
                    check(load, acknowledged, read_all(node.address, load.topic))
                print(f"kill {kill + 1}: acknowledged {[load.count() for load in loads]}", flush=True)
        for load in loads:
            load.finish()
            assert not load.errors, load.errors[:5]
            check(load, load.acknowledged, read_all(node.address, load.topic))
        status = node.stop()
        assert status == 0, f"clean stop ended with {status}"
        node.start()
        for load in loads:
            check(load, load.acknowledged, read_all(node.address, load.topic))
        print(f"{kills} kills, {sum(load.count() for load in loads)} acknowledged records: none lost")


if __name__ == "__main__":
    main()
