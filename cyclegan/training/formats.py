"""The formats of a run's pictures: found from the files when it begins, then kept in its recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace

from cyclegan.checkpoint import Checkpoint
from cyclegan.data.config import DomainConfig
from cyclegan.data.folder import Folder
from cyclegan.data.format import Formats, PictureFormat
from cyclegan.data.found import find_format
from cyclegan.recipe import Recipe
from cyclegan.types import DOMAINS, Domain
from cyclegan.util.text import shown


def with_formats(
    recipe: Recipe, folders: Mapping[Domain, Folder], saved: Checkpoint | None, tell: Callable[[str], None]
) -> Recipe:
    """Return the recipe with the formats of its pictures, and give them to the folders.

    What the recipe leaves at `auto` is that of the checkpoint, or else found from the files. `tell` is called with a
    line for each domain that is not 8-bit RGB. Raises what `find_format` raises.
    """
    asked = {"a": recipe.data.a, "b": recipe.data.b}
    if saved:
        before = saved.recipe.data.formats
        found = {name: _filled(asked[name], before[name]).format for name in DOMAINS}
    else:
        found = {name: _found(name, asked[name], folders[name]) for name in DOMAINS}
        if recipe.method.about.one_encoder and {found[name].channels for name in DOMAINS} == {1, 3}:
            found |= {
                name: replace(found[name], channels=3, view=(1, 2, 3))
                for name in DOMAINS
                if asked[name].channels == "auto"
            }
    for name in DOMAINS:
        folders[name].source = folders[name].source._replace(format=found[name])
        if described := found[name].described:
            tell(f"{shown(folders[name].source.folder)}: {described}")
    return _with(recipe, found)


def known(saved: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose recipe has its formats, also one of before there were formats."""
    return replace(saved, recipe=_with(saved.recipe, saved.recipe.data.formats))


def _with(recipe: Recipe, found: Formats) -> Recipe:
    a, b = (DomainConfig.of(found[name]) for name in DOMAINS)
    return replace(recipe, data=replace(recipe.data, a=a, b=b))


def _found(name: Domain, asked: DomainConfig, folder: Folder) -> PictureFormat:
    try:
        return find_format(asked, folder.source, folder.files)
    except ValueError as error:
        key = f"data.{name}." if str(error).startswith(("view", "range")) else ""
        raise ValueError(f"{key}{error}") from None


def _filled(asked: DomainConfig, before: PictureFormat) -> DomainConfig:
    """Return a config with the values of a format where it has a word."""
    words = ("auto", "percentiles")
    left = {each.name: getattr(before, each.name) for each in fields(asked) if getattr(asked, each.name) in words}
    return replace(asked, **left)
