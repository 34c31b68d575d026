"""The manifests as kustomize renders them, and what tests ask of them."""

import functools
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubectl import Unavailable, kubectl

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "deploy" / "kustomize" / "overlays"
EXAMPLES = ROOT / "deploy" / "examples"
#: Everything that somebody may apply.
FOLDERS = {path.name: path for path in sorted(OVERLAYS.iterdir())} | {
    "example": EXAMPLES / "kustomize",
    "with-certificates": EXAMPLES / "with-certificates",
    "with-tokens": EXAMPLES / "with-tokens",
    "with-encryption": EXAMPLES / "with-encryption",
}
#: Those that serve gRPC over TLS.
OVER_TLS = {"with-certificates", "with-tokens"}
#: Those whose keys are made up, for the emulator.
MADE_UP = {"try"}

NAMESPACE = "paidup"
SERVER = {"app.kubernetes.io/name": "paidup", "app.kubernetes.io/component": "server"}


@dataclass(frozen=True)
class Objects:
    """All that one folder renders to."""

    all: tuple[Json, ...]

    def of(self, *kinds: str) -> list[Json]:
        return [each for each in self.all if each["kind"] in kinds]

    def one(self, kind: str, name: str = "paidup") -> Json:
        (found,) = (each for each in self.of(kind) if each["metadata"]["name"] == name)
        return found

    @property
    def templates(self) -> dict[str, Json]:
        """Every pod that there will be, by its owner's kind and name."""
        owners = self.of("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
        return {
            f"{each['kind']}/{each['metadata']['name']}": each["spec"]["template"]
            for each in owners
        }

    @property
    def server(self) -> Json:
        (owner,) = (each for each in self.of("Deployment", "StatefulSet") if _is_server(each))
        return owner

    @property
    def pod(self) -> Json:
        spec: Json = self.server["spec"]["template"]["spec"]
        return spec

    def container(self, name: str, owner: str | None = None) -> Json:
        pod = self.templates[owner]["spec"] if owner else self.pod
        (found,) = (each for each in containers(pod) if each["name"] == name)
        return found

    def environment(self, container: Json) -> dict[str, str]:
        """What the container's process will find, but for what the cluster only knows."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            found |= self.one("ConfigMap", source["configMapRef"]["name"])["data"]
        return found | {each["name"]: each["value"] for each in named(container) if "value" in each}


def _is_server(owner: Json) -> bool:
    return bool(owner["spec"]["template"]["metadata"]["labels"].items() >= SERVER.items())


def containers(pod: Json) -> Iterator[Json]:
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def serving(pod: Json) -> Iterator[Json]:
    """Those that are to run as long as the pod: the rest come to an end by themselves."""
    yield from (each for each in pod.get("initContainers", []) if "restartPolicy" in each)
    yield from pod["containers"]


def named(container: Json) -> list[Json]:
    return list(container.get("env", []))


@functools.cache
def rendered(folder: str) -> Objects:
    """Render a folder; where no kubectl can be had, skip the test and say why."""
    try:
        command = [kubectl(), "kustomize", str(FOLDERS[folder])]
    except Unavailable as reason:
        pytest.skip(f"The manifests are not rendered: {reason}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr, done.stderr
    return Objects(tuple(yaml.safe_load_all(done.stdout)))


every_folder = pytest.mark.parametrize("folder", FOLDERS)


def version() -> str:
    """Give the version that the manifests have to name."""
    (found,) = re.findall(
        r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    return str(found)
