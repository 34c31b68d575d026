"""Follows a Dockerfile without a container engine: each stage is a root directory of its own.

Debian's own Python stands in for the base image. What is shown is what the
file's own lines do; layers, and the base image itself, are not.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from supply_chain import context, dockerfile
from supply_chain.dockerfile import Instruction, NotUnderstood, Stage

#: As the base image has it.
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
RUN_TIMEOUT = 1200


class NotAsDeclared(Exception):
    """The image does not do what the Dockerfile says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """How pip reaches its index from here; no line of the Dockerfile knows it."""

    environment: Mapping[str, str]
    #: Seen at the same place within, while a RUN runs.
    paths: Sequence[Path]


@dataclass(kw_only=True, slots=True)
class Image:
    """A stage as it has come to be."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    volumes: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def at(self, path: str) -> Path:
        """Give where a path within is from outside."""
        return self.root / (PurePosixPath(self.workdir) / path).relative_to("/")

    @property
    def values(self) -> dict[str, str]:
        return {**self.arguments, **self.environment}


class Builder:
    """Builds the stages of one Dockerfile."""

    def __init__(
        self, *, base: Path, tree: Path, work: Path, network: Network, arguments: Mapping[str, str]
    ) -> None:
        self._base = base
        self._tree = tree
        self._work = work
        self._network = network
        self._arguments = arguments
        self._built: dict[str, Image] = {}

    def build(self, stages: Sequence[Stage]) -> Image:
        """Follow every stage; give the last."""
        for number, stage in enumerate(stages):
            image = Image(root=self._work / (stage.name or f"stage{number}"))
            _copy(self._base, image.root)
            for instruction in stage.instructions:
                STEPS[instruction.name](self, image, instruction)
            self._built[stage.name] = image
        return image

    def run(self, image: Image, instruction: Instruction) -> None:
        mounts = "".join(
            f"mkdir -p {_quoted(within.parent)} && {_touch(path, within)} && "
            f"mount --bind {_quoted(path)} {_quoted(within)} && "
            for path in self._network.paths
            for within in [image.root / path.relative_to("/")]
        )
        environment = {**image.arguments, **self._network.environment, **image.environment}
        shell = ["/bin/sh", "-c", instruction.arguments]
        entered = entering(image.root, environment, shell, workdir=image.workdir, user=image.user)
        script = f"{mounts}exec {shlex.join(entered)}"
        ended = subprocess.run(  # noqa: S603 - the Dockerfile's own line, in a root of its own
            ["/usr/bin/unshare", "--mount", "/bin/sh", "-ec", script],
            check=False,
            timeout=RUN_TIMEOUT,
            stdout=sys.stderr,
        )
        if ended.returncode != 0:
            raise NotAsDeclared(f"RUN {instruction.arguments} ended with {ended.returncode}")

    def copy(self, image: Image, instruction: Instruction) -> None:
        words = instruction.arguments.split()
        flags = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        if flags and flags[0].startswith("--from="):
            other = self._built[flags[0].removeprefix("--from=")]
            for source in sources:
                _copy(other.at(source), image.at(target))
            return
        if flags:
            raise NotUnderstood(flags[0])
        for source in sources:
            self._copy_context(image, source, target)

    def _copy_context(self, image: Image, source: str, target: str) -> None:
        """Copy a file, all that matches, or what is in a directory."""
        for each in context.files(self._tree):
            if source == ".":
                placed = image.at(target) / each
            elif each.match(source) and len(each.parts) == len(PurePosixPath(source).parts):
                placed = image.at(target) / each.name
            else:
                continue
            placed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._tree / each, placed)

    def argument(self, image: Image, instruction: Instruction) -> None:
        name, _, default = instruction.arguments.partition("=")
        image.arguments[name] = self._arguments.get(name, default.strip('"'))

    def environment(self, image: Image, instruction: Instruction) -> None:
        image.environment |= dockerfile.pairs(instruction.arguments, image.values)

    def label(self, image: Image, instruction: Instruction) -> None:
        image.labels |= dockerfile.pairs(instruction.arguments, image.values)

    def workdir(self, image: Image, instruction: Instruction) -> None:
        image.workdir = str(PurePosixPath(image.workdir) / instruction.arguments)
        image.at("").mkdir(parents=True, exist_ok=True)

    def user(self, image: Image, instruction: Instruction) -> None:
        image.user = instruction.arguments

    def volume(self, image: Image, instruction: Instruction) -> None:
        image.volumes.append(instruction.arguments)

    def expose(self, image: Image, instruction: Instruction) -> None:
        image.ports.extend(map(int, instruction.arguments.split()))

    def entrypoint(self, image: Image, instruction: Instruction) -> None:
        image.entrypoint = dockerfile.command(instruction.arguments)

    def command(self, image: Image, instruction: Instruction) -> None:
        image.command = dockerfile.command(instruction.arguments)


STEPS = {
    "ARG": Builder.argument,
    "CMD": Builder.command,
    "COPY": Builder.copy,
    "ENTRYPOINT": Builder.entrypoint,
    "ENV": Builder.environment,
    "EXPOSE": Builder.expose,
    "LABEL": Builder.label,
    "RUN": Builder.run,
    "USER": Builder.user,
    "VOLUME": Builder.volume,
    "WORKDIR": Builder.workdir,
}


def entering(
    root: Path,
    environment: Mapping[str, str],
    command: Sequence[str],
    *,
    workdir: str,
    user: str,
) -> list[str]:
    """Give the command line that runs a command within, with this environment and no other."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    within = ["/usr/bin/env", "--ignore-environment", f"--chdir={workdir}", *variables, *command]
    return ["/usr/sbin/chroot", f"--userspec={user}", "--groups=", str(root), *within]


def contained(
    image: Image, data: Path, command: Sequence[str], settings: Mapping[str, str]
) -> list[str]:
    """Give the command line that runs a command as a container would: read-only, but for volumes.

    The mounts are in a namespace of the command's own, and end with it.
    """
    environment = {**image.environment, **settings}
    root = _quoted(image.root)
    mounts = [f"mount --bind {root} {root}", f"mount -o remount,ro,bind {root}"]
    volumes = (_quoted(image.at(volume)) for volume in image.volumes)
    mounts.extend(f"mount --bind {_quoted(data)} {volume}" for volume in volumes)
    mounts.append(f"mount -t proc proc {_quoted(image.at('/proc'))}")
    entered = entering(image.root, environment, command, workdir=image.workdir, user=image.user)
    script = " && ".join([*mounts, f"exec {shlex.join(entered)}"])
    return ["/usr/bin/unshare", "--mount", "/bin/sh", "-ec", script]


def _touch(path: Path, within: Path) -> str:
    return f"mkdir -p {_quoted(within)}" if path.is_dir() else f"touch {_quoted(within)}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _copy(source: Path, target: Path) -> None:
    """Copy a tree with its owners, links and devices."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["/bin/cp", "--archive", "--no-target-directory", str(source), str(target)]
    subprocess.run(command, check=True, timeout=RUN_TIMEOUT)  # noqa: S603 - paths of ours
