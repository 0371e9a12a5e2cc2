"""Brings help articles and customers into Postgres: only what changed, and no version's text ever changes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from hashlib import sha256

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from infra.crm import Customer, Record, Row, customers_of
from infra.knowledge import Article, ArticleSection
from infra.postgres.knowledge import vector_text
from infra.postgres.pool import Pool, borrowed, fetch, storable
from infra.postgres.queries import query
from infra.versions import NewVersion, Unchanged, Version, in_order, place
from processors.ports import Embedder

__all__ = [
    "Act",
    "Article",
    "ArticleSection",
    "GivenTwice",
    "IngestReport",
    "Placed",
    "Retire",
    "TooManyRetired",
    "ingest",
    "load_customers",
    "rehearse",
]

BATCH = 64  # sections embedded at once
FEW = 0.5  # of the articles that hold

Connection = AsyncConnection[DictRow]
Tell = Callable[[int, int], None]  # how many sections are embedded, of how many


class Retire(Enum):
    """What becomes of the articles that hold and are not among those given."""

    NONE = "none"  # they stay: what is given are further articles
    FEW = "few"  # they end now, unless they are more than half of the help centre
    ANY = "any"  # they end now


class TooManyRetired(ValueError):
    """More than half of the help centre is not among what is given: that may be the wrong folder."""


class GivenTwice(ValueError):
    """Two texts of one article are given for the same time: which one holds would be a guess."""


class Act(StrEnum):
    """What becomes of an article that is given."""

    ADDED = "added"
    CHANGED = "changed"  # it got a further version, and the one before it ends
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Placed:
    """A given article, and what became of it."""

    article_id: str
    title: str
    act: Act


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did."""

    placed: tuple[Placed, ...]
    sections: int  # of all articles given
    embedded: int  # sections that needed the model; the others kept their vectors
    retired: tuple[str, ...] = ()  # ids of articles that end now
    absent: tuple[str, ...] = ()  # ids of the source's articles that hold, are not among those given, and stay
    elsewhere: int = 0  # articles of other sources that hold

    def count(self, act: Act) -> int:
        """How many of the given articles this became of."""
        return sum(placed.act is act for placed in self.placed)


@dataclass(frozen=True)
class _Chunk:
    """A section, the texts its vectors are made of, and their hash together with their embedder's name."""

    section: ArticleSection
    texts: tuple[str, ...]  # the whole, then its windows
    hash: str


@dataclass(frozen=True)
class _Embedded:
    """The vectors of a chunk as pgvector reads them."""

    whole: str
    windows: str  # an array

    @classmethod
    def of(cls, vectors: Sequence[Sequence[float]]) -> "_Embedded":
        whole, *windows = map(vector_text, vectors)
        return cls(whole, "{" + ",".join(f'"{window}"' for window in windows) + "}")


Vectors = Mapping[str, _Embedded]  # by hash of the embedded texts


@dataclass(frozen=True)
class _Batch:
    """The articles of one ingest in order, and the texts of their chunks with and without a vector."""

    chunks: Sequence[tuple[Article, list[_Chunk]]]
    known: Vectors
    missing: Mapping[str, tuple[str, ...]]  # the texts, by their hash
    at: datetime
    retire: Retire
    source: str | None


async def ingest(  # noqa: PLR0913  what is given, and how it is to be taken
    pool: Pool,
    embedder: Embedder,
    articles: Iterable[Article],
    *,
    now: datetime | None = None,
    retire: Retire = Retire.NONE,
    source: str | None = None,
    tell: Tell = lambda done, of: None,
) -> IngestReport:
    """Store articles, as the owner, all or none; what is stored and did not change stays untouched.

    Only articles of the same source are retired; without one, what is given is all there is.

    Raises:
        VersionTaken: an article names a version that was published with another text.
        GivenTwice: two texts of an article are given for the same time.
        TooManyRetired: `retire` forbids it; nothing is stored.
        DependencyDown: Postgres does not answer.
    """
    batch = await _batch(pool, embedder, articles, now or datetime.now(UTC), retire, source)
    vectors = {**batch.known, **await _embedded(embedder, batch.missing, tell)}
    async with borrowed(pool) as connection, connection.transaction():
        return await _write(connection, batch, vectors)


