"""`settings.toml` is read strictly: what no setting has is named with its place, and nothing is guessed."""

from __future__ import annotations

import pytest

from scripts.settings.model import Reader, SetBy
from scripts.settings.server_variables import server_variables
from scripts.settings.table import FILE, GROUP, GROUPS, SETTINGS, TableError, read_groups

HEAD = '[stack]\ntitle = "The stack"\n'


def one(rows: str) -> str:
    """Return a table of one setting with these keys."""
    return f'{HEAD}[stack.PORT_A]\ndescription = "A port."\n{rows}\n'


def test_the_file_is_what_everything_reads() -> None:
    groups = read_groups(FILE.read_text())
    assert [group.title for group in groups.values()] == [group.title for group in GROUPS]
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS) > 150


def test_a_setting_says_what_its_table_and_its_group_say() -> None:
    text = f"""{HEAD}used_by = ["scripts"]
    [stack.SECRET_A]
    description = '''
    Part of
    a sentence.'''
    kind = {{ hex = 16 }}
    random = 24
    since = "4.17.0"
    [stack.PORT_A]
    description = "A port."
    kind = {{ integer = [1, 9] }}
    unit = "s"
    default = "2"
    set_by = "file"
    used_by = ["compose", "embedded"]
    [stack.URL_A]
    description = "A URL."
    default = "http://localhost:${{PORT_A}}"
    """
    secret, port, url = read_groups(text)["stack"].settings
    assert secret.description == "Part of a sentence."
    assert (secret.set_by, secret.secret, secret.since) == (SetBy.GENERATED, True, "4.17.0")
    assert secret.generate is not None
    assert len(secret.generate()) == 48
    assert (secret.used_by, port.used_by) == ((Reader.SCRIPTS,), (Reader.COMPOSE, Reader.EMBEDDED))
    assert (port.set_by, port.unit, port.default, port.secret) == (SetBy.FILE, "s", "2", False)
    assert port.kind.check("9") is None
    assert port.kind.check("10") is not None
    assert not isinstance(url.default, str)
    assert url.default.compute({"PORT_A": "3100"}) == "http://localhost:3100"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[stack\n", "is not TOML"),
        (one("") + one("").removeprefix(HEAD), "is not TOML: Cannot declare"),
        (
            one("") + '[more]\ntitle = "More"\n[more.PORT_A]\ndescription = "."\n',
            r"is \[stack.PORT_A\] already",
        ),
        ("[stack]\n", r"\[stack\] has : a group has title"),
        (f'{HEAD}colour = "red"\n', r"\[stack\] has title, colour"),
        (f'{HEAD}[stack.port]\ndescription = "."\n', r"\[stack.port\] is not a name of capitals"),
        (f"{HEAD}[stack.PORT_A]\n", r"\[stack.PORT_A\] has no description"),
        (one("defualt = '1'"), r"\[stack.PORT_A\] has defualt"),
        (one("title = 'A'"), r"\[stack.PORT_A\] has title"),
        (one("default = 3000"), "default cannot be 3000"),
        (one("random = true"), "random cannot be True"),
        (one("secret = 1"), "secret cannot be 1"),
        (one("kind = 'prot'"), "'prot' is not a kind"),
        (one("kind = 'well_known'"), "'well_known' is not a kind"),
        (one("kind = 'Port'"), "'Port' is not a kind"),
        (one("kind = { integer = [1] }"), "is not a kind"),
        (one("kind = { integer = ['1', '2'] }"), "is not a kind"),
        (one("kind = { choice = [] }"), "is not a kind"),
        (one("kind = { choice = [1] }"), "is not a kind"),
        (one("kind = { hex = 16, exactly = true }"), "is not a kind"),
        (one("kind = { port = 1 }"), "is not a kind"),
        (one("set_by = 'somebody'"), "'somebody' is not a valid SetBy"),
        (one("set_by = 'generated'"), "a generated setting says how: random"),
        (one("random = 16\nset_by = 'file'"), "random sets it"),
        (one("random = 16\nsecret = true"), "random sets it"),
        (one("used_by = ['everybody']"), "'everybody' is not a valid Reader"),
        (one("used_by = []"), "nobody uses it"),
        (one("default = '${PORT_B}'"), "names PORT_B, which is not a setting further up"),
        (one("computed = 'guess'"), "'guess' is not in defaults.py"),
        (one("computed = { guess = 'x' }"), "'guess' is not in defaults.py"),
        (one("computed = { https_url = 1 }"), "is not in defaults.py"),
        (one("since = 'soon'"), "'soon' is not a version"),
    ],
)
def test_what_no_setting_has_is_refused(text: str, problem: str) -> None:
    with pytest.raises(TableError, match=problem):
        read_groups(text)


def test_the_profiles_that_can_be_chosen_are_those_that_there_are() -> None:
    [profiles] = [setting for setting in SETTINGS if setting.name == "STACK_PROFILES"]
    assert profiles.kind.check("tls,monitoring") is None
    assert profiles.kind.name == "any of tls, monitoring"


def test_settings_that_not_every_supported_server_reads_say_since_when() -> None:
    newer = {one.name for one in server_variables().values() if one.since}
    assert newer
    assert [one.name for one in SETTINGS if one.name in newer and not one.since] == []


def test_groups_are_found_by_their_key() -> None:
    assert "DATABASE_URL" in {setting.name for setting in GROUP["external_stores"].settings}
