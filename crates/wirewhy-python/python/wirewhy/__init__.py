"""Why TCP and TLS connections fail, from packets alone: what the command ``wirewhy`` gives, as Arrow.

A *source* is a path, an object with ``read(size) -> bytes`` (an open file, fsspec, pyarrow.fs, obstore), several of either,
or a :class:`Part`. Results are in the tables of ``wirewhy scan --format parquet``, column for column:

>>> import pyarrow, wirewhy
>>> pyarrow.table(wirewhy.connections("capture.pcap.zst")).group_by("root_cause").aggregate([([], "count_all")])

Results implement the Arrow C stream interface, which PyArrow, Polars, DuckDB and pandas read without a copy. The work is
done without the lock of the interpreter.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict, Union

from . import _native
from ._files import Library, Opener, files, opener
from ._native import Collected, Stream, Summary, __version__

__all__ = [
    "Collected",
    "Joining",
    "Library",
    "Opener",
    "Options",
    "Part",
    "Readable",
    "Source",
    "Stream",
    "Summary",
    "__version__",
    "captures",
    "connections",
    "digests",
    "examine",
    "files",
    "findings",
    "opener",
    "plan",
    "schema",
    "summarize",
]


class Readable(Protocol):
    """An object that gives the bytes of a capture, plain or compressed, from their start."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


class Options(TypedDict, total=False):
    """What an analysis is to do. Each option is that of the command with the same name."""

    all: bool
    """Healthy connections, too. By default there are rows only for those that failed, are degraded or undecided."""
    min_severity: Literal["error", "warning", "note"]
    only: Sequence[str]
    ignore: Sequence[str]
    filter: str
    """An expression of libpcap's filter language."""
    keylog: bytes
    """TLS secrets, the content of an SSLKEYLOGFILE."""
    roots: bytes
    """The roots that certificates are held against, in PEM. By default Mozilla's."""
    max_bytes: int
    """How many bytes of a recording are read, decompressed."""


@dataclass(frozen=True)
class Part:
    """Recordings that one task reads, one after the other: the unit of work on a cluster. It can be pickled."""

    files: tuple[str, ...]
    """Their paths or URIs. The files of one recording are never in two parts."""
    bytes: int
    """How many bytes they have together, as they are stored."""


Source = Union[str, "os.PathLike[str]", Readable, Part, Iterable[Union[str, "os.PathLike[str]"]]]
Joining = Literal["recognised", "never", "always"]


def connections(
    source: Source, *, open: Opener | None = None, name: str | None = None, joining: Joining = "recognised", **options: Any
) -> Stream:
    """Connections, one row each, as they are over.

    :param source: what is read. Several paths may be one recording (see ``joining``).
    :param open: opens a path of the source, where it is not a file of this machine. It returns an object with ``read``,
        which is closed when it was read. By default fsspec opens what has a scheme (``s3://``).
    :param name: what ``source`` is called in the column of this name; its own ``name`` by default.
    :param joining: whether files are read as one recording: where they are ``recognised`` as such, ``never`` or ``always``.
    :param options: see :class:`Options`.
    :raises OSError: where a single path cannot be opened.
    :raises ValueError: where a single source is no capture.

    Of several paths and of a :class:`Part`, those that cannot be read have no rows here but one in :func:`captures`. A
    capture that cannot be read to its end has the rows up to there, and the ``problem`` in :func:`captures`."""
    return _stream("connections", source, open, name, joining, options)


def findings(
    source: Source, *, open: Opener | None = None, name: str | None = None, joining: Joining = "recognised", **options: Any
) -> Stream:
    """Findings beyond single connections: about services, hosts, lookups and the recording. The same arguments as
    :func:`connections`."""
    return _stream("findings", source, open, name, joining, options)


def captures(
    source: Source, *, open: Opener | None = None, name: str | None = None, joining: Joining = "recognised", **options: Any
) -> Stream:
    """Recordings, one row each with its totals, and the files that cannot be read. The same arguments as
    :func:`connections`."""
    return _stream("captures", source, open, name, joining, options)


def examine(
    part: Source, *, open: Opener | None = None, name: str | None = None, joining: Joining = "recognised", **options: Any
) -> Collected:
    """All tables and the digests, read at once and kept in memory. The same arguments as :func:`connections`; a file that
    cannot be read is a row of ``captures`` and no exception."""
    return _native.examine(_source(part, open, name, joining), _options(options))


