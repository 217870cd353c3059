"""The options of pytorch-CycleGAN-and-pix2pix and of CUT, and what each of them is here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

Theirs: TypeAlias = "dict[str, str]"
"""Their options by name, with their values; empty for a switch."""

Options: TypeAlias = "Mapping[str, tuple[str, ...]]"
"""Our options, each with its values."""

NONE: Options = MappingProxyType({})


class Ours(NamedTuple):
    """The options that do the same here, and a remark."""

    options: Options = NONE
    note: str = ""


Rule: TypeAlias = Callable[[str, Theirs], Ours]
"""Maps the value of one of their options; all options given with it decide what its default would be."""

SWITCHES = frozenset(
    [
        *("no_dropout", "serial_batches", "no_flip", "verbose", "save_by_iter", "continue_train", "no_html"),
        *("use_wandb", "eval", "no_lsgan", "no_antialias", "no_antialias_up"),
    ]
)
"""Those of their options that have no value."""


def _to(option: str, unit: str = "") -> Rule:
    """The same value for our option, with a unit where ours has one."""
    return lambda value, _: Ours({option: (f"{value or 'N'} {unit}".strip(),)})


def _note(text: str) -> Rule:
    return lambda value, theirs: Ours(note=text)


def _choice(**answers: Ours) -> Rule:
    """An answer for each value."""
    return lambda value, _: answers.get(value, Ours(note=f"{value or 'this value'} is not offered"))


def _always(options: Options) -> Rule:
    return lambda value, _: Ours(options)


def _either(yes: str, no: str) -> Rule:
    """A truth value: one switch or the other."""
    return lambda value, _: Ours({no if value.lower() in ("false", "f", "0", "no", "n") else yes: ()})


def _kind(theirs: Theirs) -> str | None:
    """Our kind for their model; None for a model that is not offered. `CUT_mode` alone is of CUT's repository."""
    model, mode = theirs.get("model", "cut" if "CUT_mode" in theirs else "cycle_gan"), theirs.get("CUT_mode", "cut")
    cut = {"cut": "cut", "fastcut": "fastcut"}.get(mode.lower())
    return {"cycle_gan": "cyclegan", "pix2pix": "pix2pix", "cut": cut}.get(model)


def _method(value: str, theirs: Theirs) -> Ours:
    kind = _kind(theirs)
    if kind is None:
        other = f"{value or 'this value'} is not offered"
        return Ours(note="to apply a trained model, use cyclegan translate" if value == "test" else other)
    more: Options = {"--data.pairs": ("side_by_side",)} if kind == "pix2pix" else NONE
    if kind in ("cut", "fastcut"):
        more = _schedule("", theirs).options
    return Ours({"--method.kind": (kind,), **more})


def _generator(value: str, theirs: Theirs) -> Ours:
    known: dict[str, Options] = {
        "resnet_9blocks": {"--method.generator.kind": ("resnet",), "--method.generator.blocks": ("9",)},
        "resnet_6blocks": {"--method.generator.kind": ("resnet",), "--method.generator.blocks": ("6",)},
        "unet_256": {"--method.generator.kind": ("unet",), "--method.generator.depth": ("8",)},
        "unet_128": {"--method.generator.kind": ("unet",), "--method.generator.depth": ("7",)},
    }
    if value not in known:
        return Ours(note=f"{value or 'this value'} is not offered")
    paired = theirs.get("model") == "pix2pix"
    if paired == value.startswith("unet"):  # our method has this kind by default, with the norm and dropout of theirs
        return Ours(known[value])
    norm, dropout = ("batch", "0.5") if paired else ("instance", "0")
    if theirs.get("norm") in ("instance", "batch"):
        norm = theirs["norm"]
    if "no_dropout" in theirs:
        dropout = "0"
    return Ours({**known[value], "--method.generator.norm": (norm,), "--method.generator.dropout": (dropout,)})


def _direction(value: str, theirs: Theirs) -> Ours:
    if theirs.get("model") == "cycle_gan":
        return Ours(note=f"cyclegan learns both directions; choose one with cyclegan translate --direction {value}")
    note = "" if "model" in theirs else "for cut, fastcut and pix2pix; cyclegan learns both directions"
    return Ours({"--method.direction": (value,)}, note)


