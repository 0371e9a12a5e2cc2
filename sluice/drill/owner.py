"""Postgres as its owner: the drill's rows come and go without the stages that make and read others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from processors.errors import DependencyDown


@contextmanager
def as_owner(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit mode, closed at the end.

    Raises:
        DependencyDown: Postgres does not answer.
    """
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("set role sluice_owner")
            yield connection
    except psycopg.OperationalError as error:
        raise DependencyDown("Postgres", type(error).__name__) from None
