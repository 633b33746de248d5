"""Write ``docs/interop.rst`` from ``docs/interop.json``: ``python -m tests.interop.write_table``."""

import json

from tests.interop.matrix import PAGE, RESULTS, page_text


def main() -> None:
    """Write the page."""
    PAGE.write_text(page_text(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
