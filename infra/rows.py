"""Rows of a JSONL file that an operator gives us, each with its place, so that a fault can be found and mended."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class UnreadableFile(ValueError):
    """A file that was given is not what it should be; the message names it, the line and what is wrong."""


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        UnreadableFile: it is not UTF-8.
    """
    return decoded(path.read_bytes(), str(path))


def read_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a JSONL file, each with its place (file:line); empty lines are passed over.

    Raises:
        UnreadableFile: a line is no JSON object in UTF-8.
    """
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            place = f"{path}:{number}"
            yield place, _object(decoded(line, place), place)


def decoded(raw: bytes, place: str) -> str:
    """Bytes as text.

    Raises:
        UnreadableFile: they are not UTF-8.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        where = f"{place}:{line}" if b"\n" in raw else place
        raise UnreadableFile(f"{where}: not UTF-8 at byte {error.start}") from None


def fault(error: Exception) -> str:
    """What is wrong with a row, in words."""
    return f"the field {error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def _object(line: str, place: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"{place}: not JSON: {error.msg}") from None
    if not isinstance(row, dict):
        raise UnreadableFile(f"{place}: not a JSON object")
    return row
