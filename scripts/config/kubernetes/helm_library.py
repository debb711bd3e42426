"""Render a chart with Helm's library: `helm_library.py CHART RELEASE NAMESPACE < values.json`.

A program for the Python of `.venv-tools`, where nothing of this repository is: it imports its library alone.
Exit code 3: the library is not there. Sub-charts that are missing are left out.
"""

from __future__ import annotations

import json
import sys


def main(chart: str, release: str, namespace: str) -> int:
    """Print the objects as one YAML text."""
    try:
        import helm_python  # type: ignore[import-not-found]
    except ImportError:
        return 3
    try:
        with helm_python.Chart.load(chart) as loaded:
            texts = loaded.render(json.load(sys.stdin), name=release, namespace=namespace)
    except helm_python.HelmError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n---\n".join(text for name, text in sorted(texts.items()) if name.endswith((".yaml", ".yml"))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
