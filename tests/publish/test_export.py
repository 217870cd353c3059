"""An export writes a correct model card for any source, and never replaces files of others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from PIL import Image
from torchvision.models import squeezenet1_1

from cyclegan.checkpoint import best_path, newest_checkpoint, read_checkpoint
from cyclegan.inference.generator_file import write_generator
from cyclegan.methods.about import CUT, About
from cyclegan.metrics.result import FIGURES, Estimate, Evaluation, Score
from cyclegan.networks.config import ResnetConfig
from cyclegan.publish.card import Card, card_text, code, fenced, plain
from cyclegan.publish.export import export
from cyclegan.training.trainer import train
from cyclegan.types import Direction
from tests.cli.test_cli import run_main
from tests.methods.test_parity import published
from tests.tiny import tiny_recipe, write_pictures

FEATURES = "inception_v3 (0123abcd)"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("carded")
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_pictures(root / "horse2zebra" / name, 6, seed=seed)
    (root / "horse2zebra" / "testA" / "0.png").write_bytes(b"broken")
    train(tiny_recipe(root / "horse2zebra", training={"ema": "4 images"}), root / "run")
    return root / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run, which a test may modify."""
    newest = newest_checkpoint(trained)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / newest.name).write_bytes(newest.read_bytes())
    return tmp_path / "run"


def row(
    what: str, fid: float, weights: str | None = "last", images: int | None = 8,
    warnings: tuple[str, ...] = (), **more: float,
) -> dict[str, Any]:  # fmt: skip
    values = {"fid": fid, "kid": round(fid / 1000, 6), "precision": 0.61, "recall": 0.42, **more}
    figures = {name: {"value": value, "low": value * 0.9, "high": value * 1.1} for name, value in values.items()}
    about = {"weights": weights, "images_seen": images, "what": what, "images": 120, "real": 140}
    return about | {"figures": figures | {"kid_std": {"value": 0.0077}}, "warnings": warnings}


CYCLE: dict[str, Any] = {"cycle_ssim": 0.8123, "cycle_psnr": 21.57, "cycle_perceptual": 0.2345}
TRUTH: dict[str, Any] = {"truth_ssim": 0.5678, "truth_psnr": 15.93, "truth_perceptual": 0.3579}


def write_metrics(run: Path, *rows: dict[str, Any], own: bool = True) -> None:
    protocol = {
        "features": FEATURES,
        "size": 256,
        "data": "/home/somebody/horse2zebra",
        "checkpoint": "/home/somebody/run",
        "split": "test",
        "own_test_pictures": own,
        "interval": "95 %, bootstrap of 999",
        "versions": {"torch": "2.99"},
    }
    (run / "metrics.json").write_text(json.dumps({"protocol": protocol, "scores": list(rows)}), encoding="utf-8")


