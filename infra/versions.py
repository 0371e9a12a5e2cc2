"""Which version of an article holds when: what one more text of it does to those that are there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.knowledge import Article

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)  # of an article that always held
END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Version:
    """A stored version: valid from `valid_from` until before `valid_to`; None is open."""

    version: int
    content_hash: str
    valid_from: datetime | None
    valid_to: datetime | None

    @property
    def begins(self) -> datetime:
        """`valid_from`, comparable."""
        return self.valid_from or BEGINNING

    @property
    def ends(self) -> datetime:
        """`valid_to`, comparable."""
        return self.valid_to or END


@dataclass(frozen=True)
class Unchanged:
    """The article is stored already, as this version, which is to end at `valid_to`."""

    version: Version
    valid_to: datetime | None


@dataclass(frozen=True)
class NewVersion:
    """The article becomes this version, and others end where it begins."""

    version: Version
    ended: tuple[tuple[int, datetime], ...]  # version, its new end


class VersionTaken(ValueError):
    """The article names a version that was published with another text."""


def in_order(articles: Iterable[Article]) -> list[Article]:
    """Articles by id, the texts of one in the order they hold."""
    return sorted(articles, key=lambda a: (a.id, a.version or 0, a.valid_from or BEGINNING))


def place(article: Article, stored: Sequence[Version], now: datetime) -> Unchanged | NewVersion:
    """Where a text of an article goes among its stored versions.

    Without dates it is the article from now on (the first one: always). With `valid_from` or `valid_to` it holds just
    then. A new text for a period that has begun replaces the old one from now on, so the past stays as it was; for a
    period that is over, or not yet begun, it replaces the old one whole. A text that was retired and comes back is a
    new version from now on; where it names its version or its dates, that version, as if it had never been away.

    Raises:
        VersionTaken: its version number was published with another text.
    """
    found = next((version for version in reversed(stored) if _is(article, version, stored, now)), None)
    if found is not None:
        return Unchanged(found, article.valid_to or _end(found, stored))
    if any(version.version == article.version for version in stored):
        raise VersionTaken(f"{article.id}: version {article.version} was published with another text")
    begins, ends = _period(article, stored, now)
    later = [version.begins for version in stored if begins < version.begins < version.ends]
    ends = min([ends, *later])
    number = article.version or max((version.version for version in stored), default=0) + 1
    new = Version(number, article.content_hash, _open(begins, BEGINNING), _open(ends, END))
    overlapping = [version for version in stored if version.begins <= begins < version.ends]
    return NewVersion(new, tuple((version.version, begins) for version in overlapping))


def _end(version: Version, stored: Sequence[Version]) -> datetime | None:
    """Where a version given again ends: where the next begins; without a next, nowhere."""
    followed = any(version.ends <= other.begins < other.ends for other in stored)
    return version.valid_to if followed else None


def _is(article: Article, version: Version, stored: Sequence[Version], now: datetime) -> bool:
    """Whether the article is this version. Undated, it can only be the newest: an older text may come back."""
    dated = article.valid_from or article.valid_to or article.version
    return (
        article.content_hash == version.content_hash
        and article.version in (None, version.version)
        and article.valid_from in (None, version.valid_from)
        and version.begins < version.ends
        and bool(dated or (version is stored[-1] and now < version.ends))
    )


def _period(article: Article, stored: Sequence[Version], now: datetime) -> tuple[datetime, datetime]:
    ends = article.valid_to or END
    if article.valid_from is None:
        return (now if stored and ends > now else BEGINNING), ends
    taken = any(version.begins == article.valid_from < version.ends for version in stored)
    return (max(article.valid_from, now) if taken and ends > now else article.valid_from), ends


def _open(moment: datetime, bound: datetime) -> datetime | None:
    return None if moment == bound else moment
