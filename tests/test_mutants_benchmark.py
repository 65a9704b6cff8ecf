"""The list of deliberate faults: each names a file and tests that there are, and changes something."""

from __future__ import annotations

from pathlib import Path

from benchmarks.mutants import NOTICED, STALE, UNNOTICED, Fault, Found, faults, table, tried

ROOT = Path(__file__).parents[1]


def test_every_fault_names_a_file_tests_and_a_change() -> None:
    found = list(faults())
    for fault in found:
        assert (ROOT / "src" / "understudy" / fault.file).is_file(), fault.file
        assert fault.tests and all((ROOT / "tests" / test).is_file() for test in fault.tests), fault
        assert fault.old != fault.new
    assert len({(fault.file, fault.old, fault.new) for fault in found}) == len(found) > 300


def test_a_line_that_is_no_longer_there_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "understudy" / "thing.py"
    path.parent.mkdir()
    path.write_text("a = 1\na = 1\n")
    for old in ("b = 1", "a = 1"):  # not there, and there twice
        assert tried(Fault("thing.py", ("test_nothing.py",), old, "c"), tmp_path).verdict == STALE
    assert path.read_text() == "a = 1\na = 1\n"


def test_the_table_counts_by_file() -> None:
    found = [Found(file, "a", "b", verdict, 1.0) for file, verdict in (("y", NOTICED), ("x", UNNOTICED), ("y", STALE))]
    assert table(found).splitlines()[2:] == ["| x | 1 | 0 |", "| y | 2 | 1 |", "| all | 3 | 1 |"]