async def rehearse(
    pool: Pool,
    embedder: Embedder,
    articles: Iterable[Article],
    *,
    now: datetime | None = None,
    retire: Retire = Retire.NONE,
    source: str | None = None,
) -> IngestReport:
    """What `ingest` would do: it does it, without the model, and takes it back. Raises as `ingest`."""
    batch = await _batch(pool, embedder, articles, now or datetime.now(UTC), retire, source)
    nowhere = _Embedded.of([[0.0] * embedder.dimensions])
    async with borrowed(pool) as connection, connection.transaction(force_rollback=True):
        return await _write(connection, batch, {**batch.known, **dict.fromkeys(batch.missing, nowhere)})


async def load_customers(pool: Pool, rows: Iterable[Row]) -> int:
    """Store customers and their records (rows of crm.jsonl) as the owner; records they lost are dropped. How many."""
    customers = customers_of(rows)
    records = [_record(customer, record) for customer in customers for record in customer.records]
    async with borrowed(pool) as connection, connection.transaction(), connection.cursor() as cursor:
        await cursor.executemany(query("upsert_customer"), [_customer(customer) for customer in customers])
        await cursor.executemany(query("upsert_record"), records)
        await cursor.executemany(query("delete_other_records"), [_records_of(customer) for customer in customers])
    return len(customers)


# -- articles


async def _batch(
    pool: Pool, embedder: Embedder, articles: Iterable[Article], at: datetime, retire: Retire, source: str | None
) -> _Batch:
    chunks = [(article, _chunks(article, embedder.name)) for article in in_order(_once(articles))]
    texts = {chunk.hash: chunk.texts for _, parts in chunks for chunk in parts}
    known = await _known(pool, list(texts))
    missing = {key: parts for key, parts in texts.items() if key not in known}
    return _Batch(chunks, known, missing, at, retire, source)


def _once(articles: Iterable[Article]) -> list[Article]:
    """The articles, each text of one once.

    Raises:
        GivenTwice: two of them differ and would hold from the same moment.
    """
    given = list(dict.fromkeys(articles))
    times = Counter((article.id, article.version, article.valid_from) for article in given)
    twice = sorted({article_id for (article_id, *_), count in times.items() if count > 1})
    if twice:
        raise GivenTwice(f"{', '.join(twice[:5])}: given twice, with different texts or dates")
    return given


async def _write(connection: Connection, batch: _Batch, vectors: Vectors) -> IngestReport:
    await connection.execute(query("lock_ingest"))
    cursor = await connection.execute(query("current_articles"), {"at": batch.at})
    current = {row["article_id"]: row["source"] for row in await cursor.fetchall()}
    absent = _absent(batch, current)
    retired = () if batch.retire is Retire.NONE else absent
    await connection.execute(query("retire_articles"), {"at": batch.at, "articles": list(retired)})
    placed = tuple([await _store(connection, article, parts, vectors, batch) for article, parts in batch.chunks])
    if any(one.act is not Act.UNCHANGED for one in placed):
        await connection.execute(query("forget_words"))
        await connection.execute(query("count_words"))
    return IngestReport(
        placed=placed,
        sections=sum(len(parts) for _, parts in batch.chunks),
        embedded=len(batch.missing),
        retired=retired,
        absent=() if retired else absent,
        elsewhere=len(set(current) - _given(batch) - set(absent)),
    )


def _absent(batch: _Batch, current: Mapping[str, str | None]) -> tuple[str, ...]:
    """The ids of the source's articles that hold and are missing from the batch.

    Raises:
        TooManyRetired: they are more than a few of them, and only a few may be retired.
    """
    own = {article_id for article_id, source in current.items() if batch.source in (None, source)}
    missing = sorted(own - _given(batch))
    if batch.retire is Retire.FEW and len(missing) > FEW * len(own):
        raise TooManyRetired(f"{len(missing)} of the {len(own)} articles that hold are missing from it")
    return tuple(missing)


def _given(batch: _Batch) -> set[str]:
    return {article.id for article, _ in batch.chunks}


def _chunks(article: Article, embedder: str) -> list[_Chunk]:
    texts = [(whole, *windows) for whole, windows in zip(article.chunks, article.windows, strict=True)]
    hashes = [sha256("\x1f".join((embedder, *parts)).encode()).hexdigest() for parts in texts]
    return [_Chunk(*parts) for parts in zip(article.sections, texts, hashes, strict=True)]


async def _known(pool: Pool, hashes: list[str]) -> dict[str, _Embedded]:
    rows = await fetch(pool, "known_embeddings", {"hashes": hashes})
    return {row["embedded_hash"]: _Embedded(row["embedding"], row["windows"]) for row in rows}


