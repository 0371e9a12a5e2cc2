"""Whether a certificate is in force, in words: `sluice doctor`, `sluice up` and `sluice demo` say it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from infra.certificate import CERTIFICATE
from infra.settings import Settings, SettingsError
from infra.wiring import Adapters
from processors.certificate import Certificate, CertificateError, Certification

FIX = "sluice certify SUITE, or SLUICE_CERTIFICATE"


@dataclass(frozen=True)
class State:
    """Whether something bounds the rate of bad answers."""

    verdict: Literal["ok", "off", "wrong"]  # off: nothing is sent by itself, or the policy waives the bound
    detail: str
    fix: str = ""


def state_of(settings: Settings) -> State:
    """The state of the certificate; what is deployed is read only where there is one."""
    path = settings.certificate or settings.artefacts / CERTIFICATE
    try:
        if Adapters(settings, {}).policy.auto.certificate == "waived":
            return State("off", "WAIVED by the policy: nothing bounds the rate of bad answers that are sent", "[auto]")
        if not path.is_file():
            return State("off", "none: answers are drafted, and none is sent by itself", FIX)
        return _read(path, settings)
    except (SettingsError, CertificateError, OSError) as error:
        return State("wrong", f"{path}: {error}; nothing is sent by itself", FIX)


def _read(path: Path, settings: Settings) -> State:
    found = Certification.parse(path.read_text(encoding="utf-8"))
    adapters, now = Adapters(settings, {}), datetime.now(UTC)
    if adapters.certified.score is None:
        return State("wrong", f"{path}: its score is not beside the trained parts; nothing is sent by itself", FIX)
    if all(certificate.valid(adapters.frozen, now) for certificate in found.certificates):
        return State("ok", "; ".join(map(_told, found.certificates)))
    why = "models, policy, prompt or trained parts have changed since, or its time is over"
    return State("wrong", f"{path} is void: {why}; nothing is sent by itself", FIX)


def _told(certificate: Certificate) -> str:
    return (
        f"at most {certificate.risk:.2%} bad (δ {certificate.delta:.3g}; {certificate.bad} of {certificate.accepted} "
        f"were, bound {certificate.bound:.2%}), {len(certificate.intents)} intents"
    )
