"""The functions of the package against the command, and against other libraries."""

import io
import os
import pickle
import random
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

import duckdb
import fsspec
import polars
import pyarrow
import pyarrow.fs

import common
import wirewhy


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.captures = cls.folder / "in"
        common.archive(cls.captures)
        cls.wanted, cls.summary = common.tables(cls.captures, cls.folder / "out")
        cls.files = wirewhy.files(str(cls.captures))
        cls.paths = [path for path, _ in cls.files]
        cls.one = str(cls.captures / "refused-by-server" / "client.pcap")

    def rows(self, stream):
        return common.ordered(pyarrow.table(stream).to_pylist())

    def test_tables_are_those_of_the_command(self):
        for table in common.TABLES:
            stream = getattr(wirewhy, table)(self.paths, all=True)
            self.assertEqual(self.rows(stream), self.wanted[table], table)
            whole = pyarrow.table(wirewhy.schema(table)).schema
            written = pyarrow.dataset.dataset(self.folder / "out" / table, format="parquet").schema
            self.assertEqual(whole, written.remove_metadata(), table)
        everything = wirewhy.examine(self.paths, all=True)
        for table in common.TABLES:
            for _ in range(2):
                self.assertEqual(self.rows(getattr(everything, table)), self.wanted[table], table)

    def test_parts_together_are_the_whole(self):
        parts = wirewhy.plan(self.files, target_bytes=1 << 20)
        self.assertGreater(len(parts), 10)
        self.assertEqual(sorted(file for part in parts for file in part.files), sorted(self.paths))
        self.assertEqual(sum(part.bytes for part in parts), sum(size for _, size in self.files))
        self.assertEqual(pickle.loads(pickle.dumps(parts)), parts)
        ring = [part for part in parts if str(self.captures / "odd" / "ring.pcap") in part.files]
        self.assertEqual(sum("ring.pcap" in file for file in ring[0].files), 3)
        for table in common.TABLES:
            rows = [row for part in parts for row in self.rows(getattr(wirewhy, table)(part, all=True))]
            self.assertEqual(sorted(rows), self.wanted[table], table)

    def test_anything_with_read_is_a_source(self):
        wanted = self.rows(wirewhy.connections(self.one, all=True))
        self.assertTrue(wanted)
        content = Path(self.one).read_bytes()

        class Slow:
            def __init__(self):
                self.left = content
                self.name = self_name

            def read(self, size):
                piece, self.left = self.left[: min(size, 7)], self.left[min(size, 7) :]
                return bytearray(piece)

        self_name = self.one
        fsspec.filesystem("memory").pipe("/a/b.pcap", content)
        with open(self.one, "rb") as file, pyarrow.fs.LocalFileSystem().open_input_stream(self.one) as arrow:
            for source in (file, io.BytesIO(content), arrow, Slow(), Path(self.one)):
                self.assertEqual(self.rows(wirewhy.connections(source, name=self.one, all=True)), wanted)
        found = wirewhy.files("memory://a/*.pcap")
        self.assertEqual(found, [("memory://a/b.pcap", len(content))])
        stored = wirewhy.connections(["memory://a/b.pcap"], all=True)
        self.assertEqual(self.rows(stored), [row.replace(self.one, "memory://a/b.pcap") for row in wanted])
        with open(self.one, "rb") as file:
            self.rows(wirewhy.connections(file))
            self.assertFalse(file.closed, "the caller closes what the caller opened")

    def test_other_libraries_read_the_stream(self):
        number = len(self.wanted["connections"])
        stream = wirewhy.connections(self.paths, all=True)
        self.assertEqual(duckdb.sql("select count(*) from stream").fetchall(), [(number,)])
        stream = wirewhy.connections([self.one], open=lambda path: open(path, "rb"), all=True)
        self.assertGreater(duckdb.sql("select count(*) from stream").fetchall()[0][0], 0)
        self.assertEqual(polars.DataFrame(wirewhy.connections(self.paths, all=True)).height, number)
        stream = wirewhy.connections(self.one)
        pyarrow.table(stream)
        with self.assertRaisesRegex(ValueError, "read already"):
            pyarrow.table(stream)

    def test_parquet_of_the_command_opens_in_duckdb_and_polars(self):
        for table in common.TABLES:
            rows = f"{self.folder}/out/{table}/*.parquet"
            number = len(self.wanted[table])
            self.assertEqual(duckdb.sql(f"select count(*) from '{rows}'").fetchall(), [(number,)])
            self.assertEqual(polars.read_parquet(rows).height, number)

    def test_the_interpreter_is_free_while_the_work_is_done(self):
        pipe = str(self.folder / "pipe")
        os.mkfifo(pipe)
        found = []
        work = threading.Thread(target=lambda: found.append(wirewhy.examine([pipe], joining="never", all=True)))
        work.start()
        # With the lock held while the pipe is opened and read, this would never be reached.
        with open(pipe, "wb") as end:
            end.write(Path(self.one).read_bytes())
        work.join()
        self.assertEqual(pyarrow.table(found[0].captures).num_rows, 1)

    def test_what_cannot_be_read_is_an_exception_alone_and_a_row_among_others(self):
        missing = str(self.captures / "missing.pcap")
        with self.assertRaises(FileNotFoundError):
            wirewhy.connections(missing)
        with self.assertRaisesRegex(ValueError, "notes.txt"):
            wirewhy.connections(self.captures / "odd" / "notes.txt")
        rows = pyarrow.table(wirewhy.captures([missing])).to_pylist()
        self.assertEqual([(row["source"], row["readable"]) for row in rows], [(missing, False)])
        self.assertEqual(self.rows(wirewhy.connections([missing])), [])

        class Fails:
            def __init__(self, content, then):
                self.content, self.then = content, then

            def read(self, size):
                if self.content:
                    content, self.content = self.content, b""
                    return content
                return self.then()

        def fail():
            raise OSError("connection lost")

        content = Path(self.one).read_bytes()[:-20]
        for then, message in ((fail, "connection lost"), (lambda: 5, "not int"), (lambda: "text", "encoding")):
            rows = pyarrow.table(wirewhy.captures(Fails(content, then))).to_pylist()
            self.assertIn(message, rows[0]["problem"])
            with self.assertRaisesRegex((OSError, ValueError), message):
                wirewhy.captures(Fails(b"", then))
        with self.assertRaisesRegex(OSError, "no route"):
            wirewhy.captures(self.one, open=lambda _: (_ for _ in ()).throw(RuntimeError("no route")))

    def test_a_reader_that_leaves_ends_the_analysis(self):
        begun, closed = threading.Event(), threading.Event()
        content = Path(self.one).read_bytes()

        class Endless:
            def __init__(self):
                self.first = True

            def read(self, size):
                begun.set()
                if self.first:
                    self.first = False
                    return content
                return content[24:]

            def close(self):
                closed.set()

        stream = wirewhy.connections(["endless"], open=lambda _: Endless(), all=True)
        reader = pyarrow.RecordBatchReader.from_stream(stream)
        # One that leaves before the analysis has begun leaves nothing open.
        self.assertTrue(begun.wait(60))
        del reader, stream
        self.assertTrue(closed.wait(60))

    def test_options_are_those_of_the_command(self):
        self.assertEqual(self.rows(wirewhy.connections(self.one, filter="port 1")), [])
        hidden = wirewhy.connections(self.one, ignore=["tcp.refused"])
        shown = wirewhy.connections(self.one, only=["tcp.refused"])
        self.assertLess(len(str(self.rows(hidden))), len(str(self.rows(shown))))
        with self.assertRaisesRegex(TypeError, "called colour"):
            wirewhy.connections(self.one, colour="red")
        with self.assertRaisesRegex(ValueError, "roots"):
            wirewhy.connections(self.one, roots=b"no certificate")
        with self.assertRaises(ValueError):
            wirewhy.connections(self.one, filter="no filter (")

    def test_digests_in_any_order_and_grouping_are_the_summary_of_scan(self):
        digests = wirewhy.digests(self.paths)
        number = len(self.wanted["captures"])
        lines = [line for _, line in digests]
        chance = random.Random(1)
        for _ in range(5):
            mixed = lines + chance.sample(lines, 20)
            chance.shuffle(mixed)
            groups = [mixed[at : at + 50] for at in range(0, len(mixed), 50)]
            partial = [wirewhy.summarize(group, all=True).digests for group in groups]
            summary = wirewhy.summarize(partial + partial[:1])
            self.assertEqual(summary.text(), self.summary)
        self.assertEqual(summary.json(), common.scan(self.captures, "--format", "ndjson").splitlines()[-1] + "\n")
        self.assertEqual(wirewhy.summarize([wirewhy.examine(self.paths).digests]).text(), self.summary)
        self.assertGreaterEqual(len(summary), number)
        with self.assertRaises(OSError):
            wirewhy.summarize([b"{}"])

    def test_types_are_declared(self):
        package = Path(wirewhy.__file__).parent
        self.assertTrue((package / "py.typed").exists())
        check = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--follow-imports", "silent", str(package)]
        checked = subprocess.run(check, capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(checked.returncode, 0, checked.stdout)


if __name__ == "__main__":
    unittest.main()
