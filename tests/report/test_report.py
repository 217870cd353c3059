"""The pages that show a run, and runs side by side."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from cyclegan.checkpoint import Checkpoint, newest_checkpoint, read_checkpoint
from cyclegan.cli import main
from cyclegan.data.overlay import FAKE, REAL
from cyclegan.metrics.result import Estimate
from cyclegan.recipe import write_recipe
from cyclegan.report.compare import write_comparison
from cyclegan.report.pictures import patch_map
from cyclegan.report.records import read_run
from cyclegan.report.run import write_report
from cyclegan.report.runs import as_table, comparison, differences, read_runs
from cyclegan.report.scores import figure_cell, score_table
from cyclegan.training.trainer import train
from cyclegan.util.evenly import evenly
from tests.figures import WITHOUT_STYLES
from tests.tiny import tiny_recipe, write_pictures


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def score(what: str, weights: str | None, kid: float, **more: float) -> dict[str, Any]:
    figures = {"fid": 1234.5, "kid": kid, "precision": 0.57, "recall": 0.31, **more}
    return {
        "what": what, "weights": weights, "images_seen": 8 if weights else None, "images": 21, "real": 34,
        "figures": {name: interval(value) for name, value in figures.items()} | {"kid_std": {"value": 0.0017}},
    }  # fmt: skip


def write_metrics(run: Path, **protocol: object) -> None:
    cycle = {"cycle_ssim": 0.871, "cycle_psnr": 23.4, "cycle_perceptual": 0.217}
    truth = {"truth_ssim": 0.653, "truth_psnr": 19.8, "truth_perceptual": 0.459}
    scores = [
        score("AtoB", "last", 0.0811, **cycle, structure=0.0419, **truth),
        score("AtoB", "best", 0.0722, **cycle),
        score("A untranslated", None, 0.2233),
        score("BtoA", "last", 0.0933),
    ]
    about = {
        "features": "inception <v3>",
        "size": "32 x 32",
        "data": "data",
        "split": "test",
        "own_test_pictures": True,
    } | protocol
    (run / "metrics.json").write_text(json.dumps({"protocol": about, "scores": scores}), encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that a report can show."""
    root = tmp_path_factory.mktemp("report")
    for seed, (name, number) in enumerate([("trainA", 5), ("trainB", 4), ("testA", 6), ("testB", 3)]):
        write_pictures(root / "data" / name, number, seed=seed)
    write_pictures(root / "data" / "truthB", 6)
    (root / "data" / "testA" / "broken.png").write_text("no picture", encoding="utf-8")
    run = root / "run"
    train(tiny_recipe(root / "data"), run)
    shutil.copy(run / "checkpoints" / "0000000006.pt", run / "best.pt")
    write_metrics(run)
    events = SummaryWriter(str(run))
    events.add_text("provenance", "| | |\n|---|---|\n| machine | 8 <cores> |\n| git | abc1234 |", 0)
    for images, kid in [(4, 0.2), (8, float("nan"))]:
        events.add_scalar("validation/kid_AtoB", kid, images)
    events.close()
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture(scope="module")
def page(trained: Path) -> str:
    return write_report(trained, pictures=4).read_text(encoding="utf-8")


def without_pictures(html: str) -> str:
    return re.sub(r"data:image/webp;base64,[\w+/=]+", "data:", html)


def words_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html.partition("<main>")[2]).split())


def test_a_report_tells_every_figure_that_was_measured(page: str) -> None:
    told = words_of(page)
    for figure in ("1234.5", "0.0811", "0.0722", "0.2233", "0.0933", "0.0711 to 0.0911", "0.0017", "0.57", "0.31"):
        assert figure in told
    for figure in ("0.871", "23.4", "0.217", "0.0419", "0.653", "19.8", "0.459", "21", "34"):
        assert figure in told
    for interval in ("0.861 to 0.881", "0.0319 to 0.0519", "0.643 to 0.663", "0.449 to 0.469"):
        assert interval in told
    assert "inception &lt;v3&gt;" in told and "last after 8 images" in told and "untranslated" in told


