"""Tables of answers as people and programs write them: told by names, or refused with what to write instead."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from tests.ownership.claims import in_another_order

from spellward.errors import DataError
from spellward.models import VisionModel
from spellward.ownership.answers.exported import TEMPLATE_FILE
from spellward.ownership.answers.file import read_answers
from spellward.ownership.claim import Claim
from spellward.ownership.verify import export_probes, verify

RED = ("Red", "green apple", "blue, dark")
DIGITS = ("0", "1", "10", "2")
SCORES = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.0, 0.25, 0.75], [1.0, 0.0, 0.0]])
LABELS = np.array([0.0, 1.0, 2.0, 0.0])


def table(*rows: object, delimiter: str = ",") -> str:
    """Rows as text: a row is a string with blanks for commas, or a list of cells."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows(row.split() if isinstance(row, str) else row for row in rows)  # type: ignore[attr-defined]
    return text.getvalue()


def named(order: tuple[int, ...] = (0, 1, 2, 3), columns: tuple[int, ...] = (0, 1, 2)) -> list[list[str]]:
    return [[f"probe-{row + 1:04d}.png", *(str(SCORES[row, column]) for column in columns)] for row in order]


def read(folder: Path, text: str | bytes, classes: tuple[str, ...] = RED, probes: int = 4) -> np.ndarray:
    path = folder / "answers.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_answers(path, classes, probes)


ORDERED = ["blue, dark", "Red", "green apple"]
BARE = [row[1:] for row in named()]
TURNED = [row[1:] for row in named(columns=(2, 0, 1))]
PREDICTED = [f"{what}_{rank}" for rank in (1, 2, 3) for what in ("class", "probability")]
ALL_CLASSES = [
    [f"to-ask/probe-{row + 1:04d}.png", *(cell for c in np.argsort(-SCORES[row]) for cell in (RED[c], SCORES[row, c]))]
    for row in (2, 0, 1, 3)
]


@pytest.mark.parametrize(
    "text",
    [
        table(*BARE),
        table(*BARE, delimiter=";"),
        table(["cat", "dog", "bird"], *BARE),
        table("0 1 2", *BARE),
        table(["", "0", "1", "2"], *([place, *row] for place, row in enumerate(BARE))),
        table(["", *RED], *([place, *row] for place, row in enumerate(BARE))),
        table(RED, *BARE),
        table(ORDERED, *TURNED),
        "# " + table(["Red", "green apple", "other"], *BARE).replace("other", '"blue, dark"'),
        table([" RED", "Green Apple ", "BLUE, DARK"], *BARE),
        table(["file", *RED], *named()),
        table(["file", *RED], *named(), delimiter=";"),
        table(["file", *RED], *named(), ["", "", "", ""]).replace("\r\n", "\n\n"),
        table(["", *ORDERED], *named((3, 1, 0, 2), (2, 0, 1))),
        table(*named((3, 1, 0, 2))),
        table(["file", "a", "b", "c"], *named((1, 0, 2, 3))),
        table(["id", *RED], *([place, *row] for place, row in enumerate(BARE, 1))),
        table(["file", "label", *RED], *([name, "Red", *row] for name, *row in named((2, 1, 0, 3)))),
        table(["", "file", *RED], *([place, *row] for place, row in enumerate(named((3, 1, 0, 2))))),
        table([*ORDERED, "file"], *([*row, name] for name, *row in named((3, 1, 0, 2), (2, 0, 1)))),
        table(["a", "b", "asked", "c"], *([*row[:2], name, row[2]] for name, *row in named((1, 0, 2, 3)))),
        table([*RED, "id"], *([*row, place] for place, row in enumerate(BARE))),
        table(["probe_id", "file", *RED], *([9 - place, *row] for place, row in enumerate(named((3, 1, 0, 2))))),
        table(["file", *RED], *([f"C:\\to ask\\{name[:-4].upper()}.jpg", *row] for name, *row in named())),
        table(["file", *PREDICTED], *ALL_CLASSES),
        b"\xef\xbb\xbf" + table(["file", *RED], *named()).encode(),
    ],
)
def test_scores_are_put_in_order(text: str | bytes, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, text), SCORES)


PROBES = [row[0] for row in named()]
SHUFFLED = [3, 0, 2, 1]


