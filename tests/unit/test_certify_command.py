"""`sluice certify`: what it writes, removes and prints; the splits it reads; wrong calls."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.certify import Promise
from evals.dataset import load_suite
from evals.train.selective import Judged
from infra.certificate import CERTIFICATE, SCORE, read_certified
from infra.settings import Settings
from infra.wiring import POLICY, Adapters
from sluice import certify as command
from sluice.certify import Asked, Conclusion, Ran, conclude
from sluice.main import app
from sluice.suite import Prepared
from tests.unit.test_certify import pool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A suite of one article, with splits of its own, and a test split that nobody may open."""
    for split in ("train", "tune", "certify_a", "certify_b"):
        row = {"id": split, "body": "When does it come?", "customer_id": f"c-{split}", "expected_band": "auto"}
        (tmp_path / f"tickets_{split}.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "tickets_test.jsonl").write_text("shut\n")
    (tmp_path / "articles").mkdir()
    (tmp_path / "articles" / "delivery.md").write_text("---\ntitle: Delivery\n---\n\n## Time\n\nThree days.\n")
    return tmp_path


def concluded(folder: Path, tune: Sequence[Judged], holdout: Sequence[Judged], *promises: Promise) -> Conclusion:
    """What certifying those answers comes to."""
    suite = load_suite(folder, unread=("test",))
    models = folder / "models"
    models.mkdir(exist_ok=True)
    adapters = Adapters(Settings(home=folder, models_dir=models), {})
    prepared = Prepared(models, POLICY, "nothing")
    asked = Asked(suite, (), (), "tune, certify", promises or (Promise(0.021),), 0.05, 7, prepared)
    return conclude(asked, Ran(list(tune), list(holdout), adapters, prepared))


@pytest.fixture(autouse=True)
def _deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Adapters, "frozen", "now")


def test_a_certificate_and_its_score_are_written_and_read_back(folder: Path) -> None:
    found = concluded(folder, pool(800, 1), pool(1200, 2))
    in_force = read_certified(folder / "models", folder / "models" / CERTIFICATE, "now")
    assert in_force.certification == found.certification
    assert in_force.score == found.certifying.scored.model.model_copy(update={"made_of": in_force.score.made_of})  # type: ignore[union-attr]
    (certificate,) = in_force.certification.certificates  # type: ignore[union-attr]
    assert (certificate.frozen, len(in_force.certification.sections)) == ("now", 1)  # type: ignore[union-attr]
    assert (certificate.expires_at - certificate.issued_at).days == 7  # type: ignore[operator]


def test_a_refusal_removes_an_older_certificate(folder: Path) -> None:
    concluded(folder, pool(800, 1), pool(1200, 2))
    found = concluded(folder, pool(800, 1), pool(100, 2))
    assert not (folder / "models" / CERTIFICATE).exists()
    assert (folder / "models" / SCORE).exists()
    assert (found.figures["certified"], found.figures["certificate"]) == (False, None)


def test_the_figures_say_n_bad_bound_and_the_labels_of_the_next_promise(folder: Path) -> None:
    (promise,) = concluded(folder, pool(800, 1), pool(1200, 2)).figures["promises"]
    assert promise["certified"]
    assert promise["bad"] <= promise["accepted"] <= promise["candidates"] <= promise["n"] == 1200
    assert 0 < promise["bound"] <= 0.021
    assert promise["next"]["risk"] == 0.01
    json.dumps(promise)


def test_where_hardly_anything_passes_no_rate_is_made_up(folder: Path) -> None:
    found = concluded(folder, pool(800, 1), [replace(row, candidate=at < 9) for at, row in enumerate(pool(100, 2))])
    assert "needs more labels than can be told" in "".join(command._lines(found.certifying.proofs[0]))


def test_one_promise_refused_leaves_the_others(folder: Path) -> None:
    holdout = [replace(row, bad=row.bad or row.intent == "refund_status") for row in pool(1200, 2)]
    found = concluded(folder, pool(800, 1), holdout, Promise(0.03), Promise(0.03, "refund_status"))
    assert not found.certifying.certified
    assert found.certification is not None
    assert found.certification.of("refund_status") is None
    assert found.certification.of("warranty") is not None


def test_only_the_splits_that_are_asked_for_are_read(folder: Path) -> None:
    suite, tune, holdout, named = command._open(str(folder), None, None)
    assert [ticket.id for ticket in (*tune, *holdout)] == ["tune", "certify_a", "certify_b"]
    assert (named, "test" in suite.tickets) == ("tune, certify", False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--intent", "refund_status"], "NAME=RISK"),
        (["--intent", "refund_status=2"], "between 0 and 1"),
        (["--intent", "=0.01"], "between 0 and 1"),
        (["--tune", "never"], "tickets_never.jsonl"),
    ],
)
def test_a_wrong_call_says_what_to_change(folder: Path, arguments: list[str], told: str) -> None:
    environ: dict[str, Any] = {"SLUICE_HOME": str(folder / "var"), "COLUMNS": "300"}
    ended = CliRunner().invoke(app, ["certify", str(folder), *arguments], env=environ)
    assert (ended.exit_code, told in ended.stderr) == (2, True), ended.stderr
