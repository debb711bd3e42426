"""A voice agent: every turn is heard, answered and spoken, and its delay to the first sound is scored.

One call is one session; every turn of it is a trace:

    voice-turn          agent       input: transcript, output: reply
      speech_to_text    tool        output: transcript
      reply             generation  (simulated) model call; time to first token
      text_to_speech    tool        scores: tts_latency_ms
    scores of the trace: latency-sla (was tts_latency_ms within --sla-ms?)
    scores of the session: user-feedback, satisfaction

Speech and model are simulated: they take some ten milliseconds, and what is recorded is measured. What is
said follows from `--seed`.

    set -a; . .stack/credentials/<project>.env; set +a
    .venv/bin/python examples/voice.py --turns 5
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from client import command_line, conclude, connect
from langfuse import Langfuse, propagate_attributes

MODEL = "gpt-4o-mini"
DIALOGUE = (
    ("Play album seven.", "Here is album seven."),
    ("Who is on bass?", "John Smith plays the bass."),
    ("And who produced it?", "Jane Doe produced it."),
    ("Add it to my list.", "It is on your list."),
)
# Milliseconds that the simulated parts take: from, to.
SPEECH_TO_TEXT_MS = (10, 25)
FIRST_TOKEN_MS = (10, 20)
REST_OF_REPLY_MS = (5, 15)
TEXT_TO_SPEECH_MS = (20, 80)


def work(span_ms: tuple[int, int], rng: random.Random) -> float:
    """Take as long as a simulated part does; return the measured milliseconds."""
    started = time.perf_counter()
    time.sleep(rng.uniform(*span_ms) / 1000)
    return (time.perf_counter() - started) * 1000


def hear(langfuse: Langfuse, words: str, rng: random.Random) -> str:
    """Turn speech into text."""
    with langfuse.start_as_current_observation(
        name="speech_to_text", as_type="tool", metadata={"audio_s": round(len(words) * 0.06, 2)}
    ) as heard:
        work(SPEECH_TO_TEXT_MS, rng)
        heard.update(output=words)
    return words


def think(langfuse: Langfuse, question: str, answer: str, rng: random.Random) -> str:
    """Ask the model for a reply."""
    with langfuse.start_as_current_observation(
        name="reply",
        as_type="generation",
        model=MODEL,
        input=[{"role": "user", "content": question}],
    ) as generation:
        work(FIRST_TOKEN_MS, rng)
        generation.update(completion_start_time=datetime.now(UTC))
        work(REST_OF_REPLY_MS, rng)
        generation.update(
            output={"role": "assistant", "content": answer},
            usage_details={"input": 30 + len(question) // 4, "output": len(answer) // 4},
        )
    return answer


def speak(langfuse: Langfuse, reply: str, rng: random.Random) -> float:
    """Turn the reply into speech; return the milliseconds to the first sound, which are scored."""
    with langfuse.start_as_current_observation(
        name="text_to_speech", as_type="tool", input=reply, metadata={"voice": "alto"}
    ) as spoken:
        latency_ms = work(TEXT_TO_SPEECH_MS, rng)
        spoken.update(output={"audio_s": round(len(reply) * 0.06, 2)})
        spoken.score(name="tts_latency_ms", value=latency_ms, data_type="NUMERIC")
    return latency_ms


def take_turn(langfuse: Langfuse, number: int, sla_ms: float, rng: random.Random) -> dict[str, Any]:
    """Run one turn of the call as a trace; return what the trace holds."""
    words, answer = rng.choice(DIALOGUE)
    with langfuse.start_as_current_observation(
        name="voice-turn", as_type="agent", metadata={"turn": number}
    ) as turn:
        transcript = hear(langfuse, words, rng)
        reply = think(langfuse, transcript, answer, rng)
        latency_ms = speak(langfuse, reply, rng)
        in_time = latency_ms <= sla_ms
        turn.update(input=transcript, output=reply)
        turn.score_trace(
            name="latency-sla", value=in_time, data_type="BOOLEAN", comment=f"at most {sla_ms:g} ms"
        )
        return {
            "trace_id": turn.trace_id,
            "transcript": transcript,
            "reply": reply,
            "tts_latency_ms": latency_ms,
            "in_time": in_time,
        }


def run(langfuse: Langfuse, options: argparse.Namespace) -> dict[str, Any]:
    """Hold the call; return the result that is printed."""
    rng = random.Random(options.seed)
    session_id = options.session or f"call-{uuid.uuid4().hex[:8]}"
    with propagate_attributes(
        trace_name="voice-turn",
        session_id=session_id,
        user_id=f"listener-{rng.randint(1, 50)}",
        tags=["example", "voice"],
    ):
        turns = [take_turn(langfuse, number, options.sla_ms, rng) for number in range(1, options.turns + 1)]
    in_time = statistics.fmean(turn["in_time"] for turn in turns)
    langfuse.create_score(
        session_id=session_id, name="user-feedback", value=in_time, data_type="NUMERIC", comment="survey"
    )
    satisfaction = 1 + round(4 * in_time)  # what the listener answers when asked for 1 to 5 stars
    langfuse.create_score(
        session_id=session_id, name="satisfaction", value=satisfaction, data_type="NUMERIC", comment="stars"
    )
    langfuse.flush()
    return {
        "session_id": session_id,
        "turns": turns,
        "satisfaction": satisfaction,
        "median_tts_latency_ms": statistics.median(turn["tts_latency_ms"] for turn in turns),
        "in_time": in_time,
    }


def show(langfuse: Langfuse, result: dict[str, Any]) -> None:
    """Print the result for a person."""
    for turn in result["turns"]:
        print(f"{turn['transcript']} - {turn['reply']} ({turn['tts_latency_ms']:.0f} ms to the first sound)")
        print(f"  {langfuse.get_trace_url(trace_id=turn['trace_id'])}")
    print(
        f"call {result['session_id']}: median {result['median_tts_latency_ms']:.0f} ms to the first sound, "
        f"{result['in_time']:.0%} of the turns in time"
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__doc__)
    parser.add_argument("--turns", type=int, default=3, help="turns of the call (default 3)")
    parser.add_argument("--sla-ms", type=float, default=60, help="accepted latency in ms (default 60)")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same words (default 7)")
    parser.add_argument("--session", help="session id (default: a new one)")
    options = parser.parse_args(arguments)
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