@pytest.mark.parametrize(
    "text",
    [
        table(["file", "label"], *([PROBES[row], RED[int(LABELS[row])]] for row in SHUFFLED)),
        table(["file", "label"], *([PROBES[row], int(LABELS[row])] for row in SHUFFLED)),
        table(["file", "label", "score"], *([PROBES[row], RED[int(LABELS[row])], 0.5] for row in SHUFFLED)),
        table(*([PROBES[row], RED[int(LABELS[row])].upper()] for row in SHUFFLED)),
        table(["label"], *([RED[int(label)]] for label in LABELS), delimiter=";").replace("\r\n", "\n"),
        table(*([RED[int(label)]] for label in LABELS)),
        table(["id", "class"], *([place, RED[int(label)]] for place, label in enumerate(LABELS))),
        table(*([int(label)] for label in LABELS)),
        table(["file", "class_1", "probability_1"], *([PROBES[row], RED[int(LABELS[row])], 0.5] for row in SHUFFLED)),
        table(["file", *PREDICTED[:4]], *(row[:5] for row in ALL_CLASSES)),
        table(["file", *PREDICTED[:1]], *(row[:2] for row in ALL_CLASSES)),
        table(["", "label", "file"], *([row, RED[int(LABELS[row])], PROBES[row]] for row in SHUFFLED)),
    ],
)
def test_labels_become_class_numbers(text: str, tmp_path: Path) -> None:
    if '"blue, dark"' not in text:  # a name with the delimiter in it, unquoted, as some programs write it
        text = text.replace("blue, dark", '"blue, dark"')
    np.testing.assert_array_equal(read(tmp_path, text).reshape(-1), LABELS)


def test_probabilities_of_other_classes_are_left_out(tmp_path: Path) -> None:
    rows = [[*(SCORES[row] / 2), 0.5] for row in range(4)]
    np.testing.assert_allclose(read(tmp_path, table([*RED, "fourth"], *rows)), SCORES)
    np.testing.assert_allclose(read(tmp_path, table([*RED, "confidence"], *rows[:3], [1, 0, 0, 1]))[3], [1, 0, 0])
    logits = [[row[0], -3.5, 7, 9] for row in SCORES]
    assert read(tmp_path, table(["fourth", "blue, dark", "Red", "green apple"], *logits))[0].tolist() == [7, 9, -3.5]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("2 10 1 0", [3, 2, 1, 0]),
        ("0 1 10 2", [0, 1, 2, 3]),
        ("a b c d", [0, 1, 2, 3]),
        ("file 2 10 1 0", [3, 2, 1, 0]),
    ],
)
def test_digits_above_a_table_may_be_names(header: str, expected: list[int], tmp_path: Path) -> None:
    rows = [[0.5, 0.25, 0.125, 0.125], [0.25, 0.5, 0.125, 0.125]]
    if header.startswith("file"):
        rows = [[name, *row] for name, row in zip(PROBES, rows, strict=False)]  # type: ignore[list-item]
    found = read(tmp_path, table(header, *rows), DIGITS, 2)
    np.testing.assert_array_equal(found[:, np.argsort(expected)], [row[-4:] for row in rows])