def header(text: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return data


# Content of the card


def test_the_card_of_a_run_tells_use_figures_and_recipe(run: Path, tmp_path: Path) -> None:
    untranslated = row("A untranslated", 230.0, None, None)
    write_metrics(run, row("BtoA", 99.9), row("AtoB", 123.4, structure=0.0321, **CYCLE, **TRUTH), untranslated)
    exported = export(run, tmp_path / "out" / "h2z.safetensors", Direction.AtoB)
    assert exported.card == tmp_path / "out" / "README.md" and not exported.notes
    text = exported.card.read_text(encoding="utf-8")
    lines = text.splitlines()
    for figure in (
        "123.4 (111.1 to 135.7)", "0.1234 (0.1111 to 0.1357)", "0.0077", "0.61 (0.55 to 0.67)", "0.42 (0.38 to 0.46)",
        "230.0 (207.0 to 253.0)", "0.234 (0.211 to 0.258)", "0.358 (0.322 to 0.394)", "120 : 140",
    ):  # fmt: skip
        assert any(figure in line and plain(FEATURES) in line for line in lines), figure
    arithmetic = {
        "structure (against the input)": "0.0321 (0.0289 to 0.0353)",
        "cycle SSIM (against the input)": "0.812 (0.731 to 0.894)",
        "cycle PSNR, dB (against the input)": "21.6 (19.4 to 23.7)",
        "truth SSIM (against the truth)": "0.568 (0.511 to 0.625)",
        "truth PSNR, dB (against the truth)": "15.9 (14.3 to 17.5)",
    }
    for name, figure in arithmetic.items():  # no network saw these pictures
        assert f"- AtoB {name}: {figure}" in lines
    assert "99.9" not in text
    for told in (
        "`horse2zebra`", "cyclegan translate h2z.safetensors photos out", 'Translator.load("h2z.safetensors")',
        "![input and translation of test pictures](h2z.png)", "8 pairs of pictures", "moving average", "pool: 3",
        "zhu2017unpaired", "size 256", "bootstrap of 999", "torch 2.99", "cyclegan 0.1.0",
    ):  # fmt: skip
        assert told in text, told


def test_the_card_warns_of_figures_that_mean_little(run: Path, tmp_path: Path) -> None:
    little = "8 pictures against 9 are few"
    untranslated = row("A untranslated", 230.0, None, None, warnings=(little,))
    write_metrics(run, row("AtoB", 123.4, warnings=(little, "<b> only 1")), untranslated, row("BtoA", 1.0))
    export(run, tmp_path / "h2z.safetensors", Direction.AtoB)
    lines = (tmp_path / "README.md").read_text(encoding="utf-8").splitlines()
    assert f"**AtoB, A untranslated: {little}**" in lines and r"**AtoB: \<b\> only 1**" in lines


def test_the_header_is_what_the_hub_reads(run: Path, tmp_path: Path) -> None:
    write_metrics(run, row("AtoB", 123.4, **CYCLE))
    export(run, tmp_path / "h2z.safetensors", None)
    data = header((tmp_path / "README.md").read_text(encoding="utf-8"))
    assert data["library_name"] == "cyclegan" and data["pipeline_tag"] == "image-to-image"
    assert {"image-to-image", "cyclegan", "unpaired"} <= set(data["tags"]) and "license" not in data
    [model] = data["model-index"]
    [result] = model["results"]
    assert result["dataset"] == {"type": "horse2zebra", "name": "horse2zebra", "split": "test"}
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values == {"fid": 123.4, "kid": 0.1234, "precision": 0.61, "recall": 0.42, "kid_std": 0.0077} | CYCLE
    named = {metric["type"] for metric in result["metrics"] if FEATURES in metric["name"]}
    assert f"AtoB FID (interval 111.1 to 135.7; {FEATURES})" in [metric["name"] for metric in result["metrics"]]
    assert named == {"fid", "kid", "precision", "recall", "kid_std", "cycle_perceptual"}


def test_the_hubs_library_understands_the_header(run: Path, tmp_path: Path) -> None:
    write_metrics(run, row("AtoB", 123.4, **CYCLE))
    export(run, tmp_path / "h2z.safetensors", None)
    results = ModelCard.load(tmp_path / "README.md").data.eval_results
    assert {result.metric_type for result in results} == {"fid", "kid", "kid_std", "precision", "recall", *CYCLE}


def test_no_place_on_this_disk_is_told(run: Path, tmp_path: Path) -> None:
    write_metrics(run, row("AtoB", 123.4))
    export(run, tmp_path / "h2z.safetensors", None)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert str(tmp_path) not in text and "/home" not in text and "somebody" not in text and "/tmp" not in text
    assert "root: horse2zebra" in text


def test_the_sheet_shows_test_pictures_at_the_size_of_training(run: Path, tmp_path: Path) -> None:
    exported = export(run, tmp_path / "h2z.safetensors", None)
    assert exported.sheet == tmp_path / "h2z.png"
    width, height = Image.open(exported.sheet).size
    cell = 32 * 6  # enlarged to the size of a cell
    assert (width, height) == (12 + 2 * (cell + 12), 40 + 4 * (cell + 12))


def test_without_test_pictures_there_is_no_sheet(data: Path, tmp_path: Path) -> None:
    train(tiny_recipe(data), tmp_path / "run")
    for path in (data / "testA").iterdir():
        path.unlink()
    exported = export(tmp_path / "run", tmp_path / "out" / "g.safetensors", None)
    assert exported.sheet is None and "no picture in" in exported.notes[0]
    assert "![" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


PAIRED = CUT._replace(name="Paired", tag="of-pairs", paired=True)


@pytest.mark.parametrize(
    "method, sentence, task, tags",
    [
        (CUT, "It was trained without paired examples.", "Unpaired image-to-image translation",
         ["unpaired-image-translation", "unpaired", "cut"]),
        (PAIRED, "It was trained on pairs of pictures.", "Paired image-to-image translation",
         ["paired-image-translation", "paired", "of-pairs"]),
        (None, "", "Image-to-image translation", []),
    ],
)  # fmt: skip
def test_the_card_says_by_its_method_whether_pairs_were_needed(
    method: About | None, sentence: str, task: str, tags: list[str]
) -> None:
    score = Score(what="AtoB", images=1, real=1, figures={"fid": Estimate(1.0, 0.5, 1.5)}, warnings=())
    text = card_text(Card(
        file="g.safetensors", direction=Direction.AtoB, generator={}, parameters=1, versions={}, method=method,
        evaluation=Evaluation({"features": FEATURES}, [score]),
    ))  # fmt: skip
    assert re.findall(r"It was trained [\w ]+\.", text) == [sentence] * bool(sentence)
    data = header(text)
    [result] = data["model-index"][0]["results"]
    assert result["task"] == {"type": "image-to-image", "name": task}
    assert data["tags"] == ["image-to-image", *tags, "pytorch"]


# Scores in the card


def figures_in(text: str) -> list[str]:
    return re.findall(r"\| (\d+\.\d) \(", text)


def test_figures_are_shown_for_the_weights_that_they_are_of(run: Path, tmp_path: Path) -> None:
    newest = newest_checkpoint(run)
    images = read_checkpoint(newest).images
    best_path(run).write_bytes(newest.read_bytes())
    write_metrics(
        run, row("AtoB", 11.1, "best", images), row("AtoB", 22.2, "last", images), row("AtoB", 33.3, None, images + 1)
    )
    shown = {}
    for source in (run, best_path(run), newest):
        export(source, tmp_path / "out" / "g.safetensors", None)
        shown[source.name] = figures_in((tmp_path / "out" / "README.md").read_text(encoding="utf-8"))
    assert (shown["run"], shown["best.pt"]) == (["22.2"], ["11.1"])
    assert shown[newest.name] == ["11.1"]  # of as many images

    write_metrics(run, row("AtoB", 22.2, "last", images - 1))
    exported = export(run, tmp_path / "out" / "g.safetensors", None)
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert not figures_in(text) and "model-index" not in header(text) and "of other weights" in text
    assert "metrics.json has none of these weights" in exported.notes[0]


def test_figures_of_another_data_set_are_not_shown_as_the_runs_own(run: Path, tmp_path: Path) -> None:
    write_metrics(run, row("AtoB", 123.4), own=False)
    [note] = export(run, tmp_path / "g.safetensors", None).notes
    of = "are of the test pictures of horse2zebra at 256, not of the run's own test pictures"
    assert note == f"the card has no scores: those in metrics.json {of}; evaluate, then export again"
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert not figures_in(text) and "model-index" not in header(text) and of in text and "somebody" not in text


def test_what_evaluate_writes_is_what_the_card_shows(tmp_path: Path) -> None:
    for seed, name in enumerate(("trainA", "trainB", "testA", "testB")):
        write_pictures(tmp_path / "data" / name, 9, seed=seed)
    train(tiny_recipe(tmp_path / "data"), tmp_path / "run")
    torch.manual_seed(0)
    torch.save(squeezenet1_1(weights=None).state_dict(), tmp_path / "squeezenet.pth")
    named = ("--features.network", "squeezenet1_1", "--features.weights", tmp_path / "squeezenet.pth")
    assert run_main("evaluate", tmp_path / "run", *named, "--device", "cpu") == 0
    exported = export(tmp_path / "run", tmp_path / "out" / "g.safetensors", Direction.BtoA)
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert not exported.notes and len(figures_in(text)) == 2
    assert "squeezenet1_1" in text and "| BtoA |" in text and "| B untranslated |" in text and "SSIM" in text


def test_without_figures_it_says_what_makes_them(run: Path, tmp_path: Path) -> None:
    assert not export(run, tmp_path / "g.safetensors", None).notes
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "Not evaluated yet. `cyclegan evaluate RUN`" in text and "model-index" not in header(text)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"\xff\xfe", b'{"protocol": {}, "scores": {}}', b'{"protocol": {}, "scores": [{}]}',
        json.dumps({"protocol": {}, "scores": [row("AtoB", float("nan"))]}).encode(),
        json.dumps({"protocol": {}, "scores": [row("AtoB", 1.0) | {"images": "many"}]}).encode(),
        json.dumps({"protocol": {}, "scores": [row("AtoB", 1.0, unheard_of=1.0)]}).encode(),
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_damaged_figures_are_told_and_end_no_export(content: bytes, run: Path, tmp_path: Path) -> None:
    (run / "metrics.json").write_bytes(content)
    exported = export(run, tmp_path / "g.safetensors", None)
    [note] = exported.notes
    assert note.startswith("the card has no scores: ") and note.isprintable()
    assert "metrics.json is left out: " in note
    assert "could not be read" in (tmp_path / "README.md").read_text(encoding="utf-8")


# Other sources


def test_the_card_of_a_reference_generator_tells_what_is_known(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(published(ResnetConfig(width=4, blocks=1).build(), 1, legacy=False), tmp_path / "latest_net_G.pth")
    exported = export(tmp_path / "latest_net_G.pth", tmp_path / "g.safetensors", Direction.BtoA)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert exported.sheet is None and not exported.notes and header(text)["library_name"] == "cyclegan"
    assert (
        "imported from `latest_net_G.pth`" in text and "BtoA" in text and "width 4" in text and "<details>" not in text
    )


def test_the_card_of_a_copy_names_what_it_is_a_copy_of(tmp_path: Path) -> None:
    write_generator(ResnetConfig(width=4, blocks=1).build(), Direction.AtoB, tmp_path / "a.safetensors")
    export(tmp_path / "a.safetensors", tmp_path / "b.safetensors", None)
    assert "`a.safetensors`" in (tmp_path / "README.md").read_text(encoding="utf-8")


# Existing files


def test_a_page_and_a_picture_that_are_not_ours_stay(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text("# My own words\n", encoding="utf-8")
    (tmp_path / "g.png").write_bytes(b"my own picture")
    for _ in range(2):
        assert run_main("export", run, tmp_path / "g.safetensors") == 0
        told = capsys.readouterr().out
        assert f"README.md exists and belongs to something else; the model card is {tmp_path / 'g.md'}" in told
        there = tmp_path / "g.safetensors.png"
        assert f"g.png exists and belongs to something else; the contact sheet is {there}" in told
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "# My own words\n"
    assert (tmp_path / "g.png").read_bytes() == b"my own picture"
    mine = [tmp_path / name for name in ("g.md", "g.safetensors.md", "g.safetensors.png")]
    for path in mine:
        path.write_text("mine too", encoding="utf-8")
    exported = export(run, tmp_path / "g.safetensors", None)
    assert exported.card is exported.sheet is None and {path.read_text(encoding="utf-8") for path in mine} == {
        "mine too"
    }
    assert (
        "README.md, g.md, g.safetensors.md exist and belong to something else; no model card was written"
        in exported.notes
    )


def test_each_format_of_a_generator_has_its_card_and_sheet(run: Path, tmp_path: Path) -> None:
    for _ in range(2):
        cards = [export(run, tmp_path / "out" / f"g.{ending}", None).card for ending in ("safetensors", "pt2", "ts")]
        assert [card and card.name for card in cards] == ["README.md", "g.md", "g.ts.md"]
    assert {"g.png", "g.pt2.png", "g.ts.png"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_exporting_again_replaces_what_the_export_before_wrote(run: Path, tmp_path: Path) -> None:
    for name in ("g.safetensors", "g.safetensors", "other.safetensors"):
        exported = export(run, tmp_path / "out" / name, None)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md", "g.png", "g.safetensors", "other.md", "other.png", "other.safetensors"
    ]  # fmt: skip
    assert exported.card == tmp_path / "out" / "other.md" and "# g\n" in (tmp_path / "out" / "README.md").read_text(
        encoding="utf-8"
    )


def test_a_changed_card_whose_mark_was_deleted_stays(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "g.safetensors", None)
    page = tmp_path / "README.md"
    page.write_text(
        changed := re.sub("<!-- .* -->\n", "", page.read_text(encoding="utf-8")) + "My own words.\n", encoding="utf-8"
    )
    export(run, tmp_path / "g.safetensors", None)
    assert page.read_text(encoding="utf-8") == changed


# Untrusted text

ODD = [
    "---", "a\n---\nlicense: mit", "`x` <b>|#[y](z)", "```", "-->", "'\": {}", "\x1b[31m", "ä 日本", "!!python/object",
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_words_from_files_break_neither_header_nor_page(odd: str) -> None:
    figures = dict.fromkeys(FIGURES, Estimate(1.0, 0.5, 1.5))
    protocol = {"features": odd, "split": odd, "size": odd, "versions": {odd: odd}}
    score = Score(what=odd, images=1, real=1, figures=figures, warnings=(odd,))
    card = Card(
        file=f"{odd}.safetensors".replace("/", ""), direction=Direction.AtoB, generator={"kind": odd}, parameters=1,
        versions={"cyclegan": odd}, data=odd, recipe={"note": odd}, sheet=f"{odd}.png",
        evaluation=Evaluation(protocol, [score]),
    )  # fmt: skip
    text = card_text(card)
    lines = text.splitlines()
    end = lines.index("---", 1)
    data = yaml.safe_load("\n".join(lines[1:end]))
    assert set(data) == {"library_name", "pipeline_tag", "tags", "model-index"}
    assert [line.count("-->") for line in lines if line.startswith("<!--")] == [1]
    page = "\n".join(lines[end:]).replace("\\<", "").replace(code(odd), "")
    assert "\x1b" not in text and "<b>" not in re.sub(r"(?s)(```+)\w+\n.*?\n\1\n", "", page)
    assert text.encode()


def test_quoting() -> None:
    assert plain("a*b|c<d>\n#") == r"a\*b\|c\<d\> \#"
    assert code("a`b``c") == "``` a`b``c ```"
    assert fenced("```\nx", "yaml") == "````yaml\n```\nx\n````"
