"""Where a text of an article goes among its versions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.knowledge import Article, ArticleSection
from infra.versions import NewVersion, Unchanged, Version, VersionTaken, in_order, place

MAY, JUNE, JULY, AUGUST = (datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 7, 8))


def text(words: str, **fields: object) -> Article:
    return replace(Article("a", "Title", (ArticleSection("s", "Heading", words),)), **fields)  # type: ignore[arg-type]


def stored(*versions: tuple[str, datetime | None, datetime | None]) -> list[Version]:
    return [Version(n, text(words).content_hash, *dates) for n, (words, *dates) in enumerate(versions, 1)]


def new(version: int, words: str, valid_from: datetime | None, valid_to: datetime | None) -> Version:
    return Version(version, text(words).content_hash, valid_from, valid_to)


ALWAYS = stored(("old", None, None))
TWO = stored(("old", None, JUNE), ("new", JUNE, None))

CASES = {
    "the first holds for all time": (text("old"), [], new(1, "old", None, None), ()),
    "the first may be dated": (text("old", valid_from=MAY), [], new(1, "old", MAY, None), ()),
    "another text holds from now on": (text("new"), ALWAYS, new(2, "new", JULY, None), ((1, JULY),)),
    "a dated one holds from its date": (text("new", valid_from=MAY), ALWAYS, new(2, "new", MAY, None), ((1, MAY),)),
    "one to come ends the present one then": (
        text("new", valid_from=AUGUST),
        ALWAYS,
        new(2, "new", AUGUST, None),
        ((1, AUGUST),),
    ),
    "an old text that comes back is a new version": (text("old"), TWO, new(3, "old", JULY, None), ((2, JULY),)),
    "the past is added before what there is": (
        text("older", valid_to=MAY),
        stored(("old", MAY, None)),
        new(2, "older", None, MAY),
        (),
    ),
    "a period that began keeps its past": (
        text("newer", valid_from=JUNE),
        TWO,
        new(3, "newer", JULY, None),
        ((2, JULY),),
    ),
    "a period to come is replaced whole": (
        text("newer", valid_from=AUGUST),
        stored(("old", None, AUGUST), ("new", AUGUST, None)),
        new(3, "newer", AUGUST, None),
        ((2, AUGUST),),
    ),
    "an undated one ends where a later one begins": (
        text("newer"),
        stored(("old", None, AUGUST), ("new", AUGUST, None)),
        new(3, "newer", JULY, AUGUST),
        ((1, JULY),),
    ),
    "one that was retired comes back as a new version": (
        text("old"),
        stored(("old", None, JUNE)),
        new(2, "old", JULY, None),
        (),
    ),
    "a number it names is its own": (text("new", version=7), ALWAYS, new(7, "new", JULY, None), ((1, JULY),)),
}


@pytest.mark.parametrize(("article", "versions", "version", "ended"), CASES.values(), ids=CASES)
def test_a_text_finds_its_place(
    article: Article, versions: list[Version], version: Version, ended: tuple[tuple[int, datetime], ...]
) -> None:
    assert place(article, versions, JULY) == NewVersion(version, ended)


@pytest.mark.parametrize(
    ("article", "versions", "number", "valid_to"),
    [
        (text("old"), ALWAYS, 1, None),
        (text("new"), TWO, 2, None),
        (text("new", valid_from=JUNE), TWO, 2, None),
        (text("old", valid_to=JUNE), TWO, 1, JUNE),
        (text("old", valid_to=AUGUST), ALWAYS, 1, AUGUST),
        (text("old", version=1), TWO, 1, JUNE),
        (text("old", version=1), stored(("old", None, JUNE)), 1, None),
        (text("old", valid_from=MAY), stored(("old", MAY, JUNE)), 1, None),
    ],
)
def test_a_text_that_is_there_stays_as_it_is(
    article: Article, versions: list[Version], number: int, valid_to: datetime | None
) -> None:
    assert place(article, versions, JULY) == Unchanged(versions[number - 1], valid_to)


def test_a_published_number_keeps_its_text() -> None:
    with pytest.raises(VersionTaken, match="a: version 1"):
        place(text("new", version=1), ALWAYS, JULY)


def test_texts_of_one_article_come_in_the_order_they_hold() -> None:
    articles = [text("new", valid_from=JUNE), text("old", valid_to=JUNE), replace(text("b"), id="0")]
    assert [article.sections[0].text for article in in_order(articles)] == ["b", "old", "new"]


moments = st.none() | st.integers(0, 20).map(lambda days: MAY + timedelta(days=days))
ingests = st.lists(st.tuples(st.sampled_from("xyz"), moments, st.integers(0, 20)), max_size=8)


@given(ingests)
def test_whatever_is_ingested_no_moment_has_two_versions(ingested: list[tuple[str, datetime | None, int]]) -> None:
    versions: list[Version] = []
    for words, valid_from, day in sorted(ingested, key=lambda entry: entry[2]):
        placed = place(text(words, valid_from=valid_from), versions, MAY + timedelta(days=day))
        if isinstance(placed, NewVersion):
            ends = dict(placed.ended)
            versions = [replace(v, valid_to=ends.get(v.version, v.valid_to)) for v in versions] + [placed.version]
    for day in range(25):
        at = MAY + timedelta(days=day, hours=1)
        assert sum(version.begins <= at < version.ends for version in versions) <= 1