def test_a_first_row_that_looks_like_names_stays_a_row(tmp_path: Path) -> None:
    for first in ("2 10 1 0", "0 1 2 3"):
        values = read(tmp_path, table(first, "5 6 7 8"), DIGITS, 2)
        np.testing.assert_array_equal(values, [list(map(float, first.split())), [5, 6, 7, 8]])
    np.testing.assert_array_equal(read(tmp_path, "0,1\n1,0\n", ("1", "0"), 2), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(read(tmp_path, "0,1\n.2,.8\n", ("0", "1"), 1), [[0.2, 0.8]])


def test_labels_that_are_digits_are_names_or_numbers_but_never_guessed(tmp_path: Path) -> None:
    labels = read(tmp_path, "1\n2\n3\n", ("1", "2", "3"), 3)
    np.testing.assert_array_equal(labels.reshape(-1), [0, 1, 2])  # 3 is no class number
    assert read(tmp_path, "0\n2\n1\n", ("1", "2", "3"), 3).reshape(-1).tolist() == [0, 2, 1]  # 0 is no name
    with pytest.raises(DataError, match=r"names of classes or class numbers.*class_1.*\.npy"):
        read(tmp_path, "1\n2\n1\n", ("1", "2", "3"), 3)
    assert read(tmp_path, "class_1\n1\n2\n1\n", ("1", "2", "3"), 3).tolist() == [0, 1, 0]
    np.testing.assert_array_equal(read(tmp_path, "label\nlabel\ncat\n", ("cat", "label"), 2), [1, 0])


def test_numbers_name_classes_however_a_table_writes_them(tmp_path: Path) -> None:
    for classes in (("0", "1", "10", "2"), ("1", "2", "3"), ("01", "02", "03")):
        for text in ("1\n2\n1\n", "1.0\n2.0\n1.0\n"):
            with pytest.raises(DataError, match="names of classes or class numbers"):
                read(tmp_path, text, classes, 3)
    assert read(tmp_path, "class_1\n1.0\n2\n03\n", ("01", "02", "03"), 3).tolist() == [0, 1, 2]


def test_of_two_classes_a_label_and_its_score_are_no_two_scores(tmp_path: Path) -> None:
    scored = [[0, 0.97], [1, 0.8], [1, 0.9], [0, 0.7]]
    for text in (
        table(["label", "score"], *scored),
        table(["file", "pred", "confidence"], *([name, *row] for name, row in zip(PROBES, scored, strict=True))),
        table(*scored),
    ):
        with pytest.raises(DataError, match="seems to hold class numbers"):
            read(tmp_path, text, ("cat", "dog"), 4)
    assert read(tmp_path, table(["cat", "dog"], *scored), ("cat", "dog"), 4).shape == (4, 2)


def test_formulas_and_blanks_in_names_of_classes(tmp_path: Path) -> None:
    header = "file,'-A,'-a\n" + "".join(f"{name},0.25,0.75\n" for name in PROBES)
    assert read(tmp_path, header, ("-a", "-A"), 4)[0].tolist() == [0.75, 0.25]
    with pytest.raises(DataError, match="blanks alone"):
        read(tmp_path, table(["a", "a "], *([0.25, 0.75] for _ in PROBES)), ("a", "a "), 4)


def test_class_names_that_differ_in_case_alone_count_as_they_are(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, "A,a\n1,2\n", ("a", "A"), 1), [[2, 1]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (table(["file", *RED], *named()[:3]), "no row for probe-0004.png"),
        (table(["file", *RED], *named((0, 1, 2, 2))), "two rows for probe-0003.png"),
        (table(["file", *RED], *named(), named()[0]), "two rows for probe-0001.png"),
        (table(["file", *RED], *named()).replace("probe-0002", "probe-0007"), "'probe-0007.png'.*none of the exported"),
        (table(["file", *RED], *([f"{row}.jpg", *cells] for row, cells in enumerate(BARE))), "'0.jpg'.*`file,label`"),
        (table(*BARE[:3]), "3 rows of answers for 4 probes"),
        (table(RED, *BARE, *BARE), "8 rows of answers for 4 probes"),
        (table(RED), "0 rows of answers for 4 probes"),
        (table(["id", *RED], *([3 - place, *row] for place, row in enumerate(BARE))), "does not count the rows"),
        (table(["idx", *RED], *([3 - place, *row] for place, row in enumerate(BARE))), "does not count the rows"),
        (table([*RED, "index"], *([*row, 3 - place] for place, row in enumerate(BARE))), "Column 4.*does not count"),
        (table(["", "id", *RED], *([place, 3 - place, *row] for place, row in enumerate(BARE))), "Column 2"),
        (table(["file", "copy", *RED], *([row[0], *row] for row in named())), "two columns with names of probes"),
        (table([*RED, ""], *BARE), "more or fewer cells"),
        (table(["file", *RED], *BARE), "more or fewer cells"),
        (table(["file", "Red"], *zip(PROBES, [1, 0, 0, 1], strict=True)), "the class 'red' alone"),
        (table(["Red", "green apple", "blue"], *BARE), "no column for the class 'blue, dark'"),
        (table(["Red", "red ", *RED[1:]], *([0, *row] for row in BARE)), "two columns for one class"),
        (table(["file", *RED], *named()).replace("0.75", ""), "an empty cell in row 3.*decimal point"),
        (table(["file", *RED], *named()).replace("0.75", "75%"), "'75%' in row 3"),
        (table(["file", *RED], *named()).replace("0.75", "=1-0.25"), "'=1-0.25' in row 3"),
        (table(["file", *RED], *named()).replace("0.75", "1_0"), "'1_0' in row 3"),
        (table(["file", *RED], *named(), delimiter=";").replace("0.75", "0,75"), "'0,75' in row 3"),
        (table(["file", *RED], *named()).replace("0.75", "0,75"), "more or fewer cells"),
        (table(["file", *RED], *named()).replace("file,", ""), "more or fewer cells"),
        (table(["Red", "green apple", "other"], *BARE).replace("other", "x" * 90 + "\x1b[2J"), "no column"),
        ("0,5;0,25;0,25\n" * 5, "decimal point"),
        (table(["file", "label"], *zip(PROBES, ["Red", "purple"] * 2, strict=True)), "'purple' in row 3"),
        (table(["file", "label"], *zip(PROBES, ["Red", ""] * 2, strict=True)), "an empty cell in row 3"),
        (table(["file", "label"], *zip(PROBES, ["Red", "1"] * 2, strict=True)), "mixes"),
        (table(["file", "label"], *zip(PROBES, ["0.5"] * 4, strict=True)), "neither a class"),
        (table(["label", "score"], *(["Red", 0.5] for _ in PROBES)), "'Red'.*none of the exported"),
        (table(["file", *PREDICTED], *(["probe-0001.png", *["Red", 0.3] * 3] for _ in PROBES)), "one class twice"),
        (table(["file", *PREDICTED[:2]], *([name, "purple", 1] for name in PROBES)), "'purple'.*no class of the claim"),
        (table([*RED, "fourth"], *([0, 0, 0, 1] for _ in PROBES)), "no class of the claim any probability"),
        ("\n \n", "0 rows"),
        (b"\xff\xfe\x00\x81" * 9, "UTF-8"),
        ('file,"' + "x" * 200_000, "no table"),
        ("x" * 5000, "too long"),
    ],
)
def test_other_tables_are_refused_with_what_to_write(
    text: str | bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text == "x" * 5000:
        monkeypatch.setattr("spellward.ownership.answers.table._LONGEST", 4096)
    with pytest.raises(DataError, match=said) as caught:
        read(tmp_path, text)
    sentence = str(caught.value)
    assert sentence.isprintable() and sentence.endswith(".") and "answers.csv" in sentence
    assert len(sentence.replace(str(tmp_path), "")) < 330


def test_columns_that_count_are_refused_where_they_may_be_names(tmp_path: Path) -> None:
    for text, classes in ((table(["", *"0123"], "0 1 2 3 4"), ("0", "2", "1", "3")), ("0,1\n.2,.8\n", ("1", "0"))):
        with pytest.raises(DataError, match=TEMPLATE_FILE):
            read(tmp_path, text, classes, 1)


def test_arrays_of_other_probes_are_no_answers(tmp_path: Path) -> None:
    for values in (np.zeros((3, 3)), np.zeros(5), np.float64(1)):
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(DataError, match=rf"{values.size // 3 or 1} rows|5 rows"):
            read_answers(tmp_path / "a.npy", RED, 4)
    for wrong in ("a,b,c\n1,nan,3\n4,5,6\n", "1,2\n3,4\n"):  # the suspect's own fault, so for `judge`
        assert len(read(tmp_path, wrong, probes=2)) == 2


def test_the_template_filled_in_gives_the_verdict_of_asking(claim: Claim, victim: VisionModel, tmp_path: Path) -> None:
    path = export_probes(claim, tmp_path / "probes") / TEMPLATE_FILE
    header, *rows = list(csv.reader(path.open(newline="")))
    assert header == ["file", *claim.commitment.classes] and not any(cell for row in rows for cell in row[1:])
    scores = victim.logits(claim.probes)
    filled = [[row[0], *map(repr, map(float, said))] for row, said in zip(rows, scores, strict=True)]
    path.write_text(table(header, *filled[::-1]))
    assert verify(claim, path) == verify(claim, lambda probes: scores)
    labels = [victim.classes[place] for place in scores.argmax(axis=1)]
    path.write_text(table(["file", "label"], *zip((row[0] for row in rows), labels, strict=True)))
    assert verify(claim, path) == verify(claim, lambda probes: scores.argmax(axis=1))
    other = in_another_order(victim, [2, 0, 1])
    text = table(other.classes, *([repr(float(one)) for one in said] for said in other.logits(claim.probes)))
    (tmp_path / "turned.csv").write_text(text)
    assert verify(claim, tmp_path / "turned.csv").verdict == "stolen"
