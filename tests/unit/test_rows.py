"""Files that an operator gives: what is wrong with one is told with its file, its line and its field."""

import re
from pathlib import Path

import pytest

from infra.crm import read_customers
from infra.knowledge import read_articles
from infra.rows import UnreadableFile

GOOD = '{"id": "a", "title": "A", "sections": [{"id": "s", "heading": "S", "text": "T"}]}\n'


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.md", b"---\ntitle: A\nid: [x\n---\n## S\nT\n", "a.md:4: the front matter is no YAML"),
        ("a.md", b"---\ntitle: A\n---\n## S\nT\xff\n", "a.md:5: not UTF-8"),
        ("a.md", b"## S\nT\n", "a.md: the front matter has no title"),
        ("a.md", b"---\ntitle: A\nvalid_from: soon\n---\n## S\nT\n", "a.md: valid_from is no date: 'soon'"),
        ("a.jsonl", GOOD.encode() + b'{"id": "b", "title": "B"}', "a.jsonl:2: the field sections is missing"),
        ("a.jsonl", GOOD.replace('"heading"', '"head"').encode(), "a.jsonl:1: the field heading is missing"),
        ("a.jsonl", b'{"id": "b", "title": "B", "sections": "x"}', "a.jsonl:1: sections is no list of objects"),
        ("a.jsonl", b"\n{nothing", "a.jsonl:2: not JSON"),
        ("a.jsonl", b"\n\n[]", "a.jsonl:3: not a JSON object"),
        ("a.jsonl", GOOD.encode() + b"\xff\n", "a.jsonl:2: not UTF-8"),
    ],
)
def test_what_is_no_article_is_told_with_its_place(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFile, match=re.escape(f"{tmp_path}/{told}")):
        read_articles(tmp_path / name)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (b'{"email": "a@b.example"}', "the field customer_id is missing"),
        (b'{"customer_id": "c", "orders": [1]}', "not a customer"),
        (b'{"customer_id": "c', "not JSON"),
    ],
)
def test_what_is_no_customer_is_told_with_its_place(row: bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "crm.jsonl"
    file.write_bytes(b'{"customer_id": "a"}\n' + row)
    with pytest.raises(UnreadableFile, match=re.escape(f"{file}:2: {told}")):
        read_customers(file)
