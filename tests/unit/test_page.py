"""The report as a page: complete by itself, and hostile text in it is only shown."""

import re
from typing import Any

from evals.bars import Bar, judge
from evals.dataset import LabelledTicket, Turn
from evals.measures import Beside
from evals.outcome import Provenance, report
from evals.page import Against, render, worst
from evals.prediction import CheckedSentence, Prediction, refused
from schemas.router import Band

HOSTILE = "<script>alert(1)</script> {{ 7 * 7 }} \u202egnp.exe\x1b[31m"


def row(name: str, disposition: str = "auto", **changes: Any) -> Prediction:
    told = CheckedSentence(text=HOSTILE, article_id=HOSTILE, section_id=None, quote=HOSTILE, supported=False)
    rule = "all-clear" if disposition == "auto" else "no-certificate"
    given = {
        "disposition": disposition,
        "rule": rule,
        "sentences": (told,),
        "answer": HOSTILE,
        "reasons": (HOSTILE,),
        "p_good": 0.5,
    }
    return refused(name, HOSTILE).model_copy(update={**given, **changes})


def ticket(name: str, band: Band, **changes: Any) -> LabelledTicket:
    given = {"id": name, "subject": HOSTILE, "body": HOSTILE, "thread": [Turn(text=HOSTILE)], "expected_band": band}
    return LabelledTicket.model_validate({**given, **changes})


def page(*pairs: tuple[Prediction, LabelledTicket]) -> str:
    origin = Provenance("shop", HOSTILE, HOSTILE, 0, "gate", {"router": HOSTILE}, "p" * 64, "c" * 64, "f" * 40)
    found = report(pairs, origin, Beside())
    findings = judge(found["measures"], {"deflection": Bar(least=0.9, aim=0.95, why="hard")})
    return render(found, pairs, findings, Against({"deflection": 0.5}, "Released before."))


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    told = page((row("a"), ticket("a", Band.ESCALATE)))
    assert "<script" not in told
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7 * 7 }}" in told
    assert not set("\u202e\x1b") & set(told)


def test_the_page_needs_nothing_from_outside() -> None:
    told = page((row("a"), ticket("a", Band.AUTO)))
    assert "default-src 'none'" in told
    assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!data:)[a-z]+:", told) == []
    assert told.count("data:image/svg+xml;base64,") >= 2


def test_a_missed_bar_and_a_change_are_on_the_page() -> None:
    told = page((row("a"), ticket("a", Band.AUTO)), (row("b", "suggest"), ticket("b", Band.AUTO)))
    assert "falls short" in told
    assert "+0.0" in told


def test_the_worst_ticket_is_one_that_was_never_to_be_sent() -> None:
    pairs = [
        (row("draft", "suggest", p_good=0.99), ticket("draft", Band.ESCALATE)),
        (row("bad"), ticket("bad", Band.SUGGEST)),
        (row("gravest", p_good=0.1), ticket("gravest", Band.ESCALATE)),
        (row("good"), ticket("good", Band.AUTO)),
    ]
    assert [found.ticket.id for found in worst(pairs)] == ["gravest", "bad", "draft"]


def test_a_run_without_a_single_label_has_a_page() -> None:
    assert "1 tickets" in page((row("a"), LabelledTicket(id="a", body="x", proved=False)))
