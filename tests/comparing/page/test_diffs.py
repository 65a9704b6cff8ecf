"""What is marked as different: nothing where both are equal, and never a letter lost."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from understudy.comparing.page.documents import document_views
from understudy.comparing.page.table_diff import TableView, table_views
from understudy.comparing.page.text_diff import MAX_LINES, Line, mark, matches, words
from understudy.evaluation.deliverables import Block, Deliverable, Sheet

texts = st.text(st.sampled_from("ab \n.1"), max_size=60)


def written(lines: tuple[Line, ...]) -> list[str]:
    return ["".join(piece.text for piece in line) for line in lines]


def changed(lines: tuple[Line, ...]) -> list[str]:
    return [piece.text for line in lines for piece in line if piece.changed]


@given(texts, texts)
def test_marks_take_nothing_away(first: str, second: str) -> None:
    marked = mark(first, second)
    assert written(marked.a) == first.splitlines()
    assert written(marked.b) == second.splitlines()


@given(texts)
def test_equal_texts_have_no_marks(text: str) -> None:
    marked = mark(text, text)
    assert changed(marked.a) == changed(marked.b) == []


def test_words_are_marked_within_a_line_and_lines_as_wholes() -> None:
    marked = mark("The sum is 12.\nDone.", "The sum is 14.\nNothing else fits here at all.\nDone.")
    assert changed(marked.a) == ["12"]
    assert changed(marked.b) == ["14", "Nothing else fits here at all."]


def test_a_text_beyond_all_patience_is_shown_unmarked() -> None:
    marked = mark("x\n" * (MAX_LINES + 1), "y")
    assert not marked.compared
    assert changed(marked.a) == changed(marked.b) == []
    assert len(marked.a) == MAX_LINES + 1


def test_a_model_that_repeats_itself_costs_no_minutes() -> None:
    began = time.process_time()
    marked = mark("x\n" * 1400, "x\ny\n" * 700)
    assert written(marked.a) == ["x"] * 1400 and set(changed(marked.b)) == {"y"}
    line = " ".join("ab" * 200)
    mark(f"{line}\n" * 500, f"{line[2:]} c\n" * 500)
    words("a " * 5000, "b a " * 2500)
    assert time.process_time() - began < 20, "place by place it takes about one second"


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_matches_cover_both_lists_in_order(first: list[str], second: list[str]) -> None:
    found = list(matches(first, second))
    assert [place for match in found for place in match.a] == list(range(len(first)))
    assert [place for match in found for place in match.b] == list(range(len(second)))
    for match in found:
        if match.same:
            assert [first[place] for place in match.a] == [second[place] for place in match.b]


def sheet(*rows: tuple[object, ...], **more: object) -> Sheet:
    return Sheet("S", tuple(rows), len(rows), max(map(len, rows), default=0), **more)  # type: ignore[arg-type]


def marks(view: TableView) -> list[tuple[int | None, list[str]]]:
    return [(row.number, [cell.text for cell in row.cells if cell.changed]) for row in view.rows]


def test_an_inserted_row_moves_nothing_else() -> None:
    a = sheet(("Rent", 1200), ("Travel", 310))
    b = sheet(("Rent", 1200), ("Water", 40), ("Travel", 300))
    first, second = table_views(a, b)
    assert len(first.rows) == len(second.rows) == 3
    assert marks(first) == [(1, []), (None, []), (2, ["310"])]
    assert marks(second) == [(1, []), (2, ["Water", "40"]), (3, ["300"])]


def test_a_formula_is_not_the_figure_it_gives() -> None:
    a = sheet(("Total", 3), formulas={"B1": "=1+2"})
    first, second = table_views(a, sheet(("Total", 3)))
    assert marks(first) == [(1, ["3"])] == marks(second)
    assert first.rows[0].cells[1].formula == "=1+2"
    assert marks(table_views(a, a)[0]) == [(1, [])]


def test_large_tables_are_cut_and_it_is_said() -> None:
    large = Sheet("S", ((1,) * 40,) * 500, 700, 40)
    view, _ = table_views(large, large)
    assert len(view.rows) == 200 and len(view.columns) == 26
    assert view.note == "200 of 700 rows and 26 of 40 columns are shown."


def test_documents_match_piece_by_piece() -> None:
    def made(*words: str) -> Deliverable:
        blocks = (*(Block("paragraph", text) for text in words), Block("table", "", table=0))
        return Deliverable("d.docx", "docx", 9, "\n".join(words), blocks=blocks, tables=(table,))

    table = sheet(("Q1", 5))
    first, second = document_views(made("Same.", "It rose by 4 %.", "Signed."), made("Same.", "It rose by 14 %."))
    assert changed(tuple(piece.line for piece in first)) == ["4", "Signed."]
    assert changed(tuple(piece.line for piece in second)) == ["14"]
    assert first[-1].table is not None and first[-1].table.rows[0].cells[1].text == "5"
