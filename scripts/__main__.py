"""`python -m scripts VERB`."""

from .cli import app

app()
