"""A judge that misbehaves never makes an answer supported."""

import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.faithfulness import Faithful, Question, ScorerFailed, ScorerProcess, judge, judged

FLOOR = 0.92
ASKED = Question("How long?", "It takes 3 days.", ("It takes 3 days.",))


def told(verdicts: list[object], /, **changes: object) -> dict[str, object]:
    """What a judge tells of two statements."""
    names = ["It takes 3 days.", "It is free."]
    said = [[name, verdict] for name, verdict in zip(names, verdicts, strict=False)]
    score = sum(verdict == 1 for verdict in verdicts) / len(verdicts) if verdicts else math.nan
    return {
        "statements": names,
        "verdicts": said,
        "score": score,
        "error": None,
    } | changes


def test_all_statements_supported_is_supported_and_one_not_is_not() -> None:
    assert judged(told([1, 1]), FLOOR) == Faithful(1.0, supported=True, statements=2)
    assert judged(told([1, 0]), FLOOR) == Faithful(0.5, supported=False, statements=2)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (told([1]), "1 verdicts on 2 statements"),  # Ragas says 1.0
        (told([]), "0 verdicts on 2 statements"),
        (told([], statements=[]), "no statements"),
        (told([1, 1], statements=["", " "]), "no statements"),
        (told([1, 1], score=math.nan), "a score that is no number"),
        (told([1, 1], score=math.inf), "a score that is no number"),
        (told([1, 1], score=None), "a score that is no number"),
        (told([1, 1], score="1.0"), "a score that is no number"),
        (told([1, 1], score=True), "a score that is no number"),
        (told([1, 0], score=1.0), "a score that its verdicts do not give"),
        (told([1, "idk"], score=1.0), "a verdict that is neither 0 nor 1"),
        (told([1, 2], score=1.0), "a verdict that is neither 0 nor 1"),
        (told([1, True], score=1.0), "a verdict that is neither 0 nor 1"),
        (told([1, math.nan], score=1.0), "a verdict that is neither 0 nor 1"),
        (told([1, None], score=1.0), "a verdict that is neither 0 nor 1"),
        (told([1, 1], verdicts=[["It takes 3 days.", 1]] * 2), "verdicts on other statements"),
        (told([1, 1], verdicts="yes"), "a verdict that is neither 0 nor 1"),
        (told([1, 1], error="InstructorRetryException"), "failed: InstructorRetryException"),
        ({}, "no statements"),
        (None, "no JSON object"),
        ([1.0], "no JSON object"),
        (1.0, "no JSON object"),
    ],
)
def test_whatever_is_odd_counts_as_not_supported(said: object, fault: str) -> None:
    assert judged(said, 0.0) == Faithful(0.0, supported=False, fault=fault)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["a", "idk", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["statements", "verdicts", "score", "error"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_a_judge_is_believed_only_with_one_plain_yes_a_statement(said: object) -> None:
    found = judged(said, FLOOR)
    assert 0.0 <= found.score <= 1.0
    if found.supported:
        assert isinstance(said, dict)
        assert len(said["verdicts"]) == len(said["statements"]) > 0
        assert all(verdict in (0, 1) for _, verdict in said["verdicts"])


# -- the process

JUDGE = """
import json, sys, time
for line in sys.stdin:
    mode = json.loads(line)["question"]
    good = {"statements": ["a"], "verdicts": [["a", 1]], "score": 1.0, "error": None}
    if mode == "hangs":
        time.sleep(60)
    if mode == "dies":
        sys.exit(3)
    if mode == "half":
        print('{"statements": ["a"], "verd', flush=True)
        continue
    if mode == "endless":
        sys.stdout.write("x" * 5_000_000)
        sys.stdout.flush()
        time.sleep(60)
    if mode == "nan":
        good["score"] = float("nan")
    if mode == "exception":
        good = {"statements": [], "verdicts": [], "score": None, "error": "APITimeoutError"}
    print(json.dumps(good), flush=True)
"""


@pytest.fixture
def scripted(tmp_path: Path) -> list[str]:
    file = tmp_path / "judge.py"
    file.write_text(JUDGE)
    return [sys.executable, "-S", str(file)]


@pytest.mark.parametrize(
    ("mode", "fault"),
    [
        ("hangs", "no answer within 1 s"),
        ("dies", "no answer: it ended"),
        ("half", "no JSON"),
        ("endless", "no answer: ValueError"),
        ("nan", "a score that is no number"),
        ("exception", "failed: APITimeoutError"),
    ],
)
async def test_a_judge_that_misbehaves_supports_nothing_and_the_next_answer_is_judged(
    scripted: list[str], mode: str, fault: str
) -> None:
    async with ScorerProcess(scripted, {}, deadline=1.0 if mode == "hangs" else 30.0) as scorer:
        assert await judge(Question(mode, "a", ("a",)), scorer, FLOOR) == Faithful(0.0, supported=False, fault=fault)
    async with ScorerProcess(scripted, {}, deadline=30.0) as scorer:
        await judge(Question("dies", "a", ("a",)), scorer, FLOOR)
        assert (await judge(Question("good", "a", ("a",)), scorer, FLOOR)).supported


async def test_a_judge_that_is_not_there_supports_nothing() -> None:
    async with ScorerProcess(["/no/such/judge"], {}, deadline=5.0) as scorer:
        assert (await judge(ASKED, scorer, FLOOR)).fault == "no answer: FileNotFoundError"


@pytest.mark.parametrize("asked", [Question("q", " ", ("a",)), Question("q", "a", ()), Question("q", "a", (" ",))])
async def test_without_an_answer_or_a_source_no_judge_is_asked(asked: Question) -> None:
    class Unasked:
        async def score(self, asked: Question) -> object:
            raise AssertionError(json.dumps(asked.question))

    assert not (await judge(asked, Unasked(), 0.0)).supported


async def test_a_scorer_that_fails_is_told_as_the_fault() -> None:
    class Failing:
        async def score(self, asked: Question) -> object:
            raise ScorerFailed("no answer within 2 s")

    assert (await judge(ASKED, Failing(), 0.0)).fault == "no answer within 2 s"
