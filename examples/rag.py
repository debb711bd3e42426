"""Retrieval-augmented answers: the decorator, the manual API and the OpenAI wrapper of the SDK side by side.

The sections of `handbook.md` are embedded once; every question is one trace:

    rag_query                chain       decorator; input: the question, output: the answer
      retrieve               retriever   decorator; output: the nearest sections and their similarity
        embed_question       embedding   wrapper around `openai`
      answer                 generation  wrapper, streamed; linked to the prompt
      check_answer           evaluator   manual API; similarity of answer and sources, words nobody should say
    scores of the trace: semantic-similarity, toxicity, user-feedback

Answers that are not near to their sources go to an annotation queue. `--review` takes what waits there and
asks a person for a grade, which becomes the score `quality` of the source ANNOTATION.

    set -a; . .stack/credentials/<project>.env; set +a
    export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=none   # what `make fake-llm` serves
    .venv/bin/python examples/rag.py "How long is the warranty for turntables?"
    .venv/bin/python examples/rag.py --review
"""

from __future__ import annotations

import argparse
import math
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client import command_line, conclude, connect, packages, require_models, stop
from langfuse import Langfuse, get_client, observe, propagate_attributes
from langfuse.api import CreateScoreRequest, CreateScoreSource, NotFoundError, ScoreDataType

with packages("openai"):
    from langfuse.openai import OpenAI

HANDBOOK = Path(__file__).with_name("handbook.md")
EMBEDDING_MODEL = "text-embedding-3-small"
QUESTIONS = (
    "How many days do I have to return a record?",
    "Does the warranty cover needles?",
    "When is a card charged?",
    "Who won the cup in 1998?",
)
SECTIONS = 2  # how many are given to the model
SURE_FROM = 0.3  # similarity to the sources below which a person looks at the answer
ABUSE = frozenset({"idiot", "stupid", "shut up"})


@dataclass(frozen=True)
class Section:
    """A part of the handbook with its embedding."""

    title: str
    text: str
    vector: list[float]


