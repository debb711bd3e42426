"""`python -m scripts COMMAND`."""

import signal

# Until a command has begun there is nothing to clean up: Ctrl-C ends the imports without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from .cli import main  # noqa: E402

main()
