"""`validate`: check `config/stack.yaml` and all its files, without a server and without secrets."""

from __future__ import annotations

from .core.context import Context
from .provision.content import Content
from .provision.loading import load_stack


def run(context: Context) -> int:
    """The verb. Raises StackFileError with all faults."""
    layout = context.layout
    stack = load_stack(layout.stack_file, layout.shown(layout.stack_file))
    for project in stack.projects:
        counts = {name: len(getattr(project, name)) for name in Content.model_fields}
        counts["dataset items"] = sum(len(dataset.items) for dataset in project.datasets)
        shown = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)
        context.console.print(f"project {project.id}: {shown or 'no content'}")
    context.console.print(f"{layout.shown(layout.stack_file)} is valid.")
    return 0
