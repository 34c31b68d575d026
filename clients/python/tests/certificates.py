"""Certificates for tests, made anew by OpenSSL."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A key and a certificate that vouches for itself, both as PEM."""

    key: bytes
    certificate: bytes


def make_certificate(directory: Path, name: str) -> Certificate:
    if shutil.which("openssl") is None:
        pytest.skip("OpenSSL's command line is not installed")
    key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *subject, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return Certificate(key=key.read_bytes(), certificate=certificate.read_bytes())
