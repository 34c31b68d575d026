"""Reads a Dockerfile, as far as ours goes; what is not known is refused."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_CONTINUED = re.compile(r"\\\n\s*")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")

KNOWN = frozenset(
    {
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "LABEL",
        "RUN",
        "USER",
        "VOLUME",
        "WORKDIR",
    }
)


class NotUnderstood(Exception):
    """The file holds what this reader does not know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """One instruction, such as `COPY . .`."""

    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """What is done after one `FROM`."""

    #: Empty for a stage that no other copies from.
    name: str
    base: str
    instructions: tuple[Instruction, ...]


def read(text: str) -> tuple[Stage, ...]:
    """Split a Dockerfile into its stages, in their order."""
    stages: list[list[Instruction]] = []
    for instruction in _instructions(text):
        if instruction.name == "FROM":
            stages.append([instruction])
        elif not stages:
            raise NotUnderstood(f"{instruction.name} before the first FROM")
        else:
            stages[-1].append(instruction)
    return tuple(_stage(each) for each in stages)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in _CONTINUED.sub(" ", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        name, _, arguments = line.strip().partition(" ")
        if name not in KNOWN:
            raise NotUnderstood(name)
        yield Instruction(name=name, arguments=arguments.strip())


def _stage(instructions: Sequence[Instruction]) -> Stage:
    words = instructions[0].arguments.split()
    named = words[2] if len(words) == 3 and words[1] == "AS" else ""  # noqa: PLR2004 - base AS name
    if len(words) != 1 and not named:
        raise NotUnderstood(f"FROM {instructions[0].arguments}")
    return Stage(name=named, base=words[0], instructions=tuple(instructions[1:]))


def expand(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of `$NAME` and `${NAME}`."""
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2], ""), text)


def pairs(arguments: str, values: Mapping[str, str]) -> dict[str, str]:
    """Read `NAME=value NAME="value"`, as `ENV` and `LABEL` have them."""
    found = (word.partition("=") for word in shlex.split(arguments))
    return {name: expand(value, values) for name, _, value in found}


def command(arguments: str) -> list[str]:
    """Read a command in its exec form, `["python", "-m"]`."""
    words: list[str] = json.loads(arguments)
    return words
