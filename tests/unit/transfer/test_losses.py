"""What an import through the API leaves behind stands on the page as the command says it."""

from __future__ import annotations

from pathlib import Path

from scripts.data.transfer.between import LOST

PAGE = Path(__file__).parents[3] / "docs/how-to/move-in.md"


def test_the_page_has_the_losses_that_the_command_shows() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = text.partition("| Does not come along | |\n|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert rows == [f"| {what} | {which} |" for what, which in LOST.items()]
