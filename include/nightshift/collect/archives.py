"""The whole content of a file, decompressed by its name: to its very end, and no larger than it may be."""

import bz2
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import pyarrow as pa

PART = 2**20
MEGABYTE = 2**20
# What macOS and Windows leave beside files: no file of the source's.
OF_THE_PACKER = re.compile(r"(?:.*/)?(?:__MACOSX/.*|\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini)", re.DOTALL)


class BadArchive(ValueError):
    """A compressed file that is cut short, is none, or holds something else than one file."""


class TooLarge(ValueError):
    """More content than the source allows."""


def read_whole(file: BinaryIO, name: str, limit: int) -> bytes:
    """Return the content of ``file``, at most ``limit`` bytes, decompressed as the end of ``name`` says.

    Raises:
        BadArchive: not all of it is there, or it is not what its name says.
        TooLarge: it is larger. No more than ``limit`` was ever in memory.
    """
    raw = _all_of(file, limit + 1)
    read = KINDS.get(PurePosixPath(name).suffix.lower())
    return read(raw, limit) if read else _joined(iter([raw]), limit)


def _all_of(file: BinaryIO, most: int) -> bytes:
    """Return what the file holds, at most so many bytes. One read may give less: of a stream, what has come by then."""
    parts: list[bytes] = []
    while most > 0 and (part := file.read(most)):
        parts.append(part)
        most -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _joined(parts: Iterator[bytes], limit: int) -> bytes:
    whole = bytearray()
    for part in parts:
        whole += part
        if len(whole) > limit:
            raise TooLarge(f"larger than {limit / MEGABYTE:.0f} MB")
    return bytes(whole)


def _of_streams(kind: str, start: Callable[[], Any], padding: bytes) -> Callable[[bytes, int], bytes]:
    """Return a reader of one compressed stream after another; ``padding`` may stand between and after them."""

    def streams(raw: bytes) -> Iterator[bytes]:
        at, is_first, whole = 0, True, memoryview(raw)
        while at < len(raw) or is_first:
            try:
                begun = at
                at = yield from _stream(kind, start(), whole, at)
            except (OSError, zlib.error, lzma.LZMAError) as error:
                if is_first:
                    raise BadArchive(f"not a {kind} file: {error}") from error
                raise BadArchive(f"{len(raw) - begun} bytes follow the end of its {kind} content") from error
            while at < len(raw) and raw[at] in padding:
                at += 1
            is_first = False

    return lambda raw, limit: _joined(streams(raw), limit)


def _stream(kind: str, stream: Any, whole: memoryview, at: int) -> Generator[bytes, None, int]:
    """Yield what one stream holds, a part at a time; return where it ends."""
    rest: bytes | memoryview = b""
    while not stream.eof:
        # zlib hands back what it has not read; the others keep it, and say whether they need more.
        if not rest and getattr(stream, "needs_input", True):
            rest = whole[at : at + PART]
            at += len(rest)
        given, part = len(rest), stream.decompress(rest, PART)
        rest = getattr(stream, "unconsumed_tail", b"")
        if not (part or rest or given or stream.eof):
            raise BadArchive(f"cut short: its {kind} content has no end")
        yield part
    return at - len(stream.unused_data)


def _zstd(raw: bytes, limit: int) -> bytes:
    try:
        with pa.CompressedInputStream(pa.BufferReader(raw), "zstd") as stream:
            return _joined(iter(lambda: stream.read(PART), b""), limit)
    except (OSError, pa.ArrowException) as error:
        raise BadArchive(f"cut short, or not a zst file: {error}") from error


def _only_member(raw: bytes, limit: int) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            member = _one_of(archive)
            _require_end(raw, archive)
            with archive.open(member) as file:
                return _joined(iter(lambda: file.read(PART), b""), limit)
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise BadArchive(f"not a whole zip file: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # a method of later versions, a password
        raise BadArchive(f"a zip file that cannot be opened: {error}") from error


def _one_of(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [
        one for one in archive.infolist() if not one.is_dir() and not OF_THE_PACKER.fullmatch(one.filename)
    ]
    if len(members) != 1:
        names = ", ".join(repr(one.filename[:60]) for one in members[:3]) or "none"
        more = f" and {len(members) - 3} more" if len(members) > 3 else ""
        raise BadArchive(f"a zip must hold exactly one file, this one holds {len(members)}: {names}{more}")
    return members[0]


def _require_end(raw: bytes, archive: zipfile.ZipFile) -> None:
    # The record that ends an archive is 22 bytes long and a comment.
    end = raw.rfind(b"PK\x05\x06") + 22 + len(archive.comment)
    if end != len(raw):
        raise BadArchive(f"{len(raw) - end} bytes follow the end of its zip content")


KINDS: dict[str, Callable[[bytes, int], bytes]] = {
    ".gz": _of_streams("gz", lambda: zlib.decompressobj(wbits=31), b"\0"),
    ".bz2": _of_streams("bz2", bz2.BZ2Decompressor, b""),
    ".xz": _of_streams("xz", lzma.LZMADecompressor, b"\0"),
    ".lzma": _of_streams("lzma", lzma.LZMADecompressor, b""),
    ".zst": _zstd,
    ".zip": _only_member,
}