def test_figures_of_other_features_are_rounded_to_what_can_be_read() -> None:
    assert figure_cell("kid", Estimate(0.0712, -0.0012, 0.0836)) == "0.0712\n-0.0012 to 0.0836"
    assert figure_cell("kid", Estimate(1197.7007, 978.2879, 1420.2648)) == "1198\n978.3 to 1420"


def test_the_scores_have_a_column_for_each_figure_that_was_measured(run: Path) -> None:
    metrics = read_run(run).metrics
    assert metrics
    heads, rows = score_table(metrics)
    assert heads == [
        "", "FID ↓", "KID ↓", "std\nKID", "precision ↑", "recall ↑", "structure ↓", "SSIM ↑\ncycle",
        "PSNR ↑\ncycle, dB", "perceptual ↓\ncycle", "SSIM ↑\ntruth", "PSNR ↑\ntruth, dB", "perceptual ↓\ntruth",
        "images", "real",
    ]  # fmt: skip
    assert len(heads) == len(WITHOUT_STYLES) + 3 and {len(row) for row in rows} == {1, len(heads)}
    untranslated = next(row for row in rows if row[0] == "untranslated")
    assert untranslated[6:-2] == [""] * 7 and untranslated[3] == "0.0017"


def test_a_report_tells_the_facts_of_the_run(page: str) -> None:
    told = words_of(page)
    for fact in (
        "method cyclegan",
        "data data",
        "images seen 8 of 8",
        "images/s",
        "lowest KID after 6 images",
    ):
        assert fact in told
    assert "machine 8 &lt;cores&gt;" in told and "git abc1234" in told and "generator:" in told


def test_a_report_comes_in_its_order(page: str) -> None:
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "Scores", "Samples during training", "Curves", "Test pictures", "Best and worst", "Recipe and provenance",
    ]  # fmt: skip


def test_a_report_asks_the_network_for_nothing(page: str) -> None:
    bare = without_pictures(page)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<link(?! rel=\"icon\")|<script src", bare)
    assert all(address.startswith("data:") for address in re.findall(r'(?:src|href)="([^"]*)"', bare))
    assert "default-src 'none'" in bare


def test_every_slider_and_picture_has_words(page: str) -> None:
    bare = without_pictures(page)
    for slider in re.findall(r'<input type="range"[^>]*>', bare):
        assert re.search(r'aria-label="[^"]+: [^"]+"', slider)
    assert all(re.search(r'alt="[^"]+: [^"]+"', picture) for picture in re.findall("<img[^>]*>", bare))


def test_sample_grids_are_stepped_through_to_the_last(page: str) -> None:
    [there, back] = re.findall(r'<div class="steps">(.*?)</div>', without_pictures(page), re.S)
    for steps in (there, back):
        assert re.findall("<figcaption>(.*?)<", steps) == ["after 1 images", "after 4 images", "after 8 images"]
        assert steps.count("<figure hidden>") == 2 and 'max="2" value="2"' in steps


def test_every_curve_has_a_title_and_its_unit_and_losses_come_first(page: str) -> None:
    titles = re.findall(r"<figcaption><b>(.*?)</b>", page)
    assert titles[:5] == ["GAN loss", "cycle loss", "identity loss", "discriminator loss", "KID"]
    assert {"learning rate", "speed<small>images/s</small>", "peak memory<small>GiB</small>"} <= set(titles)
    assert re.findall(r"<h3>(\w+[\w ]*)</h3>\s*<div class=\"charts\">", page) == [
        "Losses", "Validation scores", "Discriminators", "Training",
    ]  # fmt: skip


def test_a_run_without_skipped_steps_has_no_chart_of_them(page: str) -> None:
    assert "skipped" not in words_of(page).partition("Curves")[2].partition("Test pictures")[0]


def test_curves_of_older_versions_are_read_under_their_new_tags(run: Path) -> None:
    with SummaryWriter(str(run)) as events:
        events.add_scalar("gradient/a_to_b", 7.0, 9)
        events.add_scalar("training/memory", 3.0, 9)
    curves = read_run(run).curves
    assert curves["training/grad_norm_a_to_b"][-1] == (9, 7.0) and curves["training/memory_gib"][-1] == (9, 3.0)
    assert not {"gradient/a_to_b", "training/memory"} & curves.keys()


