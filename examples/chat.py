"""Gap filling by chat: an assistant asks an artist for the credits that no source could answer.

One conversation is one session; every turn of it is a trace:

    chat-turn          agent       input: what the artist wrote, output: what the assistant says next
      extract_answer   generation  (simulated) model call that looks for the answer in the message
      save_credit      tool        only when the answer was found

When a gap is filled, or given up after `--turns` turns, its last trace gets the scores `gap_fill_success` and
`turns_to_fill`; the session gets `user-feedback` and `satisfaction`. The traces have the tags `gap-filling`
and `gap:<type>` (such as `gap:producer`), by which alerts and dashboards find the cost of gap filling and
tell the types apart. The model and the artist are simulated; all that is random follows from `--seed`.

    set -a; . .stack/credentials/<project>.env; set +a
    .venv/bin/python examples/chat.py --gaps 3 --turns 4
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import uuid
from dataclasses import dataclass
from typing import Any

from client import command_line, conclude, connect
from langfuse import Langfuse, propagate_attributes

MODEL = "gpt-4o-mini"
GAPS = ("producer", "lead_vocals", "bass", "drums", "mixing_engineer", "mastering_engineer")
ARTISTS = ("Jane Doe", "John Smith", "Ana Silva", "Kenji Mori", "Lea Novak")
EVASIONS = ("I would have to look that up.", "Which song do you mean?", "That was long ago...")
ANSWERS_AT_ONCE = 0.55  # share of messages in which the artist gives the answer
CONTENT_FROM = 0.5  # share of filled gaps from which the artist is content


@dataclass(frozen=True)
class Reply:
    """What the (simulated) model found in a message, and what it cost."""

    credit: str | None
    text: str
    usage: dict[str, int]


def artist_writes(gap: str, rng: random.Random) -> str:
    """Simulate the artist: an answer or an evasion."""
    if rng.random() < ANSWERS_AT_ONCE:
        return f"The {gap.replace('_', ' ')} was {rng.choice(ARTISTS)}."
    return rng.choice(EVASIONS)


def ask_model(gap: str, message: str) -> Reply:
    """Simulate the model: find an artist's name in the message, else ask again."""
    credit = next((artist for artist in ARTISTS if artist in message), None)
    text = f"Thank you, noted {credit}." if credit else f"Who was the {gap.replace('_', ' ')}?"
    return Reply(credit, text, {"input": 40 + len(message) // 4, "output": len(text) // 4})


def take_turn(langfuse: Langfuse, gap: str, number: int, rng: random.Random) -> tuple[str, Reply]:
    """Run one turn about a gap as a trace; return the trace id and the reply."""
    message = artist_writes(gap, rng)
    with langfuse.start_as_current_observation(
        name="chat-turn", as_type="agent", input=message, metadata={"gap": gap, "turn": number}
    ) as turn:
        with langfuse.start_as_current_observation(
            name="extract_answer",
            as_type="generation",
            model=MODEL,
            input=[
                {"role": "system", "content": f"Find the {gap} in the message, or ask for it."},
                {"role": "user", "content": message},
            ],
        ) as generation:
            reply = ask_model(gap, message)
            generation.update(output={"role": "assistant", "content": reply.text}, usage_details=reply.usage)
        if reply.credit:
            with langfuse.start_as_current_observation(
                name="save_credit", as_type="tool", input={"field": gap, "artist": reply.credit}
            ) as tool:
                tool.update(output="saved")
        turn.update(output=reply.text)
        return turn.trace_id, reply


def fill_gap(langfuse: Langfuse, gap: str, most_turns: int, rng: random.Random) -> dict[str, Any]:
    """Talk about one gap until it is filled or given up, and score the outcome."""
    trace_ids: list[str] = []
    credit = None
    with propagate_attributes(tags=["example", "gap-filling", f"gap:{gap}"]):
        while credit is None and len(trace_ids) < most_turns:
            trace_id, reply = take_turn(langfuse, gap, len(trace_ids) + 1, rng)
            trace_ids.append(trace_id)
            credit = reply.credit
    outcome: dict[str, Any] = {"trace_id": trace_ids[-1], "comment": f"Gap: {gap}"}
    langfuse.create_score(name="gap_fill_success", value=credit is not None, data_type="BOOLEAN", **outcome)
    langfuse.create_score(name="turns_to_fill", value=len(trace_ids), data_type="NUMERIC", **outcome)
    return {"gap": gap, "credit": credit, "trace_ids": trace_ids}


def run(langfuse: Langfuse, options: argparse.Namespace) -> dict[str, Any]:
    """Hold the conversation; return the result that is printed."""
    rng = random.Random(options.seed)
    session_id = options.session or f"chat-{uuid.uuid4().hex[:8]}"
    with propagate_attributes(
        trace_name="chat-turn",
        session_id=session_id,
        user_id=f"artist-{rng.randint(1, 50)}",
    ):
        gaps = [fill_gap(langfuse, gap, options.turns, rng) for gap in GAPS[: options.gaps]]
    fill_rate = statistics.fmean(gap["credit"] is not None for gap in gaps)
    feedback = 1 if fill_rate >= CONTENT_FROM else 0
    satisfaction = 1 + round(4 * fill_rate)  # what the artist answers when asked for 1 to 5 stars
    langfuse.create_score(
        session_id=session_id, name="user-feedback", value=feedback, data_type="NUMERIC", comment="thumbs"
    )
    langfuse.create_score(
        session_id=session_id, name="satisfaction", value=satisfaction, data_type="NUMERIC", comment="stars"
    )
    langfuse.flush()
    return {
        "session_id": session_id,
        "gaps": gaps,
        "fill_rate": fill_rate,
        "user_feedback": feedback,
        "satisfaction": satisfaction,
    }


def show(langfuse: Langfuse, result: dict[str, Any]) -> None:
    """Print the result for a person."""
    for gap in result["gaps"]:
        found = gap["credit"] or "not found"
        print(f"{gap['gap']}: {found} after {len(gap['trace_ids'])} turn(s)")
        print(f"  {langfuse.get_trace_url(trace_id=gap['trace_ids'][-1])}")
    print(
        f"session {result['session_id']}: {result['fill_rate']:.0%} of the gaps filled, "
        f"user feedback {result['user_feedback']}, {result['satisfaction']} of 5 stars"
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__doc__)
    parser.add_argument("--gaps", type=int, default=3, help=f"gaps to ask for, 1 to {len(GAPS)} (default 3)")
    parser.add_argument("--turns", type=int, default=4, help="most turns for a gap (default 4)")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same conversation (default 7)")
    parser.add_argument("--session", help="session id (default: a new one)")
    options = parser.parse_args(arguments)
    if not 1 <= options.gaps <= len(GAPS):
        parser.error(f"--gaps must be between 1 and {len(GAPS)}")
    if options.turns < 1:
        parser.error("--turns must be at least 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the example; exit code 0 when done, 1 when the server refuses, 2 on wrong use."""
    options = parse(arguments)
    langfuse = connect()
    return conclude(langfuse, run(langfuse, options), show, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
