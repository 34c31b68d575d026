import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

COMMAND = [sys.executable, "-m", "stripe_emulator"]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=20, check=False
    )


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_stops_on_a_signal(signal_number: signal.Signals) -> None:
    command = [
        *COMMAND, "--listen", "127.0.0.1:0", "--webhook", "http://127.0.0.1:9/hook",
        "--webhook-secret", "whsec_x",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        asked = time.monotonic()
        process.send_signal(signal_number)
        code = process.wait(10)
        took = time.monotonic() - asked
        rest = process.stdout.read() + process.stderr.read()

    assert first.startswith("stripe_emulator listening on http://127.0.0.1:")
    assert code == 0
    assert took < 3
    assert rest == ""


def test_a_busy_port_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        result = _run("--listen", f"127.0.0.1:{port}")

    assert result.returncode != 0
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"Port {port} on 127.0.0.1 is in use. Choose another with --listen HOST:PORT."
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--listen", "nowhere"),
        ("--listen", "127.0.0.1:99999"),
        ("--webhook", "http://a", "--webhook", "http://b", "--webhook", "http://c",
         "--webhook-secret", "x", "--webhook-secret", "y"),
        ("--faults", "{"),
        ("--faults", '{"weather": {}}'),
        ("--faults", '{"api": {"failing": 2}}'),
        ("--faults", "/nowhere/faults.json"),
    ],
)  # fmt: skip
def test_impossible_arguments_are_explained(arguments: tuple[str, ...]) -> None:
    result = _run(*arguments)

    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_help_names_the_options() -> None:
    result = _run("--help")

    assert result.returncode == 0
    for option in ("--faults", "--listen", "--state", "--webhook", "--webhook-secret"):
        assert option in result.stdout


@pytest.mark.parametrize("as_file", [True, False])
def test_faults_can_be_there_from_the_start(as_file: bool, tmp_path: Path) -> None:  # noqa: FBT001 -- pytest's
    given = '{"seed": 7, "api": {"failing": 1}}'
    if as_file:
        (tmp_path / "faults.json").write_text(given)
        given = str(tmp_path / "faults.json")
    command = [*COMMAND, "--listen", "127.0.0.1:0", "--faults", given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        urlopen(Request(f"{url}/_emulator/reset", method="POST"), timeout=10)
        with urlopen(f"{url}/_emulator/faults", timeout=10) as answer:
            faults = json.load(answer)
        process.terminate()

    assert (faults["seed"], faults["api"]["failing"]) == (7, 1)
