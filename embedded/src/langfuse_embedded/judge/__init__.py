"""LLM-as-a-judge: what evaluators and rules may say, and the process that judges observations by them."""
