"""Office files are zip archives of XML: sizes are known before unpacking, and their XML declares nothing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import IO
from xml.etree import ElementTree
from xml.parsers import expat

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables.deliverable import Image
from understudy.evaluation.deliverables.limits import ReadingLimits
from understudy.evaluation.deliverables.pictures import picture

_MARKUP = (".xml", ".rels", ".vml")
_ENCRYPTED = 0x1
_PART_BYTES = 1 << 16
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class _EndOfPrologError(Exception):
    pass


@contextmanager
def opened_archive(content: bytes, *, name: str, must_hold: str, limits: ReadingLimits) -> Iterator[zipfile.ZipFile]:
    """The archive, once its members' declared sizes, names and XML prologs are found harmless.

    ``zipfile`` never gives more bytes of a member than it declares, so the declared sizes bound what is unpacked, also
    where members overlap. A document type declaration is refused in whatever encoding: Office Open XML has none, and
    entities that multiply or name files come with one.

    Args:
        must_hold: the member that makes it a file of its kind.
    Raises:
        DeliverableError: it is corrupt, a zip bomb, encrypted, of another kind, or its XML has a document type.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_sizes(members, name=name, limits=limits)
            if must_hold not in archive.namelist():
                raise DeliverableError(f"{name} is not what its name says", got="a zip archive without " + must_hold)
            for member in members:
                if member.filename.lower().endswith(_MARKUP):
                    with archive.open(member) as file:
                        _check_prolog(file, name=name)
            yield archive
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, zipfile.LargeZipFile) as error:
        if isinstance(error, DeliverableError):
            raise
        raise DeliverableError(f"{name} is corrupt", got=f"{type(error).__name__}: {error}") from error


def parsed(archive: zipfile.ZipFile, member: str) -> ElementTree.Element | None:
    """The root of a member's XML; None where there is no such member.

    Raises:
        DeliverableError: it is no XML.
    """
    try:
        return ElementTree.fromstring(archive.read(member))
    except KeyError:
        return None
    except (ElementTree.ParseError, ValueError) as error:
        raise DeliverableError(f"{member} is corrupt", got=str(error)) from error


def pictures_within(archive: zipfile.ZipFile, folder: str, limits: ReadingLimits) -> tuple[Image, ...]:
    """The pictures of a document, by name, as far as their form is known."""
    found = []
    for name in sorted(name for name in archive.namelist() if name.startswith(folder)):
        with suppress(DeliverableError):
            found.append(picture(archive.read(name), name=PurePosixPath(name).name, limits=limits))
        if len(found) == limits.images:
            break
    return tuple(found)


def _check_sizes(members: list[zipfile.ZipInfo], *, name: str, limits: ReadingLimits) -> None:
    unpacked, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    ratio = unpacked / max(1, packed)
    if len(members) > limits.members:
        raise DeliverableError(f"{name} is a zip bomb", got=f"{len(members):,} members")
    if unpacked > limits.unpacked_bytes or (unpacked > limits.small_bytes and ratio > limits.pack_ratio):
        raise DeliverableError(
            f"{name} is a zip bomb", got=f"{unpacked:,} bytes unpacked, {ratio:,.0f} times the packed"
        )
    for member in members:
        if member.flag_bits & _ENCRYPTED:
            raise DeliverableError(f"{name} is encrypted")
        if member.compress_type not in _METHODS:
            raise DeliverableError(f"{name} is packed in a way that office files are not", got=member.compress_type)
        if member.filename.startswith(("/", "\\")) or ".." in PurePosixPath(member.filename).parts:
            raise DeliverableError(f"{name} has a member outside itself", got=repr(member.filename))


def _check_prolog(file: IO[bytes], *, name: str) -> None:
    def refuse(*_: object) -> None:
        raise DeliverableError(f"{name} declares XML entities or a document type, which no office file does")

    def stop(*_: object) -> None:
        raise _EndOfPrologError

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = stop
    try:
        while part := file.read(_PART_BYTES):
            parser.Parse(part)
        parser.Parse(b"", True)
    except _EndOfPrologError:
        return
    except (expat.ExpatError, ValueError) as error:
        raise DeliverableError(f"{name} is corrupt", got=f"XML: {error}") from error