def _preset(how: str, load: str, crop: str, theirs: Theirs) -> Options | None:
    """Our preset that does the same as their preprocessing; None if there is none. All our presets flip."""
    if "no_flip" in theirs:
        return None
    if how == "resize_and_crop" and crop.isdecimal() and load == str(round(int(crop) * 286 / 256)):
        return {"--data.fit": ("squash",), **({} if crop == "256" else {"--data.size": (crop,)})}
    if how == "scale_width":
        return {"--data.fit": ("scale_width",), **({} if load == "256" else {"--data.size": (load,)})}
    return {"--data.fit": ("none",)} if how == "none" else None


def _transforms(value: str, theirs: Theirs) -> Ours:
    load = theirs.get("load_size", theirs.get("loadSize", "286"))
    crop = theirs.get("crop_size", theirs.get("fineSize", "256"))
    how = theirs.get("preprocess", theirs.get("resize_or_crop", "resize_and_crop"))
    if preset := _preset(how, load, crop, theirs):
        return Ours(preset)
    bicubic = "interpolation: 2, area_for_downscale: image"
    steps = []
    if "resize" in how:
        steps.append(f"Resize: {{height: {load}, width: {load}, {bicubic}}}")
    if "scale_width" in how:
        steps.append(f"LongestMaxSize: {{max_size_hw: [null, {load}], {bicubic}}}")
    if "crop" in how:
        steps.append(f"RandomCrop: {{height: {crop}, width: {crop}}}")
    if "no_flip" not in theirs:
        steps.append("HorizontalFlip: {p: 0.5}")
    return Ours({"--data.transforms": (f"[{', '.join(f'{{{step}}}' for step in steps)}]",)})


def _schedule(value: str, theirs: Theirs) -> Ours:
    """The whole schedule, because its options depend on each other and their defaults on the model."""
    shapes = {"linear": "linear", "lambda": "linear", "step": "steps", "cosine": "cosine", "plateau": "plateau"}
    policy = theirs.get("lr_policy", "linear")
    if policy not in shapes:
        return Ours(note=f"{policy or 'this value'} is not offered")
    usual = {"cut": ("200", "200"), "fastcut": ("150", "50")}.get(str(_kind(theirs)), ("", ""))  # "": as ours, 100
    epochs = theirs.get("n_epochs", theirs.get("niter", usual[0]))
    decay = theirs.get("n_epochs_decay", theirs.get("niter_decay", usual[1]))
    key = "--training.lr_schedule"
    options: dict[str, tuple[str, ...]] = {f"{key}.shape": (shapes[policy],)} if "lr_policy" in theirs else {}
    if policy in ("linear", "lambda"):
        spans = {f"{key}.constant": epochs, f"{key}.decay": decay}
        return Ours(options | {option: (f"{number} epochs",) for option, number in spans.items() if number})
    total = "200"
    with suppress(ValueError):
        total = str(int(epochs or 100) + int(decay or 100))
    options |= {f"{key}.constant": ("0 epochs",), f"{key}.decay": (f"{total} epochs",)}
    if policy == "step":
        options[f"{key}.step"] = (f"{theirs.get('lr_decay_iters', '50')} epochs",)
    if policy == "plateau":
        options |= {f"{key}.factor": ("0.2",), "--log.evaluate_every": ("1 epoch",)}
    return Ours(options)


def _betas(value: str, theirs: Theirs) -> Ours:
    return Ours({"--training.betas": (theirs.get("beta1", "0.5"), theirs.get("beta2", "0.999"))})


def _identity(value: str, theirs: Theirs) -> Ours:
    note = "theirs is a multiple of lambda_A, ours is the weight itself"
    with suppress(ValueError):
        value = f"{float(value) * float(theirs.get('lambda_A', 10)):g}"
    return Ours({"--method.identity": (value,)}, note)


def _gpus(value: str, theirs: Theirs) -> Ours:
    if value.startswith("-"):
        return Ours({"--speed.device": ("cpu",)})
    several = value.count(",")
    with_torchrun = f" torchrun --nproc-per-node {several + 1} -m" if several else ""
    return Ours(note=f"as in CUDA_VISIBLE_DEVICES={value or '0'}{with_torchrun} cyclegan train")


