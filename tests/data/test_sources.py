from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value

from spellward.data import Splits, load_splits
from spellward.errors import DataError

Maker = Callable[..., Path]


def sizes(splits: Splits) -> list[int]:
    return [len(part) for part in (splits.train, splits.validation, splits.test)]


def arrays(count: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 5, 6, 3), dtype=np.uint8)
    return pixels, np.arange(count) % 2


def table(count: int = 40, seed: int = 0, **extra: Sequence[object]) -> Dataset:
    """A Dataset as one finds it on the Hub: other names, other columns."""
    splits = load_splits(arrays(count * 2, seed))
    pool = splits.train.select(range(count))
    pool = pool.rename_columns({"image": "img", "label": "fine_label"})
    for name, column in {"caption": ["x"] * count, **extra}.items():
        pool = pool.add_column(name, list(column))
    return pool


def test_arrays_keep_their_pixels_and_labels() -> None:
    pixels, labels = arrays()
    splits = load_splits((pixels, np.where(labels == 0, "owl", "ant")))
    assert splits.classes == ("ant", "owl") and sizes(splits) == [28, 4, 8]
    for part in (splits.train, splits.validation, splits.test):
        for row in part:
            where = np.flatnonzero((pixels == np.asarray(row["image"])).all(axis=(1, 2, 3)))
            assert splits.classes[row["label"]] == ("owl" if labels[where[0]] == 0 else "ant")


def test_columns_are_guessed_by_type() -> None:
    splits = load_splits(table())
    assert splits.train.column_names == ["image", "label"]
    assert isinstance(splits.train.features["label"], ClassLabel) and splits.train.features["image"] == Image()


def test_saved_folder(tmp_path: Path) -> None:
    DatasetDict(train=table(), test=table(8, 1)).save_to_disk(str(tmp_path / "saved"))
    assert sizes(load_splits(tmp_path / "saved")) == [36, 4, 8]
    table().save_to_disk(str(tmp_path / "single"))
    assert sizes(load_splits(tmp_path / "single")) == [28, 4, 8]


@pytest.mark.parametrize("typed", [False, True])
def test_one_table_with_a_split_column(tmp_path: Path, typed: bool) -> None:
    whole = table(split=["train"] * 30 + ["test"] * 10)
    whole = whole.class_encode_column("split") if typed else whole
    whole.save_to_disk(str(tmp_path / "saved"))
    for source in (whole, tmp_path / "saved", DatasetDict(all=whole)):
        assert sizes(load_splits(source)) == [27, 3, 10]


