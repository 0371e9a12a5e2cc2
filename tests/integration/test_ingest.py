"""An ingest touches only what changed, and keeps every version's text."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.embeddings.scripted import HashingEmbedder
from infra.knowledge import Article, ArticleSection
from infra.knowledge.windows import windows
from infra.postgres.ingest import (
    Act,
    GivenTwice,
    IngestReport,
    Placed,
    Retire,
    TooManyRetired,
    ingest,
    load_customers,
    rehearse,
)
from infra.postgres.knowledge import PostgresKnowledge
from infra.postgres.pool import Pool, open_pool

MAY, JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 7))
ARTICLE = Article(
    "a", "Returns", (ArticleSection("one", "One", "Within 30 days."), ArticleSection("two", "Two", "Free."))
)
CHANGED = replace(ARTICLE, sections=(ArticleSection("one", "One", "Within 45 days."), ARTICLE.sections[1]))


@dataclass
class CountingEmbedder(HashingEmbedder):
    """Remembers what it was given."""

    given: list[str] = field(default_factory=list)
    name: str = "scripted/counting"
    dimensions: int = 384

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.given += texts
        return await super().embed(texts)


@pytest.fixture
async def owner(database: str) -> AsyncIterator[Pool]:
    async with await open_pool(database, size=2) as pool:
        yield pool


async def rows(pool: Pool, statement: str) -> list[tuple[Any, ...]]:
    async with pool.connection() as connection:
        found = await (await connection.execute(statement.encode())).fetchall()
    return [tuple(row.values()) for row in found]


async def found(pool: Pool, at: datetime) -> list[tuple[int, str]]:
    passages = await PostgresKnowledge(pool, CountingEmbedder()).search("Within days", at=at, limit=9)
    return [(passage.version, passage.text) for passage in passages if passage.section_id == "one"]


async def test_a_first_ingest_adds_and_holds_for_all_time(owner: Pool) -> None:
    report = await ingest(owner, CountingEmbedder(), [ARTICLE], now=JUNE)
    assert report == IngestReport((Placed("a", "Returns", Act.ADDED),), sections=2, embedded=2)
    assert await found(owner, MAY) == await found(owner, JULY) == [(1, "Within 30 days.")]


async def test_the_same_again_touches_nothing_and_embeds_nothing(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE], now=JUNE)
    touched = "select xmin::text from kb_section union all select xmin::text from kb_article"
    before = await rows(owner, touched)
    embedder = CountingEmbedder()
    report = await ingest(owner, embedder, [ARTICLE], now=JULY)
    assert report == IngestReport((Placed("a", "Returns", Act.UNCHANGED),), sections=2, embedded=0)
    assert embedder.given == []
    assert await rows(owner, touched) == before


async def test_a_changed_text_is_a_new_version_from_now_on(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE], now=MAY)
    report = await ingest(owner, CountingEmbedder(), [CHANGED], now=JUNE)
    assert (report.count(Act.CHANGED), report.embedded) == (1, 1)  # the changed section alone
    assert await found(owner, MAY) == [(1, "Within 30 days.")]
    assert await found(owner, JUNE) == [(2, "Within 45 days.")]


async def test_dated_versions_hold_when_they_say(owner: Pool) -> None:
    dated = [replace(CHANGED, valid_from=JUNE), replace(ARTICLE, valid_to=JUNE)]
    for _ in range(2):
        await ingest(owner, CountingEmbedder(), dated, now=JULY)
        assert await found(owner, MAY) == [(1, "Within 30 days.")]
        assert await found(owner, JUNE) == [(2, "Within 45 days.")]


async def test_a_review_date_changes_without_a_new_version(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE], now=MAY)
    await ingest(owner, CountingEmbedder(), [replace(ARTICLE, review_by=JUNE)], now=MAY)
    assert await rows(owner, "select version, review_by from kb_article") == [(1, JUNE)]


async def test_another_embedder_gives_unchanged_texts_new_vectors(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE], now=MAY)
    other = CountingEmbedder(name="scripted/other")
    report = await ingest(owner, other, [ARTICLE], now=JUNE)
    assert (report.count(Act.UNCHANGED), report.embedded, len(other.given)) == (1, 2, 2)
    assert await rows(owner, "select count(*), count(distinct version) as versions from kb_section") == [(2, 1)]


async def test_the_vector_of_a_section_knows_its_title_and_heading(owner: Pool) -> None:
    embedder = CountingEmbedder()
    await ingest(owner, embedder, [ARTICLE])
    assert embedder.given == ["Returns\nOne\nWithin 30 days.", "Returns\nTwo\nFree."]
    assert await rows(owner, "select text from kb_section where section_id = 'two'") == [("Free.",)]


LONG = ArticleSection("long", "Long", "Fold the tent and dry it well. " * 40 + "The pegs are made of titanium.")


async def test_the_end_of_a_long_section_is_found_by_its_window(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [replace(ARTICLE, sections=(*ARTICLE.sections, LONG))])
    embedder = CountingEmbedder()
    passages = await PostgresKnowledge(owner, embedder).search("titanium pegs", at=JULY, limit=9)
    scores = {passage.section_id: passage.scores for passage in passages}
    assert scores["long"]["window"] > 2 * scores["long"]["vector"]
    assert scores["one"]["window"] == scores["one"]["vector"]


async def test_windows_are_embedded_once(owner: Pool) -> None:
    embedder = CountingEmbedder()
    for text in (LONG, replace(LONG, id="again")):
        report = await ingest(owner, embedder, [replace(ARTICLE, sections=(text,))])
    assert (report.embedded, len(embedder.given)) == (0, 1 + len(windows(LONG.text)))


GIFTS = Article("gifts", "Gifts", (ArticleSection("one", "One", "A gift within days."),))
CARE = Article("care", "Care", (ArticleSection("one", "One", "Wash it within days."),))


async def names(pool: Pool, at: datetime) -> set[str]:
    passages = await PostgresKnowledge(pool, CountingEmbedder()).search("within days", at=at, limit=9)
    return {passage.article_id for passage in passages}


async def test_an_article_that_vanished_holds_no_more_and_is_kept(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE, GIFTS], now=MAY)
    report = await ingest(owner, CountingEmbedder(), [ARTICLE], now=JUNE, retire=Retire.FEW)
    assert (report.retired, report.count(Act.UNCHANGED)) == (("gifts",), 1)
    assert await names(owner, MAY) == {"a", "gifts"}
    assert await names(owner, JUNE) == {"a"}
    assert await rows(owner, "select text from kb_section where article_id = 'gifts'") == [("A gift within days.",)]
    again = await ingest(owner, CountingEmbedder(), [ARTICLE], now=JULY, retire=Retire.FEW)
    assert again.retired == ()


async def test_further_articles_retire_nothing(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE], now=MAY)
    report = await ingest(owner, CountingEmbedder(), [GIFTS], now=JUNE)
    assert (report.retired, report.absent) == ((), ("a",))
    assert await names(owner, JULY) == {"a", "gifts"}


async def test_more_than_half_is_retired_on_demand_only(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE, GIFTS, CARE], now=MAY)
    with pytest.raises(TooManyRetired, match="2 of the 3"):
        await ingest(owner, CountingEmbedder(), [CHANGED], now=JUNE, retire=Retire.FEW)
    assert await names(owner, JULY) == {"a", "gifts", "care"}
    assert await rows(owner, "select max(version) from kb_article") == [(1,)]
    report = await ingest(owner, CountingEmbedder(), [CHANGED], now=JUNE, retire=Retire.ANY)
    assert (report.retired, report.count(Act.CHANGED)) == (("care", "gifts"), 1)


async def test_a_retired_article_comes_back_as_a_new_version(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE, GIFTS], now=MAY)
    await ingest(owner, CountingEmbedder(), [ARTICLE], now=JUNE, retire=Retire.FEW)
    report = await ingest(owner, CountingEmbedder(), [ARTICLE, GIFTS], now=JULY, retire=Retire.FEW)
    assert (report.count(Act.CHANGED), report.embedded) == (1, 0)
    assert await names(owner, JUNE) == {"a"}
    assert await names(owner, JULY) == {"a", "gifts"}


async def test_what_was_yet_to_come_never_comes_once_it_vanished(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE, replace(GIFTS, valid_from=JULY)], now=MAY)
    report = await ingest(owner, CountingEmbedder(), [ARTICLE], now=JUNE, retire=Retire.FEW)
    assert report.retired == ("gifts",)
    assert await names(owner, JULY) == {"a"}


async def test_a_rehearsal_tells_the_same_and_does_nothing(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE, GIFTS], now=MAY)
    embedder = CountingEmbedder()
    told = await rehearse(owner, embedder, [CHANGED, CARE], now=JUNE, retire=Retire.FEW)
    placed = (Placed("a", "Returns", Act.CHANGED), Placed(CARE.id, CARE.title, Act.ADDED))
    assert told == IngestReport(placed, sections=3, embedded=2, retired=("gifts",))
    assert (embedder.given, await names(owner, JULY)) == ([], {"a", "gifts"})
    assert await ingest(owner, embedder, [CHANGED, CARE], now=JUNE, retire=Retire.FEW) == told


async def test_customers_are_loaded_as_they_are_now(owner: Pool) -> None:
    row: dict[str, Any] = {
        "customer_id": "c",
        "email": "a@example.com",
        "orders": [{"order_id": "1"}, {"order_id": "2"}],
    }
    assert await load_customers(owner, [row]) == 1
    assert await load_customers(owner, [{**row, "email": None, "orders": [{"order_id": "2", "status": "sent"}]}]) == 1
    assert await rows(owner, "select email from crm_customer") == [(None,)]
    records = await rows(owner, "select record, fields ->> 'status' from crm_record where kind = 'order'")
    assert records == [("order/2", "sent")]


async def test_two_texts_of_one_article_for_the_same_time_are_refused(owner: Pool) -> None:
    with pytest.raises(GivenTwice, match="a: given twice"):
        await ingest(owner, CountingEmbedder(), [ARTICLE, CHANGED], now=MAY)
    assert len((await ingest(owner, CountingEmbedder(), [ARTICLE, ARTICLE], now=MAY)).placed) == 1


async def test_it_tells_how_far_the_embedding_is(owner: Pool) -> None:
    told: list[tuple[int, int]] = []
    await ingest(owner, CountingEmbedder(), [ARTICLE, GIFTS], tell=lambda done, of: told.append((done, of)))
    assert told == [(3, 3)]


async def test_an_article_that_becomes_internal_is_not_found_any_more(owner: Pool) -> None:
    await ingest(owner, CountingEmbedder(), [ARTICLE], now=MAY)
    report = await ingest(owner, CountingEmbedder(), [replace(ARTICLE, audience="internal")], now=JUNE)
    assert report.count(Act.CHANGED) == 1
    assert await found(owner, JULY) == []
