"""Write `scripts/settings/server_variables.csv` from the source of a Langfuse server.

python -m tests.server_variables DIRECTORY    # an unpacked source archive of one version

It reads the three schemas that the server checks its environment with, and the `process.env` and shell reads
that they leave out. Names that only newer servers know are in `server_variables_newer.csv`, written by hand.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "scripts" / "settings" / "server_variables.csv"
COLUMNS = ("name", "kind", "values", "limits", "default", "required", "read_by", "source")

SCHEMAS = (
    ("shared", "packages/shared/src/env.ts"),
    ("web", "web/src/env.mjs"),
    ("worker", "worker/src/env.ts"),
)
_SHELL = (
    ("web", "web/entrypoint.sh"),
    ("worker", "worker/entrypoint.sh"),
    ("web", "packages/shared/clickhouse/scripts/up.sh"),
)
# Read outside of the schemas by code that runs in the published images. What only builds, tests and the
# development server read is left out.
_FURTHER = {
    "AWS_REGION": "the AWS SDK's own",
    "ECS_CONTAINER_METADATA_URI": "",
    "ECS_CONTAINER_METADATA_URI_V4": "",
    "NEXT_MANUAL_SIG_HANDLE": "",
    "NEXT_PUBLIC_LANGFUSE_RUN_NEXT_INIT": "",
    "NEXT_PUBLIC_LANGFUSE_TRACING_SAMPLE_RATE": "",
}
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`")
_REGEX = re.compile(r"(?<=[(,=:])\s*/(?![/*])(?:[^/\\\n]|\\.)+/[a-z]*")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ENTRY = re.compile(r"\s*([A-Za-z]\w*)\s*:")
_NUMBER = r"-?[\d_.]+(?:e\d+)?"


@dataclass(frozen=True)
class Entry:
    """One line of a schema: what is written behind the name."""

    name: str
    text: str
    line: int


@dataclass
class Variable:
    """What the server makes of one variable."""

    name: str
    kind: str = "text"
    values: tuple[str, ...] = ()
    limits: str = ""
    default: str = ""
    required: bool = False
    read_by: list[str] = field(default_factory=list)
    source: str = ""


def without_comments(text: str) -> str:
    """Return the source with comments blanked, every line and column where it was."""
    out: list[str] = []
    at = 0
    while at < len(text):
        for pattern in (_STRING, _COMMENT):
            found = pattern.match(text, at)
            if found:
                part = found.group()
                out.append(part if pattern is _STRING else re.sub(r"[^\n]", " ", part))
                at = found.end()
                break
        else:
            regex = _REGEX.match(text, at)
            if regex and text[at] == "/":
                out.append(regex.group())
                at = regex.end()
            else:
                out.append(text[at])
                at += 1
    return "".join(out)


def _bodies(text: str) -> Iterator[int]:
    """Yield where the objects begin that are schemas."""
    for found in re.finditer(r"EnvSchema = z\.object\(\{|^  (?:server|client): \{", text, re.MULTILINE):
        yield found.end()


def entries(text: str) -> Iterator[Entry]:
    """Yield the lines of a schema file; the text has no comments any more."""
    for start in _bodies(text):
        at = start
        while found := _ENTRY.match(text, at):
            depth, end = 0, found.end()
            while depth > 0 or text[end] not in ",}":
                string = _STRING.match(text, end)
                if string:
                    end = string.end()
                    continue
                depth += (text[end] in "([{") - (text[end] in ")]}")
                end += 1
            line = text.count("\n", 0, found.start(1)) + 1
            yield Entry(found.group(1), " ".join(text[found.end() : end].split()), line)
            if text[end] == "}":
                break
            at = end + 1


def _constants(text: str) -> dict[str, str]:
    found = re.findall(r"^(?:export )?const (\w+)\s*=\s*(.+?);$", text, re.MULTILINE | re.DOTALL)
    return {name: " ".join(value.split()) for name, value in found}


def _plain(text: str) -> str:
    """Return a default as it would stand in an environment file."""
    text = text.strip().rstrip(",")
    if text[:1] in "\"'`":
        return text[1:-1]
    if re.fullmatch(r"[\d_.e* ]+", text):
        product = 1.0
        for factor in text.replace("_", "").split("*"):
            product *= float(factor)
        return str(int(product)) if product == int(product) else str(product)
    return "" if text in ("null", "undefined", "[]") else text


def _limits(text: str) -> str:
    limits = []
    if ".int()" in text:
        limits.append("whole")
    if ".positive()" in text:
        limits.append(">0")
    if ".nonnegative()" in text:
        limits.append(">=0")
    for name, sign in (("min", ">="), ("gte", ">="), ("max", "<="), ("lte", "<="), ("gt", ">"), ("lt", "<")):
        limits += [f"{sign}{_plain(value)}" for value in re.findall(rf"\.{name}\(({_NUMBER})", text)]
    return " ".join(limits)


def understood(entry: Entry, constants: Mapping[str, str]) -> Variable:
    """Return what one line of a schema asks for."""
    text = re.sub(r"^process\.env\.NODE_ENV === \"production\" \? (.*?) : .*$", r"\1", entry.text)
    for name, value in constants.items():
        text = re.sub(rf"(?<![\w.\"]){name}(?!\w)", lambda _, value=value: value, text)
    variable = Variable(entry.name)
    enum = re.search(r"z\s*\.enum\(\[(.*?)\]", text)
    if enum and "z.array" not in text:
        variable.values = tuple(re.findall(r"\"([^\"]*)\"", enum.group(1)))
        variable.kind = "boolean" if set(variable.values) == {"true", "false"} else "choice"
    elif re.search(r"coerce\s*\.number|z\s*\.number", text):
        variable.kind, variable.limits = "number", _limits(text)
    elif "z.url()" in text or ".url()" in text:
        variable.kind = "url"
    elif "iso.datetime" in text or "iso .date" in text or "iso.date" in text:
        variable.kind = "date"
    elif re.search(r"JSON\.parse", text):
        variable.kind = "json"
    elif re.search(r"\.split\(", text):
        variable.kind = "list"
    elif re.search(r"coerce\s*\.boolean", text):
        variable.kind = "boolean"
    default = re.search(r"\.default\(((?:[^()]|\([^()]*\))*)\)", text)
    variable.default = _plain(default.group(1)) if default else ""
    optional = default or re.search(r"\.optional\(\)|\.nullish\(\)|\.nullable\(\)", text)
    variable.required = not optional
    return variable


def _add(table: dict[str, Variable], one: Variable, process: str, source: str) -> None:
    known = table.setdefault(one.name, one)
    if known is one:
        known.source = source
    elif known.kind == "text" and one.kind != "text":
        known.kind, known.values, known.limits = one.kind, one.values, one.limits
    known.default = known.default or one.default
    known.required = (known.required or one.required) and not known.default
    if process not in known.read_by:
        known.read_by.append(process)


def read(root: Path) -> dict[str, Variable]:
    """Return every variable that the server in a source tree reads, by name."""
    table: dict[str, Variable] = {}
    shared = _constants(without_comments((root / SCHEMAS[0][1]).read_text(encoding="utf-8")))
    for process, path in SCHEMAS:
        text = without_comments((root / path).read_text(encoding="utf-8"))
        constants = {**shared, **_constants(text)}
        constants.pop("EnvSchema", None)
        constants.pop("env", None)
        for entry in entries(text):
            _add(table, understood(entry, constants), process, f"{path}:{entry.line}")
    for process, path in _SHELL:
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), 1):
            for name in re.findall(r"\$\{?([A-Z][A-Z0-9_]{3,})", line):
                _add(table, Variable(name), process, f"{path}:{number}")
    for name in _FURTHER:
        source = _first_read(root, name)
        if source:
            _add(table, Variable(name), "web" if source.startswith("web/") else "worker", source)
    return table


def _first_read(root: Path, name: str) -> str:
    pattern = re.compile(rf"process\.env\.{name}\b|env\.{name}\b")
    for part in ("web/src", "worker/src", "packages/shared/src"):
        for path in sorted((root / part).rglob("*.ts*")):
            if "test" in path.as_posix().removeprefix(root.as_posix()):
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if pattern.search(line):
                    return f"{path.relative_to(root).as_posix()}:{number}"
    return ""


def write(root: Path) -> int:
    """Write the table; returns how many variables it has."""
    version = json.loads((root / "package.json").read_text(encoding="utf-8"))["version"]
    table = read(root)
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# What Langfuse {version} reads from its environment; source is a file and line of\n")
        file.write(
            f"# https://github.com/langfuse/langfuse/tree/v{version}. Made by tests/server_variables.py.\n"
        )
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name in sorted(table):
            one = table[name]
            writer.writerow(
                (
                    name,
                    one.kind,
                    "|".join(one.values),
                    one.limits,
                    one.default,
                    "yes" if one.required else "",
                    "|".join(one.read_by),
                    one.source,
                )
            )
    return len(table)


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