def _discriminator(value: str, theirs: Theirs) -> Ours:
    if value == "pixel":
        return Ours({"--method.discriminator.kind": ("pixel",)})
    if value in ("basic", "n_layers"):
        depth = theirs.get("n_layers_D", "3") if value == "n_layers" else "3"
        return Ours({"--method.discriminator.kind": ("patchgan",), "--method.discriminator.depth": (depth,)})
    return Ours(note=f"{value or 'this value'} is not offered")


def _norm(*networks: str) -> Rule:
    """The norm of some networks; only discriminators can do without one."""

    def rule(value: str, theirs: Theirs) -> Ours:
        if value in ("instance", "batch"):
            return Ours({f"--method.{network}.norm": (value,) for network in networks})
        if value == "none" and "discriminator" in networks:
            note = "generators need a norm" if "generator" in networks else ""
            return Ours({"--method.discriminator.norm": ("none",)}, note)
        return Ours(note=f"{value or 'this value'} is not offered; norms are instance or batch")

    return rule


def _channels(of: Literal["source", "target"]) -> Rule:
    """The channels of a domain. Theirs are those of a generator's input and output, so that the direction decides."""

    def rule(value: str, theirs: Theirs) -> Ours:
        turned = theirs.get("direction", theirs.get("which_direction")) == "BtoA"
        domain = "b" if (of == "target") is not turned else "a"
        return Ours({f"--data.{domain}.channels": (value or "N",)})

    return rule


def _project(value: str, theirs: Theirs) -> Ours:
    return Ours({"--log.wandb": (theirs.get("wandb_project_name", "cyclegan"),)})


_OUT = _note("--out takes the whole path of the run folder")
_NEWEST = _note("--resume continues from the newest checkpoint")
_INITIAL = _note("the initial weights are those of the method's authors: normal, 0.02 (xavier for CUT)")
_TENSORBOARD = _note("use TensorBoard: tensorboard --logdir runs")

