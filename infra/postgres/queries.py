"""Loads queries.sql: every statement by its name."""

from functools import cache
from pathlib import Path

QUERIES = Path(__file__).parent / "queries.sql"
NAME = "-- name: "


def parse(text: str) -> dict[str, bytes]:
    """The statements of a file, by the name in the line above each.

    Raises:
        ValueError: a name stands twice, or a statement has no description.
    """
    statements: dict[str, bytes] = {}
    for block in ("\n" + text).split("\n" + NAME)[1:]:
        name, _, rest = block.partition("\n")
        if not rest.startswith("-- ") or name in statements:
            raise ValueError(f"query {name}: needs a description, and a name of its own")
        lines = [line for line in rest.splitlines() if not line.startswith("--")]
        statements[name] = "\n".join(lines).strip().rstrip(";").encode()
    return statements


@cache
def _all() -> dict[str, bytes]:
    return parse(QUERIES.read_text(encoding="utf-8"))


def query(name: str) -> bytes:
    """The statement of that name."""
    return _all()[name]
