"""Transactions with librdkafka and real processes: visibility and fencing (transactions.c), and a
copier (copier.c) that is killed again and again, as is its node; every input must come out once.

usage: test_transactions.py KLAMMD TRANSACTIONS COPIER
"""

import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import copier_runs  # noqa: E402
import processes  # noqa: E402
from copier_runs import PARTITIONS  # noqa: E402


def main():
    klammd, transactions, copier = sys.argv[1:4]
    nightly = "KLAMM_NIGHTLY" in os.environ
    settings = {"num.partitions": str(PARTITIONS), "group.initial.rebalance.delay.ms": "0"}
    seed = int(os.environ.get("KLAMM_SEED", random.SystemRandom().randrange(1 << 32)))
    with processes.Klamm(klammd, settings) as node:
        node.start()
        subprocess.run([transactions, node.address, "data", "200" if nightly else "40",
                        str(PARTITIONS)], check=True, timeout=600)
        try:
            copier_runs.copy([node], node.address, node.directory, copier,
                             200000 if nightly else 20000, 200 if nightly else 8, seed)
            status = node.stop()
            assert status == 0, f"clean stop ended with {status}"
        except BaseException:
            print(f"seed={seed}\n{node.output()[-6000:]}")
            raise


if __name__ == "__main__":
    main()