async def _embedded(embedder: Embedder, texts: Mapping[str, tuple[str, ...]], tell: Tell) -> dict[str, _Embedded]:
    vectors: dict[str, _Embedded] = {}
    for batch in _batches(list(texts)):
        made = iter(await embedder.embed([text for key in batch for text in texts[key]]))
        vectors |= {key: _Embedded.of([next(made) for _ in texts[key]]) for key in batch}
        tell(len(vectors), len(texts))
    return vectors


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + BATCH] for start in range(0, len(keys), BATCH))


async def _store(
    connection: Connection, article: Article, chunks: Sequence[_Chunk], vectors: Vectors, batch: _Batch
) -> Placed:
    """Store one article."""
    cursor = await connection.execute(query("article_versions"), {"article_id": article.id})
    stored = [Version(**row) for row in await cursor.fetchall()]
    match place(article, stored, batch.at):
        case Unchanged(version, valid_to):
            await _touch(connection, article, version.version, valid_to, batch.source)
            await _embed_anew(connection, article.id, version.version, chunks, vectors)
            return Placed(article.id, article.title, Act.UNCHANGED)
        case NewVersion(version, ended):
            for number, end in ended:
                what = {"article_id": article.id, "version": number, "valid_to": end}
                await connection.execute(query("end_version"), what)
            await connection.execute(query("insert_article"), _article(article, version, batch.source))
            async with connection.cursor() as cursor:
                rows = [_section(article, version.version, n, chunk, vectors) for n, chunk in enumerate(chunks)]
                await cursor.executemany(query("insert_section"), rows)
            return Placed(article.id, article.title, Act.CHANGED if stored else Act.ADDED)


async def _touch(
    connection: Connection, article: Article, version: int, valid_to: datetime | None, source: str | None
) -> None:
    what = {"article_id": article.id, "version": version, "valid_to": valid_to, "source": source}
    dates = {"review_by": article.review_by, "updated": article.updated}
    await connection.execute(query("update_version"), {**what, **dates})


async def _embed_anew(
    connection: Connection, article_id: str, version: int, chunks: Sequence[_Chunk], vectors: Vectors
) -> None:
    """Where another embedder is configured now, an unchanged text needs its vector."""
    what = {"article_id": article_id, "version": version}
    cursor = await connection.execute(query("section_embeddings"), what)
    had = {row["section_id"]: row["embedded_hash"] for row in await cursor.fetchall()}
    for chunk in chunks:
        if had.get(chunk.section.id) != chunk.hash:
            new = {"section_id": chunk.section.id, **_vectors(chunk, vectors)}
            await connection.execute(query("update_embedding"), {**what, **new})


def _vectors(chunk: _Chunk, vectors: Vectors) -> dict[str, object]:
    found = vectors[chunk.hash]
    return {"embedded_hash": chunk.hash, "embedding": found.whole, "windows": found.windows}


def _article(article: Article, version: Version, source: str | None) -> dict[str, object]:
    return {
        "article_id": article.id,
        "version": version.version,
        "title": storable(article.title),
        "url": article.url,
        "language": article.language,
        "license": article.license,
        "audience": article.audience,
        "updated": article.updated,
        "review_by": article.review_by,
        "valid_from": version.valid_from,
        "valid_to": version.valid_to,
        "content_hash": article.content_hash,
        "source": source,
    }


def _section(article: Article, version: int, position: int, chunk: _Chunk, vectors: Vectors) -> dict[str, object]:
    return {
        "article_id": article.id,
        "version": version,
        "section_id": chunk.section.id,
        "position": position,
        "title": storable(article.title),
        "heading": storable(chunk.section.heading),
        "text": storable(chunk.section.text),
        "audience": article.audience,
        **_vectors(chunk, vectors),
    }


# -- customers


def _customer(customer: Customer) -> dict[str, object]:
    return {
        "customer_id": customer.customer_id,
        "email": customer.email,
        "phone": customer.phone,
        "name": customer.name,
        "fields": Jsonb(customer.fields),
    }


def _record(customer: Customer, record: Record) -> dict[str, object]:
    return {
        "customer_id": customer.customer_id,
        "record": record.record,
        "kind": record.kind,
        "fields": Jsonb(record.fields),
    }


def _records_of(customer: Customer) -> dict[str, object]:
    return {"customer_id": customer.customer_id, "records": [record.record for record in customer.records]}
