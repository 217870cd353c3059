"""Weights & Biases, for those who want it: all that TensorBoard gets, sent there too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from cyclegan.recipe import Recipe
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import one_line


@contextmanager
def mirrored(recipe: Recipe, run: Path) -> Iterator[None]:
    """While this is open, what is written for TensorBoard goes to the project `log.wandb` too; null sends nothing.

    A run that is resumed goes on there under the same id. Raises ImportError when the library is not installed,
    ConnectionError when it cannot begin.
    """
    if recipe.log.wandb is None:
        yield
        return
    try:
        import wandb
    except ImportError:
        raise ImportError("log.wandb: Weights & Biases is missing; pip install 'cyclegan[wandb]'") from None
    identity = run / "wandb_id.txt"
    if not identity.exists():
        write_whole(identity, uuid4().hex[:12].encode())
    try:
        session = wandb.init(
            project=recipe.log.wandb,
            id=identity.read_text(encoding="utf-8").strip(),
            resume="allow",
            name=run.name,
            dir=run,
            config=recipe.to_dict(),
            sync_tensorboard=True,
        )
    except wandb.Error as error:
        raise ConnectionError(f"log.wandb: {one_line(str(error), 500)}") from None
    try:
        yield
    finally:
        session.finish()
