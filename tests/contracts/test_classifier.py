"""Every classifier names a topic with probabilities, and says plainly when it cannot."""

import asyncio
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from evals.dataset import LabelledTicket, Suite, SuiteError, load_suite
from evals.train.confusion import draw_confusion
from evals.train.router import Correction, RouterReport, read_corrections, train_router
from infra.embeddings.scripted import HashingEmbedder
from infra.models.classifier import FILE, LocalClassifier, load, scoped
from infra.models.untrained import NotTrained
from infra.scripted.classifier import ScriptedClassifier
from processors.policy import Policy
from processors.ports import Classifier

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 20)
ASKED = {
    "order_status": ["where is my order", "has my order shipped", "status of order please", "when will my order come"],
    "gift_card": ["can i pay with a gift card", "gift card balance", "is the gift card valid", "gift card expired"],
    "warranty": [
        "is the zip under warranty",
        "warranty claim for a tent",
        "how long is the warranty",
        "warranty terms",
    ],
}


def suite(folder: Path) -> Suite:
    tickets = [
        LabelledTicket(id=f"{intent}-{number}-{copy}", body=f"{text} {word}", intent_label=intent, proved=False)
        for intent, texts in ASKED.items()
        for number, text in enumerate(texts)
        for copy, word in enumerate(("", "thanks", "hello there", "for me"))
    ]
    return Suite("small", folder, (), (), {"train": tuple(tickets)})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RouterReport]:
    folder = tmp_path_factory.mktemp("models")
    made = train_router(suite(folder), folder, HashingEmbedder(), progress=lambda line: None, on=TODAY)
    return folder, asyncio.run(made)


@pytest.fixture(params=["local", "scripted"])
def classifier(request: pytest.FixtureRequest, trained: tuple[Path, RouterReport]) -> Classifier:
    if request.param == "local":
        return LocalClassifier.load(trained[0], HashingEmbedder())
    return ScriptedClassifier(tuple(ASKED))


class TestClassifier:
    @pytest.mark.parametrize("intent", ASKED)
    async def test_it_names_the_topic(self, classifier: Classifier, intent: str) -> None:
        found = await classifier.classify(f"{intent.replace('_', ' ')}, please")
        assert found.intent == intent
        assert 0.5 < found.confidence <= 1.0
        assert 0.0 <= found.in_scope <= 1.0
        assert "/" in found.model

    async def test_the_same_text_is_the_same_answer(self, classifier: Classifier) -> None:
        first, second = await classifier.classify("gift card"), await classifier.classify("gift card")
        assert first == second

    @pytest.mark.parametrize("text", ["\x00\x00", "日本語のメール", "a" * 300_000, "😀" * 50])
    async def test_any_text_gets_probabilities(self, classifier: Classifier, text: str) -> None:
        found = await classifier.classify(text)
        assert 0.0 <= found.confidence <= 1.0
        assert 0.0 <= found.in_scope <= 1.0

    async def test_many_at_once_are_answered_each(self, classifier: Classifier) -> None:
        texts = [f"{intent.replace('_', ' ')} {number}" for number in range(10) for intent in ASKED]
        found = await asyncio.gather(*map(classifier.classify, texts))
        assert [one.intent for one in found] == list(ASKED) * 10


@pytest.mark.parametrize("text", ["gift card for an order", "zwölf Boxkämpfer jagen Viktor"])
async def test_probabilities_of_all_topics_add_up_to_that_of_the_scope(
    trained: tuple[Path, RouterReport], text: str
) -> None:
    found = await LocalClassifier.load(trained[0], HashingEmbedder()).classify(text)
    assert found.confidence + sum(p for _, p in found.alternatives) == pytest.approx(found.in_scope, abs=1e-5)
    assert len({found.intent, *(intent for intent, _ in found.alternatives)}) == len(ASKED)


def test_what_is_surely_out_of_scope_still_has_a_likeliest_topic() -> None:
    (found,) = scoped(np.array([[0.2, 0.7, 0.1]]), np.array([0.0]), np.array(["a", "b", "c"]))
    assert found.argmax() == 1
    assert found.sum() < 1e-5


async def test_what_was_never_heard_is_less_in_scope(trained: tuple[Path, RouterReport]) -> None:
    local = LocalClassifier.load(trained[0], HashingEmbedder())
    known, strange = (
        await local.classify("is the gift card valid"),
        await local.classify("zwölf Boxkämpfer jagen Viktor"),
    )
    assert known.in_scope > 0.5 > strange.in_scope
    assert known.confidence > 0.5 > strange.confidence


def test_a_missing_classifier_says_how_to_train_one(tmp_path: Path) -> None:
    with pytest.raises(NotTrained, match="sluice train router SUITE"):
        LocalClassifier.load(tmp_path, HashingEmbedder())


def test_a_classifier_for_another_embedder_is_refused(trained: tuple[Path, RouterReport]) -> None:
    other = HashingEmbedder()
    other.name = "scripted/other"
    with pytest.raises(NotTrained, match="was trained on scripted/hashing"):
        LocalClassifier.load(trained[0], other)


