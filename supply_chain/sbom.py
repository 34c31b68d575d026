"""`make sbom`: what the server consists of, in CycloneDX, from the lock.

The lock says which versions, with which hashes; what depends on what, and under
which licence, is read from what is installed. The same commit gives the same file.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated, Any

import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from supply_chain.labels import ROOT, source_date_epoch

LOCK = ROOT / "requirements" / "server.txt"
TARGET = ROOT / "dist" / "sbom.cdx.json"
CLIENT = ROOT / "clients" / "python" / "pyproject.toml"
ROOT_REF = "root-component"
#: Of a version pinned in the lock: `name==version`.
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)

Json = dict[str, Any]


def locked(text: str) -> dict[str, str]:
    """Give the version of each dependency in a lock."""
    return {canonicalize_name(name): version for name, version in _PINNED.findall(text)}


def bill(lock: Path) -> Json:
    """Make the bill of materials for a lock."""
    content = _from_lock(lock)
    components = [_completed(each) for each in content["components"]]
    components.append(_client())
    refs = {each["name"]: each["bom-ref"] for each in components}
    content["components"] = sorted(components, key=lambda each: str(each["bom-ref"]))
    content["dependencies"] = [
        {"ref": ref, "dependsOn": sorted(refs[each] for each in _needs(name) if each in refs)}
        for name, ref in sorted({**refs, "paidup-server": ROOT_REF}.items())
    ]
    return content


def _from_lock(lock: Path) -> Json:
    """Let cyclonedx-py read the lock: names, versions, hashes."""
    with tempfile.TemporaryDirectory() as work:
        target = Path(work) / "sbom.json"
        options = [
            "--output-reproducible",
            "--no-validate",
            "--pyproject",
            str(ROOT / "pyproject.toml"),
        ]
        ended = subprocess.run(  # noqa: S603 - our own line
            [
                *[sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", *options],
                *["--output-file", str(target), str(lock)],
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SOURCE_DATE_EPOCH": str(source_date_epoch())},
        )
        if ended.returncode != 0:
            typer.echo(ended.stderr, err=True)
            raise typer.Exit(1)
        content: Json = json.loads(target.read_text())
    return content


def _completed(component: Json) -> Json:
    """Name it by its address rather than by a line of the lock; add its licence."""
    completed = {key: value for key, value in component.items() if key != "description"}
    completed["name"] = canonicalize_name(component["name"])
    completed["bom-ref"] = component["purl"]
    return completed | _licence(completed["name"])


def _licence(name: str) -> Json:
    try:
        expression = distribution(name).metadata.json.get("license_expression")
    except PackageNotFoundError:
        # Locked for another platform.
        return {}
    return {"licenses": [{"expression": expression}]} if expression else {}


def _client() -> Json:
    """Describe the client, which the server brings along and no lock names."""
    version = tomllib.loads(CLIENT.read_text())["project"]["version"]
    purl = f"pkg:pypi/paidup@{version}"
    described = {"type": "library", "name": "paidup", "version": version}
    return {**described, "bom-ref": purl, "purl": purl} | _licence("paidup")


def _needs(name: str) -> Iterator[str]:
    """Name what a distribution needs, extras and other platforms aside."""
    try:
        required = distribution(name).requires or []
    except PackageNotFoundError:
        return
    for each in map(Requirement, required):
        if each.marker is None or each.marker.evaluate({"extra": ""}):
            yield canonicalize_name(each.name)


def main(
    target: Annotated[Path, typer.Option("--output", help="Where to write it.")] = TARGET,
) -> None:
    """Write the bill of materials."""
    content = bill(LOCK)
    missing = locked(LOCK.read_text()).keys() - {each["name"] for each in content["components"]}
    if missing:
        typer.echo(f"The bill lacks {', '.join(sorted(missing))}.", err=True)
        raise typer.Exit(1)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    typer.echo(f"{target}: {len(content['components'])} components")


if __name__ == "__main__":
    typer.run(main)
