"""Digests of a folder: they come back from a file exactly, and any change is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellward.errors import ArtifactError
from spellward.manifest import Manifest

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
TWICE = f'{{"a": "{0:064}", "a": "{1:064}"}}'
PATHS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


@given(st.dictionaries(PATHS, DIGESTS, max_size=8))
def test_a_manifest_comes_back_exactly(files: dict[str, str]) -> None:
    manifest = Manifest(files)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert Manifest.from_json(manifest.to_json().encode("utf-8").decode("utf-8")) == manifest


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": "00"}', "null", "[" * 100_000, TWICE])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError, match="manifest"):
        Manifest.from_json(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "deep" / "weights").write_bytes(bytes(3_000_000))
    return folder


def test_an_untouched_folder_passes(folder: Path) -> None:
    manifest = Manifest.of(folder)
    assert set(manifest.files) == {"config.json", "deep/weights"}
    manifest.verify(folder)
    (folder / "lock.json").write_text("{}")
    (folder / ".cache" / "download").mkdir(parents=True)
    (folder / ".cache" / "download" / "config.json").write_text("what tools leave behind")
    manifest.verify(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json was altered"),
        (lambda folder: (folder / "deep" / "weights").write_bytes(bytes(2_999_999)), "weights was altered"),
        (lambda folder: (folder / "deep" / "extra").write_text(""), "extra was not there"),
    ],
)
def test_a_change_to_a_folder_names_the_file(folder: Path, change, named: str) -> None:  # type: ignore[no-untyped-def]
    manifest = Manifest.of(folder)
    change(folder)
    with pytest.raises(ArtifactError, match=named):
        manifest.verify(folder)


def test_file_names_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff.bin")).write_text("")
    with pytest.raises(ArtifactError, match="no text"):
        Manifest.of(folder)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "link/x"])
def test_digests_of_files_elsewhere_are_refused(folder: Path, path: str) -> None:
    (folder / "link").symlink_to(folder.parent)
    with pytest.raises(ArtifactError, match="leaves its folder"):
        Manifest({path: "0" * 64}).verify(folder)
