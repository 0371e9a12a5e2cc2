"""Rows that people give one by one, each on disk as soon as it is given, in a file that only its owner reads."""

import json
import os
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from schemas.event import Value

T = TypeVar("T", bound=Value)


def read_kept(path: Path, kind: type[T]) -> list[T]:
    """The rows of a file, none where there is no file; a line that was cut off at the end is left out.

    Raises:
        ValueError: another line is no such row; the message names it.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows += [kind.model_validate(json.loads(line))] if line.strip() else []
        except (json.JSONDecodeError, ValidationError):
            if number != len(lines):
                raise ValueError(f"{path}:{number}: not a line of this kind of file") from None
    return rows


def keep_row(path: Path, row: Value) -> None:
    """Add a row, in the place of a line that was cut off before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.seek(whole)
        file.write(row.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
