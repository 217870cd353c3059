"""The recipe: everything that can be said about a run, in one YAML file. It composes every config and runs nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

import tyro
import yaml
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic import ValidationError as PydanticError
from pydantic_core import ErrorDetails

from cyclegan.data.config import DataConfig
from cyclegan.methods import MethodConfig
from cyclegan.methods.config import CycleganConfig
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.types import NUMBER, Device, Precision
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import key_of, mistake, quoted, reason
from cyclegan.util.yaml import parse_yaml, refuse_endless

Span = Annotated[str, Field(pattern=r"^[0-9]{1,12} (images?|epochs?)$")]
"""A length of training, "100 epochs" or "50000 images". Images count pairs; an epoch is max(|A|, |B|) of them."""

Lasting = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,11} (images?|epochs?)$")]
"""A span that is not 0."""

Share = Annotated[float, NUMBER, Field(ge=0, lt=1)]

LARGEST_FILE = 2**16
"""Bytes of a recipe; those in experiments/ have two thousand."""


def _as_word(value: object) -> object:
    """YAML reads an unquoted `on` or `off` as a truth value; either is understood."""
    return ("off", "on")[value] if isinstance(value, bool) else value


Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_as_word)]
Compile = Annotated[Literal["auto", "on", "simd256", "off"], BeforeValidator(_as_word)]


def images_in(span: Span, epoch: int) -> int:
    """How many images a span lasts, when an epoch has `epoch` of them."""
    return int(span.split()[0]) * unit_of(span, epoch)


def unit_of(span: Span, epoch: int) -> int:
    """How many images one unit of the span lasts: 1, or an epoch."""
    return epoch if span.split()[1].startswith("epoch") else 1


LearningRate = Annotated[float, NUMBER, Field(gt=0, le=1)]
Betas = tuple[Share, Share]


@dataclass(frozen=True, kw_only=True)
class LrScheduleConfig:
    """The learning rate over a run: constant, then falling; the defaults are the reference's."""

    constant: Span = "100 epochs"
    """At the full rate for this long, ..."""
    decay: Span = "100 epochs"
    """... then falling for this long; the run ends after both."""
    shape: Literal["linear", "cosine", "steps", "plateau"] = "linear"
    """How it falls: in a line or half a cosine towards zero; by `factor` every `step`; or by `factor` whenever the KID
    of the validation (`log.evaluate_every`) was not the best for `patience` evaluations."""
    step: Lasting = "50 epochs"
    """Of `steps`: the time between two."""
    factor: Annotated[float, NUMBER, Field(gt=0, lt=1)] = 0.1
    """Of `steps` and `plateau`."""
    patience: Annotated[int, NUMBER, Field(gt=0, le=1000)] = 5
    """Of `plateau`: evaluations without a better KID."""

    def length(self, epoch: int) -> int:
        """Images that training lasts, when an epoch has `epoch` of them."""
        return images_in(self.constant, epoch) + images_in(self.decay, epoch)


@dataclass(frozen=True, kw_only=True)
class PlayerConfig:
    """What one player does otherwise than the run."""

    lr: LearningRate | None = None
    """Its learning rate; null takes the run's."""
    betas: Betas | None = None
    """Its betas; null takes the run's."""
    every: Annotated[int, NUMBER, Field(gt=0, le=1000)] = 1
    """It moves in one of so many steps."""
    repeat: Annotated[int, NUMBER, Field(gt=0, le=1000)] = 1
    """It moves so many times in a step, on the same batch translated anew."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long, how fast and in what portions to learn; the defaults are the reference's."""

    batch_size: Annotated[int, NUMBER, Field(gt=0, le=2**16)] = 1
    """Pairs of pictures that the networks see at once."""
    accumulate: Annotated[int, NUMBER, Field(gt=0, le=2**16)] = 1
    """Batches whose gradients make one step: as one batch so many times as large, in the memory of one; only batch norm
    sees them apart."""
    lr: LearningRate = 2e-4
    """Learning rate of Adam."""
    betas: Betas = (0.5, 0.999)
    """Decay of Adam's averages of the gradient and of its square."""
    lr_schedule: LrScheduleConfig = field(default_factory=LrScheduleConfig)
    """How long training lasts, and how the learning rate falls."""
    players: Annotated[dict[str, PlayerConfig], tyro.conf.Fixed] = field(default_factory=dict)
    """What is different for some of the method's players: `{discriminators: {lr: 1e-4}}`."""
    grad_clip: Annotated[float, NUMBER, Field(ge=0, le=1e9)] = 0.0
    """Largest norm of a player's gradient; 0 does not clip."""
    max_nonfinite_steps: Annotated[int, NUMBER, Field(gt=0, le=10**6)] = 10
    """Steps in a row whose losses or gradients may be not finite. Each is skipped; at so many the run ends."""
    ema: Lasting | None = None
    """Half-life of a moving average (EMA) of the generators, used for samples and translation; null keeps none."""
    seed: Annotated[int, NUMBER, Field(ge=0, le=2**63 - 1)] = 0
    """Fixes weights, order, augmentation and pool: the same recipe gives the same run."""

    @property
    def pairs(self) -> int:
        """Pairs of pictures in a step of one process."""
        return self.batch_size * self.accumulate


@dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """How to use the machine; nothing here changes what is learned, but for rounding.

    A lever on `auto` is tried when a run begins: it is used where it computes what plain float32 does, and is faster.
    """

    device: Device = "auto"
    """`auto` takes cuda, then mps, then cpu."""
    precision: Literal["auto"] | Precision = "auto"
    """`float32` is exact, also on CUDA; `tf32` is CUDA's short float32; `bf16` and `fp16` are autocast."""
    channels_last: Switch = "auto"
    """Keep the channels of a pixel together in memory."""
    compile: Compile = "auto"
    """Compile the networks (a minute or two at the start); `simd256` with vectors of 256 bits at most."""
    graph: Switch = "auto"
    """Replay a step as a CUDA graph: in one process, and without `checkpoint_activations`."""
    deterministic: bool = False
    """The same run bit for bit: no lever is chosen by timing, and CUDA takes kernels that add up in a fixed order."""
    checkpoint_activations: bool = False
    """Compute what happens inside the generators' stages twice instead of keeping it: less memory, slower steps."""


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    """What a run writes down, and how often."""

    scalars_every: Span = "100 images"
    """Losses, learning rate and speed to TensorBoard."""
    samples_every: Span = "5000 images"
    """Grids of real | fake and what else the method shows, cycle, identity or truth, to TensorBoard and `samples/`."""
    samples: Annotated[int, NUMBER, Field(ge=0, le=1000)] = 4
    """Held-out pictures of each domain in a grid (of testA and testB, else of the training folders)."""
    histograms_every: Lasting | None = "20000 images"
    """Histograms of all weights and gradients, and feature maps, to TensorBoard; null writes none."""
    feature_maps: Annotated[tuple[Annotated[int, NUMBER, Field(ge=0)], ...], tyro.conf.Fixed] = (0, 2, 4)
    """Stages of each generator whose feature maps of the first sample are shown; 0 is the first convolution."""
    graph: bool = False
    """The networks as a graph to TensorBoard."""
    wandb: str | None = None
    """Project of Weights & Biases that gets all records too; needs pip install 'cyclegan[wandb]'."""
    evaluate_every: Lasting | None = None
    """Scores of held-out pictures (see `data.validation`); `best.pt` is kept by KID. null trains on all pictures."""
    checkpoint_every: Span = "5000 images"
    """Complete state to `checkpoints/`; the last one is always kept."""
    keep_every: Span | None = None
    """Checkpoints to keep for good besides the last; null keeps none."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run in one file. Its defaults are the reference CycleGAN: `method: {kind: cyclegan}` alone is that."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    data: DataConfig = field(default_factory=DataConfig)
    """The pictures."""
    method: MethodConfig = field(default_factory=CycleganConfig)
    """The networks and their learner."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The learning."""
    speed: SpeedConfig = field(default_factory=SpeedConfig)
    """The machine."""
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    """By whose eyes translations are scored."""
    log: LogConfig = field(default_factory=LogConfig)
    """The records."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and strings: what YAML and a checkpoint hold."""
        plain: dict[str, Any] = _RECIPES.dump_python(self, mode="json")
        return plain

    def to_yaml(self) -> str:
        """The resolved recipe, every default spelt out, as YAML that `read_recipe` gives back unchanged."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


_RECIPES = TypeAdapter(Recipe)


def read_recipe(path: Path | str) -> Recipe:
    """The recipe in a YAML file. Raises FileNotFoundError, or ValueError with one line that names the key."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recipe; experiments/ holds some")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path}: more than {LARGEST_FILE:,} bytes; is it a recipe?")
    content = path.read_bytes()
    try:
        data = parse_yaml(content.decode())
    except Exception as error:  # PyYAML's constructors raise almost anything on odd scalars
        where = reason(error).replace('in "<unicode string>", ', "in ")
        raise ValueError(f"{path}: not valid YAML: {where}") from None
    return recipe_from({} if data is None else data, str(path))


def recipe_from(data: Any, source: str) -> Recipe:
    """A validated recipe from plain data; `source` is named in errors. Raises ValueError with one line."""
    try:
        refuse_endless(data)
        return _RECIPES.validate_python(data)
    except PydanticError as error:
        raise ValueError(f"{source}: {_in_words(error.errors()[0])}") from None
    except ValueError as error:
        raise ValueError(f"{source}: the recipe: {error}") from None


def check_transforms(recipe: Recipe, source: str) -> None:
    """Raise ValueError, in one line, where albumentations would not take the transforms of a recipe.

    `recipe_from` leaves that open, because the answer needs albumentations, whose import takes a second.
    """
    try:
        recipe.data.build()
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write `recipe.to_yaml()`, whole or not at all."""
    write_whole(path, recipe.to_yaml().encode())


def _in_words(error: ErrorDetails) -> str:
    """One line for the person: the key, what is wrong with it, what would be right."""
    *above, last = error["loc"] or [""]
    key = key_of([*(part for part in above if part not in _KINDS), last]) if error["loc"] else "the recipe"
    match error["type"]:
        case "unexpected_keyword_argument":
            near = difflib.get_close_matches(str(last), {*_names(Recipe)} - {str(last)}, n=1)
            return f"{key}: no such key" + (f"; did you mean '{near[0]}'?" if near else "")
        case "dataclass_type" | "model_attributes_type" | "dict_type":
            return f"{key}: expected keys and values, not {quoted(error['input'])}"
        case "string_pattern_mismatch":
            return f"{key}: {quoted(error['input'])} is no length; write '100 epochs' or '50000 images'"
    return mistake(key, error)


def _configs(config: Any) -> Iterator[Any]:
    """The dataclass and every dataclass in its fields, unions included."""
    yield config
    for hint in get_type_hints(config).values():
        for part in (hint, *get_args(hint)):
            if is_dataclass(part):
                yield from _configs(part)


def _names(config: Any) -> Iterator[str]:
    return (f.name for each in _configs(config) for f in fields(each))


_KINDS = {f.default for each in _configs(Recipe) for f in fields(each) if f.name == "kind"}
