"""The name, paper and training data of each method. This module does not import torch."""

from __future__ import annotations

from typing import NamedTuple


class About(NamedTuple):
    """Facts about a method for help texts, reports and model cards."""

    name: str
    paper: str
    """Authors and year, as cited in a sentence."""
    bibtex: str
    tag: str = "cyclegan"
    """The tag of the method on the Hugging Face hub."""
    paired: bool = False
    """Whether the method trains on pairs of pictures."""
    one_encoder: bool = False
    """Whether one network reads the pictures of both domains, so that they need equally many channels."""
    one_style: bool = False
    """Whether the target domain is the style of one picture, or of a few."""
    any_style: bool = False
    """Whether a translation needs a picture of the style that it should have."""


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
    "cut",
    one_encoder=True,
)

FASTCUT = CUT._replace(name="FastCUT", tag="fastcut")

MUNIT = About(
    "MUNIT",
    "Huang et al. 2018",
    """\
@inproceedings{huang2018multimodal,
  title     = {Multimodal Unsupervised Image-to-Image Translation},
  author    = {Huang, Xun and Liu, Ming-Yu and Belongie, Serge and Kautz, Jan},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year      = {2018}
}""",
    "munit",
)

ADAIN = About(
    "AdaIN",
    "Huang and Belongie 2017",
    """\
@inproceedings{huang2017arbitrary,
  title     = {Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization},
  author    = {Huang, Xun and Belongie, Serge},
  booktitle = {IEEE International Conference on Computer Vision (ICCV)},
  year      = {2017}
}""",
    "adain",
    one_encoder=True,
    any_style=True,
)

PERCEPTUAL = About(
    "Perceptual losses",
    "Johnson et al. 2016",
    """\
@inproceedings{johnson2016perceptual,
  title     = {Perceptual Losses for Real-Time Style Transfer and Super-Resolution},
  author    = {Johnson, Justin and Alahi, Alexandre and Fei-Fei, Li},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year      = {2016}
}""",
    "perceptual",
    one_style=True,
)

PIX2PIX = About(
    "pix2pix",
    "Isola et al. 2017",
    """\
@inproceedings{isola2017image,
  title     = {Image-to-Image Translation with Conditional Adversarial Networks},
  author    = {Isola, Phillip and Zhu, Jun-Yan and Zhou, Tinghui and Efros, Alexei A.},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year      = {2017}
}""",
    "pix2pix",
    paired=True,
)
