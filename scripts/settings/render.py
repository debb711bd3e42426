"""Documents generated from the settings table: `.env.example` and `docs/reference/environment.md`."""

from __future__ import annotations

from collections.abc import Sequence

from .envfile import new_env_text
from .model import Group, SetBy, Setting

_PAGE_HEAD = """\
# Settings

Every setting is an environment variable. It is read from the process environment first, then from `.env` in
the root of the repository; an empty value counts as unset. `make up` creates `.env` (readable by you only),
generates the secrets in it once (a line such as `SALT=` gets its value there, so a copy of `.env.example` is
completed too), changes no line that has a value, and appends settings that a newer version adds.

Values are taken as they are; one with `$`, `#`, quotes or spaces is in single quotes, with `\\'` for a
quote. All wrong values are reported at once, and nothing is started.

*Set by*: **operator** is you, if the default does not fit; **generated** is made at random by the first
`make up`; **environment** is you, but not in `.env`; **file** is you, in `.env` only, as applications on the
same host have variables of that name for themselves; **derived** is computed at each start and not to be set.
*Used by* names who reads it: the `compose` engine, the `embedded` engine, or the `scripts` behind `make`.

This page is generated from `scripts/settings/settings.toml` with `make docs`.
"""


def env_example(groups: Sequence[Group]) -> str:
    """Return the text of `.env.example`: every setting explained, generated ones left empty."""
    generated = {
        setting.name: ""
        for group in groups
        for setting in group.settings
        if setting.set_by is SetBy.GENERATED
    }
    return new_env_text(groups, generated)


def environment_page(groups: Sequence[Group]) -> str:
    """Return the reference page in Markdown."""
    parts = [_PAGE_HEAD]
    for group in groups:
        rows = "\n".join(_row(setting) for setting in group.settings)
        parts.append(
            f"## {group.title}\n\n"
            "| Variable | Type | Default | Set by | Used by | Meaning |\n"
            "|---|---|---|---|---|---|\n"
            f"{rows}\n"
        )
    return "\n".join(parts)


def _row(setting: Setting) -> str:
    kind = f"{setting.kind.name}, {setting.unit}" if setting.unit else setting.kind.name
    default = f"`{setting.default_text()}`" if setting.default_text() else ""
    if setting.set_by is SetBy.GENERATED:
        default = "random"
    description = setting.description.replace("|", "\\|")
    if setting.since:
        description += f" Since server {setting.since}."
    if setting.secret:
        description += " **Secret.**"
    used_by = ", ".join(setting.used_by)
    return f"| `{setting.name}` | {kind} | {default} | {setting.set_by} | {used_by} | {description} |"