def test_broken_pictures_are_passed_over_and_the_truth_stands_beside(page: str) -> None:
    gallery = without_pictures(page).partition("<h2>Test pictures")[2].partition("<h2>Best")[0]
    assert re.findall("<h4>(.*?)</h4>", gallery) == ["0.png", "2.png", "3.png", "5.png", "0.png", "1.png", "2.png"]
    assert gallery.count("<figcaption>truth") == 4
    assert "broken.png" not in page


def test_the_best_score_higher_than_the_worst(page: str) -> None:
    extremes = page.partition("<h2>Best and worst")[2].partition("<h3>BtoA")[0]
    means = [float(mean) for mean in re.findall(r"<h4>.*?mean score ([+-][\d.]+)<", extremes)]
    assert len(means) == 6 and min(means[:3]) >= max(means[3:])
    assert "AtoB: 6 test pictures" in extremes


def test_patches_are_coloured_by_the_side_of_the_boundary_that_they_are_on() -> None:
    patches = torch.tensor([[-2.0, 0.0, 2.0]]).repeat(3, 1)
    seen = np.asarray(patch_map(Image.new("RGB", (30, 30), "black"), patches, 2.0)).astype(int)
    np.testing.assert_allclose(seen[15, 2], 0.75 * np.array(FAKE), atol=1)
    np.testing.assert_allclose(seen[15, 27], 0.75 * np.array(REAL), atol=1)
    np.testing.assert_allclose(seen[15, 14:16].mean(), 0, atol=6)


def test_evenly_takes_both_ends() -> None:
    assert evenly(range(120), 4) == [0, 40, 79, 119]
    assert evenly(range(3), 8) == [0, 1, 2] and evenly(range(9), 1) == [8] and evenly([], 3) == []


def test_a_fresh_run_has_a_report(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_recipe(tiny_recipe(data), tmp_path / "run" / "recipe.yaml")
    told = words_of(write_report(tmp_path / "run").read_text(encoding="utf-8"))
    assert f"cyclegan evaluate {tmp_path / 'run'}" in told and "no checkpoint yet" in told
    assert "Curves" not in told and "Samples" not in told
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["recipe.yaml", "report.html"]


def test_copies_in_a_run_folder_are_not_taken_for_its_own(run: Path) -> None:
    expected = read_run(run)
    shutil.copy(run / "samples" / "0000000004_AtoB.png", run / "samples" / "0000000004_copy_AtoB.png")
    shutil.copy(run / "checkpoints" / "0000000006.pt", run / "checkpoints" / "backup.pt")
    for events in [*run.glob("events*")]:
        shutil.copy(events, f"{events}.copy")
    seen = read_run(run)
    assert seen.samples == expected.samples and seen.images == 8 and seen.lives == expected.lives
    tag = "training/images_per_second"
    assert seen.curves.keys() == expected.curves.keys() and seen.curves[tag] == expected.curves[tag]


def test_without_its_data_a_run_has_a_report_without_a_gallery(run: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(run.parent / "run", tmp_path / "moved"))
    recipe = tiny_recipe(tmp_path / "nowhere")
    for path in [*(data / "checkpoints").iterdir()]:
        state = torch.load(path, weights_only=True)
        torch.save(state | {"recipe": recipe.to_dict()}, path)
    told = words_of(write_report(data).read_text(encoding="utf-8"))
    assert "nowhere has no readable test pictures, or does not exist any more" in told
    assert "Best and worst" not in told and "0.0811" in told


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"scores": {}}', '{"protocol": {}, "scores": [{"what": 1}]}', "\x00", "[" * 100_000]
)
def test_damaged_metrics_are_left_out_and_told(run: Path, content: str) -> None:
    (run / "metrics.json").write_text(content, encoding="utf-8")
    told = words_of(write_report(run, pictures=1).read_text(encoding="utf-8"))
    assert "metrics.json is left out: it is not what" in told and "Curves" in told


