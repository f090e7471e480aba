"""Brings Apache Kafka's released jars into a folder, by package name, with Maven.

usage: fetch_kafka.py FOLDER

Nothing happens when the folder holds them already. Ends with status 1 where Maven or its registry
is not to be had; the differential tests are skipped then.
"""

import glob
import os
import shutil
import subprocess
import sys

VERSION = "4.2.0"
ARTIFACTS = [("org.apache.kafka", "kafka_2.13", VERSION), ("org.apache.kafka", "kafka-tools", VERSION),
             ("org.slf4j", "slf4j-nop", "1.7.36")]


def main():
    folder = os.path.abspath(sys.argv[1])
    if glob.glob(os.path.join(folder, f"kafka_2.13-{VERSION}.jar")):
        return 0
    if not shutil.which("mvn") or not shutil.which("java"):
        print("no Maven or no Java")
        return 1
    os.makedirs(folder, exist_ok=True)
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>"
        f"<version>{version}</version></dependency>" for group, name, version in ARTIFACTS)
    with open(os.path.join(folder, "pom.xml"), "w") as pom:
        pom.write("<project><modelVersion>4.0.0</modelVersion><groupId>klamm</groupId>"
                  "<artifactId>kafka-for-tests</artifactId><version>1</version>"
                  f"<dependencies>{dependencies}</dependencies></project>")
    done = subprocess.run(["mvn", "-q", "-B", "dependency:copy-dependencies",
                           f"-DoutputDirectory={folder}"], cwd=folder, check=False, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        print(done.stdout.decode(errors="replace")[-2000:])
        for jar in glob.glob(os.path.join(folder, "*.jar")):
            os.remove(jar)
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
