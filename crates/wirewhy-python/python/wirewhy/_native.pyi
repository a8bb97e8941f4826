from collections.abc import Sequence
from typing import Any

__version__: str

class Stream:
    """A table that any library with support for Arrow can read without a copy, through the Arrow C stream interface:
    ``pyarrow.table(stream)``, ``polars.DataFrame(stream)``, ``duckdb.sql("select * from stream")``.

    The rows of an analysis come as they are found, and can be read once."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __arrow_c_schema__(self) -> object: ...

class Collected:
    """Everything about some recordings. The streams can be read more than once."""

    @property
    def connections(self) -> Stream:
        """One row a connection."""
    @property
    def findings(self) -> Stream:
        """One row a finding beyond single connections."""
    @property
    def captures(self) -> Stream:
        """One row a recording, or a file that cannot be read."""
    @property
    def digests(self) -> bytes:
        """What :func:`wirewhy.summarize` needs to know of them, as lines of JSON."""

class Summary:
    """What many recordings show: the summary that ``wirewhy scan`` prints."""

    def __len__(self) -> int:
        """How many recordings and other files it is about."""
    @property
    def digests(self) -> bytes:
        """All digests as one set, as lines of JSON: input of :func:`wirewhy.summarize` again."""
    def text(self, width: int = 100) -> str:
        """The summary for a person, in lines of at most so many columns."""
    def json(self) -> str:
        """The summary as the last record of ``wirewhy scan --format ndjson``, with a line end."""
    def html(self) -> str:
        """The summary as a page of HTML, with the recordings in it."""

def stream_of(source: dict[str, Any], table: str, options: dict[str, Any], strict: bool) -> Stream: ...
def examine(source: dict[str, Any], options: dict[str, Any]) -> Collected: ...
def digests_of(source: dict[str, Any], options: dict[str, Any]) -> bytes: ...
def group(source: dict[str, Any]) -> list[list[str]]: ...
def summarize(digests: Sequence[bytes], options: dict[str, Any]) -> Summary: ...
def schema(table: str) -> Stream: ...
