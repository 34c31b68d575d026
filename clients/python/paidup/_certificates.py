"""Certificates as files hold them, looked at before they are used."""

import ssl
from collections.abc import Callable
from pathlib import Path

from paidup._endpoint import Tls, TlsFiles
from paidup._followed_files import FollowedFiles, read_bounded


def certificates_in(files: TlsFiles) -> Callable[[], Tls]:
    """Return what gives the certificates in files; the same object until they change.

    Raises OSError, or ValueError for files that cannot be used.
    """
    paths = [Path(each) for each in (files.ca, files.certificate, files.key) if each is not None]

    def read() -> Tls:
        content = Tls(
            root_certificates=_content(files.ca),
            private_key=_content(files.key),
            certificate_chain=_content(files.certificate),
        )
        _check(files)
        return content

    return FollowedFiles(paths, read).current


def _content(file: str | Path | None) -> bytes | None:
    return None if file is None else read_bounded(Path(file))


def _check(files: TlsFiles) -> None:
    """Find out now what gRPC would tell only as a connection that cannot be made."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if files.ca is not None:
        _understood(
            lambda: context.load_verify_locations(cafile=files.ca),
            f"{files.ca}: Not whole certificates in PEM.",
        )
    if files.certificate is not None and files.key is not None:
        certificate, key = files.certificate, files.key
        _understood(
            # For an encrypted key, OpenSSL would ask whoever sits at the terminal.
            lambda: context.load_cert_chain(certificate, key, password=""),
            f"{certificate}: With {key}, not a whole certificate in PEM and its unencrypted key.",
        )


def _understood(load: Callable[[], None], complaint: str) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise ValueError(complaint) from error
