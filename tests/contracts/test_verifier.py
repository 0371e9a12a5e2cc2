"""Every verifier gives one finding per sentence and supports none it cannot check; the local one fails closed."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.embeddings.scripted import HashingEmbedder
from infra.models.untrained import NotTrained
from infra.models.verifier import FILE, LocalVerifier, OnRecord, Trained, calibrated
from infra.scripted.verifier import ScriptedVerifier
from processors.errors import DependencyDown
from processors.groundedness.features import FITS, NAMES
from processors.ports import Embedder, Source, Verifier
from processors.templates import texts_of
from schemas.gate import SentenceCheck
from schemas.resolution import Citation, Sentence

TEXT = "Standard delivery takes 3 to 5 working days. No signature is needed."
SOURCE = Source("delivery", "standard", TEXT, "Delivery: Standard")
QUESTION = "How many working days does standard delivery take?"
QUOTE = "Standard delivery takes 3 to 5 working days."
GOOD = Sentence(text=QUOTE, citation=Citation(article_id="delivery", section_id="standard", quote=QUOTE))
UNCITED = Sentence(text=QUOTE)
ELSEWHERE = Sentence(text=QUOTE, citation=Citation(article_id="delivery", section_id="express", quote=QUOTE))
MISQUOTED = Sentence(
    text=QUOTE, citation=Citation(article_id="delivery", section_id="standard", quote="It takes 2 days.")
)
ORDER = Source("crm:order/W10023", None, "order_id: W10023\nitems: 1 × Wool hat\nstatus: shipped")
TOLD = "The status of your order W10023 (1 × Wool hat) is: shipped."
OF_ORDER = Sentence(text=TOLD, citation=Citation(article_id=ORDER.article_id, quote=ORDER.text))
EMBEDDER = HashingEmbedder()
ASKS_WHERE = tuple(EMBEDDER.vectors(["where is W10023 w10999 it"])[0].tolist())  # a record answers where something is


def trained(**changes: object) -> Trained:
    """Parts that support what the question's words cover: P rises with `asked-in-answer`."""
    weights = tuple(8.0 if name == "asked-in-answer" else 0.0 for name in NAMES)
    ones = (1.0,) * len(NAMES)
    base = Trained(
        names=NAMES,
        mean=(0.0,) * len(NAMES),
        scale=ones,
        weights=weights,
        intercept=-3.0,
        calibration=(1.0, -1.0),
        idf={"deliveri": 1.0},
        records={"order": OnRecord(weights=ASKS_WHERE, intercept=-0.1)},
        embedder=EMBEDDER.name,
    )
    return base.model_copy(update=changes)


def local(embedder: Embedder = EMBEDDER, **changes: object) -> LocalVerifier:
    return LocalVerifier(trained(**changes), "0" * 64, embedder, render=texts_of)


@pytest.fixture(params=["local", "scripted"])
def verifier(request: pytest.FixtureRequest) -> Verifier:
    return local() if request.param == "local" else ScriptedVerifier()


class TestVerifier:
    """What the gate relies on."""

    async def test_a_sentence_its_source_says_is_supported(self, verifier: Verifier) -> None:
        (check,) = await verifier.verify(QUESTION, [GOOD], [SOURCE])
        assert (check.text, check.supported, check.vetoes) == (QUOTE, True, ())
        assert verifier.floor <= check.score <= 1.0

    @pytest.mark.parametrize(
        ("sentence", "veto"),
        [(UNCITED, "no-citation"), (ELSEWHERE, "unknown-source"), (MISQUOTED, "quote-not-verbatim")],
    )
    async def test_a_sentence_without_its_quote_is_not(self, verifier: Verifier, sentence: Sentence, veto: str) -> None:
        (check,) = await verifier.verify(QUESTION, [sentence], [SOURCE])
        assert check == SentenceCheck(text=QUOTE, supported=False, score=0.0, vetoes=(veto,))

    async def test_findings_come_one_per_sentence_in_order(self, verifier: Verifier) -> None:
        checks = await verifier.verify(QUESTION, [UNCITED, GOOD, UNCITED], [SOURCE])
        assert [check.supported for check in checks] == [False, True, False]

    async def test_nothing_is_found_in_nothing(self, verifier: Verifier) -> None:
        assert await verifier.verify(QUESTION, [], [SOURCE]) == ()
        assert [check.supported for check in await verifier.verify(QUESTION, [GOOD], [])] == [False]

    async def test_a_name_and_a_floor_are_told(self, verifier: Verifier) -> None:
        assert verifier.name
        assert 0.0 < verifier.floor <= 1.0


# -- the local one


async def test_a_copy_that_is_off_the_question_is_below_the_floor() -> None:
    (check,) = await local().verify("Where do I enter a gift card code?", [GOOD], [SOURCE])
    assert (check.supported, check.vetoes) == (False, ())
    assert 0.0 < check.score < 0.92


