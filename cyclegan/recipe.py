"""The recipe: all settings of a run, in one YAML file. It composes every config and runs nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args, get_type_hints

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic import ValidationError as PydanticError
from pydantic_core import ErrorDetails
from tyro.constructors import PrimitiveConstructorSpec

from cyclegan.data.config import DataConfig
from cyclegan.methods import MethodConfig
from cyclegan.methods.config import CycleganConfig
from cyclegan.metrics.config import FeaturesConfig
from cyclegan.types import NUMBER, Device, Place, Precision
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import key_of, mistake, quoted
from cyclegan.util.yaml import parse_yaml, refuse_endless

if TYPE_CHECKING:
    from cyclegan.methods.base import Method

_SPAN = PrimitiveConstructorSpec(
    nargs=1,
    metavar="SPAN",
    instance_from_str=lambda words: words[0],
    is_instance=lambda value: isinstance(value, str),
    str_from_instance=lambda span: [span],
)
Span = Annotated[str, Field(pattern=r"^[0-9]{1,12} (images?|epochs?)$"), _SPAN]
"""A duration of training, "100 epochs" or "50000 images". One image is one pair; an epoch is max(|A|, |B|) images."""

Lasting = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,11} (images?|epochs?)$"), _SPAN]
"""A span greater than 0."""

Share = Annotated[float, NUMBER, Field(ge=0, lt=1)]

LARGEST_FILE = 2**16
"""Maximum size of a recipe in bytes; those in experiments/ have about 2,000."""


def _as_word(value: object) -> object:
    """Accept the boolean that YAML makes of an unquoted `on` or `off`."""
    return ("off", "on")[value] if isinstance(value, bool) else value


Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_as_word)]
Compile = Annotated[Literal["auto", "on", "simd256", "off"], BeforeValidator(_as_word)]


def images_in(span: Span, epoch: int) -> int:
    """Return the length of a span in images; an epoch has `epoch` images."""
    return int(span.split()[0]) * unit_of(span, epoch)


def unit_of(span: Span, epoch: int) -> int:
    """Return the length of the span's unit in images: 1, or `epoch`."""
    return epoch if span.split()[1].startswith("epoch") else 1


