"""The catalog as a whole: ids, pages, and that a test breaks what each check looks at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.check.doctor.catalog import CHECKS, chosen
from scripts.check.doctor.model import Group

ROOT = Path(__file__).resolve().parents[3]
BROKEN_FOR_REAL = (
    "tests/embedded/test_doctor.py",
    "tests/embedded/test_doctor_states.py",
    "tests/scenarios/doctor/test_doctor.py",
    "tests/scenarios/external_doctor/test_external_doctor.py",
)
JUDGED = (
    "tests/unit/doctor/test_checks.py",
    "tests/unit/doctor/test_external.py",
    "tests/unit/doctor/test_sources.py",
)


def named_in(files: tuple[str, ...]) -> set[str]:
    text = "\n".join((ROOT / name).read_text() for name in files)
    return {check.id for check in CHECKS if f'"{check.id}"' in text}


def test_ids_are_unique_and_carry_their_group() -> None:
    ids = [check.id for check in CHECKS]
    assert len(ids) == len(set(ids))
    assert len(ids) >= 60
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", one) for one in ids)
    assert {check.group for check in CHECKS} == set(Group)


def test_every_check_is_seen_to_complain_by_a_test() -> None:
    seen = named_in(BROKEN_FOR_REAL) | named_in(JUDGED)
    assert {check.id for check in CHECKS} - seen == set()


def test_more_than_forty_checks_are_broken_for_real() -> None:
    assert len(named_in(BROKEN_FOR_REAL)) >= 40


@pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
def test_its_page_exists_with_the_part_that_it_names(check: object) -> None:
    from scripts.check.doctor.model import Check

    assert isinstance(check, Check)
    page, _, part = check.page.partition("#")
    text = (ROOT / "docs" / page).read_text()
    if part:
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert part in {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_texts_are_whole_sentences_about_what_should_be() -> None:
    for check in CHECKS:
        assert check.looks_at.endswith("."), check.id
        assert check.looks_at[0].isupper() or check.looks_at[0] == "`", check.id
        assert not check.fix.endswith("."), check.id


def test_groups_and_ids_can_be_chosen() -> None:
    assert {check.id for check in chosen(["tls", "host.cpus"])} == {
        "host.cpus",
        *(check.id for check in CHECKS if check.id.startswith("tls.")),
    }
    assert list(chosen([])) == list(CHECKS)


def test_the_symptoms_of_the_troubleshooting_page_name_checks_that_exist() -> None:
    page = (ROOT / "docs" / "how-to" / "troubleshoot.md").read_text()
    symptoms = page.partition("## From symptom to fix")[2].partition("\n## ")[0].split("\n### ")[1:]
    assert len(symptoms) >= 35
    known = {check.id for check in CHECKS}
    for symptom in symptoms:
        assert "**Do**: " in symptom, symptom
        named = re.findall(r"`([a-z]+\.[a-z_]+)`", symptom.partition("\nChecks: ")[2])
        assert named, symptom
        assert set(named) <= known, symptom