def digests(
    part: Source, *, open: Opener | None = None, name: str | None = None, joining: Joining = "recognised", **options: Any
) -> list[tuple[str, bytes]]:
    """The name and the digest of each recording, for :func:`summarize`. A digest is one line of JSON of some kilobytes,
    whatever the size of the recording. The same arguments as :func:`connections`."""
    lines = _native.digests_of(_source(part, open, name, joining), _options(options))
    return [(json.loads(line)["source"], line) for line in lines.splitlines()]


def summarize(digests: Iterable[bytes], **options: Any) -> Summary:
    """The summary over many recordings that ``wirewhy scan`` prints.

    Digests are a set keyed by the name of the recording: their order does not matter, nor how often each comes, nor which
    of them were put together before (:attr:`Summary.digests`). So a task that is run twice changes nothing.

    :param digests: lines of :func:`digests`, :attr:`Collected.digests` or :attr:`Summary.digests`.
    :param options: ``min_severity``, ``only`` and ``ignore`` of :class:`Options`.
    :raises OSError: where they are no digests of this version."""
    return _native.summarize(list(digests), _options(options))


def plan(
    files: Iterable[Union[str, "os.PathLike[str]", tuple[str, int]]],
    *,
    target_bytes: int = 256 << 20,
    open: Opener | None = None,
    joining: Joining = "recognised",
) -> list[Part]:
    """Parts of about equal size, the largest first.

    The files of one recording come into one part; to recognise them, the beginning of each file is read whose name differs
    from that of another in numbers alone (``joining="never"`` reads nothing).

    :param files: paths or URIs, or pairs of one and its size in bytes, as :func:`files` gives them.
    :param target_bytes: how many bytes a part has at most, unless it is a single recording."""
    sizes = {}
    for file in files:
        path, size = file if isinstance(file, tuple) else (os.fspath(file), None)
        sizes[path] = os.path.getsize(path) if size is None and os.path.exists(path) else size or 0
    source = _source(list(sizes), open, None, joining)
    recordings = [(sum(sizes.get(file, 0) for file in group), group) for group in _native.group(source)]
    # Largest first, each into the fullest part that has room for it. Of equals, the order given decides.
    parts: list[tuple[int, list[str]]] = []
    for size, group in sorted(recordings, key=lambda recording: -recording[0]):
        room = [index for index, (full, _) in enumerate(parts) if full + size <= target_bytes]
        if room:
            index = max(room, key=lambda index: parts[index][0])
            parts[index] = (parts[index][0] + size, parts[index][1] + group)
        else:
            parts.append((size, list(group)))
    return [Part(tuple(group), size) for size, group in parts]


def schema(table: str) -> Stream:
    """A stream without rows, with the schema of ``connections``, ``findings`` or ``captures``."""
    return _native.schema(table)


def _stream(
    table: str, source: Source, open: Opener | None, name: str | None, joining: Joining, options: dict[str, Any]
) -> Stream:
    strict = isinstance(source, (str, os.PathLike)) or hasattr(source, "read")
    return _native.stream_of(_source(source, open, name, joining), table, _options(options), strict)


def _source(source: Source, open: Opener | None, name: str | None, joining: Joining) -> dict[str, Any]:
    if hasattr(source, "read"):
        given = name or getattr(source, "name", None)
        called = given if isinstance(given, str) else "-"
        return {"names": [called], "open": lambda _: _Open(source), "joining": "never"}
    if isinstance(source, Part):
        names = list(source.files)
    elif isinstance(source, (str, os.PathLike)):
        names = [os.fspath(source)]
    else:
        names = [os.fspath(path) for path in source]
    if open is None and any("://" in path for path in names):
        open = opener()
    if name is not None:
        if len(names) != 1:
            raise ValueError("a name is for a single source")
        path, opened = names[0], open or _open
        return {"names": [name], "open": lambda _: opened(path), "joining": "never"}
    return {"names": names, "open": open, "joining": joining}


def _open(path: str) -> Readable:
    return open(path, "rb", buffering=0)


class _Open:
    """An object of the caller, who closes it."""

    def __init__(self, source: Any) -> None:
        self.read: Callable[[int], bytes] = source.read

    def close(self) -> None:
        pass


def _options(options: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {
        "all": False,
        "min_severity": None,
        "only": [],
        "ignore": [],
        "filter": None,
        "keylog": None,
        "roots": None,
        "max_bytes": None,
    }
    for option in options:
        if option not in known:
            raise TypeError(f"there is no option called {option}")
    return {**known, **options}

