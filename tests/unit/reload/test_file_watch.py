"""Noticing changed files: whatever way they are changed, with inotify and without."""

from __future__ import annotations

import threading
import time

import pytest

from logrouter.reload import file_watch as module
from logrouter.reload.file_watch import LOOK_SECONDS, FileWatch, read_stamp
from tests.conftest import HANG_SECONDS


def in_place(file, text):
    """Write over the file."""
    file.write_text(text)


def renamed(file, text):
    """Write another file and rename it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def recreated(file, text):
    """Delete the file and write it again."""
    file.unlink()
    file.write_text(text)


def config_map(file, text):
    """Swap the folder that a link leads to, as Kubernetes does."""
    folder = file.parent
    data = folder / f"..{time.monotonic_ns()}"
    data.mkdir()
    (data / file.name).write_text(text)
    link = folder / "..tmp"
    link.symlink_to(data.name)
    link.replace(folder / "..data")
    if not file.is_symlink():
        file.unlink(missing_ok=True)
        file.symlink_to(f"..data/{file.name}")


@pytest.fixture
def watching():
    """A watch of some files: `watching(file)`."""
    made = []

    def watch(*files):
        made.append(FileWatch())
        made[-1].follow(files)
        return made[-1]

    yield watch
    for one in made:
        one.close()


@pytest.fixture
def without_inotify(monkeypatch):
    """No inotify instance to be had."""

    def refuse(**_options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(module, "INotify", refuse)


def seconds_until_noticed(watching, file, change):
    """How long after the second of two changes the stamps differ, at most `HANG_SECONDS`."""
    change(file, "version: 1\n")
    watch = watching(file)
    before = watch.read_stamps()
    began = time.monotonic()
    change(file, "version: 2 or so\n")
    while watch.read_stamps() == before and time.monotonic() < began + HANG_SECONDS:
        watch.wait()
    return time.monotonic() - began


@pytest.mark.parametrize("change", [in_place, renamed, recreated, config_map])
def test_change_of_any_kind_is_noticed(watching, tmp_path, change, eventually):
    """An edit in place, by renaming, by deleting and by swapping links two steps away: before it is time to look."""
    file = tmp_path / "topics.yaml"
    file.touch()

    eventually(lambda: seconds_until_noticed(watching, file, change) < LOOK_SECONDS, "noticed by an event")


@pytest.mark.usefixtures("without_inotify")
@pytest.mark.parametrize("change", [in_place, renamed, recreated, config_map])
def test_change_is_noticed_where_there_is_no_inotify(watching, tmp_path, change, eventually):
    """Looking twice a second finds the same changes."""
    file = tmp_path / "topics.yaml"
    file.touch()

    eventually(lambda: seconds_until_noticed(watching, file, change) < 1, "noticed within a second")


@pytest.mark.parametrize("change", [in_place, renamed, config_map])
def test_events_end_a_long_wait(watching, tmp_path, change):
    """A wait does not last until it is time to look again when the file changes."""
    file = tmp_path / "topics.yaml"
    file.touch()
    change(file, "a")
    watch = watching(file)
    threading.Timer(0.1, change, (file, "bc")).start()
    began, before = time.monotonic(), watch.read_stamps()
    while watch.read_stamps() == before:
        watch.wait(2 * HANG_SECONDS)

    assert time.monotonic() - began < HANG_SECONDS


def test_wake_ends_the_wait_that_runs_or_the_next(watching, tmp_path):
    """A wake-up is not lost, and one is enough for one wait."""
    watch = watching(tmp_path / "topics.yaml")
    watch.wake()
    watch.wake()
    began = time.monotonic()
    watch.wait(2 * HANG_SECONDS)
    assert time.monotonic() - began < HANG_SECONDS
    began = time.monotonic()
    watch.wait(0.2)
    assert time.monotonic() - began >= 0.19


def test_file_that_is_open_for_writing_is_being_written(watching, tmp_path):
    """Between the first byte written and the closing, readers are warned."""
    file = tmp_path / "topics.yaml"
    file.write_text("version: 1\n")
    watch = watching(file)
    with file.open("w") as stream:
        stream.write("ver")
        stream.flush()
        watch.wait(HANG_SECONDS)
        assert watch.being_written
    watch.wait(HANG_SECONDS)

    assert not watch.being_written


def test_file_that_is_not_there_has_a_stamp_too(tmp_path):
    """Going and coming are changes."""
    file = tmp_path / "topics.yaml"
    gone = read_stamp(file)
    file.touch()

    assert gone.error
    assert read_stamp(file) != gone
    assert read_stamp(tmp_path / "no" / "such") == gone
