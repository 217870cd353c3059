"""Mutate recipes and command lines many thousand times: each is valid, or refused in one line that reads well.

    python tests/soak/mutations.py --examples 10000

The properties are those of `tests/test_mutations.py`. The first example that breaks one ends the soak, and is shown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, seed, settings
from hypothesis.strategies import SearchStrategy

sys.path.insert(0, str(Path(__file__).parents[2]))  # where the properties are

from tests import test_mutations as suite

Outcome = Callable[[Path, Any], str]


def soak(outcome: Outcome, examples: SearchStrategy[Any], args: argparse.Namespace) -> Counter[str]:
    """How so many examples ended. Raises what the first broken one raised."""
    ended: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:

        @seed(args.seed)
        @settings(suite.quick, max_examples=args.examples, derandomize=False)
        @given(examples)
        def check(example: Any) -> None:
            ended[outcome(Path(folder), example)] += 1

        check()
    return ended


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000, help="of each property")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other examples")
    args = parser.parse_args()
    properties: dict[str, tuple[Outcome, SearchStrategy[Any]]] = {
        "recipes mutated as data": (suite.data_outcome, suite.mutated_data()),
        "recipes mutated as text": (suite.text_outcome, suite.mutated_text()),
        "random command lines": (suite.line_outcome, suite.command_lines()),
    }
    told = []
    begin = time.perf_counter()
    for name, (outcome, examples) in properties.items():
        ended = soak(outcome, examples, args)
        told.append(f"{ended.total():,} {name}: {', '.join(f'{n:,} {how}' for how, n in sorted(ended.items()))}")
    print(f"{'; '.join(told)}; no exception but one line; {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
