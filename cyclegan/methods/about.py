"""What a method is called, which way it translates, and who invented it. Free of torch."""

from __future__ import annotations

from typing import NamedTuple

from cyclegan.types import Direction

BOTH = (Direction.AtoB, Direction.BtoA)


class About(NamedTuple):
    """Facts for people: help, pages and model cards."""

    name: str
    paper: str
    """As it is cited in a sentence."""
    bibtex: str
    directions: tuple[Direction, ...] = BOTH
    tag: str = "cyclegan"
    """On the Hugging Face hub."""
    paired: bool = False
    """Whether it learns from pairs of pictures: each input with the translation that is wanted of it."""


CYCLEGAN = About(
    "CycleGAN",
    "Zhu et al. 2017",
    """\
@inproceedings{zhu2017unpaired,
  title     = {Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks},
  author    = {Zhu, Jun-Yan and Park, Taesung and Isola, Phillip and Efros, Alexei A.},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  year      = {2017}
}""",
)

CUT = About(
    "CUT",
    "Park et al. 2020",
    """\
@inproceedings{park2020contrastive,
  title     = {Contrastive Learning for Unpaired Image-to-Image Translation},
  author    = {Park, Taesung and Efros, Alexei A. and Zhang, Richard and Zhu, Jun-Yan},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year      = {2020}
}""",
    (Direction.AtoB,),
    "cut",
)

FASTCUT = CUT._replace(name="FastCUT", tag="fastcut")
