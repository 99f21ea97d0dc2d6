from __future__ import annotations

import pickle
import resource
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spellward.data.store import ImageStore, row_numbers
from spellward.errors import ArtifactError, DataError, StorageError

relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def filled(path: Path, count: int, size: int, seed: int = 0) -> tuple[ImageStore, torch.Tensor]:
    pixels = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.manual_seed(seed))
    with ImageStore.create(path, count, size) as writer:
        writer.append(pixels)
        return writer.finish(), pixels


@relaxed
@given(st.integers(0, 20), st.integers(1, 5), st.data())
def test_round_trip(tmp_path: Path, count: int, size: int, data: st.DataObject) -> None:
    path = tmp_path / "store"
    path.unlink(missing_ok=True)
    pixels = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=4)))
    for start, end in zip([0, *cuts], [*cuts, count], strict=True):
        # Closing and opening again after every piece is what a killed run does.
        with ImageStore.create(path, count, size) as writer:
            assert writer.done == start
            writer.append(pixels[start:end])
    store = ImageStore.create(path, count, size).finish()
    rows = data.draw(st.lists(st.integers(-count, count - 1), max_size=30)) if count else []
    assert torch.equal(store[rows], pixels[rows])
    step = data.draw(st.integers(1, 4))
    assert torch.equal(store[1:15:step], pixels[1:15:step])
    assert torch.equal(pickle.loads(pickle.dumps(store))[:], pixels)
    assert len(store) == count and store.size == size


def test_unfinished_store_has_no_name_and_bytes_after_the_count_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "store"
    ones = torch.ones((2, 3, 4, 4), dtype=torch.uint8)
    with ImageStore.create(path, 4, 4) as writer:
        writer.append(ones)
        with pytest.raises(DataError, match="2 of 4"):
            writer.finish()
    with pytest.raises(ArtifactError, match="no image store"):
        ImageStore.open(path)
    with (tmp_path / "store.partial").open("ab") as file:
        file.write(b"half a record of a write that was killed" * 9)
    with ImageStore.create(path, 4, 4) as writer:
        assert writer.done == 2
        writer.append(ones + 1)
        store = writer.finish()
    assert store[:].flatten(1).float().mean(1).tolist() == [1, 1, 2, 2]


def test_a_second_writer_waits_and_finds_the_work_done(tmp_path: Path) -> None:
    path = tmp_path / "store"
    first = ImageStore.create(path, 3, 2)
    found: list[int] = []
    second = threading.Thread(target=lambda: found.append(ImageStore.create(path, 3, 2).done))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    first.append(torch.zeros((3, 3, 2, 2), dtype=torch.uint8))
    first.finish()
    second.join(5)
    assert found == [3]


def test_foreign_truncated_and_other_stores_are_refused(tmp_path: Path) -> None:
    filled(tmp_path / "store", 5, 4)
    with pytest.raises(ArtifactError, match="5 images of side 4, not 6 of 4"):
        ImageStore.create(tmp_path / "store", 6, 4)
    raw = (tmp_path / "store").read_bytes()
    for name, data in {
        "foreign": b"x" * 99,
        "empty": b"",
        "short": raw[:-1],
        "new": raw[:8] + b"\x09" + raw[9:],
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ArtifactError, match=name):
            ImageStore.open(tmp_path / name)


def test_a_full_disk_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "store"
    block = torch.full((10, 3, 16, 16), 7, dtype=torch.uint8)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ImageStore.create(path, 20, 16) as writer:
        writer.append(block)
        resource.setrlimit(resource.RLIMIT_FSIZE, (11_000, old[1]))
        try:
            with pytest.raises(StorageError, match="store"):
                writer.append(block)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
    with ImageStore.create(path, 20, 16) as writer:
        assert writer.done == 10
        writer.append(block)
        assert torch.equal(writer.finish()[:], torch.cat([block, block]))


@pytest.mark.parametrize("bad", [torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5, dtype=torch.uint8)])
def test_writer_refuses_other_images(tmp_path: Path, bad: torch.Tensor) -> None:
    with ImageStore.create(tmp_path / "store", 1, 4) as writer, pytest.raises(DataError, match="Expected uint8"):
        writer.append(bad)


def test_writer_refuses_too_many(tmp_path: Path) -> None:
    with ImageStore.create(tmp_path / "store", 1, 4) as writer, pytest.raises(DataError, match="takes 1 images"):
        writer.append(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))


@pytest.mark.parametrize("bad", [[5], [-6], [0.5], [[0]], [True]])
def test_row_numbers_refuses(bad: list[object]) -> None:
    with pytest.raises(IndexError):
        row_numbers(np.asarray(bad), 5)


def test_booleans_select(tmp_path: Path) -> None:
    store, pixels = filled(tmp_path / "store", 4, 2)
    mask = np.array([True, False, False, True])
    assert torch.equal(store[mask], pixels[[0, 3]])


def test_reading_everything_leaves_memory_as_it_was(tmp_path: Path) -> None:
    count, size = 4000, 128  # 197 MB; zeros, but read all the same
    block = torch.zeros((500, 3, size, size), dtype=torch.uint8)
    with ImageStore.create(tmp_path / "store", count, size) as writer:
        for _ in range(count // len(block)):
            writer.append(block)
        store = writer.finish()
    store[:100]
    before = resident()
    for start in range(0, count, 100):
        store[start : start + 100]
    assert resident() - before < 30e6


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096.0


def test_a_foreign_beginning_is_refused_every_time(tmp_path: Path) -> None:
    (tmp_path / "store.partial").write_bytes(bytes(100))  # zeros, as after a power loss
    for _ in range(2):  # the second would wait for the first for ever if that kept its turn
        with pytest.raises(ArtifactError):
            ImageStore.create(tmp_path / "store", 4, 4)
