"""The certificate in force: read from the folder of the trained parts, beside the hash of what is deployed now."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from processors.certificate import Certification
from processors.selective import Certified, Selective

CERTIFICATE, SCORE = "certificate.json", "selective.json"
TRAINED = (".npz", ".json", ".onnx")  # files of trained parts
NO_PARTS = (CERTIFICATE, "trained.json")  # beside them: the certificate on them, and when they were made


def frozen_of(folder: Path, parts: Iterable[str]) -> str:
    """SHA-256 of all that decides what is answered, hex: the configuration's parts and every trained file."""
    digest = hashlib.sha256(repr(tuple(parts)).encode())
    for file in sorted(folder.glob("*")):
        if file.suffix in TRAINED and file.name not in NO_PARTS:
            digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def read_certified(folder: Path, certificate: Path, frozen: str) -> Certified:
    """The score and the certificate, each None where its file is not there.

    Raises:
        CertificateError, SelectiveError: a file is not what it should be.
        OSError: it cannot be read.
    """
    score = folder / SCORE
    return Certified(
        score=Selective.parse(score.read_text(encoding="utf-8")) if score.is_file() else None,
        certification=Certification.parse(certificate.read_text(encoding="utf-8")) if certificate.is_file() else None,
        frozen=frozen,
    )
