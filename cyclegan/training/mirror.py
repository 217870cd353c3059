"""Optional logging to Weights & Biases: it receives everything that is written for TensorBoard."""

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
    """While open, everything written for TensorBoard is also sent to the project `log.wandb`; null sends nothing.

    A resumed run continues there under the same id. Raises ImportError when wandb is not installed, and ConnectionError
    when it cannot start a session.
    """
    if recipe.log.wandb is None:
        yield
        return
    try:
        import wandb
    except ImportError:
        raise ImportError("log.wandb: wandb is not installed; run: pip install 'cyclegan[wandb]'") from None
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
