"""A help article in one version, and how the fields of any source become one."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from infra.knowledge.windows import windows
from infra.rows import UnreadableFile, fault

PUBLIC, INTERNAL = "public", "internal"  # internal: never shown to a customer


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
    audience: str = PUBLIC
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
        """What the vector of each section is made of: title, heading and itself."""
        return tuple("\n".join(filter(None, (self.title, section.heading, section.text))) for section in self.sections)

    @property
    def windows(self) -> tuple[tuple[str, ...], ...]:
        """What the further vectors of each section are made of: title, heading and a window; none of a short one."""
        return tuple(
            tuple(f"{self.title}\n{section.heading}\n{window}" for window in windows(section.text))
            for section in self.sections
        )


class UnreadableArticle(UnreadableFile):
    """A file is no article; the message names it and what is wrong."""


def article_of(fields: Mapping[str, Any], sections: Iterable[ArticleSection], place: str) -> Article:
    """The article of these fields (id, title, url, lang, audience, ...); sections without text are left out.

    Raises:
        UnreadableArticle: a field is missing or wrong; the message begins with the place.
    """
    try:
        return Article(
            id=str(fields["id"]),
            title=str(fields["title"]),
            sections=tuple(_distinct(section for section in sections if section.text.strip())),
            url=fields.get("url") or None,
            language=str(fields.get("lang") or "en"),
            license=fields.get("license") or None,
            audience=_audience(fields.get("audience")),
            version=fields.get("version") or None,
            updated=_dated(fields, "updated"),
            review_by=_dated(fields, "review_by"),
            valid_from=_dated(fields, "valid_from"),
            valid_to=_dated(fields, "valid_to"),
        )
    except (KeyError, ValueError) as error:
        raise UnreadableArticle(f"{place}: {fault(error)}") from None


def section_of(heading: str, text: str, section_id: str | None = None) -> ArticleSection:
    """A section; without an id it is named by its heading."""
    slug = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")
    return ArticleSection(section_id or slug or "section", heading, text.strip())


def moment(value: object) -> datetime | None:
    """A date is its first moment in UTC; a moment without a zone is UTC.

    Raises:
        ValueError: it is neither.
    """
    if value is None or value == "":
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    read = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _dated(fields: Mapping[str, Any], name: str) -> datetime | None:
    try:
        return moment(fields.get(name))
    except (ValueError, OverflowError):
        raise ValueError(f"{name} is no date: {fields[name]!r}") from None


def _audience(value: object) -> str:
    """Who may read it: a word that is not known may mean anything, so it is refused."""
    if value not in (None, "", PUBLIC, INTERNAL):
        raise ValueError(f"audience is public or internal, not {value!r}")
    return str(value or PUBLIC)


def _distinct(sections: Iterable[ArticleSection]) -> Iterable[ArticleSection]:
    """The sections, ids made unique: the second `faq` is `faq-2`."""
    seen: Counter[str] = Counter()
    for section in sections:
        seen[section.id] += 1
        count = seen[section.id]
        yield section if count == 1 else ArticleSection(f"{section.id}-{count}", section.heading, section.text)
