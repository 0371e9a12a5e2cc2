"""What doctor and up say of the certificate: none, waived, void, unreadable, in force."""

from pathlib import Path

import pytest

from infra.certificate import CERTIFICATE, SCORE, frozen_of, read_certified
from infra.settings import Settings
from infra.wiring import POLICY, Adapters
from processors.certificate import Certification
from processors.policy import waiving
from sluice.certificate import state_of
from tests.unit.test_gate import BY_WORST
from tests.unit.test_gate import CERTIFICATE as ISSUED


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with trained parts; the hash of what is deployed is fixed."""
    monkeypatch.setattr(Adapters, "frozen", "now")
    (tmp_path / "models").mkdir()
    return Settings(home=tmp_path)


def written(settings: Settings, text: str | None = None) -> None:
    """A certificate and its score."""
    issued = Certification(certificates=(ISSUED,), sections=frozenset())
    (settings.artefacts / CERTIFICATE).write_text(issued.model_dump_json() if text is None else text)
    (settings.artefacts / SCORE).write_text(BY_WORST.model_dump_json())


def test_without_a_certificate_nothing_is_sent_and_it_says_so(settings: Settings) -> None:
    found = state_of(settings)
    assert (found.verdict, found.detail) == ("off", "none: answers are drafted, and none is sent by itself")
    assert "sluice certify" in found.fix


def test_a_policy_that_waives_it_is_named(settings: Settings, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(waiving(POLICY.read_text()))
    assert "WAIVED" in state_of(settings.model_copy(update={"policy": policy})).detail


def test_a_certificate_in_force_tells_its_figures(settings: Settings) -> None:
    written(settings)
    found = state_of(settings)
    assert found.verdict == "ok"
    assert "at most 5.00% bad" in found.detail
    assert "1 of 100" in found.detail


def test_a_certificate_of_another_deployment_is_void(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    written(settings)
    monkeypatch.setattr(Adapters, "frozen", "changed")
    assert (state_of(settings).verdict, "is void" in state_of(settings).detail) == ("wrong", True)


@pytest.mark.parametrize("text", ["", "{}", "not JSON"])
def test_a_file_that_is_none_is_wrong_and_gives_no_leave_to_send(settings: Settings, text: str) -> None:
    written(settings, text)
    assert state_of(settings).verdict == "wrong"
    assert Adapters(settings, {}).certified.certification is None


def test_a_certificate_without_its_score_is_wrong(settings: Settings) -> None:
    written(settings)
    (settings.artefacts / SCORE).unlink()
    assert state_of(settings).verdict == "wrong"


def test_every_trained_file_is_frozen_but_the_certificate_and_dates(tmp_path: Path) -> None:
    (tmp_path / "router.npz").write_bytes(b"weights")
    before = frozen_of(tmp_path, ("config",))
    for name in (CERTIFICATE, "trained.json", "notes.txt"):
        (tmp_path / name).write_text("x")
    assert frozen_of(tmp_path, ("config",)) == before
    assert frozen_of(tmp_path, ("another",)) != before
    for name in ("verifier.json", "router.npz", SCORE):
        (tmp_path / name).write_text("other")
        assert frozen_of(tmp_path, ("config",)) != before


def test_files_that_are_not_there_are_none(tmp_path: Path) -> None:
    found = read_certified(tmp_path, tmp_path / CERTIFICATE, "now")
    assert (found.score, found.certification, found.frozen) == (None, None, "now")
