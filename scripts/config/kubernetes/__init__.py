"""The way out of one machine: values for Langfuse's Helm chart and what a cluster needs around it."""