def test_damaged_parts_are_told_and_the_rest_is_shown(run: Path) -> None:
    (run / "best.pt").write_bytes(b"nothing")
    (run / "samples" / "0000000004_AtoB.png").write_bytes(b"nothing")
    (run / "samples" / "mine_AtoB.png").write_bytes(b"nothing")
    for events in run.glob("events*"):
        events.write_bytes(events.read_bytes()[:1000] + b"?" * 1000)
    told = words_of(write_report(run, pictures=1).read_text(encoding="utf-8"))
    assert "best.pt: damaged" in told and "after 8 images" in told and "Test pictures" in told


def test_figures_of_other_pictures_are_named_as_such(run: Path, page: str) -> None:
    write_metrics(run, data="elsewhere", own_test_pictures=False)
    told = words_of(write_report(run, pictures=1).read_text(encoding="utf-8"))
    assert "scores on the test pictures of elsewhere at 32 x 32, not on the run's own test pictures" in told
    assert "own test pictures" not in words_of(page).replace("own_test_pictures", "")


def test_words_from_files_stay_words(run: Path) -> None:
    write_metrics(run, features="<script>alert(1)</script>", data="`<b>`")
    html = write_report(run, pictures=1).read_text(encoding="utf-8")
    assert "<script>alert" not in html and "<b>`" not in html and "&lt;script&gt;alert" in html


@pytest.fixture
def pair(run: Path, tmp_path: Path) -> list[Path]:
    """Two runs of one name, in two folders."""
    return [Path(shutil.copytree(run, tmp_path / name / "run")) for name in ("first", "second")]


