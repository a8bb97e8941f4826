"""Files of object stores, by libraries that know them: fsspec or pyarrow.fs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

Opener = Callable[[str], Any]
"""Takes a path or URI and returns an object with ``read``."""
Library = Literal["fsspec", "pyarrow"]


class _Store(Protocol):
    def open(self, uri: str) -> Any: ...
    def list(self, uri: str) -> Iterator[tuple[str, int]]: ...


def files(
    path: str, *, library: Library = "fsspec", storage_options: dict[str, Any] | None = None
) -> list[tuple[str, int]]:
    """The files that a path stands for, each with its size in bytes, in the order of ``wirewhy scan``.

    :param path: a file, a folder or a glob, of this machine or with a scheme (``s3://bucket/2026-*/*.pcap.zst``).
    :param library: which one knows the scheme: ``fsspec``, or ``pyarrow`` for pyarrow.fs, in which a glob is not known.
    :param storage_options: arguments of its file system: of ``fsspec.filesystem``, or of the class in pyarrow.fs."""
    found = sorted(_store(path, library, storage_options).list(path), key=lambda file: file[0].split("/"))
    return [(uri, size) for uri, size in found]


def opener(*, library: Library = "fsspec", storage_options: dict[str, Any] | None = None) -> Opener:
    """What opens a path or URI for reading from its start to its end. It can be pickled."""
    return _Opener(library, storage_options)


class _Opener:
    def __init__(self, library: Library, storage_options: dict[str, Any] | None) -> None:
        self.library = library
        self.storage_options = storage_options

    def __call__(self, uri: str) -> Any:
        return _store(uri, self.library, self.storage_options).open(uri)


def _store(uri: str, library: Library, storage_options: dict[str, Any] | None) -> _Store:
    if "://" not in uri:
        return _Local()
    if library == "pyarrow":
        return _Arrow(uri, storage_options)
    return _Fsspec(uri, storage_options)


class _Local:
    def open(self, uri: str) -> Any:
        return open(uri, "rb", buffering=0)

    def list(self, uri: str) -> Iterator[tuple[str, int]]:
        import glob

        there = os.path.lexists(uri)
        for path in [uri] if there else glob.glob(uri, recursive=True):
            if not os.path.isdir(path):
                yield path, _size(path)
                continue
            for folder, _, names in os.walk(path):
                for name in names:
                    file = os.path.join(folder, name)
                    # Links in a folder are not followed, as by the command.
                    if os.path.isfile(file) and not os.path.islink(file):
                        yield file, _size(file)
        if not there and not glob.has_magic(uri):
            # What is not there is a row of captures.
            yield uri, 0


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


class _Fsspec:
    def __init__(self, uri: str, storage_options: dict[str, Any] | None) -> None:
        import fsspec

        self.scheme = uri.split("://", 1)[0]
        self.system = fsspec.filesystem(self.scheme, **(storage_options or {}))

    def open(self, uri: str) -> Any:
        # Each byte is read once and in order, so nothing but what comes next is worth keeping.
        return self.system.open(uri, "rb", cache_type="readahead", block_size=8 << 20)

    def list(self, uri: str) -> Iterator[tuple[str, int]]:
        globbed = any(sign in uri for sign in "*?[")
        if globbed:
            found = self.system.glob(uri, detail=True)
        else:
            found = self.system.find(uri, detail=True)
        for path, info in found.items():
            if info.get("type") == "file":
                yield f"{self.scheme}://{path.lstrip('/') if self.scheme != 'file' else path}", int(info.get("size") or 0)
        if not found and not globbed:
            yield uri, 0


class _Arrow:
    def __init__(self, uri: str, storage_options: dict[str, Any] | None) -> None:
        from pyarrow import fs

        self.scheme, rest = uri.split("://", 1)
        if storage_options:
            classes = {"s3": "S3FileSystem", "gs": "GcsFileSystem", "hdfs": "HadoopFileSystem", "file": "LocalFileSystem"}
            self.system = getattr(fs, classes[self.scheme])(**storage_options)
            self.path = rest
        else:
            self.system, self.path = fs.FileSystem.from_uri(uri)

    def open(self, uri: str) -> Any:
        return self.system.open_input_stream(self.path, compression=None)

    def list(self, uri: str) -> Iterator[tuple[str, int]]:
        from pyarrow import fs

        info = self.system.get_file_info(self.path)
        if info.type != fs.FileType.Directory:
            yield uri, int(info.size or 0)
            return
        for info in self.system.get_file_info(fs.FileSelector(self.path, recursive=True)):
            if info.type == fs.FileType.File:
                yield f"{self.scheme}://{info.path}", int(info.size or 0)
