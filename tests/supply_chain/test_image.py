"""The Dockerfile as it is read, and what is sent of the tree; `make image-check` follows it."""

import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from supply_chain import context, dockerfile, image_check
from supply_chain.dockerfile import NotUnderstood
from supply_chain.image import STEPS, Image, Network, contained

ROOT = Path(__file__).parent.parent.parent
OURS = dockerfile.read((ROOT / "Dockerfile").read_text())


def test_every_instruction_of_ours_can_be_followed() -> None:
    names = {each.name for stage in OURS for each in stage.instructions}

    assert names <= STEPS.keys()
    assert STEPS.keys() | {"FROM"} == dockerfile.KNOWN


def test_lines_that_go_on_are_one_and_comments_are_none() -> None:
    [stage] = dockerfile.read("# a\nFROM x AS y\n# b\nRUN a \\\n # c\n && b\n")

    assert (stage.base, stage.name) == ("x", "y")
    assert [each.arguments for each in stage.instructions] == ["a  && b"]


@pytest.mark.parametrize("text", ["FROM x\nADD a b", "RUN a", "FROM x AS", "FROM x\nrun a"])
def test_what_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstood):
        dockerfile.read(text)


def test_variables_are_put_in() -> None:
    found = dockerfile.pairs('A=$X:${Y} B="c d" C=$NONE', {"X": "1", "Y": "2"})

    assert found == {"A": "1:2", "B": "c d", "C": ""}


def test_the_image_is_sent_what_it_needs_and_nothing_else() -> None:
    sent = {str(path) for path in context.files(ROOT)}

    assert {
        "LICENSE",
        "pyproject.toml",
        "billing_service/cli.py",
        "requirements/server.txt",
    } <= sent
    assert {path for path in sent if "test" in PurePosixPath(path).parts[:-1]} == set()
    tops = {path.split("/")[0] for path in sent} - {"dist"}
    assert tops == {
        *("LICENSE", "README.md", "pyproject.toml", "requirements", "clients"),
        *("billing_service", "stripe_emulator", "subscription_state", "webhook_gateway"),
    }


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("a/b.py", True),
        ("a/tests/b.py", False),
        ("a/x/__pycache__/b.pyc", False),
        ("other/b.py", False),
        (".git/config", False),
        (".env", False),
        ("dist/sbom.json", True),
        ("dist/other.whl", False),
    ],
)
def test_the_last_pattern_decides(path: str, sent: bool) -> None:  # noqa: FBT001 - parametrized
    rules = context.patterns("*\n# c\n!a\n!dist/sbom.json\n**/__pycache__\n**/tests\n")

    assert context.is_sent(PurePosixPath(path), rules) is sent


def test_a_process_is_confined_as_the_file_says(tmp_path: Path) -> None:
    image = Image(root=tmp_path, user="65532:65532", volumes=["/data"], workdir="/data")

    *entered, script = contained(image, tmp_path / "d", ["python", "-m", "x y"], {"A": "b"})

    assert entered == ["/usr/bin/unshare", "--mount", "/bin/sh", "-ec"]
    assert f"mount -o remount,ro,bind {tmp_path}" in script
    assert f"mount --bind {tmp_path}/d {tmp_path}/data" in script
    assert "--userspec=65532:65532" in script
    assert script.endswith("A=b python -m 'x y'")


def test_without_what_it_needs_the_check_is_skipped_and_says_why(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "supply_chain.image_check"],
        env={"PATH": str(tmp_path), "PYTHONPATH": ":".join(map(str, sys.path))},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Skipped the image: ")


def test_what_pip_is_told_here_is_handed_over_with_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))

    network = image_check._network()

    assert isinstance(network, Network)
    assert network.environment["PIP_FIND_LINKS"] == str(wheels)
    assert wheels in network.paths
