"""The help centre answers with sections that are public and valid at the moment, the best first."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from infra.embeddings.scripted import HashingEmbedder
from infra.knowledge import Article, ArticleSection
from infra.postgres.ingest import ingest
from infra.postgres.knowledge import PostgresKnowledge
from infra.postgres.pool import open_pool
from infra.scripted.knowledge import ScriptedKnowledge
from infra.settings import as_role
from processors.ports import Knowledge, Spoken

JUNE, NOVEMBER = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)


def article(name: str, *texts: str) -> Article:
    sections = tuple(ArticleSection(f"s{n}", f"Section {n}", text) for n, text in enumerate(texts, 1))
    return Article(id=name, title=f"About {name}", sections=sections, url=f"https://help.example/{name}")


RETURNS = article("returns", "You can return an item within 45 days.", "A return costs $5.95 for the parcel.")
ARTICLES = [
    replace(RETURNS, valid_from=JUNE),
    replace(article("returns", "You can return an item within 30 days."), valid_to=JUNE),
    replace(article("gifts", "A voucher holds for 24 months."), review_by=JUNE, language="en-GB"),
    replace(article("staff", "Give a voucher of 50 dollars to whoever complains."), audience="internal"),
    replace(article("winter", "Vouchers are doubled in winter."), valid_from=datetime(2026, 12, 1, tzinfo=UTC)),
]


@pytest.fixture(params=["scripted", "postgres"])
async def knowledge(request: pytest.FixtureRequest) -> AsyncIterator[Knowledge]:
    embedder = HashingEmbedder()
    if request.param == "scripted":
        yield await ScriptedKnowledge.of(embedder, ARTICLES)
        return
    database: str = request.getfixturevalue("database")
    async with await open_pool(database, size=2) as owner:
        await ingest(owner, embedder, ARTICLES)
    async with await open_pool(as_role(database, "sluice_retrieval"), size=2) as pool:
        yield PostgresKnowledge(pool, embedder)


# Sections that nobody may find now, each nearer to the query than those that may be found.
FEW, MANY = 5, 300
NEAR = "What does the return of a parcel cost? The return of a parcel costs $5.95."
CROWD = [
    *(replace(article(f"staff-{number}", f"{NEAR} {number}"), audience="internal") for number in range(MANY)),
    *(replace(article(f"ended-{number}", f"{NEAR} {number}"), valid_to=JUNE) for number in range(MANY)),
    *(article(f"valid-{number}", f"Tents are washed by hand, {number}.") for number in range(FEW)),
]


@pytest.fixture(params=["scripted", "postgres"])
async def crowded(request: pytest.FixtureRequest) -> AsyncIterator[Knowledge]:
    embedder = HashingEmbedder()
    if request.param == "scripted":
        yield await ScriptedKnowledge.of(embedder, CROWD)
        return
    database: str = request.getfixturevalue("database")
    async with await open_pool(database, size=2) as owner:
        await ingest(owner, embedder, CROWD)
    async with await open_pool(as_role(database, "sluice_retrieval"), size=2) as pool:
        yield PostgresKnowledge(pool, embedder)


# A help centre in two languages; of the vouchers it speaks in one.
GERMAN, GERMANS = Spoken("de", 0.3), Spoken("de", 0.99)
TWO = [
    article("returns", "The return of a parcel costs $5.95.", "An item is returned within 45 days."),
    article("gifts", "A voucher holds for 24 months."),
    replace(article("retouren", "Die Rücksendung kostet 5,95 $.", "Das Paket return parcel."), language="de-AT"),
]


@pytest.fixture(params=["scripted", "postgres"])
async def bilingual(request: pytest.FixtureRequest) -> AsyncIterator[Knowledge]:
    embedder = HashingEmbedder()
    if request.param == "scripted":
        yield await ScriptedKnowledge.of(embedder, TWO)
        return
    database: str = request.getfixturevalue("database")
    async with await open_pool(database, size=2) as owner:
        await ingest(owner, embedder, TWO)
    async with await open_pool(as_role(database, "sluice_retrieval"), size=2) as pool:
        yield PostgresKnowledge(pool, embedder)


async def found_in(knowledge: Knowledge, query: str, spoken: Spoken | None) -> set[str]:
    passages = await knowledge.search(query, at=NOVEMBER, limit=9, spoken=spoken)
    return {passage.article_id for passage in passages}


class TestLanguage:
    async def test_who_writes_german_gets_german_sections_where_one_may_answer(self, bilingual: Knowledge) -> None:
        assert await found_in(bilingual, "Was kostet die Rücksendung?", GERMAN) == {"retouren"}
        assert await found_in(bilingual, "Was kostet die Rücksendung?", None) == {"retouren", "returns", "gifts"}

    async def test_where_no_german_section_is_near_enough_those_of_all_languages_are_found(
        self, bilingual: Knowledge
    ) -> None:
        assert await found_in(bilingual, "Was kostet die Rücksendung?", GERMANS) == {"retouren", "returns", "gifts"}

    @pytest.mark.parametrize("language", ["fr", "und"])
    async def test_a_language_that_no_section_is_in_filters_nothing(self, bilingual: Knowledge, language: str) -> None:
        query = "What does the return of a parcel cost?"
        plain = await bilingual.search(query, at=NOVEMBER, limit=9)
        assert await bilingual.search(query, at=NOVEMBER, limit=9, spoken=Spoken(language, 0.3)) == plain

    async def test_a_help_centre_of_one_language_is_found_as_without(self, crowded: Knowledge) -> None:
        plain = await crowded.search("Tents washed by hand", at=NOVEMBER, limit=FEW)
        assert len(plain) == FEW
        for language in ("en", "de"):
            found = await crowded.search("Tents washed by hand", at=NOVEMBER, limit=FEW, spoken=Spoken(language, 0.0))
            assert found == plain


class TestKnowledge:
    async def test_the_section_that_shares_the_words_comes_first(self, knowledge: Knowledge) -> None:
        best, *_ = await knowledge.search("What does the return of a parcel cost?", at=NOVEMBER, limit=3)
        assert (best.article_id, best.section_id) == ("returns", "s2")
        assert (best.title, best.heading, best.url) == ("About returns", "Section 2", "https://help.example/returns")
        assert best.text == "A return costs $5.95 for the parcel."

    async def test_a_version_is_found_while_it_holds(self, knowledge: Knowledge) -> None:
        found = [
            (await knowledge.search("return an item within days", at=at, limit=1))[0].text
            for at in (datetime(2026, 5, 31, 23, 59, tzinfo=UTC), JUNE)
        ]
        assert found == ["You can return an item within 30 days.", "You can return an item within 45 days."]

    async def test_the_versions_of_an_article_are_numbered_as_they_hold(self, knowledge: Knowledge) -> None:
        passages = await knowledge.search("return", at=NOVEMBER, limit=9)
        assert {passage.version for passage in passages if passage.article_id == "returns"} == {2}

    async def test_what_is_internal_or_not_yet_valid_is_never_found(self, knowledge: Knowledge) -> None:
        passages = await knowledge.search("double the voucher of whoever complains", at=NOVEMBER, limit=9)
        assert {passage.article_id for passage in passages} == {"returns", "gifts"}

    async def test_a_section_past_its_review_is_stale(self, knowledge: Knowledge) -> None:
        passages = await knowledge.search("voucher", at=NOVEMBER, limit=9)
        assert {p.article_id: (p.stale, p.review_by) for p in passages} == {
            "gifts": (True, JUNE),
            "returns": (False, None),
        }

    async def test_the_score_is_a_part_of_one_and_its_parts_are_told(self, knowledge: Knowledge) -> None:
        passages = await knowledge.search("voucher", at=NOVEMBER, limit=9)
        assert all(0 <= passage.score <= 1 for passage in passages)
        parts = {"vector", "window", "context", "fulltext", "fused"}
        assert all(set(passage.scores) == parts for passage in passages)

    async def test_the_fused_score_orders_the_answer_and_the_limit_ends_it(self, knowledge: Knowledge) -> None:
        passages = await knowledge.search("a voucher for the return of an item", at=NOVEMBER, limit=2)
        fused = [passage.scores["fused"] for passage in passages]
        assert fused == sorted(fused, reverse=True)
        assert len(passages) == 2

    async def test_what_was_said_before_finds_what_the_query_alone_does_not(self, knowledge: Knowledge) -> None:
        alone, *_ = await knowledge.search("And how long?", at=NOVEMBER, limit=1)
        best, *_ = await knowledge.search(
            "And how long?", context="I have a voucher. It holds for months.\nAnd how long?", at=NOVEMBER, limit=1
        )
        assert (best.article_id, best.score > alone.score) == ("gifts", True)

    async def test_a_query_that_nothing_came_before_is_its_own_context(self, knowledge: Knowledge) -> None:
        passages = await knowledge.search("voucher", at=NOVEMBER, limit=9)
        assert all(passage.scores["context"] == pytest.approx(passage.scores["window"]) for passage in passages)

    async def test_filters_cost_no_recall(self, crowded: Knowledge) -> None:
        passages = await crowded.search("What does the return of a parcel cost?", at=NOVEMBER, limit=FEW)
        assert {passage.article_id for passage in passages} == {f"valid-{number}" for number in range(FEW)}

    @pytest.mark.parametrize(
        "query", ["", "the of and", "'); drop table kb_section; --", "C:\\x 'y' & | ! <-> :*", "\x00"]
    )
    async def test_any_text_is_a_query(self, knowledge: Knowledge, query: str) -> None:
        assert len(await knowledge.search(query, at=NOVEMBER, limit=9)) == 3