def test_a_report_of_a_run_that_goes_on_is_of_one_checkpoint(pair: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def read_and_count(path: Path) -> Checkpoint:
        read.append(path.name)
        return read_checkpoint(path)

    monkeypatch.setattr("cyclegan.checkpoint.read_checkpoint", read_and_count)
    write_report(pair[0], pictures=1)
    write_comparison(read_runs(pair), pair[0] / "c.html", pictures=1)
    assert read == ["0000000008.pt"] * 3


def test_runs_of_one_name_are_told_apart(pair: list[Path]) -> None:
    assert list(read_runs(pair)) == ["first/run", "second/run"]


def test_a_comparison_has_a_row_for_each_run_and_its_weights(pair: list[Path]) -> None:
    heads, rows = comparison(read_runs(pair))
    assert [[*row[:2], row[heads.index("images seen")]] for row in rows] == [
        [f"{name}/run", weights, "8"] for name in ("first", "second") for weights in ("last", "best")
    ]
    assert {len(row) for row in rows} == {len(heads)}
    table = as_table(read_runs(pair))
    assert "0.0811 (0.0711 to 0.0911)" in table and "inception <v3>" in table
    assert not differences(read_runs(pair))


@pytest.mark.parametrize("change", [{"features": "vgg"}, {"size": "64 x 64"}, {"data": "other"}, {"split": "train"}])
def test_figures_that_do_not_compare_are_told(pair: list[Path], change: dict[str, str]) -> None:
    write_metrics(pair[1], **change)
    [told] = differences(read_runs(pair))
    [(key, value)] = change.items()
    assert told.startswith("These scores are not comparable") and key in told and f"second/run: {value}" in told
    assert as_table(read_runs(pair)).startswith(told)


def test_other_numbers_of_pictures_do_not_compare_either(pair: list[Path]) -> None:
    text = (pair[1] / "metrics.json").read_text(encoding="utf-8")
    (pair[1] / "metrics.json").write_text(text.replace('"images": 21', '"images": 20'), encoding="utf-8")
    told, _ = differences(read_runs(pair))
    assert "scores of AtoB are not comparable: they are of different numbers" in told and "second/run: 20 : 34" in told


def test_a_direction_that_only_one_run_has_is_no_difference(pair: list[Path]) -> None:
    metrics = json.loads((pair[1] / "metrics.json").read_text(encoding="utf-8"))
    metrics["scores"] = [score for score in metrics["scores"] if score["what"] != "BtoA"]
    (pair[1] / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    assert not differences(read_runs(pair))


def test_figures_that_mean_little_are_told_in_report_and_comparison(pair: list[Path]) -> None:
    text = (pair[1] / "metrics.json").read_text(encoding="utf-8")
    few = "21 pictures against 34 are few"
    (pair[1] / "metrics.json").write_text(
        text.replace('"images": 21', f'"warnings": ["{few}"], "images": 21'), encoding="utf-8"
    )
    assert f"AtoB, A untranslated, BtoA: {few}" in words_of(
        write_report(pair[1], pictures=1).read_text(encoding="utf-8")
    )
    assert as_table(read_runs(pair)).startswith(f"second/run: AtoB, A untranslated, BtoA: {few}")


def test_a_score_that_no_run_has_gets_no_column(pair: list[Path]) -> None:
    for run in pair:
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        metrics["scores"] = [score for score in metrics["scores"] if score["what"] != "BtoA"]
        (run / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    heads, rows = comparison(read_runs(pair))
    assert [head for head in heads if "ID" in head] == ["KID ↓\nAtoB", "FID ↓\nAtoB"]
    assert all(all(row) for row in rows) and "BtoA" not in as_table(read_runs(pair))


def test_runs_without_any_score_have_no_columns_of_scores(pair: list[Path]) -> None:
    for run in pair:
        (run / "metrics.json").unlink()
    heads, rows = comparison(read_runs(pair))
    assert heads == ["run", "weights", "images seen", "images/s", "features"]
    assert [row[-1] for row in rows] == ["not scored"] * 2


def test_a_run_without_scores_is_compared_too(pair: list[Path]) -> None:
    (pair[1] / "metrics.json").unlink()
    assert f"cyclegan evaluate {pair[1]}" in as_table(read_runs(pair))
    assert "second/run" in write_comparison(read_runs(pair), pair[0] / "c.html", pictures=1).read_text(encoding="utf-8")


def test_the_page_shows_the_same_pictures_by_every_run(pair: list[Path], tmp_path: Path) -> None:
    html = without_pictures(
        write_comparison(read_runs(pair), tmp_path / "page.html", pictures=2).read_text(encoding="utf-8")
    )
    rows = re.findall(r'<div class="row">(.*?)</div>', html, re.S)
    assert len(rows) == 3  # of the two of A one is broken
    assert all(re.findall("<figcaption>(.*?)<", row) == ["input", "first/run", "second/run"] for row in rows)
    titles = re.findall(r"<figcaption><b>(.*?)</b>", html)
    assert titles == ["KID AtoB", "cycle loss A", "cycle loss B"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("report nowhere", "nowhere: not a run folder"),
        ("report {data}", "not a run folder"),
        ("report {run} --pictures 0", "--pictures: must be at least 1"),
        ("report {run} --device gpu", "--device"),
        ("compare {run}", "give two runs or more"),
        ("compare", "give two runs or more"),
        ("compare {run} {run}", "given twice"),
        ("compare {run} nowhere", "nowhere: not a run folder"),
    ],
)
def test_mistakes_are_one_line(words: str, told: str, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([word.format(run=trained, data=trained.parent / "data") for word in words.split()])
    captured = capsys.readouterr()
    assert done.value.code == 2 and told in captured.err and captured.err.count("\n") == 1 and not captured.out


def test_the_commands_say_where_the_page_is(
    pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["report", str(pair[0]), "--pictures", "1"],
        ["compare", *map(str, pair), "--out", f"{tmp_path}/c.html"],
    ):
        with pytest.raises(SystemExit) as done:
            main(words)
        assert not done.value.code
        assert Path(capsys.readouterr().out.splitlines()[-1]).is_file()


def test_a_checkpoint_with_odd_names_of_weights_ends_no_report(run: Path) -> None:
    newest = newest_checkpoint(run)
    state = torch.load(newest, weights_only=True)
    state["method"][7] = torch.zeros(1)
    torch.save(state, newest)
    assert "Best and worst" in words_of(write_report(run, pictures=1).read_text(encoding="utf-8"))


def test_a_run_whose_memory_is_short_has_a_report_without_a_gallery(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("cyclegan.report.run.showcase", fail)
    told = words_of(write_report(run).read_text(encoding="utf-8"))
    assert "Test pictures Not shown:" in told and "Best and worst" not in told and "0.0811" in told