class Handbook:
    """What can be looked up: sections, and a client that embeds and answers."""

    def __init__(self, openai: OpenAI, prompt: Any) -> None:
        """Embed all sections in one trace of its own."""
        self.openai = openai
        self.prompt = prompt
        parts = [part.partition("\n") for part in HANDBOOK.read_text("utf-8").split("## ")[1:]]
        texts = [text.strip() for _, _, text in parts]
        with propagate_attributes(trace_name="rag_index", tags=["example", "rag"]):
            vectors = self.embed("embed_handbook", texts)
        self.sections = [
            Section(title, text, vector)
            for (title, _, _), text, vector in zip(parts, texts, vectors, strict=True)
        ]

    def embed(self, name: str, texts: list[str]) -> list[list[float]]:
        """Return a vector for each text; the wrapper records an embedding of that name."""
        answer = self.openai.embeddings.create(name=name, model=EMBEDDING_MODEL, input=texts)
        return [one.embedding for one in answer.data]

    # The handbook itself is an argument (self) that should not be recorded, so the input is set by hand.
    @observe(as_type="retriever", capture_input=False, capture_output=False)
    def retrieve(self, question: str) -> list[tuple[float, Section]]:
        """Return the sections nearest to the question, with their similarity from 0 to 1."""
        [vector] = self.embed("embed_question", [question])
        ranked = sorted(
            ((cosine(vector, section.vector), section) for section in self.sections), key=lambda one: -one[0]
        )
        found = [one for one in ranked[:SECTIONS] if one[0] > 0]
        get_client().update_current_span(
            input=question,
            output=[{"section": one.title, "similarity": round(share, 4)} for share, one in found],
        )
        return found

    def answer(self, question: str, sections: list[Section]) -> str:
        """Ask the model; return the answer when the stream has ended."""
        stream = self.openai.chat.completions.create(
            name="answer",
            model=self.prompt.config["model"],
            temperature=self.prompt.config["temperature"],
            messages=self.prompt.compile(
                company="Acme Records",
                context="\n".join(section.text for section in sections) or "(nothing found)",
                question=question,
                history=[],
            ),
            stream=True,
            stream_options={"include_usage": True},
            langfuse_prompt=self.prompt,
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


@observe(name="rag_query", as_type="chain", capture_input=False, capture_output=False)
def answer_question(handbook: Handbook, question: str) -> dict[str, Any]:
    """Answer one question in one trace and score it; return what the trace holds."""
    langfuse = get_client()
    found = handbook.retrieve(question)
    answer = handbook.answer(question, [section for _, section in found])
    with langfuse.start_as_current_observation(
        name="check_answer", as_type="evaluator", input=answer
    ) as check:
        similarity = similarity_to_sources(handbook, answer, [section for _, section in found])
        toxicity = 1.0 if any(word in answer.lower() for word in ABUSE) else 0.0
        check.update(output={"semantic-similarity": similarity, "toxicity": toxicity})
    langfuse.update_current_span(input=question, output=answer)
    langfuse.score_current_trace(name="semantic-similarity", value=similarity, data_type="NUMERIC")
    langfuse.score_current_trace(name="toxicity", value=toxicity, data_type="NUMERIC")
    return {
        "trace_id": langfuse.get_current_trace_id(),
        "question": question,
        "sections": [section.title for _, section in found],
        "answer": answer,
        "similarity": similarity,
        "sure": similarity >= SURE_FROM,
    }


def similarity_to_sources(handbook: Handbook, answer: str, sections: list[Section]) -> float:
    """Return how near the answer is to the nearest of its sources, from 0 to 1."""
    if not sections:
        return 0.0
    [vector] = handbook.embed("embed_answer", [answer])
    return round(max(cosine(vector, section.vector) for section in sections), 6)


def cosine(one: list[float], other: list[float]) -> float:
    """Return the cosine of the angle between two vectors, at least 0."""
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return max(0.0, min(1.0, product / (math.hypot(*one) * math.hypot(*other))))


def find_queue(langfuse: Langfuse, name: str) -> Any:
    """Return the annotation queue of that name; end the example where there is none."""
    page = 1
    while True:
        queues = langfuse.api.annotation_queues.list_queues(page=page, limit=100)
        for queue in queues.data:
            if queue.name == name:
                return queue
        if page >= queues.meta.total_pages:
            stop(1, f"There is no annotation queue {name}: `make bootstrap` creates it")
        page += 1


def run(langfuse: Langfuse, options: argparse.Namespace) -> dict[str, Any]:
    """Answer all questions in one session; return the result that is printed."""
    queue = find_queue(langfuse, options.queue)
    try:
        prompt = langfuse.get_prompt(options.prompt, type="chat")
    except NotFoundError:
        stop(1, f"There is no prompt {options.prompt}: `make bootstrap` creates it")
    handbook = Handbook(OpenAI(), prompt)
    session_id = options.session or f"rag-{uuid.uuid4().hex[:8]}"
    answers = []
    with propagate_attributes(
        trace_name="rag_query", session_id=session_id, user_id="reader-1", tags=["example", "rag"]
    ):
        for question in options.questions or QUESTIONS:
            answer = answer_question(handbook, question)
            # What the reader clicks; here readers are content with what comes from the handbook.
            langfuse.create_score(
                trace_id=answer["trace_id"],
                name="user-feedback",
                value=1 if answer["sure"] else 0,
                data_type="NUMERIC",
                comment="thumbs",
            )
            answers.append(answer)
    langfuse.flush()
    for answer in answers:
        if not answer["sure"]:
            langfuse.api.annotation_queues.create_queue_item(
                queue.id, object_id=answer["trace_id"], object_type="TRACE"
            )
    return {"session_id": session_id, "answers": answers}


def review(langfuse: Langfuse, options: argparse.Namespace) -> dict[str, Any]:
    """Ask for a grade of each answer that waits in the queue; return the grades."""
    queue = find_queue(langfuse, options.queue)
    config_id = config_of(langfuse, queue, "quality")
    waiting = langfuse.api.annotation_queues.list_queue_items(queue.id, status="PENDING", limit=100).data
    graded = []
    for item in waiting:
        rows = langfuse.api.observations.get_many(
            trace_id=item.object_id, name="rag_query", fields="core,basic,io"
        ).data
        for row in rows:
            print(f"{row.input}\n  {row.output}", file=sys.stderr)
        grade = ask_for_grade()
        langfuse.api.scores.create(
            request=[
                CreateScoreRequest(
                    trace_id=item.object_id,
                    name="quality",
                    value=grade,
                    data_type=ScoreDataType.NUMERIC,
                    config_id=config_id,
                    queue_id=queue.id,
                    source=CreateScoreSource.ANNOTATION,
                )
            ]
        )
        langfuse.api.annotation_queues.update_queue_item(queue.id, item.id, status="COMPLETED")
        graded.append({"trace_id": item.object_id, "quality": grade})
    return {"graded": graded}


def config_of(langfuse: Langfuse, queue: Any, name: str) -> str:
    """Return the id of the queue's score config of that name; end the example where it has none."""
    for config_id in queue.score_config_ids:
        if langfuse.api.score_configs.get_by_id(config_id).name == name:
            return str(config_id)
    return stop(1, f"The queue {queue.name} has no score config {name}")


def ask_for_grade() -> float:
    """Return a grade from 0 to 1, read from the terminal; ask again until it is one."""
    while True:
        print("grade from 0 (wrong) to 1 (right): ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            stop(1, "No grade was given; what is not graded stays in the queue")
        try:
            grade = float(line)
        except ValueError:
            continue
        if 0 <= grade <= 1:
            return grade


def show(langfuse: Langfuse, result: dict[str, Any]) -> None:
    """Print the result for a person."""
    for one in result.get("graded", ()):
        print(f"{one['trace_id']}: quality {one['quality']:g}")
    for one in result.get("answers", ()):
        print(f"{one['question']}\n  {one['answer']} ({', '.join(one['sections']) or 'no section'})")
        print(
            f"  similarity to the sources {one['similarity']:.2f}"
            + ("" if one["sure"] else ": to be reviewed")
        )
        print(f"  {langfuse.get_trace_url(trace_id=one['trace_id'])}")
    if "session_id" in result:
        unsure = sum(not one["sure"] for one in result["answers"])
        print(f"{len(result['answers'])} answers in session {result['session_id']}, {unsure} to be reviewed")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__doc__)
    parser.add_argument("questions", nargs="*", help="what to ask (default: four questions)")
    parser.add_argument("--prompt", default="customer-service", help="prompt (default customer-service)")
    parser.add_argument("--queue", default="answer-review", help="annotation queue (default answer-review)")
    parser.add_argument("--session", help="session id (default: a new one)")
    parser.add_argument("--review", action="store_true", help="ask nothing: grade what waits in the queue")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the example; exit code 0 when done, 1 when the server refuses, 2 on wrong use."""
    options = parse(arguments)
    langfuse = connect()
    if options.review:
        result = review(langfuse, options)
    else:
        require_models()
        result = run(langfuse, options)
    return conclude(langfuse, result, show, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