LearningRate = Annotated[float, NUMBER, Field(gt=0, le=1)]
Betas = tuple[Share, Share]
WeightDecay = Annotated[float, NUMBER, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class LrScheduleConfig:
    """The learning rate over time, and the run's length."""

    constant: Span = "100 epochs"
    """Duration at the full learning rate."""
    decay: Span = "100 epochs"
    """Duration of the decay that follows; then the run ends."""
    shape: Literal["linear", "cosine", "steps", "plateau"] = "linear"
    """`linear` and `cosine` decay to 0; `steps` and `plateau` (of the validation KID) multiply by `factor`."""
    step: Lasting = "50 epochs"
    """For `steps`: time between two of them."""
    factor: Annotated[float, NUMBER, Field(gt=0, lt=1)] = 0.1
    """For `steps` and `plateau`: factor by which the learning rate is multiplied."""
    patience: Annotated[int, NUMBER, Field(gt=0, le=1000)] = 5
    """For `plateau`: number of validations without a better KID before the learning rate drops."""

    def length(self, epoch: int) -> int:
        """Return the length of the training in images; an epoch has `epoch` images."""
        return images_in(self.constant, epoch) + images_in(self.decay, epoch)


@dataclass(frozen=True, kw_only=True)
class PlayerConfig:
    """Settings of one player (the generators, or the discriminators) that differ from the run's."""

    lr: LearningRate | None = None
    """Learning rate; none: the value of `training.lr`."""
    betas: Betas | None = None
    """Adam's betas; none: the value of `training.betas`."""
    weight_decay: WeightDecay | None = None
    """Weight decay; none: the value of `training.weight_decay`."""
    every: Annotated[int, NUMBER, Field(gt=0, le=1000)] = 1
    """Update the player once every N steps."""
    repeat: Annotated[int, NUMBER, Field(gt=0, le=1000)] = 1
    """Update the player N times in each step, on the same batch with new translations."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The optimization: batch size, learning rate, EMA, seed."""

    batch_size: Annotated[int, NUMBER, Field(gt=0, le=2**16)] = 1
    """Number of images of each domain in a batch."""
    accumulate: Annotated[int, NUMBER, Field(gt=0, le=2**16)] = 1
    """Number of batches whose gradients are accumulated before each optimizer step."""
    lr: LearningRate = 2e-4
    """Adam's learning rate."""
    betas: Betas = (0.5, 0.999)
    """Adam's decay rates of the mean gradient and of the mean squared gradient."""
    weight_decay: WeightDecay = 0.0
    """Adam's L2 penalty: this number times the weights is added to their gradient."""
    lr_schedule: LrScheduleConfig = field(default_factory=LrScheduleConfig)
    """The length of the training, and the decay of the learning rate."""
    players: dict[str, PlayerConfig] = field(default_factory=dict)
    """Settings of single players, for example {discriminators: {lr: 1e-4}}."""
    grad_clip: Annotated[float, NUMBER, Field(ge=0, le=1e9)] = 0.0
    """Maximum L2 norm of a player's gradient; 0 disables clipping."""
    max_nonfinite_steps: Annotated[int, NUMBER, Field(gt=0, le=10**6)] = 10
    """End the run after N consecutive steps with non-finite losses or gradients; each of them is skipped."""
    start: Place | None = None
    """Model whose generators the training starts from: run, file, or user/name; other channel counts are adapted."""
    ema: Lasting | None = None
    """Half-life of an EMA of the generators, used for samples, scores and translation; none: no EMA."""
    seed: Annotated[int, NUMBER, Field(ge=0, le=2**63 - 1)] = 0
    """Seed of all random numbers: initial weights, order, augmentation, dropout, history of images."""

    @property
    def pairs(self) -> int:
        """Number of images of each domain in an optimizer step of one process."""
        return self.batch_size * self.accumulate


@dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """Device, precision, memory layout, compilation.

    Options on `auto` are checked and timed when the run starts. One is used if its losses and gradients agree with
    plain float32 and it is faster. None of them changes what is learned, except for rounding.
    """

    device: Device = "auto"
    """Device to train on. `auto` picks CUDA, then MPS, then the CPU."""
    precision: Literal["auto"] | Precision = "auto"
    """`float32`; `tf32`, for matrix products on CUDA; `bf16` or `fp16`, mixed precision by autocast."""
    channels_last: Switch = "auto"
    """Use the channels-last (NHWC) memory layout."""
    compile: Compile = "auto"
    """Compile the networks (takes a minute or two); `simd256` limits the CPU's vectors to 256 bits."""
    graph: Switch = "auto"
    """Replay each step as a CUDA graph; needs one process and no `checkpoint_activations`."""
    deterministic: bool = False
    """Make runs repeatable bit for bit: nothing is chosen by timing, and CUDA kernels are deterministic."""
    checkpoint_activations: bool = False
    """Recompute the generators' activations in the backward pass: less memory, slower steps."""


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    """Logs, sample grids, validation, checkpoints."""

    scalars_every: Span = "100 images"
    """Interval at which losses, learning rate and speed are written to TensorBoard."""
    samples_every: Span = "5000 images"
    """Interval of the sample grids, written to TensorBoard and to `samples/` in the run folder."""
    samples: Annotated[int, NUMBER, Field(ge=0, le=1000)] = 4
    """Number of pictures of each domain in a sample grid, from the test split if there is one."""
    histograms_every: Lasting | None = "20000 images"
    """Interval of histograms (weights, gradients) and feature maps in TensorBoard; none: off."""
    feature_maps: tuple[Annotated[int, NUMBER, Field(ge=0)], ...] = (0, 2, 4)
    """List of generator stages whose feature maps are shown; 0 is the first convolution."""
    graph: bool = False
    """Write the graph of the networks to TensorBoard."""
    wandb: str | None = None
    """Project of Weights & Biases to log to as well; needs pip install 'cyclegan[wandb]'."""
    evaluate_every: Lasting | None = None
    """Interval of the validation, which keeps the weights with the lowest KID as best.pt; none: off."""
    checkpoint_every: Span = "5000 images"
    """Interval of checkpoints, from which `--resume` continues; the last two are kept."""
    keep_every: Span | None = None
    """Interval of checkpoints that are never deleted; none: only the last two are kept."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a run. The defaults are those of the reference CycleGAN, but pictures keep their shape."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    data: DataConfig = field(default_factory=DataConfig)
    """The data set."""
    method: MethodConfig = field(default_factory=CycleganConfig)
    """The method, its networks and loss weights."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The optimization."""
    speed: SpeedConfig = field(default_factory=SpeedConfig)
    """Device, precision, memory layout, compilation."""
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    """The network that scores are computed with."""
    log: LogConfig = field(default_factory=LogConfig)
    """What is logged, and how often."""

    def build(self) -> Method:
        """Build the method with random weights, for the channels of the recipe's pictures."""
        return self.method.build(self.data.channels)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain dictionaries, lists, numbers and strings, as YAML and checkpoints hold it."""
        plain: dict[str, Any] = _RECIPES.dump_python(self, mode="json")
        return plain

    def to_yaml(self) -> str:
        """Return the recipe with all defaults as YAML, which `read_recipe` reads back unchanged."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


_RECIPES = TypeAdapter(Recipe)


def read_recipe(path: Path | str) -> Recipe:
    """Read a recipe from a YAML file. Raises FileNotFoundError, or ValueError with one line that names the key."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, not a recipe; to train on its pictures, use --data.root {path}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recipe; experiments/ holds some")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path}: more than {LARGEST_FILE:,} bytes; is it a recipe?")
    content = path.read_bytes()
    try:
        data = parse_yaml(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return recipe_from({} if data is None else data, str(path))


def recipe_from(data: Any, source: str) -> Recipe:
    """Validate plain data as a recipe; `source` is named in errors. Raises ValueError with one line."""
    try:
        refuse_endless(data)
        return _RECIPES.validate_python(data)
    except PydanticError as error:
        raise ValueError(f"{source}: {_in_words(error.errors()[0])}") from None
    except ValueError as error:
        raise ValueError(f"{source}: the recipe: {error}") from None


def check_transforms(recipe: Recipe, source: str) -> None:
    """Raise ValueError, in one line, if albumentations does not accept the transforms of a recipe.

    `recipe_from` does not check this, because importing albumentations takes a second.
    """
    try:
        recipe.data.build()
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write `recipe.to_yaml()` to a file atomically."""
    write_whole(path, recipe.to_yaml().encode())


def _in_words(error: ErrorDetails) -> str:
    """Describe an error in one line: the key, what is wrong, what would be right."""
    *above, last = error["loc"] or [""]
    key = key_of([*(part for part in above if part not in _KINDS), last]) if error["loc"] else "the recipe"
    match error["type"]:
        case "unexpected_keyword_argument":
            near = difflib.get_close_matches(str(last), {*_names(Recipe)} - {str(last)}, n=1)
            return f"{key}: no such key" + (f"; did you mean '{near[0]}'?" if near else "")
        case "dataclass_type" | "model_attributes_type" | "dict_type":
            return f"{key}: expected keys and values, not {quoted(error['input'])}"
        case "string_pattern_mismatch":
            return f"{key}: {quoted(error['input'])} is not a duration; write '100 epochs' or '50000 images'"
    return mistake(key, error)


def _configs(config: Any) -> Iterator[Any]:
    """Yield the dataclass and every dataclass in its fields, members of unions included."""
    yield config
    for hint in get_type_hints(config).values():
        for part in (hint, *get_args(hint)):
            if is_dataclass(part):
                yield from _configs(part)


def _names(config: Any) -> Iterator[str]:
    return (f.name for each in _configs(config) for f in fields(each))


_KINDS = {f.default for each in _configs(Recipe) for f in fields(each) if f.name == "kind"}
