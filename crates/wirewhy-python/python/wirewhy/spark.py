"""wirewhy for Apache Spark: captures as a data source of Spark 4, and as a DataFrame of Spark 3.5 and later.

>>> spark.dataSource.register(wirewhy.spark.Captures)
>>> spark.read.format("wirewhy").option("path", "s3://bucket/2026-*/*.pcap.zst").option("rows", "connections").load()

>>> wirewhy.spark.read(spark, "s3://bucket/2026-*/*.pcap.zst", rows="connections")    # Spark 3.5, too

A task reads the recordings of one :class:`wirewhy.Part`. A file that cannot be read is a row of ``captures`` and never a
failed task; a task that runs twice gives the same rows twice.

Options, all of them strings in ``option``:

``path``: a file, a folder or a glob, or several of them with commas between, see :func:`wirewhy.files`.
``rows``: ``connections`` (the default), ``findings``, ``captures`` or ``digests``.
``target_bytes``: how many bytes of files a task reads, unless it is a single recording; 256 MiB.
``joining``: ``recognised``, ``never`` or ``always``. The first looks at the beginning of files with names alike, from the
driver.
``library``, ``storage_options`` (JSON): see :func:`wirewhy.files`.
``all``, ``min_severity``, ``only``, ``ignore``, ``filter``, ``max_bytes``: see :class:`wirewhy.Options`; ``only`` and
``ignore`` have commas between. ``keylog`` and ``roots`` are paths or URIs that the driver reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Mapping, cast

import pyarrow

import wirewhy

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

TABLES = ("connections", "findings", "captures")
DIGESTS = pyarrow.schema([("source", pyarrow.string()), ("digest", pyarrow.binary())])


class _Job:
    """What every task has to know. It can be pickled."""

    def __init__(self, options: Mapping[str, str]) -> None:
        given = dict(options)
        self.paths = [path.strip() for path in given.pop("path", "").split(",") if path.strip()]
        self.rows = given.pop("rows", "connections")
        if self.rows not in (*TABLES, "digests"):
            raise ValueError(f"rows is connections, findings, captures or digests, not {self.rows}")
        self.target_bytes = int(given.pop("target_bytes", 256 << 20))
        self.joining = cast(wirewhy.Joining, given.pop("joining", "recognised"))
        self.library = cast(wirewhy.Library, given.pop("library", "fsspec"))
        self.storage_options = json.loads(given.pop("storage_options", "{}"))
        self.open = wirewhy.opener(library=self.library, storage_options=self.storage_options)
        self.options: dict[str, Any] = {}
        for name in ("min_severity", "filter"):
            if name in given:
                self.options[name] = given.pop(name)
        for name in ("only", "ignore"):
            if name in given:
                self.options[name] = [glob.strip() for glob in given.pop(name).split(",")]
        if "all" in given:
            self.options["all"] = given.pop("all").lower() == "true"
        if "max_bytes" in given:
            self.options["max_bytes"] = int(given.pop("max_bytes"))
        for name in ("keylog", "roots"):
            if name in given:
                file = self.open(given.pop(name))
                try:
                    self.options[name] = file.read()
                finally:
                    file.close()
        if given:
            raise ValueError(f"there is no option called {', '.join(sorted(given))}")

    def schema(self) -> pyarrow.Schema:
        if self.rows == "digests":
            return DIGESTS
        return pyarrow.schema(wirewhy.schema(self.rows))

    def plan(self) -> list[wirewhy.Part]:
        if not self.paths:
            raise ValueError("the option path is missing")
        found = [
            file
            for path in self.paths
            for file in wirewhy.files(path, library=self.library, storage_options=self.storage_options)
        ]
        remote = any("://" in path for path, _ in found)
        return wirewhy.plan(
            found, target_bytes=self.target_bytes, joining=self.joining, open=self.open if remote else None
        )

    def read(self, part: wirewhy.Part) -> Iterator[pyarrow.RecordBatch]:
        remote = any("://" in path for path in part.files)
        given: dict[str, Any] = {"open": self.open if remote else None, "joining": self.joining, **self.options}
        if self.rows == "digests":
            found = wirewhy.digests(part, **given)
            columns = [[source for source, _ in found], [digest for _, digest in found]]
            yield pyarrow.record_batch(columns, schema=DIGESTS)
            return
        stream = getattr(wirewhy, self.rows)(part, **given)
        yield from pyarrow.RecordBatchReader.from_stream(stream)


def _struct(schema: pyarrow.Schema) -> StructType:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def read(spark: SparkSession, path: str, **options: str) -> DataFrame:
    """The rows of captures as a DataFrame, by ``mapInArrow``: for Spark 3.5, and wherever a data source cannot be
    registered. The options are those of the data source."""
    job = _Job({"path": path, **options})
    parts = job.plan()

    def rows(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from job.read(parts[number])

    # One number in each partition: the number of the part that its task reads.
    numbers = spark.range(0, len(parts), 1, max(len(parts), 1))
    return numbers.mapInArrow(rows, _struct(job.schema()))


try:
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
except ImportError:
    # Spark 3.5 has no data sources in Python: `read` is for it.
    pass
else:

    class Captures(DataSource):
        """The data source ``wirewhy``."""

        @classmethod
        def name(cls) -> str:
            return "wirewhy"

        def schema(self) -> StructType:
            return _struct(_Job(self.options).schema())

        def reader(self, schema: StructType) -> DataSourceReader:
            return _Reader(_Job(self.options))

    class _Partition(InputPartition):
        def __init__(self, part: wirewhy.Part) -> None:
            self.part = part

    class _Reader(DataSourceReader):
        def __init__(self, job: _Job) -> None:
            self.job = job

        def partitions(self) -> list[InputPartition]:
            # Spark wants one at least.
            return [_Partition(part) for part in self.job.plan() or [wirewhy.Part((), 0)]]

        def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
            assert isinstance(partition, _Partition)
            return self.job.read(partition.part)