def test_arrays_that_were_exchanged_are_refused(trained: tuple[Path, RouterReport], tmp_path: Path) -> None:
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    with np.load(tmp_path / FILE) as arrays:
        changed = {**arrays, "temperature": np.array(9.0)}
    np.savez(tmp_path / FILE, **changed)
    with pytest.raises(NotTrained, match="is not what"):
        LocalClassifier.load(tmp_path, HashingEmbedder())


def test_a_torn_file_is_refused(trained: tuple[Path, RouterReport], tmp_path: Path) -> None:
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:1000])
    with pytest.raises(NotTrained):
        LocalClassifier.load(tmp_path, HashingEmbedder())


# -- the training


def test_training_says_where_it_comes_from(trained: tuple[Path, RouterReport]) -> None:
    _, provenance = load(trained[0])
    assert (provenance["suite"], provenance["trained_on"]) == ("small", "2026-11-20")
    assert provenance["embedder"] == "scripted/hashing"
    assert provenance["sha256"] == trained[1].version
    assert {"sklearn", "numpy", "scipy", "split", "accuracy", "per_intent"} <= provenance.keys()


def test_the_report_measures_what_was_not_seen(trained: tuple[Path, RouterReport]) -> None:
    report = trained[1]
    assert report.accuracy > 0.7
    assert 0.0 <= report.ece <= 1.0
    assert [row.intent for row in report.per_intent] == sorted(ASKED)
    assert sum(row.examples for row in report.per_intent) == report.examples == 48


async def test_the_same_suite_trains_the_same_classifier(trained: tuple[Path, RouterReport], tmp_path: Path) -> None:
    again = await train_router(suite(tmp_path), tmp_path, HashingEmbedder(), progress=lambda line: None, on=TODAY)
    assert again.predicted == trained[1].predicted
    assert again.accuracy == trained[1].accuracy


async def test_one_intent_is_nothing_to_train_on(tmp_path: Path) -> None:
    alone = Suite("one", tmp_path, (), (), {"train": suite(tmp_path).tickets["train"][:16]})
    with pytest.raises(ValueError, match="needs two intents"):
        await train_router(alone, tmp_path, HashingEmbedder(), progress=lambda line: None, on=TODAY)


def test_the_shops_policy_lists_every_intent_of_its_tickets() -> None:
    policy = Policy.parse((ROOT / "infra" / "policy.toml").read_text())
    labels = {ticket.intent_label for ticket in load_suite(ROOT / "evals" / "datasets" / "shop").split("train")}
    assert labels == set(policy.intents)


# -- corrections and the report


async def test_a_correction_takes_the_place_of_the_label(tmp_path: Path) -> None:
    given = suite(tmp_path)
    told = [Correction(text=ticket.body, intent="warranty") for ticket in given.tickets["train"] if "gift" in ticket.id]
    report = await train_router(
        given, tmp_path, HashingEmbedder(), progress=lambda line: None, on=TODAY, corrections=told[:4]
    )
    found = await LocalClassifier.load(tmp_path, HashingEmbedder()).classify(told[0].text)
    assert (found.intent, report.corrections, report.examples) == ("warranty", 4, 48)


def test_corrections_are_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "corrections.jsonl"
    file.write_text('{"text": "isopure", "intent": "product", "by": "anna"}\n\n{"text": "hi", "intent": "greeting"}\n')
    assert [row.intent for row in read_corrections(file)] == ["product", "greeting"]
    file.write_text('{"text": "isopure"}\n')
    with pytest.raises(SuiteError, match=r"corrections.jsonl:1: Field required"):
        read_corrections(file)


def test_the_report_tells_channels_and_languages_apart(trained: tuple[Path, RouterReport]) -> None:
    report = trained[1]
    assert [(part.name, part.n) for part in report.by_channel] == [("api", 48)]
    assert sum(part.n for part in report.by_language) == 48
    assert all(0 < part.low <= part.accuracy for part in (*report.by_channel, *report.by_language))


def test_the_report_says_what_is_harder_than_its_examples(trained: tuple[Path, RouterReport]) -> None:
    report = trained[1]
    assert report.accuracy_hard <= report.accuracy
    assert report.precise_from is None or 0.0 <= report.precise_from <= 1.0


def test_a_topic_that_is_left_out_is_not_known_by_its_name(trained: tuple[Path, RouterReport]) -> None:
    assert trained[1].scope_auroc_hard == 1.0


async def test_an_intent_with_one_example_is_learnt(tmp_path: Path) -> None:
    given = suite(tmp_path)
    alone = LabelledTicket(id="one", body="what are the opening hours", intent_label="opening_hours", proved=False)
    more = replace(given, tickets={"train": (*given.tickets["train"], alone)})
    await train_router(more, tmp_path, HashingEmbedder(), progress=lambda line: None, on=TODAY)
    found = await LocalClassifier.load(tmp_path, HashingEmbedder()).classify("opening hours of the shop")
    assert found.intent == "opening_hours"


def test_what_is_taken_for_what_is_a_picture(trained: tuple[Path, RouterReport], tmp_path: Path) -> None:
    draw_confusion(trained[1].confusion, tmp_path / "router.svg", "small")
    picture = (tmp_path / "router.svg").read_text()
    assert picture.lstrip().startswith("<?xml")
    assert sum(sum(row.values()) for row in trained[1].confusion.values()) == 48
