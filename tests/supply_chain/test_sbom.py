"""The bill of materials says what the lock says, and is a valid one."""

import json
from pathlib import Path

import pytest
import typer
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from typer.testing import CliRunner

from supply_chain import labels, sbom

NOON = "1764504000"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", NOON)
        return _write(tmp_path_factory.mktemp("sbom") / "dist" / "sbom.cdx.json")


def _write(target: Path) -> Path:
    app = typer.Typer()
    app.command()(sbom.main)
    ended = CliRunner().invoke(app, ["--output", str(target)])
    assert ended.exit_code == 0, ended.output
    return target


def test_it_is_valid(written: Path) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written.read_text()) is None


def test_it_names_every_locked_dependency_with_its_version_and_hashes(written: Path) -> None:
    components = json.loads(written.read_text())["components"]

    told = {each["name"]: each["version"] for each in components}
    hashed = {
        each["name"]
        for each in components
        if any(reference.get("hashes") for reference in each.get("externalReferences", ()))
    }

    locked = sbom.locked(sbom.LOCK.read_text())
    assert told == {**locked, "paidup": "0.1.0"}
    assert hashed == set(locked)


def test_it_says_what_needs_what(written: Path) -> None:
    content = json.loads(written.read_text())
    needs = {each["ref"]: each["dependsOn"] for each in content["dependencies"]}
    refs = {each["name"]: each["bom-ref"] for each in content["components"]}

    assert refs["stripe"] in needs[sbom.ROOT_REF]
    assert refs["paidup"] in needs[sbom.ROOT_REF]
    assert refs["multidict"] in needs[refs["aiohttp"]]


def test_it_is_the_same_for_the_same_commit(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", NOON)

    assert _write(tmp_path / "again.json").read_text() == written.read_text()


def test_it_is_of_the_time_that_it_is_told(written: Path) -> None:
    assert json.loads(written.read_text())["metadata"]["timestamp"].startswith("2025-11-30T12:00")


def test_a_bill_that_lacks_something_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("idna==3.10\n")
    monkeypatch.setattr(sbom, "bill", lambda _lock: {"components": []})
    monkeypatch.setattr(sbom, "LOCK", lock)
    app = typer.Typer()
    app.command()(sbom.main)

    ended = CliRunner().invoke(app, ["--output", str(tmp_path / "sbom.json")])

    assert ended.exit_code == 1
    assert "idna" in ended.output
    assert not (tmp_path / "sbom.json").exists()


def test_an_image_says_which_commit_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", NOON)

    told = labels.build_arguments()

    assert told["CREATED"] == "2025-11-30T12:00:00Z"
    assert told["VERSION"] == "0.1.0"
    assert told["REVISION"]


def test_what_is_no_time_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")

    assert labels.created() == "1970-01-01T00:00:00Z"
