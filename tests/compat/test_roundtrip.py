"""Every codec and both timestamp types through a real klammd with librdkafka (tests/compat/roundtrip.c).

usage: test_roundtrip.py KLAMMD ROUNDTRIP [RECORDS]
"""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import processes  # noqa: E402

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def sendfile_bytes(output):
    """What the stopped node says it sent without a copy; fails when it does not say."""
    found = re.search(r"served: .*sent_bytes=(\d+) sendfile_bytes=(\d+)", output)
    assert found, f"no line about what was served:\n{output[-2000:]}"
    assert int(found[2]) <= int(found[1]), found[0]
    return int(found[2])


def main():
    klammd, roundtrip = sys.argv[1:3]
    nightly = "KLAMM_NIGHTLY" in os.environ
    records = int(sys.argv[3]) if len(sys.argv) > 3 else 1000000 if nightly else 100000
    with processes.Klamm(klammd) as node:
        node.start()
        for codec in CODECS:
            for kind in ("create", "append"):
                subprocess.run([roundtrip, node.address, f"{codec}-{kind}", codec, str(records),
                                "5", "900000", kind], check=True, timeout=1200)
        status = node.stop()
        if status != 0:
            print(node.output()[-4000:])
            raise SystemExit(f"clean stop ended with {status}")
        print(node.output()[-2000:])
        # One record in a thousand is 32 KiB and more and does not compress: at least the batches of
        # the runs without codec, which hold nothing else that large, have to go by sendfile.
        least = 2 * (records // 1000) * 32 * 1024
        assert sendfile_bytes(node.output()) >= least, f"less than {least} bytes by sendfile"


if __name__ == "__main__":
    main()
