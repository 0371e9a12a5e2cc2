"""Which kind of source holds the articles, and reading those that are files."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.knowledge.article import Article, ArticleSection, UnreadableArticle, article_of
from infra.knowledge.html import read_html
from infra.knowledge.markdown import read_markdown
from infra.knowledge.table import read_csv
from infra.knowledge.zendesk import read_export
from infra.rows import fault, read_rows

PAGES = ("*.html", "*.htm")


class Format(StrEnum):
    """Where articles come from."""

    MARKDOWN = "markdown"  # a file, or a folder of them
    HTML = "html"  # a file, or a folder of them
    JSONL = "jsonl"  # an articles.jsonl: an article a line
    CSV = "csv"
    ZENDESK_EXPORT = "zendesk-export"  # JSON as the API answers: a file, or a folder of pages
    ZENDESK = "zendesk"  # https://SUBDOMAIN.zendesk.com
    INTERCOM = "intercom"  # https://api.intercom.io


REMOTE = (Format.ZENDESK, Format.INTERCOM)
_SUFFIXES = {
    ".md": Format.MARKDOWN,
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".csv": Format.CSV,
    ".json": Format.ZENDESK_EXPORT,
    ".jsonl": Format.JSONL,
}


def format_of(source: str) -> Format:
    """The kind of a source by its address, its suffix, or what its folder holds.

    Raises:
        UnreadableFile: it cannot be told.
    """
    if source.startswith(("https://", "http://")):
        return _by_host(source)
    path = Path(source)
    if not path.is_dir():
        return _SUFFIXES.get(path.suffix.lower(), Format.JSONL)
    found = [
        kind
        for kind, patterns in (
            (Format.MARKDOWN, ("*.md",)),
            (Format.HTML, PAGES),
            (Format.ZENDESK_EXPORT, ("*.json",)),
        )
        if any(next(path.rglob(pattern), None) for pattern in patterns)
    ]
    if len(found) > 1:
        raise UnreadableArticle(f"{path}: it holds {' and '.join(found)}: say which by --from")
    return found[0] if found else Format.MARKDOWN


def name_of(source: str, kind: Format | None = None) -> str:
    """What a source is called beside others: its address, or its path; of a page alone, its folder's."""
    if "://" in source:
        return source.rstrip("/").lower()
    path = Path(source).resolve()
    page = not path.is_dir() and (kind or format_of(source)) in (Format.MARKDOWN, Format.HTML)
    return str(path.parent if page else path)


def _by_host(source: str) -> Format:
    host = urlsplit(source).hostname or ""
    if host.endswith(".zendesk.com"):
        return Format.ZENDESK
    if host.endswith(("intercom.io", "intercom.com")):
        return Format.INTERCOM
    raise UnreadableArticle(f"{source}: say by --from what it is, {' or '.join(REMOTE)}")


def read_articles(path: Path, kind: Format | None = None) -> list[Article]:
    """The articles of a file or a folder.

    Raises:
        UnreadableFile: a file is no article, or the folder has none.
    """
    match kind or format_of(str(path)):
        case Format.MARKDOWN:
            return [read_markdown(file) for file in _files(path, ("*.md",))]
        case Format.HTML:
            return [read_html(file) for file in _files(path, PAGES)]
        case Format.CSV:
            return read_csv(path)
        case Format.ZENDESK_EXPORT:
            return read_export(path)
        case Format.JSONL:
            return [_read_row(row, place) for place, row in read_rows(path)]
        case remote:
            raise UnreadableArticle(f"{path}: {remote} is read from an address, not from a file")


def _files(path: Path, patterns: Iterable[str]) -> list[Path]:
    files = sorted({file for pattern in patterns for file in path.rglob(pattern)}) if path.is_dir() else [path]
    if not files:
        raise UnreadableArticle(f"{path}: no {' or '.join(p.removeprefix('*') for p in patterns)} file in it")
    return files


def _read_row(row: Mapping[str, Any], place: str) -> Article:
    try:
        sections = [ArticleSection(str(s["id"]), s["heading"], s["text"].strip()) for s in row["sections"]]
    except KeyError as error:
        raise UnreadableArticle(f"{place}: {fault(error)}") from None
    except (TypeError, AttributeError):
        raise UnreadableArticle(f"{place}: sections is no list of objects with id, heading and text") from None
    return article_of(row, sections, place)
