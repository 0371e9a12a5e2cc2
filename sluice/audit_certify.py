"""`sluice audit --certify`: what people found of the answers that went out proves a tighter promise."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evals.audit import judged_by_people
from infra.certificate import CERTIFICATE
from infra.settings import Settings
from infra.wiring import Adapters, open_adapters
from processors.certificate import Certificate, Certification, Finding, accepted_needed, fewest, issue, learn_then_test
from processors.ports import AuditorKind, Label, Labels, Verdict
from schemas.gate import Decision
from sluice.reach import database_of
from sluice.terminal import USAGE, WRONG, console, fail, print_json, run

SPENT = "audits.spent"  # beside the certificate: the last verdict that a test has used. No part of what is deployed
PAGE = 1000


@dataclass(frozen=True)
class Tested:
    """What the audits say of the promise."""

    finding: Finding
    last: int  # the newest verdict that was looked at
    enough: bool  # whether there were enough to test at all; if not, they are not spent


def certify_by_audits(settings: Settings, risk: float, *, as_json: bool) -> None:
    """Test the promise on verdicts that no test has used, and write the certificate where it holds."""
    tested = run(_certify(settings, risk))
    finding, path = tested.finding, settings.certificate or settings.artefacts / CERTIFICATE
    if as_json:
        print_json(_figures(tested, risk))
    else:
        console.print("\n".join(_lines(tested, risk, path)), highlight=False, markup=False)
    if not finding.certified:
        fail(f"audits do not prove {risk:.2%}: the certificate stays as it is", WRONG)


async def _certify(settings: Settings, risk: float) -> Tested:
    async with open_adapters(settings, database_of(settings), ["auditor"]) as adapters:
        certificate = _in_force(adapters)
        if risk >= certificate.risk:
            fail(f"the certificate in force promises {certificate.risk:.2%}: ask for less than that", USAGE)
        if waiting := len(await adapters.labels.waiting(AuditorKind.PERSON, "")):
            fail(f"{waiting} drawn answers wait for a person: without those skipped it is no sample", USAGE)
        return await tried(adapters, certificate, risk)


def _in_force(adapters: Adapters) -> Certificate:
    """The one certificate whose answers were audited."""
    certification = adapters.certified.certification
    if certification is None or len(certification.certificates) != 1:
        fail("audits prove on the one certificate in force: issue it by `sluice certify`", USAGE)
    (certificate,) = certification.certificates
    if not certificate.valid(adapters.frozen, datetime.now(UTC)):
        fail("the certificate is void: something that decides was changed, or its time is over", USAGE)
    return certificate


async def tried(adapters: Adapters, certificate: Certificate, risk: float) -> Tested:
    """Test it on people's verdicts since the last test; "unsure" is bad. A certificate is written if it holds."""
    spent = adapters.settings.artefacts / SPENT
    labels = await _all(adapters.labels, _last(spent))
    scored = [
        (found, label.verdict is not Verdict.GOOD)
        for label in judged_by_people(labels)
        if label.intent in certificate.intents and label.answered_at >= certificate.issued_at
        if (found := await _chance(adapters, label)) is not None
    ]
    finding = learn_then_test(scored, risk=risk, delta=certificate.delta, grid=[certificate.threshold])
    tested = Tested(finding, max((label.label_id for label in labels), default=0), enough=bool(finding.tried))
    if tested.enough:
        spent.write_text(json.dumps(tested.last), encoding="utf-8")
    if finding.certified:
        _write(adapters, certificate, finding)
    return tested


async def _chance(adapters: Adapters, label: Label) -> float | None:
    """P(good) of an audited answer; None where it was not decided by what is deployed now."""
    found = await adapters.labels.audited(label.ticket_id, label.revision)
    return found.decision.p_good if found and found.decision and _same(adapters, found.decision) else None


def _same(adapters: Adapters, decision: Decision) -> bool:
    decided = (decision.policy_hash, decision.config_hash, decision.verifier)
    return decided == (adapters.policy.hash, adapters.config_hash, adapters.verifier.name)


def _write(adapters: Adapters, old: Certificate, finding: Finding) -> None:
    """The certificate with the tighter promise, for what the old one covers and as long."""
    now, before = datetime.now(UTC), adapters.certified.certification
    new = issue(finding, intents=old.intents, frozen=old.frozen, issued_at=now)
    assert new is not None
    assert before is not None
    kept = new.model_copy(update={"expires_at": old.expires_at})
    made_of = {**before.made_of, "audits": finding.n}
    certification = Certification(certificates=(kept,), sections=before.sections, made_of=made_of)
    path = adapters.settings.certificate or adapters.settings.artefacts / CERTIFICATE
    part = path.with_name(f"{path.name}.part")
    part.write_text(certification.model_dump_json(indent=1) + "\n", encoding="utf-8")
    part.rename(path)


async def _all(labels: Labels, after: int) -> Sequence[Label]:
    found: list[Label] = []
    while page := await labels.labels(found[-1].label_id if found else after, PAGE):
        found += page
    return found


def _last(spent: Path) -> int:
    return int(json.loads(spent.read_text(encoding="utf-8"))) if spent.is_file() else 0


def _figures(tested: Tested, risk: float) -> dict[str, object]:
    finding = tested.finding
    step = finding.tried[-1] if finding.tried else None
    return {
        "risk": risk,
        "delta": finding.delta,
        "certified": finding.certified,
        "audited": finding.n,
        "bad": finding.seen[-1][1],
        "bound": finding.bound if finding.certified else None,
        "tail": step.tail if step else None,
        "needed": accepted_needed(finding.seen[-1][1], risk, finding.delta),
        "spent": tested.enough,
    }


def _lines(tested: Tested, risk: float, path: Path) -> list[str]:
    finding = tested.finding
    audited, bad = finding.seen[-1]
    needed = accepted_needed(bad, risk, finding.delta)
    told = f"{audited} answers audited by people since the certificate was issued, {bad} bad"
    if finding.certified:
        return [
            f"certified: at most {risk:.2%} bad, δ = {finding.delta:.3g}",
            f"  {told}: at most {finding.bound:.2%}",
            f"wrote {path}: workers take it at their next start",
        ]
    if not tested.enough:
        return [f"{told}: even a clean record needs {fewest(risk, finding.delta)}; none of them is spent"]
    return [f"{told}: {needed} were needed; these verdicts are spent, as a test that is repeated proves nothing"]