TRAIN: dict[str, Rule] = {
    "dataroot": _to("--data.root"),
    "name": lambda value, _: Ours({"--out": (f"runs/{value or 'NAME'}",)}),
    "checkpoints_dir": _OUT,
    "suffix": _OUT,
    "gpu_ids": _gpus,
    "model": _method,
    "CUT_mode": _method,
    "dataset_mode": _choice(
        unaligned=Ours(note="the default"),
        aligned=Ours({"--data.pairs": ("side_by_side",)}),
        single=Ours(note="to apply a trained model, use cyclegan translate"),
    ),
    "direction": _direction,
    "which_direction": _direction,
    "input_nc": _channels("source"),
    "output_nc": _channels("target"),
    "ngf": _to("--method.generator.width"),
    "ndf": _to("--method.discriminator.width"),
    "netG": _generator,
    "which_model_netG": _generator,
    "netD": _discriminator,
    "which_model_netD": _discriminator,
    "n_layers_D": _to("--method.discriminator.depth"),
    "norm": _norm("generator", "discriminator"),
    "normG": _norm("generator"),
    "normD": _norm("discriminator"),
    "no_dropout": _always({"--method.generator.dropout": ("0",)}),
    "no_antialias": _always(
        {"--method.generator.downsample": ("stride",), "--method.discriminator.downsample": ("stride",)}
    ),
    "no_antialias_up": _always({"--method.generator.upsample": ("transpose",)}),
    "init_type": _INITIAL,
    "init_gain": _INITIAL,
    "preprocess": _transforms,
    "resize_or_crop": _transforms,
    "load_size": _transforms,
    "loadSize": _transforms,
    "crop_size": _transforms,
    "fineSize": _transforms,
    "no_flip": _transforms,
    "batch_size": _to("--training.batch_size"),
    "batchSize": _to("--training.batch_size"),
    "num_threads": _to("--data.workers"),
    "nThreads": _to("--data.workers"),
    "serial_batches": _note("not offered; the order is random and fixed by --training.seed"),
    "max_dataset_size": _note("not offered; train on a folder with fewer pictures"),
    "n_epochs": _schedule,
    "n_epochs_decay": _schedule,
    "niter": _schedule,
    "niter_decay": _schedule,
    "lr_policy": _schedule,
    "lr_decay_iters": _to("--training.lr_schedule.step", "epochs"),
    "lr": _to("--training.lr"),
    "beta1": _betas,
    "beta2": _betas,
    "gan_mode": _choice(
        lsgan=Ours({"--method.gan": ("lsgan",)}),
        vanilla=Ours({"--method.gan": ("vanilla",)}),
        hinge=Ours({"--method.gan": ("hinge",)}),
        wgangp=Ours(
            {"--method.gan": ("hinge",), "--method.discriminator.norm": ("spectral",)},
            "wgangp is not offered; hinge with spectral norm also bounds the discriminator's gradient",
        ),
    ),
    "no_lsgan": _always({"--method.gan": ("vanilla",)}),
    "pool_size": _to("--method.pool"),
    "lambda_A": _to("--method.cycle_a"),
    "lambda_B": _to("--method.cycle_b"),
    "lambda_identity": _identity,
    "identity": _identity,
    "lambda_L1": _to("--method.l1"),
    "lambda_GAN": _note("not offered; it is 1, weigh the other losses against it"),
    "lambda_NCE": _to("--method.nce"),
    "nce_idt": _either("--method.identity", "--method.no_identity"),
    "nce_T": _to("--method.tau"),
    "nce_layers": _note("not offered; the layers are the authors' default"),
    "nce_includes_all_negatives_from_minibatch": _note("not offered; negatives come from the same image"),
    "num_patches": _to("--method.patches"),
    "netF": _note("not offered; it is mlp_sample"),
    "netF_nc": _to("--method.head_width"),
    "flip_equivariance": _either("--method.flip", "--method.no_flip"),
    "continue_train": _always({"--resume": ()}),
    "epoch_count": _NEWEST,
    "epoch": _NEWEST,
    "which_epoch": _NEWEST,
    "load_iter": _NEWEST,
    "phase": _note("training reads trainA and trainB, or train"),
    "print_freq": _to("--log.scalars_every", "images"),
    "display_freq": _to("--log.samples_every", "images"),
    "update_html_freq": _to("--log.samples_every", "images"),
    "save_latest_freq": _to("--log.checkpoint_every", "images"),
    "save_epoch_freq": _to("--log.keep_every", "epochs"),
    "save_by_iter": _note("checkpoints are named by the number of images seen"),
    "evaluation_freq": _to("--log.evaluate_every", "images"),
    "use_wandb": _project,
    "wandb_project_name": _project,
    "verbose": _note("cyclegan show RUN describes the networks"),
    **dict.fromkeys(("display_id", "display_server", "display_env", "display_port"), _TENSORBOARD),
    **dict.fromkeys(("display_ncols", "display_winsize", "no_html", "easy_label"), _TENSORBOARD),
}
"""What each of their training options is here."""

_WEIGHTS = "is read off the weights"
TEST: dict[str, str] = {
    **dict.fromkeys(("dataroot", "name", "checkpoints_dir", "results_dir", "model", "model_suffix", "phase"), ""),
    **dict.fromkeys(("dataset_mode", "direction", "which_direction", "load_size", "loadSize"), ""),
    **dict.fromkeys(("netG", "which_model_netG", "ngf", "norm", "normG", "no_dropout"), _WEIGHTS),
    **dict.fromkeys(("no_antialias", "no_antialias_up", "input_nc", "output_nc"), _WEIGHTS),
    **dict.fromkeys(("num_test", "how_many", "ntest"), "all pictures are translated"),
    **dict.fromkeys(("crop_size", "fineSize"), "pictures are not cropped"),
    **dict.fromkeys(("preprocess", "resize_or_crop"), "pictures keep their size; --size changes it"),
    **dict.fromkeys(("epoch", "which_epoch"), "instead of a folder, one file of it can be given"),
    "eval": "always on: no dropout, running statistics",
    "aspect_ratio": "pictures keep their shape",
    "gpu_ids": "--device cpu, or CUDA_VISIBLE_DEVICES",
}
"""Remarks on each of their test options; empty where the command line says it all."""
