"""Every promise of the documentation names a test that exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "promise.md"


def names(path):
    """Names of the test functions in a file, those in classes too."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_promise_has_a_test():
    rows = [
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "---" not in line
    ]
    promises = [row for row in rows if not row.startswith("| promise |")]
    held = [re.search(r"`(tests/\S+\.py)::(test_\w+)` \|$", row) for row in promises]
    assert len(promises) > 30
    assert [row for row, test in zip(promises, held, strict=True) if test is None] == []
    missing = [test[0] for test in held if not (ROOT / test[1]).exists() or test[2] not in names(ROOT / test[1])]
    assert missing == []
