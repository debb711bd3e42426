"""`python -m scripts VERB`."""

import signal

# Until a verb has begun there is nothing to clean up: Ctrl-C ends the imports without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from .cli import app  # noqa: E402

app(prog_name="python -m scripts")
