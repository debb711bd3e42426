"""`config/stack.yaml`: what is right loads, what is wrong is named with line, column and fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.errors import StackFileError
from scripts.provision.loading import load_stack, parse_stack

ROOT = Path(__file__).parents[3]
GOOD = """\
organization:
  id: acme
  name: Acme
admin:
  email: admin@acme.example
projects:
  - id: kosmos
    name: kosmos
  - id: zeus
    name: zeus
"""


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(StackFileError) as caught:
        parse_stack(text, "stack.yaml")
    assert caught.value.exit_code == 2
    return caught.value.details


@pytest.mark.parametrize(
    ("directory", "organization", "projects", "email"),
    [
        ("config", "default", ["default"], "admin@example.com"),
        ("examples/site", "default", ["default"], "admin@example.com"),
        ("examples/kosmos", "acme", ["kosmos", "zeus"], "admin@acme.example"),
    ],
)
def test_the_files_of_the_repository_describe_what_fits_any_team_and_the_example_company(
    directory: str, organization: str, projects: list[str], email: str
) -> None:
    stack = load_stack(ROOT / directory / "stack.yaml", f"{directory}/stack.yaml")
    assert (stack.organization.id, stack.admin.email) == (organization, email)
    assert [project.id for project in stack.projects] == projects


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("    name: zeus", "    nmae: zeus", "10:5: unknown key projects[1].nmae; did you mean name?"),
        ("admin:", "admins:", "4:1: unknown key admins; did you mean admin?"),
        ("  id: acme", "  xyz: acme", "2:3: unknown key organization.xyz; known here: id, name"),
        ("    name: zeus\n", "", "9:5: projects[1].name is missing; add it"),
        ("id: zeus", "id: Zeus One", "9:9: projects[1].id cannot be used ('Zeus One'); use letters"),
        ("id: zeus", "id: 7", "9:9: projects[1].id cannot be used (7); write text here"),
        ("id: zeus", "id: kosmos", "9:9: projects[1].id 'kosmos' is used twice"),
        ("name: zeus", "name: kosmos", "10:11: projects[1].name 'kosmos' is used twice"),
        ("name: Acme", "name: A", "3:9: organization.name cannot be used ('A'); use 3 to 60 characters"),
        ("admin@acme.example", "admin", "5:10: admin.email cannot be used ('admin'); write it as name@"),
        ("  name: Acme", "  name: Acme\n  id: other", "4:3: id is given twice; keep one"),
    ],
)
def test_a_fault_is_named_with_its_place_and_fix(old: str, new: str, fault: str) -> None:
    found = faults(GOOD.replace(old, new, 1))
    assert any(line.startswith(f"stack.yaml:{fault}") for line in found), found


def test_all_faults_are_named_at_once() -> None:
    found = faults(GOOD.replace("id: acme", "id: a b").replace("name: zeus", "nmae: zeus"))
    assert len(found) == 3  # a bad id, an unknown key, a missing name


@pytest.mark.parametrize(("text", "place"), [("a: [1", "2:1"), ("a: b: c", "1:5")])
def test_what_is_not_yaml_is_refused_with_its_place(text: str, place: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(f"stack.yaml:{place}: this is not YAML: ")


@pytest.mark.parametrize("text", ["", "- a\n", "projects: []\n"])
def test_a_file_without_content_is_refused(text: str) -> None:
    assert faults(text)


def test_an_absent_file_is_refused_with_the_way_back(tmp_path: Path) -> None:
    with pytest.raises(StackFileError) as caught:
        load_stack(tmp_path / "stack.yaml", "config/stack.yaml")
    assert caught.value.fix == "restore it: git checkout -- config/stack.yaml"


def test_a_secret_in_the_place_of_a_variable_name_is_refused_and_not_shown() -> None:
    text = GOOD + "    key: {public: pk-lf-test-zeus, secret_from: sk-lf-test-secret}\n"
    found = faults(text)
    assert any("give the NAME of an environment variable" in fault for fault in found)
    assert not any("sk-lf-test-secret" in fault for fault in found)


def test_two_projects_with_one_key_are_refused() -> None:
    key = "    key: {public: pk-lf-test-one, secret_from: SECRET}\n"
    text = GOOD.replace("    name: kosmos\n", "    name: kosmos\n" + key) + key
    assert any("'pk-lf-test-one' is used twice" in fault for fault in faults(text))
