"""What the tests share: an archive, and what the command says of it."""

import datetime
import gzip
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pyarrow.dataset

FIXTURES = Path(os.environ["WIREWHY_FIXTURES"])
TABLES = ("connections", "findings", "captures")


def archive(folder, most=None):
    """Captures of real stacks, a ring, and what cannot be read. At most so many captures, where that is given."""
    captures = sorted(path for path in FIXTURES.rglob("*") if path.suffix in (".pcap", ".pcapng", ".gz", ".zst", ".lz4", ".xz"))
    for path in captures[: most or None]:
        copy = folder / path.relative_to(FIXTURES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    odd = folder / "odd"
    odd.mkdir(parents=True)
    ring(FIXTURES / "healthy-many" / "client.pcap", odd, 3)
    whole = (FIXTURES / "refused-by-server" / "client.pcap").read_bytes()
    (odd / "cut.pcap").write_bytes(whole[:-7])
    (odd / "cut.pcap.gz").write_bytes(gzip.compress(whole)[:-20])
    (odd / "header.pcap").write_bytes(whole[:6])
    (odd / "notes.txt").write_text("no capture at all")
    (odd / "empty.pcap").write_bytes(b"")


def ring(path, folder, files):
    """The frames of a capture in several files, named as tcpdump -C names them."""
    content = path.read_bytes()
    order = "<" if content[0] in (0xD4, 0x4D) else ">"
    frames, at = [], 24
    while at < len(content):
        (length,) = struct.unpack_from(order + "I", content, at + 8)
        frames.append(content[at : at + 16 + length])
        at += 16 + length
    each = -(-len(frames) // files)
    for number in range(files):
        name = "ring.pcap" + (str(number) if number else "")
        (folder / name).write_bytes(content[:24] + b"".join(frames[number * each : (number + 1) * each]))


def scan(folder, *arguments):
    """What the command writes to standard output."""
    command = [os.environ["WIREWHY"], "scan", str(folder), "--quiet", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode in (0, 3), ran.stderr
    return ran.stdout


def tables(folder, out):
    """The rows of `wirewhy scan --all --format parquet`, and the summary."""
    summary = scan(folder, "--all", "--format", "parquet", "-o", str(out))
    read = {table: pyarrow.dataset.dataset(str(out / table), format="parquet").to_table() for table in TABLES}
    return {table: ordered(rows.to_pylist()) for table, rows in read.items()}, summary


def ordered(rows):
    """Rows in an order of their own, whatever engine they come from."""
    return sorted(json.dumps(plain(row), sort_keys=True) for row in rows)


def plain(value):
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat()
    return value
