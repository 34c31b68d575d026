"""The audit: a finding is never taken for a database that is out of reach."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from supply_chain import audit

Json = dict[str, Any]

FINDING = {
    "id": "PYSEC-2026-1",
    "summary": "Made up.",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "aliases": [],
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "idna"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}],
        }
    ],
}
NOBODY = "http://127.0.0.1:9/"


@contextmanager
def database(answer: Json, status: int = 200) -> Iterator[str]:
    """Serve what speaks as a database of vulnerabilities, and gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.txt"
    path.write_text(f"idna==3.10 \\\n    --hash=sha256:{'0' * 64}\n")
    return path


def _audited(lock: Path, url: str, *options: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(audit.main)
    ended = CliRunner().invoke(app, [str(lock), "--osv-url", url, *options])
    return ended.exit_code, ended.output


def test_a_lock_against_which_nothing_is_known_passes(lock: Path) -> None:
    with database({}) as url:
        assert _audited(lock, url) == (0, "lock.txt: nothing is known against 1 dependencies\n")


def test_a_finding_fails_and_is_named(lock: Path) -> None:
    with database({"vulns": [FINDING]}) as url:
        code, output = _audited(lock, url)

    assert code == 1
    assert "idna 3.10: PYSEC-2026-1 (fixed in 99)" in output


def test_a_database_that_nobody_serves_is_skipped_and_said(lock: Path) -> None:
    code, output = _audited(lock, NOBODY)

    assert code == 0
    assert output.startswith("Skipped the audit of lock.txt: the database is out of reach: ")


def test_a_strict_audit_that_was_skipped_fails(lock: Path) -> None:
    assert _audited(lock, NOBODY, "--strict")[0] == 1


def test_a_database_that_fails_is_no_clean_bill(lock: Path) -> None:
    with database({}, status=500) as url:
        code, output = _audited(lock, url)

    assert code == 1
    assert "Skipped" not in output


def test_a_lock_without_hashes_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("idna==3.10\n")

    with database({}) as url:
        assert _audited(lock, url)[0] == 1


CLEAN: Json = {"name": "a", "version": "1", "vulns": []}
FOUND: Json = {"name": "b", "version": "2", "vulns": [{"id": "X-1", "fix_versions": []}]}
SKIPPED: Json = {"name": "c", "skip_reason": "Dependency not found and could not be audited: c (3)"}


@pytest.mark.parametrize(
    ("found", "code", "clean"),
    [
        ([CLEAN], 0, True),
        ([SKIPPED, SKIPPED], 0, None),
        # One that is not looked up, beside others that are, may be the one that matters.
        ([CLEAN, SKIPPED], 0, False),
        ([FOUND], 1, False),
        ([SKIPPED, FOUND], 1, False),
        ([SKIPPED, SKIPPED, FOUND], 0, False),
        ([CLEAN], 1, False),
        ([], 0, False),
    ],
)
def test_a_report_is_judged(found: list[Json], code: int, clean: object) -> None:
    verdict = audit.judge(code, json.dumps({"dependencies": found}), "")

    assert verdict.clean is clean
    assert ("X-1" in verdict.text) == (FOUND in found)


@pytest.mark.parametrize(
    ("errors", "clean"),
    [
        ("requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x')", None),
        ("ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed", None),
        # What comes after, or in the middle, is another fault.
        ("requests.exceptions.ConnectionError: x\nValueError: y", False),
        ("a finding about requests.exceptions.ConnectionError", False),
        ("requests.exceptions.JSONDecodeError: x", False),
        ("", False),
    ],
)
def test_without_a_report_only_a_missing_way_is_a_skip(errors: str, clean: object) -> None:
    assert audit.judge(1, "", errors).clean is clean


def test_a_finding_that_is_not_fixed_is_told_so() -> None:
    assert audit.judge(1, json.dumps({"dependencies": [FOUND]}), "").text == (
        "b 2: X-1 (fixed in nothing yet)"
    )
