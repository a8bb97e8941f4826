"""Spark against the command: on two threads, on two worker processes, from an object store, and with a worker killed."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

os.environ.update(
    SPARK_LOCAL_IP="127.0.0.1",
    PYSPARK_PYTHON=sys.executable,
    PYSPARK_DRIVER_PYTHON=sys.executable,
    TZ="UTC",
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_DEFAULT_REGION="us-east-1",
)
time.tzset()

import pyspark
from pyspark.sql import SparkSession

import common
import wirewhy
import wirewhy.spark

HAS_SOURCES = hasattr(wirewhy.spark, "Captures")


def session(master):
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "512m",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.log.level": "FATAL",
        "spark.python.worker.faulthandler.enabled": "false",
    }
    builder = SparkSession.builder.master(master).appName("wirewhy")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    if HAS_SOURCES:
        spark.dataSource.register(wirewhy.spark.Captures)
    return spark


def rows(frame):
    return common.ordered([row.asDict(recursive=True) for row in frame.collect()])


def once(marker):
    """Whether this is the first call with this marker."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


class Store:
    """An object store on this machine."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url)
                break
            except OSError:
                time.sleep(0.1)
        self.fsspec = {"endpoint_url": self.url}
        self.pyarrow = {"endpoint_override": self.url, "scheme": "http", "region": "us-east-1"}

    def put(self, folder):
        import s3fs

        system = s3fs.S3FileSystem(**self.fsspec)
        system.mkdir("captures")
        system.put(str(folder), "captures/in", recursive=True)

    def stop(self):
        self.server.terminate()
        self.server.wait()


class Spark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.captures = cls.folder / "in"
        common.archive(cls.captures, 60)
        cls.wanted, cls.summary = common.tables(cls.captures, cls.folder / "out")
        cls.store = Store()
        cls.addClassCleanup(cls.store.stop)
        cls.store.put(cls.captures)
        remote = lambda row: row.replace(f"{cls.captures}/", "s3://captures/in/")
        cls.remote = {table: sorted(map(remote, rows)) for table, rows in cls.wanted.items()}

    def source(self, spark, path, rows="connections", name="wirewhy", **options):
        reader = spark.read.format(name).option("rows", rows).option("all", "true").option("target_bytes", 1 << 20)
        for option, value in options.items():
            reader = reader.option(option, value)
        return reader.load(str(path))

    def killed(self, spark, where):
        """The rows where the first task ends in the middle, with its process."""
        marker = str(self.folder / f"killed-{where}")
        store = json.dumps(self.store.fsspec)

        def die(batches):
            for batch in batches:
                yield batch
                if once(marker):
                    os._exit(1)

        class Mortal(wirewhy.spark.Captures):
            @classmethod
            def name(cls):
                return "mortal"

            def reader(self, schema):
                inner = super().reader(schema)

                class Dies(type(inner)):
                    def read(self, partition):
                        return die(super().read(partition))

                return Dies(inner.job)

        spark.dataSource.register(Mortal)
        frame = self.source(spark, "s3://captures/in", name="mortal", storage_options=store)
        self.assertEqual(rows(frame), self.remote["connections"])
        self.assertTrue(os.path.exists(marker), "a worker was killed")

    def test_two_threads(self):
        # Where Spark runs in one process, a task is run again only if that is asked for.
        spark = session("local[2,4]")
        for table in common.TABLES:
            if HAS_SOURCES:
                self.assertEqual(rows(self.source(spark, self.captures, table)), self.wanted[table], table)
            written = spark.read.parquet(str(self.folder / "out" / table))
            self.assertEqual(rows(written), self.wanted[table], table)
        mapped = wirewhy.spark.read(spark, str(self.captures), rows="connections", all="true", target_bytes=str(1 << 20))
        self.assertEqual(rows(mapped), self.wanted["connections"])
        self.assertGreater(mapped.rdd.getNumPartitions(), 1)
        unreadable = [row for row in self.wanted["captures"] if '"readable": false' in row]
        self.assertTrue(unreadable, "a file that cannot be read is a row")
        digests = wirewhy.spark.read(spark, str(self.captures), rows="digests").collect()
        found = wirewhy.summarize(bytes(row.digest) for row in digests + digests[:3])
        self.assertEqual(found.text(), self.summary)
        for library, options in (("fsspec", self.store.fsspec), ("pyarrow", self.store.pyarrow)):
            given = {"library": library, "storage_options": json.dumps(options)}
            mapped = wirewhy.spark.read(spark, "s3://captures/in", rows="captures", all="true", **given)
            self.assertEqual(rows(mapped), self.remote["captures"], library)
        if HAS_SOURCES:
            self.killed(spark, "threads")
        spark.stop()

    @unittest.skipUnless(HAS_SOURCES, "once is enough, with Spark 4")
    def test_two_worker_processes(self):
        spark = session("local-cluster[2,1,1024]")
        store = json.dumps(self.store.fsspec)
        frame = self.source(spark, "s3://captures/in/**", storage_options=store)
        self.assertEqual(rows(frame), self.remote["connections"])
        self.killed(spark, "processes")
        spark.stop()


if __name__ == "__main__":
    print("Spark", pyspark.__version__)
    unittest.main()
