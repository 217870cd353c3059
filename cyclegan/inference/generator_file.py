"""A generator in a `.safetensors` file: its weights, and in the metadata the config that builds the network."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import safe_open
from safetensors.torch import save

from cyclegan.data.format import Formats, PictureFormat
from cyclegan.inference.weights import fill
from cyclegan.networks.base import Generator
from cyclegan.networks.config import GENERATORS, AnyGeneratorConfig
from cyclegan.types import DOMAINS, Direction
from cyclegan.util.atomic import write_whole
from cyclegan.util.text import key_of, mistake, reason

FORMAT = "cyclegan generator 1"


class Stored(NamedTuple):
    """The content of a generator's file."""

    direction: Direction
    network: Generator
    formats: Formats
    trained: int | None
    """The length of the shorter side of the pictures that it was trained on, in pixels, if known."""


def write_generator(
    network: Generator, direction: Direction, path: Path, formats: Formats | None = None, trained: int | None = None
) -> None:
    """Write a generator to a file that `Translator.load` can read without anything else.

    `formats` are those of both domains; by default, 8-bit pictures. `trained` is the length of the shorter side of the
    pictures that it was trained on, in pixels, if known.

    Raises OSError when the file cannot be written.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    formats = formats or formats_of(network, direction)
    metadata = {"format": FORMAT, "direction": direction.value, "generator": json.dumps(asdict(network.config))}
    metadata |= {domain: json.dumps(asdict(format_)) for domain, format_ in formats.items()}
    metadata |= {"trained_at": str(trained)} if trained else {}
    write_whole(path, save(weights, metadata))


def direction_of(path: Path) -> Direction | None:
    """Return the direction stored in a generator's file; None for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except Exception:  # as in `read_generator`
        return None
    known = metadata.get("format") == FORMAT and metadata.get("direction") in list(Direction)
    return Direction(metadata["direction"]) if known else None


def read_generator(path: Path) -> Stored:
    """Read a generator, its direction and the formats of its domains.

    Raises ValueError when the file does not hold one.
    """
    try:
        path.open("rb").close()  # safetensors reports an unreadable file as missing
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # `file` is not a dict
    except Exception as error:  # a header may name a dtype that torch does not have
        raise ValueError(f"{path}: damaged, or not a safetensors file: {reason(error)}") from None
    if metadata.get("format") != FORMAT or metadata.get("direction") not in list(Direction):
        raise ValueError(f"{path}: not a generator written by `cyclegan export`")
    try:
        config = TypeAdapter(AnyGeneratorConfig).validate_json(metadata.get("generator", ""), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = key_of(["generator", *(part for part in first["loc"] if part not in GENERATORS)])
        raise ValueError(f"{path}: {mistake(key, first)}") from None
    direction, formats = Direction(metadata["direction"]), _formats(metadata, path)
    with torch.device("meta"):
        network = config.build(formats[direction.source].channels, formats[direction.target].channels)
    try:
        fill(network, weights)
    except ValueError as error:
        raise ValueError(f"{path}: its weights do not fit its config: {error}") from None
    trained = metadata.get("trained_at", "")
    return Stored(direction, network, formats, int(trained) if re.fullmatch("[1-9][0-9]{0,5}", trained) else None)


def formats_of(network: Generator, direction: Direction) -> Formats:
    """Return the 8-bit formats that have as many channels as a generator."""
    counts = {direction.source: network.inputs, direction.target: network.outputs}
    return {domain: PictureFormat.of(channels) for domain, channels in sorted(counts.items())}


def _formats(metadata: Mapping[str, str], path: Path) -> Formats:
    """Read the formats of both domains; files of earlier versions have none and are for 8-bit RGB."""
    try:
        return {name: TypeAdapter(PictureFormat).validate_json(metadata.get(name, "{}")) for name in DOMAINS}
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{path}: {mistake(key_of(['format', *first['loc']]), first)}") from None
