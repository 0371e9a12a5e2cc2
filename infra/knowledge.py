"""Help articles as files: Markdown with front matter, or a suite's articles.jsonl."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any

import frontmatter
from markdown_it import MarkdownIt
from yaml import YAMLError  # type: ignore[import-untyped]  # frontmatter brings it, without types

from infra.rows import UnreadableFile, fault, read_rows, read_text

LONGEST_OVERLAP = 200  # characters
HEADING = re.compile(r"^(?P<heading>.*?)\s*(?:\{#(?P<id>[^}]+)\})?$")  # `Gifts {#gift-returns}`


@dataclass(frozen=True)
class ArticleSection:
    """One H2 section, with everything under it as Markdown."""

    id: str
    heading: str
    text: str


@dataclass(frozen=True)
class Article:
    """A help article, in one version. Without `valid_from` it is valid from when it is first ingested, or always."""

    id: str
    title: str
    sections: tuple[ArticleSection, ...]
    url: str | None = None
    language: str = "en"
    license: str | None = None
    audience: str = "public"  # or internal: never shown to a customer
    updated: datetime | None = None
    review_by: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None  # the first moment it no longer holds
    version: int | None = None  # from 1; None leaves the number to the ingest

    @property
    def content_hash(self) -> str:
        """SHA-256 of what a customer may be told: what makes two versions differ."""
        content = [self.title, self.url, self.language, self.audience, [asdict(section) for section in self.sections]]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    @property
    def chunks(self) -> tuple[str, ...]:
        """What the vector of each section is made of: title, heading, the sentence before it, and itself."""
        before = ["", *(_last_sentence(section.text) for section in self.sections)]
        return tuple(
            "\n".join(filter(None, (self.title, section.heading, overlap, section.text)))
            for section, overlap in zip(self.sections, before, strict=False)
        )


def _last_sentence(text: str) -> str:
    """The end of a section, to bridge what the next one takes for granted. Part of a vector, never of a quote."""
    return re.split(r"(?<=[.!?])\s+|\n", text.strip())[-1][-LONGEST_OVERLAP:]


class UnreadableArticle(UnreadableFile):
    """A file is no article; the message names it and what is wrong."""


def read_articles(path: Path) -> list[Article]:
    """The articles of a folder of Markdown files, one Markdown file, or an articles.jsonl.

    Raises:
        UnreadableFile: a file is no article, or the folder has none.
    """
    if path.is_dir():
        files = sorted(path.rglob("*.md"))
        if not files:
            raise UnreadableArticle(f"{path}: no .md file in it")
        return [read_markdown(file) for file in files]
    if path.suffix == ".md":
        return [read_markdown(path)]
    return [_read_row(row, place) for place, row in read_rows(path)]


def read_markdown(path: Path) -> Article:
    """An article with its front matter (id, title, ...); text before the first H2 is a section under the title.

    Raises:
        UnreadableFile: it is no text, or its front matter is missing or wrong.
    """
    try:
        matter, body = frontmatter.parse(read_text(path))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UnreadableArticle(f"{where}: the front matter is no YAML: {getattr(error, 'problem', error)}") from None
    fields = {"id": path.stem, **matter}
    if "title" not in fields:
        raise UnreadableArticle(f"{path}: the front matter has no title")
    return _article(fields, _sections(body, str(fields["title"])), str(path))


def _read_row(row: Mapping[str, Any], place: str) -> Article:
    try:
        sections = [ArticleSection(str(s["id"]), s["heading"], s["text"].strip()) for s in row["sections"]]
    except KeyError as error:
        raise UnreadableArticle(f"{place}: {fault(error)}") from None
    except (TypeError, AttributeError):
        raise UnreadableArticle(f"{place}: sections is no list of objects with id, heading and text") from None
    return _article(row, sections, place)


def _article(fields: Mapping[str, Any], sections: Iterable[ArticleSection], place: str) -> Article:
    try:
        return Article(
            id=str(fields["id"]),
            title=str(fields["title"]),
            sections=tuple(_distinct(section for section in sections if section.text.strip())),
            url=fields.get("url") or None,
            language=fields.get("lang") or "en",
            license=fields.get("license") or None,
            audience=fields.get("audience") or "public",
            version=fields.get("version") or None,
            updated=_moment(fields.get("updated")),
            review_by=_moment(fields.get("review_by")),
            valid_from=_moment(fields.get("valid_from")),
            valid_to=_moment(fields.get("valid_to")),
        )
    except (KeyError, ValueError) as error:
        raise UnreadableArticle(f"{place}: {fault(error)}") from None


def _distinct(sections: Iterable[ArticleSection]) -> Iterable[ArticleSection]:
    """The sections, ids made unique: the second `faq` is `faq-2`."""
    seen: Counter[str] = Counter()
    for section in sections:
        seen[section.id] += 1
        count = seen[section.id]
        yield section if count == 1 else ArticleSection(f"{section.id}-{count}", section.heading, section.text)


def _moment(value: object) -> datetime | None:
    """A date is its first moment in UTC; a moment without a zone is UTC."""
    if value is None or value == "":
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sections(body: str, title: str) -> list[ArticleSection]:
    """Cut Markdown at its H2 headings; a `##` within a code block is none."""
    lines = body.splitlines()
    starts = [(0, 0, title)]  # first line of the heading, of the text; heading
    tokens = MarkdownIt().parse(body)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.map and opening.level == 0 and opening.markup in ("#", "##"):
            start, end = opening.map
            starts.append((start, end, inline.content if opening.markup == "##" else title))
    ends = [start for start, _, _ in starts[1:]] + [len(lines)]
    return [_section(heading, lines[begin:end]) for (_, begin, heading), end in zip(starts, ends, strict=True)]


def _section(heading: str, lines: list[str]) -> ArticleSection:
    found = HEADING.match(heading)
    name, section_id = (found["heading"], found["id"]) if found else (heading, None)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return ArticleSection(section_id or slug or "section", name, "\n".join(lines).strip())
