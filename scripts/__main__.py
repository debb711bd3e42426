"""`python -m scripts VERB`."""

from .cli import app

app(prog_name="python -m scripts")