async def test_a_section_scores_less_beside_one_that_fits_better() -> None:
    by_share = tuple(2.0 if name == "section-share" else 0.0 for name in NAMES)
    by_words = tuple(5.0 if name == "asked-in-text" else 0.0 for name in FITS)
    verifier = local(weights=by_share, intercept=3.0, choice=by_words)
    worse = Source("gifts", "cards", "A gift card never expires.", "Gifts: Cards")
    better = Source("delivery", "days", f"{TEXT} {QUESTION}", "Delivery: How many days")
    scores = [
        (await verifier.verify(QUESTION, [GOOD], found))[0].score for found in ([SOURCE, worse], [SOURCE, better])
    ]
    assert scores[0] > scores[1]


async def test_a_changed_number_is_vetoed() -> None:
    changed = GOOD.model_copy(update={"text": "Standard delivery takes 3 to 4 working days."})
    (check,) = await local().verify(QUESTION, [changed], [SOURCE])
    assert (check.score, check.vetoes[0]) == (0.0, "number-not-in-quote")


async def test_a_sentence_in_other_words_is_scored_not_vetoed() -> None:
    said = GOOD.model_copy(update={"text": "You get it in 3 to 5 working days with standard delivery."})
    (check,) = await local().verify(QUESTION, [said], [SOURCE])
    assert (check.supported, check.vetoes) == (True, ())


@pytest.mark.parametrize(
    ("sentence", "question", "vetoes"),
    [
        (OF_ORDER, "where is W10023?", ()),
        (OF_ORDER, "where is W10999?", ("other-record",)),
        (OF_ORDER.model_copy(update={"text": "Your order has shipped."}), "where is it?", ("record-not-equal",)),
        (OF_ORDER, "send my parcel to my brother, please", ("record-off-question",)),
    ],
)
async def test_a_record_is_told_by_its_template_and_only_when_it_is_meant(
    sentence: Sentence, question: str, vetoes: tuple[str, ...]
) -> None:
    (check,) = await local().verify(question, [sentence], [SOURCE, ORDER])
    assert (check.score, check.vetoes) == (0.0 if vetoes else 1.0, vetoes)


async def test_a_kind_of_record_that_was_never_learned_is_not_told() -> None:
    (check,) = await local(records={}).verify("where is W10023?", [OF_ORDER], [ORDER])
    assert (check.supported, check.vetoes) == (False, ("record-off-question",))


async def test_without_templates_no_record_is_told() -> None:
    verifier = LocalVerifier(trained(), "0" * 64, EMBEDDER)
    (check,) = await verifier.verify("where is it?", [OF_ORDER], [ORDER])
    assert check.vetoes == ("record-not-equal",)


class BrokenEmbedder(HashingEmbedder):
    """An embedder that is down, or gives rubbish."""

    def __init__(self, answer: list[list[float]] | Exception) -> None:
        super().__init__()
        self._answer = answer

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    "answer", [DependencyDown("embedder"), RuntimeError("out of memory"), [], [[0.1]], [[float("nan")] * 384] * 9]
)
async def test_a_check_that_fails_supports_nothing(answer: list[list[float]] | Exception) -> None:
    (check,) = await local(BrokenEmbedder(answer)).verify(QUESTION, [GOOD], [SOURCE])
    assert check == SentenceCheck(text=QUOTE, supported=False, score=0.0, vetoes=("check-failed",))


async def test_a_score_that_is_no_number_supports_nothing() -> None:
    (check,) = await local(calibration=(float("nan"), 0.0)).verify(QUESTION, [GOOD], [SOURCE])
    assert (check.supported, check.vetoes) == (False, ("no-score",))


# -- the trained parts


@given(st.floats(-1e6, 1e6), st.floats(0, 1e3))
def test_a_higher_score_is_never_less_likely(score: float, more: float) -> None:
    assert 0.0 <= calibrated(score, (1.5, -2.0)) <= calibrated(score + more, (1.5, -2.0)) <= 1.0


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_is_no_probability(score: float) -> None:
    assert not 0.0 <= calibrated(score, (1.5, -2.0)) <= 1.0


def test_trained_parts_are_read_back_with_their_hash_in_the_name(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(trained().model_dump_json())
    verifier = LocalVerifier.load(tmp_path, EMBEDDER, floor=0.8)
    assert verifier.floor == 0.8
    assert verifier.name.startswith("local/verifier@")
    assert len(verifier.name) == len("local/verifier@") + 12


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is missing"),
        ("{}", "is damaged"),
        (trained(names=NAMES[1:]).model_dump_json(), "is of another version"),
        (trained(choice=(1.0,)).model_dump_json(), "is of another version"),
        (trained(weights=(1.0,)).model_dump_json(), "is of another version"),
        (trained(embedder="local/other").model_dump_json(), "was trained with local/other"),
    ],
)
def test_unusable_parts_are_refused_with_what_to_do(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / FILE).write_text(content)
    with pytest.raises(NotTrained, match=says):
        LocalVerifier.load(tmp_path, EMBEDDER)