def test_parquet_files(tmp_path: Path) -> None:
    table().to_parquet(str(tmp_path / "all.parquet"))
    assert sizes(load_splits(tmp_path / "all.parquet")) == [28, 4, 8]
    (tmp_path / "hub" / "data").mkdir(parents=True)
    table().to_parquet(str(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet"))
    table(8, 1).to_parquet(str(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet"))
    assert sizes(load_splits(tmp_path / "hub")) == [36, 4, 8]


def test_parquet_without_types_and_with_a_split_column(tmp_path: Path) -> None:
    whole = table(split=["train"] * 30 + ["test"] * 10).cast_column("img", Image(decode=False))
    plain = Features({"img": {"bytes": Value("binary"), "path": Value("string")}, "label": Value("string")})
    names = ["ab"[label] for label in whole["fine_label"]]
    rows = Dataset.from_dict({"img": whole["img"][:], "label": names}, features=plain)
    rows.add_column("split", whole["split"][:]).to_parquet(str(tmp_path / "plain.parquet"))
    splits = load_splits(tmp_path / "plain.parquet")
    assert splits.classes == ("a", "b") and len(splits.test) == 10


def test_unlabelled_rows_and_unused_classes_are_left_out_with_a_warning() -> None:
    base = table().rename_column("fine_label", "label")
    names = ClassLabel(names=["never", "a", "b"])
    labels = [-1 if row < 4 else 1 + label for row, label in enumerate(base["label"])]
    whole = base.remove_columns("label").add_column("label", labels, feature=names)
    unlabelled = whole.select(range(4))
    splits = load_splits(DatasetDict(train=whole.select(range(4, 40)), test=unlabelled, extra=whole.select(range(9))))
    assert splits.classes == ("a", "b") and sum(sizes(splits)) == 36
    assert "4 of 4 images of split 'test' have no label" in splits.report.warnings[0]
    assert "never" in splits.report.warnings[1] and "'extra'" in splits.report.ignored[0]


def test_equal_rows_with_different_labels_are_both_left_out() -> None:
    pixels, labels = arrays()
    pixels[1] = pixels[0]
    pixels[4] = pixels[2]
    splits = load_splits((pixels, labels))
    assert sum(sizes(splits)) == 37
    assert "train row 0 and train row 1" in splits.report.warnings[0]
    assert "train row 4 is the same image as train row 2" in splits.report.duplicates[0]


def test_a_class_that_only_conflicts_had_is_named() -> None:
    pixels, labels = arrays()
    pixels[1], labels[1] = pixels[0], 2
    with pytest.raises(DataError, match=r"'2' has no training .* all 1 were left out as copies of images with other"):
        load_splits((pixels, labels))


def test_a_hub_id_is_loaded_by_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load(name: str) -> DatasetDict:
        asked.append(name)
        return DatasetDict(train=table(), validation=table(8, 1))

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert sizes(load_splits("owner/pets")) == [32, 8, 8] and asked == ["owner/pets"]


def test_a_hub_id_without_network_is_refused_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> DatasetDict:
        raise ConnectionError("no route\nand a long trace")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(DataError, match=r"'owner/pets' is no file .*\(no route\)"):
        load_splits("owner/pets")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("./no/such/folder", "nothing at"),
        ("", "is empty"),
        ("sample:birds", "no sample 'birds'"),
        (7, "not from int"),
        ((arrays()[0], np.arange(3)), "Give one label for each image"),
        ((arrays()[0] / 255, arrays()[1]), "uint8"),
        ((arrays()[0][:0], arrays()[1][:0]), "no images"),
    ],
)
def test_refusals(source: object, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        load_splits(source)


@pytest.mark.parametrize(("column", "kind"), [("label", "int64"), ("label", "string"), ("Label", "int64")])
def test_a_usual_name_counts_for_more_than_a_type(column: str, kind: str) -> None:
    base = table().rename_column("fine_label", "source")
    plain = [7 + row % 3 if kind == "int64" else "abc"[row % 3] for row in range(40)]
    splits = load_splits(base.add_column(column, plain, feature=Value(kind)))
    assert splits.classes == (("7", "8", "9") if kind == "int64" else ("a", "b", "c")) and not splits.report.warnings


def test_labels_taken_from_a_column_that_may_be_another_are_pointed_out() -> None:
    base = table().rename_column("fine_label", "sex")
    assert "'sex' is taken for it" in load_splits(base).report.warnings[0]
    two = base.rename_column("sex", "label").add_column("category", ["x", "y"] * 20)
    splits = load_splits(two)
    assert splits.classes == ("0", "1") and "'label', not from 'category'" in splits.report.warnings[0]


def test_columns_that_cannot_be_guessed() -> None:
    with pytest.raises(DataError, match="no label column"):
        load_splits(table().remove_columns("fine_label"))
    with pytest.raises(DataError, match="no image column"):
        load_splits(table().remove_columns("img"))
    two = table().rename_column("img", "left")
    with pytest.raises(DataError, match="several image columns"):
        load_splits(two.add_column("right", two.cast_column("left", Image(decode=False))["left"][:], feature=Image()))


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "photo.zip").write_bytes(b"PK")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("{")
    for name in ("bad.parquet", "photo.zip", "saved"):
        with pytest.raises(DataError, match=name):
            load_splits(tmp_path / name)
