"""The real Ragas with a judge that misbehaves. It needs the environment of `make ragas`, an optional tool's."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.faithfulness import Question, ScorerProcess, judge
from evals.prediction import CheckedSentence, Prediction
from sluice.faithfulness import PYTHON, SCRIPT
from sluice.main import app

pytestmark = pytest.mark.skipif(not PYTHON.is_file(), reason="an optional tool: `make ragas` builds its environment")

ANSWER = "It takes 3 days."
VERDICTS: dict[str, list[tuple[int, object]]] = {  # on two statements: which one, and what is said of it
    "good": [(0, 1), (1, 1)],
    "half": [(0, 1), (1, 0)],
    "fewer": [(0, 1)],
    "none": [],
    "idk": [(0, 1), (1, "idk")],
    "twice": [(0, 1), (0, 1)],
    "many": [(0, 1), (1, 7)],
}
FAULTS = {
    "good": "",
    "half": "",
    "fewer": "1 verdicts on 2 statements",
    "none": "0 verdicts on 2 statements",
    "idk": "failed: InstructorRetryException",
    "twice": "verdicts on other statements",
    "many": "a verdict that is neither 0 nor 1",
    "empty": "no statements",
    "garbage": "failed: InstructorRetryException",
    "error": "failed: InstructorRetryException",
}


def said(mode: str) -> list[str]:
    """The two statements of an answer."""
    return [f"The {mode} answer says this.", f"The {mode} answer says that."]


class Judge(BaseHTTPRequestHandler):
    """Answers as the question says: `mode fewer`; the statements carry the mode on to the second call."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"])).decode()
        mode = next((mode for mode in FAULTS if f"mode {mode}" in asked or said(mode)[0] in asked), "good")
        told: dict[str, Any] = {"statements": [] if mode == "empty" else said(mode)}
        if said(mode)[0] in asked:
            found = [(said(mode)[place], verdict) for place, verdict in VERDICTS[mode]]
            told = {"statements": [{"statement": name, "reason": "r", "verdict": verdict} for name, verdict in found]}
        message = {"role": "assistant", "content": "no JSON" if mode == "garbage" else json.dumps(told)}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "judge", "choices": [choice]}
        self.send_response(500 if mode == "error" else 200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Judge) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


async def test_whatever_a_judge_does_ragas_never_makes_it_supported(url: str) -> None:
    command = [str(PYTHON), str(SCRIPT), url, "judge"]
    async with ScorerProcess(command, {"RAGAS_DO_NOT_TRACK": "true"}, deadline=100.0) as scorer:
        found = {mode: await judge(Question(f"mode {mode}", ANSWER, (ANSWER,)), scorer, 0.92) for mode in FAULTS}
    assert {mode: each.fault for mode, each in found.items()} == FAULTS
    assert [mode for mode, each in found.items() if each.supported] == ["good"]
    assert found["half"].score == 0.5


def test_the_command_judges_what_was_sent_by_itself(url: str, tmp_path: Path) -> None:
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "d.md").write_text(f"---\nid: d\ntitle: Delivery\n---\n\n## Standard\n\n{ANSWER}\n")
    (tmp_path / "tickets_test.jsonl").write_text(json.dumps({"id": "t", "body": "How long?"}) + "\n")
    file = tmp_path / "predictions.jsonl"
    file.write_text(row().model_dump_json() + "\n")
    arguments = [str(file), "--suite", str(tmp_path), "--model", "judge", "--url", url, "--deadline", "100", "--json"]
    told = json.loads(CliRunner().invoke(app, ["faithfulness", *arguments]).stdout)
    assert (told["answers"], told["supported"], told["faults"]) == (1, 1, {})


def row() -> Prediction:
    """An answer that was sent by itself."""
    cited = CheckedSentence(text=ANSWER, article_id="d", section_id="standard", quote=ANSWER, supported=True)
    return Prediction(
        id="t",
        intent="delivery_time",
        route_band="auto",
        disposition="auto",
        rule="all-clear",
        tier="commodity",
        confidence=0.9,
        sources=(),
        answer=ANSWER,
        sentences=(cited,),
        groundedness=0.97,
        reasons=(),
        facts_shown=(),
        model="local/extractive",
        tokens_in=0,
        tokens_out=0,
        cost_usd=0.0,
        latency_ms=1.0,
    )
