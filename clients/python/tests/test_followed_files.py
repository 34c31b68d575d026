"""Files that are renewed, as platforms do it, and by those who do it badly."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from paidup._followed_files import LONGEST_FILE, FollowedFiles, read_bounded


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Reader:
    """Reads a number from a file, and counts how often."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.reads = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def __call__(self) -> int:
        self.reads += 1
        text = read_bounded(self.file).decode()
        self.meanwhile()
        if not text.strip().isdigit():
            raise ValueError(f"{self.file}: Not a number.")
        return int(text)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    file = tmp_path / "file"
    file.write_text("1")
    return Reader(file)


@pytest.fixture
def followed(reader: Reader, time: Time) -> FollowedFiles[int]:
    return FollowedFiles([reader.file], reader, now=time)


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def by_renaming(file: Path, text: str) -> None:
    other = file.with_name("other")
    other.write_text(text)
    other.rename(file)


def by_a_link(file: Path, text: str) -> None:
    """As the kubelet does: the file is a link by way of another, and only that one is swapped."""
    folder = file.with_name(f"..{text}")
    folder.mkdir()
    (folder / "file").write_text(text)
    swapped = file.with_name("..data_tmp")
    swapped.symlink_to(folder.name)
    swapped.rename(file.with_name("..data"))
    if not file.is_symlink():
        file.unlink()
        file.symlink_to("..data/file")


@pytest.mark.parametrize("renew", [in_place, by_renaming, by_a_link])
def test_a_file_that_is_renewed_is_read_anew(
    followed: FollowedFiles[int], reader: Reader, time: Time, renew: Callable[[Path, str], None]
) -> None:
    assert followed.current() == 1

    for number in (2, 3):
        renew(reader.file, str(number))
        time.now += 1
        assert followed.current() == number


def test_it_is_looked_at_once_a_second_and_read_only_if_it_changed(
    followed: FollowedFiles[int], reader: Reader, time: Time
) -> None:
    by_renaming(reader.file, "2")
    time.now += 0.9
    assert followed.current() == 1

    time.now += 0.1
    assert [followed.current() for _ in range(3)] == [2, 2, 2]

    time.now += 60
    assert followed.current() == 2
    assert reader.reads == 2

    by_renaming(reader.file, "3")
    assert followed.current() == 2
    time.now += 1
    assert followed.current() == 3


def test_a_renewal_that_keeps_size_and_time_is_seen(
    followed: FollowedFiles[int], reader: Reader, time: Time
) -> None:
    before = reader.file.stat()
    by_renaming(reader.file, "2")
    os.utime(reader.file, ns=(before.st_atime_ns, before.st_mtime_ns))
    time.now += 1

    assert followed.current() == 2


def gone(file: Path) -> None:
    file.unlink()


def emptied(file: Path) -> None:
    file.write_text("")


def half_written(file: Path) -> None:
    file.write_text("s3cret")


def without_end(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("spoil", [gone, emptied, half_written, without_end, a_folder])
def test_what_cannot_be_used_is_told_once_and_what_was_read_before_is_kept(
    followed: FollowedFiles[int],
    reader: Reader,
    time: Time,
    spoil: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("WARNING")
    spoil(reader.file)
    for _ in range(3):
        time.now += 1
        assert followed.current() == 1

    [record] = caplog.records
    assert (record.name, record.levelname) == ("paidup.credentials", "WARNING")
    assert str(reader.file) in record.message
    assert "s3cret" not in caplog.text

    if reader.file.is_dir():
        reader.file.rmdir()
    by_renaming(reader.file, "2")
    time.now += 1
    assert followed.current() == 2

    # What is spoilt again is told again.
    reader.file.write_text("s3cret")
    time.now += 1
    assert followed.current() == 2
    assert len(caplog.records) == 2


def test_what_changes_while_it_is_read_is_read_again(
    followed: FollowedFiles[int], reader: Reader, time: Time
) -> None:
    reader.meanwhile = lambda: by_renaming(reader.file, "3") if reader.reads == 2 else None
    by_renaming(reader.file, "2")
    time.now += 1

    # 2 was whole, but perhaps no longer belonged to the other files that were read with it.
    assert followed.current() == 3


def test_what_never_stops_changing_is_not_used(
    followed: FollowedFiles[int], reader: Reader, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    reader.meanwhile = lambda: by_renaming(reader.file, str(reader.reads + 10))
    by_renaming(reader.file, "2")
    time.now += 1

    assert followed.current() == 1
    assert "changes while it is read" in caplog.text


@pytest.mark.parametrize("spoil", [gone, emptied, half_written, without_end, a_folder])
def test_at_the_start_there_is_nothing_to_keep(
    reader: Reader, time: Time, spoil: Callable[[Path], None]
) -> None:
    spoil(reader.file)

    with pytest.raises((OSError, ValueError), match="file"):
        FollowedFiles([reader.file], reader, now=time)


def test_a_file_has_an_end(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * LONGEST_FILE)
    assert len(read_bounded(file)) == LONGEST_FILE

    file.write_bytes(b"x" * (LONGEST_FILE + 1))
    with pytest.raises(ValueError, match="too long"):
        read_bounded(file)
