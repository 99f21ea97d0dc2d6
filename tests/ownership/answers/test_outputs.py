from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spellward.errors import DataError
from spellward.ownership.answers.outputs import as_outputs, load_outputs

VALUES = np.arange(12.0).reshape(4, 3)


def test_all_formats_give_the_same_values(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    np.save(tmp_path / "f.npy", np.asfortranarray(VALUES))
    np.savez(tmp_path / "a.npz", VALUES)
    np.savez_compressed(tmp_path / "b.npz", ids=np.arange(4), logits=VALUES)
    np.savetxt(tmp_path / "a.csv", VALUES, delimiter=",")
    (tmp_path / "head.csv").write_text("cat,dog,bird\n" + (tmp_path / "a.csv").read_text())
    np.savetxt(tmp_path / "semicolon.csv", VALUES, delimiter=";")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(load_outputs(path), VALUES, err_msg=path.name)


@pytest.mark.parametrize(
    ("header", "first"),
    [
        ("0,1,2", ""),
        ("cat,dog,bird", ""),
        (",0,1,2", "{}"),
        (",cat,dog,bird", "{}"),
        ("id,cat,dog,bird", "{}"),
        ("Unnamed: 0,cat,dog,bird", "{}"),
        ("file,cat,dog,bird", "images/{}.png"),
    ],
)
def test_names_and_index_of_a_table_are_no_outputs(header: str, first: str, tmp_path: Path) -> None:
    rows = [",".join(map(str, row)) for row in VALUES]
    if first:
        rows = [f"{first.format(place)},{row}" for place, row in enumerate(rows)]
    (tmp_path / "a.csv").write_text("\n".join([header, *rows]) + "\n")
    np.testing.assert_array_equal(load_outputs(tmp_path / "a.csv"), VALUES)


def test_a_first_row_of_zero_and_one_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("0,1\n1,0\n0,1\n")
    np.testing.assert_array_equal(load_outputs(tmp_path / "a.csv"), [[0, 1], [1, 0], [0, 1]])


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f8", "int64", "uint8", "bool"])
def test_plain_numbers_of_any_type_are_read(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", VALUES.astype(dtype))
    assert load_outputs(tmp_path / "a.npy").dtype == np.float64


def broken(folder: Path) -> dict[str, Path]:
    """One file for each way to be unusable."""
    np.save(folder / "pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(folder / "two.npz", first=VALUES, second=VALUES)
    np.save(folder / "text.npy", np.array(["a", "b"]))
    np.save(folder / "complex.npy", VALUES * 1j)
    np.save(folder / "none.npy", np.zeros((0, 3)))
    np.save(folder / "whole.npy", VALUES)
    (folder / "cut.npy").write_bytes((folder / "whole.npy").read_bytes()[:-8])
    for name, header in {
        "void": "'|V0', 'shape': (4, 3)",
        "endless": f"'<f8', 'shape': (0, {10**20})",
        "true": "'<f8', 'shape': (True,)",
        "open": "'<f8', 'shape': ((4,",
        "small": "'|u1', 'shape': (1000000, 1000)",  # eight times as large as float64
    }.items():
        text = f"{{'fortran_order': False, 'descr': {header}}}".encode().ljust(117) + b"\n"
        (folder / f"{name}.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + text)
    (folder / "empty.npy").touch()
    (folder / "empty.csv").touch()
    (folder / "garbage.npy").write_bytes(b"garbage" * 20)
    (folder / "garbage.npz").write_bytes(b"garbage" * 20)
    (folder / "ragged.csv").write_text("1,2,3\n4,5\n")
    (folder / "words.csv").write_text("a,b\nc,d\n")
    (folder / "gap.csv").write_text("1,,3\n4,5,6\n")
    (folder / "binary.csv").write_bytes(b"\xff\xfe\x00\x81" * 9)
    (folder / "folder.npy").mkdir()
    (folder / "other.pt").write_bytes(b"PK")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 10)})
    (folder / "huge.npy").write_bytes(header.getvalue())
    with zipfile.ZipFile(folder / "huge.npz", "w") as archive:
        archive.writestr("arr_0.npy", header.getvalue())
    (folder / "whole.npy").unlink()
    return {path.name: path for path in [*folder.iterdir(), folder / "missing.npy"]}


def test_unusable_files_end_with_one_or_two_sentences(tmp_path: Path) -> None:
    for name, path in broken(tmp_path).items():
        with pytest.raises(DataError) as caught:
            load_outputs(path)
        text = str(caught.value)
        assert "\n" not in text and text.endswith("."), name
        assert name in text, text


@pytest.mark.parametrize(
    "values",
    [np.zeros(4), np.zeros((4, 1)), np.zeros((2, 3, 4)), np.full((4, 3), np.nan), np.full((4, 3), np.inf), [["a"]]],
    ids=str,
)
def test_victims_have_to_be_finite_tables(values: object) -> None:
    with pytest.raises(DataError):
        as_outputs(values, "the victim")  # type: ignore[arg-type]
