"""The verbs that run a Langfuse stack: `python -m scripts VERB`, one module per verb."""
