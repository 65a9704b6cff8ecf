"""Citations say what the sources say, one entry a paper."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.docs.pages import ROOT
from understudy.objectives.methods import entries
from understudy.reports.citation import entries_of, understudy_entry


@pytest.mark.parametrize("method", entries(), ids=lambda entry: entry.name)
def test_every_paper_of_a_method_s_source_has_its_entry(method) -> None:
    cited = entries_of(method.source)
    numbers = list(dict.fromkeys(re.findall(r"arXiv:([\d.]+\d)", method.source)))
    assert [re.search(r"eprint *= \{([\d.]+)\}", entry)[1] for entry in cited if "eprint" in entry] == numbers  # type: ignore[index]
    assert cited or method.name == "sft", "maximum likelihood has no paper of its own"
    for entry in cited:
        assert entry.count("{") == entry.count("}") and entry.startswith("@misc{")


def field(entry: str, name: str) -> str | None:
    found = re.search(rf"^  {name} *= \{{(.*)\}},$", entry, flags=re.MULTILINE)
    return found and found[1]


def test_names_of_people_are_authors_and_others_are_titles() -> None:
    (rush,) = entries_of("Kim and Rush, arXiv:1606.07947, section 3.2")
    assert (field(rush, "author"), field(rush, "title"), field(rush, "year")) == ("Kim and Rush", None, "2016")
    shao, liu = entries_of("Shao et al., arXiv:2402.03300, eq. 3 and 4; centred: Liu et al., arXiv:2503.20783.")
    assert (field(shao, "author"), field(liu, "author")) == ("Shao and others", "Liu and others")
    (opd,) = entries_of('Lu, Thinking Machines Lab, "On-Policy Distillation" (2025); code')
    assert (field(opd, "author"), field(opd, "title")) == ("Lu", "{On-Policy Distillation}")


def test_a_paper_that_is_named_twice_is_cited_once() -> None:
    assert len(entries_of("A, arXiv:2401.00001; B, arXiv:2401.00001")) == 1


def test_the_program_s_entry_is_that_of_the_citation_file() -> None:
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    entry = understudy_entry()
    assert cff["title"] in entry and cff["authors"][0]["name"] in entry and f"{{{cff['version']}}}" in entry
