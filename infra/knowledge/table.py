"""Articles as a CSV table: a row a section (`text`), or a row an article (`body`, Markdown, or `html`)."""

import csv
import io
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from infra.knowledge import html, markdown
from infra.knowledge.article import Article, ArticleSection, UnreadableArticle, article_of, section_of
from infra.rows import read_text

ARTICLE = ("id", "title", "url", "lang", "license", "audience", "updated", "review_by", "valid_from", "valid_to")
SECTION = ("section_id", "heading", "text")
BODIES = ("text", "body", "html")  # one of them
COLUMNS = (*ARTICLE, *SECTION, "body", "html")
LONGEST = 10_000_000  # characters of a cell

Row = tuple[int, Mapping[str, str]]  # the line it ends at, and its cells


def read_csv(path: Path) -> list[Article]:
    """The articles of a table with a header; the rows of one article stand together.

    Raises:
        UnreadableFile: the message names the line, and the column where one is wrong.
    """
    rows = list(_rows(path))
    articles = [_article(list(group), path) for _, group in groupby(rows, key=lambda row: row[1]["id"])]
    seen: set[str] = set()
    for (line, cells), article in zip(_firsts(rows), articles, strict=True):
        if article.id in seen:
            raise UnreadableArticle(f"{path}:{line}: column id: {cells['id']} stands further up too, apart from this")
        seen.add(article.id)
    return articles


def _firsts(rows: list[Row]) -> Iterator[Row]:
    for _, group in groupby(rows, key=lambda row: row[1]["id"]):
        yield next(group)


def _rows(path: Path) -> Iterator[Row]:
    csv.field_size_limit(LONGEST)
    reader = csv.reader(io.StringIO(read_text(path).removeprefix("\ufeff"), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check(header, path)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise UnreadableArticle(f"{path}:{reader.line_num}: {len(cells)} cells, the header has {len(header)}")
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
            _need(row, f"{path}:{reader.line_num}")
            yield reader.line_num, row
    except csv.Error as error:
        raise UnreadableArticle(f"{path}:{reader.line_num}: not CSV: {error}") from None


def _check(header: list[str], path: Path) -> None:
    place = f"{path}:1"
    for name in header:
        if name not in COLUMNS:
            raise UnreadableArticle(f"{place}: column {name!r} is unknown; there are {', '.join(COLUMNS)}")
        if header.count(name) > 1:
            raise UnreadableArticle(f"{place}: column {name} stands there twice")
    for name in ("id", "title"):
        if name not in header:
            raise UnreadableArticle(f"{place}: column {name} is missing")
    if len(set(header) & set(BODIES)) != 1:
        raise UnreadableArticle(f"{place}: give one of the columns {', '.join(BODIES)}")


def _need(row: Mapping[str, str], place: str) -> None:
    for name in ("id", "title"):
        if not row[name]:
            raise UnreadableArticle(f"{place}: column {name} is empty")


def _article(rows: list[Row], path: Path) -> Article:
    line, first = rows[0]
    for further, row in rows[1:]:
        differing = next((name for name in ARTICLE if row.get(name, "") not in ("", first.get(name, ""))), None)
        if differing:
            raise UnreadableArticle(f"{path}:{further}: column {differing}: differs from line {line}, of one article")
    fields = {name: value for name in ARTICLE if (value := first.get(name))}
    try:
        return article_of(fields, [section for _, row in rows for section in _sections(row)], f"{path}:{line}")
    except UnreadableArticle as error:
        place, _, what = str(error).partition(": ")
        raise UnreadableArticle(f"{place}: column {what}") from None


def _sections(row: Mapping[str, str]) -> list[ArticleSection]:
    if "body" in row:
        return markdown.sections_of(row["body"], row["title"])
    if "html" in row:
        return html.sections_of(row["html"], row["title"])
    return [section_of(row.get("heading") or row["title"], row["text"], row.get("section_id") or None)]
