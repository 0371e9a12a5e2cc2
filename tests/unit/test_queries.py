"""Every statement has a name and a description, and text is made fit for Postgres."""

import pytest

from infra.postgres.pool import storable, storable_json
from infra.postgres.queries import QUERIES, parse


def test_statements_are_found_by_name_without_their_comments() -> None:
    text = "-- File.\n\n-- name: one\n-- What it does.\nselect 1;\n\n-- name: two\n-- It.\n-- So.\nselect\n  2;\n"
    assert parse(text) == {"one": b"select 1", "two": b"select\n  2"}


@pytest.mark.parametrize(
    "text", ["-- name: one\nselect 1;", "-- name: one\n-- A.\nselect 1;\n-- name: one\n-- A.\nselect 2;"]
)
def test_a_statement_without_description_or_own_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="query one"):
        parse(text)


def test_the_product_s_statements_are_well_formed() -> None:
    statements = parse(QUERIES.read_text(encoding="utf-8"))
    assert len(statements) > 20
    assert all(b";" not in statement for statement in statements.values())


@pytest.mark.parametrize(
    ("text", "kept"), [("plain é", "plain é"), ("nul \x00", "nul \ufffd"), ("half \ud800", "half ?")]
)
def test_text_is_kept_as_far_as_postgres_can(text: str, kept: str) -> None:
    assert storable(text) == kept


def test_an_escaped_nul_is_no_json_for_postgres_either() -> None:
    assert storable_json('{"a": "\\u0000"}') == '{"a": "\\ufffd"}'
