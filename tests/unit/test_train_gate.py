"""Training the gate: spoilt answers are spoilt once, what is written can be loaded, of nothing nothing is learned."""

import asyncio
import json
from pathlib import Path
from random import Random

import pytest

from evals.dataset import load_suite
from evals.train.corruptions import spoil
from evals.train.gate import GateReport, train_gate
from infra.embeddings.scripted import HashingEmbedder
from infra.models.verifier import FILE, LocalVerifier
from processors.ports import Source
from schemas.resolution import Citation, Sentence

TOPICS = ("kettle", "tent", "lamp", "rug", "boot", "glove", "chair", "stove", "mug", "scarf")
ASKED = {"warranty": "How long is the warranty of the {}?", "care": "How do I clean the {}?"}


def answer(topic: str, section: str) -> str:
    """The section's own sentence."""
    number = TOPICS.index(topic) + 2
    told = {"warranty": f"The warranty of the {topic} is {number} years.", "care": f"Clean the {topic} with soap only."}
    return told[section]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten articles of two sections, each asked about by two customers, and tickets about nothing."""
    folder = tmp_path_factory.mktemp("suite")
    articles = [
        {
            "id": topic,
            "title": topic.title(),
            "sections": [
                {"id": section, "heading": section.title(), "text": f"{answer(topic, section)} It has a label."}
                for section in ASKED
            ],
        }
        for topic in TOPICS
    ]
    tickets = [
        {
            "id": f"{topic}-{section}-{copy}",
            "body": f"{'hello there ' * copy}{ASKED[section].format(topic)}",
            "customer_id": f"cus_{topic}_{section}_{copy}",
            "intent_label": section,
            "expected_band": "auto",
            "expected_sources": [{"article_id": topic, "section_id": section}],
        }
        for topic in TOPICS
        for section in ASKED
        for copy in range(2)
    ]
    stray = [
        {"id": f"stray-{n}", "body": f"label {n} the poem {topic}", "intent_label": "out_of_scope"}
        for n, topic in enumerate(TOPICS * 2)
    ]
    stray.append({"id": "stray", "body": "zzz qqq", "intent_label": "out_of_scope"})
    for name, rows in (("articles", articles), ("tickets_train", tickets + stray)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def report(suite: Path) -> GateReport:
    """The report of training into `out`."""
    return train_gate(load_suite(suite), suite / "out", HashingEmbedder(), progress=str)


def test_what_is_trained_can_be_loaded_and_is_the_same_again(suite: Path, report: GateReport) -> None:
    again = train_gate(load_suite(suite), suite / "again", HashingEmbedder(), progress=str)
    assert again.digest == report.digest
    assert LocalVerifier.load(suite / "out", HashingEmbedder()).name == f"local/verifier@{report.digest[:12]}"
    assert json.loads((suite / "out" / FILE).read_text())["provenance"]["tickets"] == report.tickets


def test_swapped_numbers_and_negations_are_all_caught_by_veto(report: GateReport) -> None:
    caught = {fault["kind"]: fault for fault in report.caught}
    assert {"swapped-entity", "invented", "wrong-section"} <= set(caught)
    assert [caught[kind]["by_veto"] - caught[kind]["n"] for kind in ("swapped-number", "negation")] == [0, 0]


def test_the_scores_rank_right_answers_first(report: GateReport) -> None:
    assert report.auroc is not None
    assert report.auroc > 0.8


def test_a_trained_verifier_tells_a_right_answer_from_a_wrong_one(suite: Path, report: GateReport) -> None:
    verifier = LocalVerifier.load(suite / "out", HashingEmbedder())
    right, wrong = (asyncio.run(score(verifier, section)) for section in ("warranty", "care"))
    assert right > wrong


async def score(verifier: LocalVerifier, section: str) -> float:
    """The score of a section's sentence as an answer about the warranty of the tent."""
    said = answer("tent", section)
    sentence = Sentence(text=said, citation=Citation(article_id="tent", section_id=section, quote=said))
    source = Source("tent", section, f"{said} It has a label.", f"Tent: {section.title()}")
    (check,) = await verifier.verify(ASKED["warranty"].format("tent"), [sentence], [source])
    return check.score


def test_a_suite_without_answers_teaches_nothing(tmp_path: Path) -> None:
    (tmp_path / "tickets_train.jsonl").write_text(json.dumps({"id": "1", "body": "hello"}))
    (tmp_path / "articles.jsonl").write_text("")
    with pytest.raises(ValueError, match="to learn from"):
        train_gate(load_suite(tmp_path), tmp_path, HashingEmbedder(), progress=str)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("negation", "Parcels are not free from 60 dollars, unless they are large."),
        ("dropped-condition", "Parcels are free from 60 dollars."),
    ],
)
def test_a_sentence_is_spoilt_in_one_place(kind: str, text: str) -> None:
    citation = Citation(article_id="a", section_id="b", quote="Parcels are free from 60 dollars")
    sentence = Sentence(text="Parcels are free from 60 dollars, unless they are large.", citation=citation)
    spoilt = {fault.kind: fault.sentence for fault in spoil(sentence, ["Another Carrier takes 9 days."], Random(1))}
    assert spoilt[kind] == Sentence(text=text, citation=citation)


def test_a_swapped_number_is_another_number() -> None:
    sentence = Sentence(text="It costs $4.95 and takes 3 days.")
    swapped = {
        fault.sentence.text
        for seed in range(20)
        for fault in spoil(sentence, [], Random(seed))
        if "number" in fault.kind
    }
    assert len(swapped) > 5
    assert sentence.text not in swapped


def test_the_stopped_have_no_answer_or_are_below_the_floor_and_not_among_the_best(report: GateReport) -> None:
    assert "zzz qqq" in report.stopped
    assert all("poem" in question for question in report.stopped - {"zzz qqq"})
    assert "stopped" not in report.summary()
