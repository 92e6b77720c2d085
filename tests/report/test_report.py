"""The report of a folder of results: its numbers are those of the scores, and what is not there is named."""

import argparse
import json
import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from made_up_scores import (
    ABLATIONS,
    BASELINE,
    MODELS,
    SEEN,
    UNSEEN,
    UNTRAINED,
    made_up_rows,
    whole_scan_rows,
    write_results,
)
from PIL import Image

from neuralizer_jax.cli import report as command
from neuralizer_jax.errors import InputError
from neuralizer_jax.evaluation.scores import KEYS, Kind, scores_of
from neuralizer_jax.report.comparison import compare, of_t1
from neuralizer_jax.report.planes import planes_table
from neuralizer_jax.report.report import write_report
from neuralizer_jax.report.results import LeftOut
from neuralizer_jax.report.statistics import Estimate
from neuralizer_jax.report.table_formats import Cell, Table, latex, markdown
from neuralizer_jax.report.tables import classes_table, differences_table, runtime_table, scores_table

FEW = {"tasks": ("segmentation", "denoising", "inpainting"), "modalities": ("T1", "T2"), "subjects": 4, "draws": 2}
CLASSES = ("freesurfer:4", "freesurfer:17")
EVERYTHING = {
    *(
        f"{name}.{ending}"
        for name in (
            *("figure4", "figure4_t1", "figure5", "ablations"),
            *("figure_structures", "figure_structure_dice", "figure_volume_agreement"),
        )
        for ending in ("png", "svg")
    ),
    *(
        f"{name}.{ending}"
        for name in ("table3", "table4", "table_baselines", "table_untrained", "table_other_metrics")
        for ending in ("md", "tex")
    ),
    *(f"{name}.{ending}" for name in ("table_seen_unseen", "table_modalities") for ending in ("md", "tex")),
    *(f"{name}.{ending}" for name in ("table_ablations", "table_planes", "table_runtime") for ending in ("md", "tex")),
    *(
        f"table_{name}.{ending}"
        for name in ("structures", "structures_by_n", "structure_ends", "structure_trust")
        for ending in ("md", "tex")
    ),
    "qualitative_experiment1.png",
    "scores.json",
    "index.html",
}


def some_rows():
    rows = made_up_rows(**FEW, sizes=(1, 8, 32), classes=CLASSES, models=(*MODELS, *UNTRAINED))
    rows += made_up_rows(
        "experiment3", (UNSEEN, BASELINE), sizes=(8,), classes=CLASSES, **FEW | {"tasks": FEW["tasks"][:1]}
    )
    rows += made_up_rows("experiment1_modalities", (SEEN, UNSEEN), sizes=(8,), classes=CLASSES, **FEW)
    planes = made_up_rows("planes", (SEEN,), sizes=(8,), classes=CLASSES, **FEW | {"tasks": FEW["tasks"][:2]})
    rows += planes + [(*row[:10], "axial", 12, *row[12:]) for row in planes]
    rows += whole_scan_rows()
    return rows + made_up_rows("ablations", ABLATIONS, sizes=(8,), classes=CLASSES, **FEW)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder with everything; do not write to it."""
    return write_results(tmp_path_factory.mktemp("some") / "my results", some_rows(), examples=2, size=32)


@pytest.fixture(scope="module")
def report(results, tmp_path_factory):
    """A whole report, its folder and what `write_report` gave; do not write to it."""
    folder = tmp_path_factory.mktemp("report")
    return folder, *write_report(results, folder, {"freesurfer:17": "left hippocampus"})


def simple_means(rows, model, n, metric, **only):
    """Of each task the mean of means, written down a second time."""
    found = {}
    for _, its, _, subjects, _, members, task, dataset, modality, label, *_, subject, _, name, value in rows:
        where, size = {"modality": modality}, members or (64 if subjects == "all" else int(subjects))
        if (its, size, name) == (model, n, metric) and all(where[key] == wanted for key, wanted in only.items()):
            cell = found.setdefault(task, {}).setdefault((dataset, modality, label), {})
            cell.setdefault(subject, []).append(value)
    mean = np.mean
    return {
        task: mean([mean([mean(draws) for draws in subjects.values()]) for subjects in cells.values()])
        for task, cells in found.items()
    }


def cells_of(text):
    """The cells of a Markdown table by row and heading."""
    lines = [[cell.strip() for cell in line[1:-1].split(" |")] for line in text.splitlines() if line.startswith("|")]
    head, _, *rows = lines
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


@pytest.fixture(scope="module")
def page(report):
    return Page((report[0] / "index.html").read_text())


class Page(HTMLParser):
    """What a page holds."""

    VOID = ("meta", "img", "br", "link", "hr")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.images, self.text, self.links = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        if tag == "img":
            self.images.append(attributes["src"])
        self.links += [attributes[name] for name in ("href", "src", "action") if name in attributes and tag != "img"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


class TestReport:
    def test_everything_is_written(self, report):
        folder, written, left_out = report
        assert left_out == []
        assert {path.name for path in written} == EVERYTHING
        assert {path.name for path in folder.iterdir()} == EVERYTHING
        for path in folder.glob("*.png"):
            with Image.open(path) as picture:
                picture.load()
        for path in folder.glob("*.svg"):
            ElementTree.parse(path)
            assert "<script" not in path.read_text()

    def test_same_bytes_every_time(self, results, report, tmp_path):
        """In another folder, over another report, and of rows in another order."""
        folder, written, _ = report
        header, *lines = (results / "scores.csv").read_text().splitlines(keepends=True)
        write_report(results, tmp_path, {"freesurfer:17": "left hippocampus"})
        for path in written:
            assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name
        (tmp_path / "scores.csv").write_text(header + "".join(lines[::-1]))
        (tmp_path / "models.json").write_bytes((results / "models.json").read_bytes())
        write_report(tmp_path, tmp_path)
        for name in ("figure4.png", "figure4.svg", "figure5.svg", "table4.md", "table_baselines.tex"):
            assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name

    def test_the_table_of_scores_is_there_for_other_programs(self, results, report):
        table = json.loads((report[0] / "scores.json").read_text())
        header, *lines = (results / "scores.csv").read_text().splitlines()
        assert list(table) == header.split(",")

        def texts(rows):
            return sorted(
                (*map(str, keys), "nan" if value in (None, "nan") else f"{float(value):.6f}") for *keys, value in rows
            )

        assert texts(zip(*table.values(), strict=True)) == texts(line.split(",") for line in lines)

    def test_the_numbers_of_table_4(self, report):
        rows = [row for row in some_rows() if row[0] == "experiment1"]
        table = cells_of((report[0] / "table4.md").read_text())
        for model in MODELS:
            means = simple_means(rows, model, 32, "psnr") | simple_means(rows, model, 32, "dice")
            expected = {
                "Segmentation, Dice": f"{means['segmentation']:.3f}",
                "Denoising, PSNR (dB)": f"{means['denoising']:.2f}",
                "Inpainting, PSNR (dB)": f"{means['inpainting']:.2f}",
                "Mean of 2 tasks, PSNR (dB)": f"{(means['denoising'] + means['inpainting']) / 2:.2f}",
            }
            assert {row: cells[model].strip("*").split(" [")[0] for row, cells in table.items()} == expected
        for cells in table.values():
            best = max(cells[model].strip("*").split(" [")[0] for model in MODELS)
            for model in MODELS:
                assert cells[model].startswith("**") == cells[model].strip("*").startswith(best)

    def test_differences_are_of_the_same_subjects(self, report):
        rows = [row for row in some_rows() if row[0] == "experiment1"]
        table = cells_of((report[0] / "table_baselines.md").read_text())
        unseen, baseline = (simple_means(rows, model, 8, "psnr") for model in (UNSEEN, BASELINE))
        value, low, high = map(float, re.findall(r"[+-]?\d+\.\d+", table["Denoising, PSNR (dB)"]["N = 8"]))
        assert value == pytest.approx(unseen["denoising"] - baseline["denoising"], abs=0.005)
        assert low <= value <= high
        assert high - low < 1  # subjects differ by 0.8 dB, all modalities alike

    def test_both_formats_have_the_same_numbers(self, report):
        folder, *_ = report
        for path in folder.glob("*.md"):
            caption, *rows = re.sub(r":?-+:", "", path.read_text()).splitlines()
            source = path.with_suffix(".tex").read_text().replace("$-$", "-").replace("$\\pm$", "±")
            body = source[source.index(r"\toprule") :]
            assert re.findall(r"[+-]?\d[\d,.]*", " ".join(rows)) == re.findall(r"[+-]?\d[\d,.]*", body)
            assert sum("\\textbf" in cell for cell in body.split("&")) == sum(
                "**" in cell for cell in "".join(rows).split("|")
            )
            assert re.findall(r"\d+", caption) == re.findall(r"\d+", re.search(r"\\caption\{(.*)\}", source)[1])

    def test_class_names(self, report):
        head = (report[0] / "table3.md").read_text().splitlines()[2]
        assert [cell.strip() for cell in head.split("|")[1:-1]] == ["Model", "freesurfer:4", "left hippocampus", "Mean"]


class TestPage:
    def test_it_needs_nothing_else(self, page, report):
        text = (report[0] / "index.html").read_text()
        assert page.open == []
        assert "script" not in page.tags
        assert page.links == []
        assert len(page.images) == 7 + 1
        assert all(re.match(r"data:image/(png|svg\+xml);base64,[A-Za-z0-9+/=]+$", source) for source in page.images)
        without_images = re.sub(r"data:[^\"]*", "", text)
        assert "http" not in without_images
        assert "url(" not in without_images

    def test_it_says_how_it_was_made(self, page, results):
        shown = " ".join(page.text)
        for record in json.loads((results / "models.json").read_text()):
            assert all(str(record[key]) in shown for key in ("model", "weights", "sha256", "command", "step"))
        assert "neuralizer_jax 0.1.0, jax 0.10.2" in shown
        assert "my results" in shown

    def test_headline(self, page):
        rows = [row for row in some_rows() if row[0] == "experiment1"]
        seen, unseen = (simple_means(rows, model, 32, "dice")["segmentation"] for model in (SEEN, UNSEEN))
        shown = "".join(page.text)
        assert f"{unseen:.3f} [" in shown
        assert f"{seen - unseen:+.3f} [" in shown
        assert re.search(r"test subjects\s*4\s*tasks\s*3", shown)

    def test_every_table_is_whole(self, report):
        text = (report[0] / "index.html").read_text()
        for table in re.findall(r"<table.*?</table>", text, re.DOTALL):
            columns = table.count("<th>")
            assert all(row.count("<td>") == columns for row in re.findall(r"<tr><td>.*?</tr>", table, re.DOTALL))


class TestLittle:
    """Results that are not complete."""

    def test_one_model_and_size(self, tmp_path):
        rows = made_up_rows(tasks=("denoising",), models=(SEEN,), sizes=(4,), modalities=("T2",), subjects=2, draws=1)
        folder = write_results(tmp_path, rows, records=False)
        written, left_out = write_report(folder, tmp_path / "report")
        assert {path.name for path in written} == {
            *("figure4.png", "figure4.svg", "table4.md", "table4.tex", "index.html"),
            *("table_other_metrics.md", "table_other_metrics.tex", "scores.json"),
        }
        assert left_out == [
            "figure4_t1: no scores of T1 input alone (Figure 4)",
            "table_seen_unseen: no Neuralizer-unseen to compare",
            "table_modalities: scores.csv has no experiment1_modalities",
            "table_baselines: no N at which there are Neuralizer-seen and Baseline-seen",
            "table_untrained: no untrained baselines",
            "figure5: experiment1 has no subject with Neuralizer-seen at more than one N",
            "table3: no Dice of a class",
            "ablations: scores.csv has no ablations",
            "table_ablations: scores.csv has no ablations",
            "table_planes: scores.csv has no planes",
            "table_structures: scores.csv has no volumes",
            "table_structure_ends: scores.csv has no volumes",
            "table_structure_trust: scores.csv has no volumes",
            "table_structures_by_n: scores.csv has no volumes",
            "figure_structures: scores.csv has no volumes",
            "figure_structure_dice: scores.csv has no volumes",
            "figure_volume_agreement: scores.csv has no volumes",
            "table_runtime: no runtime.json",
            "qualitative: no examples",
        ]
        page = (tmp_path / "report/index.html").read_text()
        assert all(line in page for line in left_out)

    def test_baselines_alone(self, tmp_path):
        rows = made_up_rows(tasks=("denoising",), models=(BASELINE,), sizes=(4,), modalities=("T1",), subjects=2)
        written, left_out = write_report(write_results(tmp_path, rows, records=False), tmp_path / "report")
        assert tmp_path / "report/figure4.svg" in written
        # It would be the same figure.
        assert "figure4_t1: all inputs are T1, see figure4" in left_out
        assert "table_baselines: all models are baselines" in left_out
        assert "figure5: experiment1 has no model with a context" in left_out

    def test_nothing_in_common(self, tmp_path):
        rows = made_up_rows(tasks=("denoising",), models=(SEEN,), sizes=(4,), modalities=("T1",), subjects=2)
        rows += made_up_rows(tasks=("denoising",), models=(UNSEEN,), sizes=(4,), modalities=("T2",), subjects=2)
        written, left_out = write_report(write_results(tmp_path, rows, records=False), tmp_path / "report")
        assert [path.name for path in written] == ["scores.json", "index.html"]
        assert "figure4: the models of experiment1 have no Dice or PSNR of the same subjects and contexts" in left_out

    def test_another_name_of_the_experiment(self, tmp_path):
        few = {"tasks": ("denoising",), "models": (SEEN,), "sizes": (1, 4), "modalities": ("T2",), "subjects": 2}
        folder = write_results(tmp_path, made_up_rows("mine", **few), records=False)
        assert tmp_path / "figure5.png" in write_report(folder, tmp_path)[0]
        write_results(tmp_path, made_up_rows("mine", **few) + made_up_rows("yours", **few), records=False)
        assert "figure4: scores.csv has no experiment1, only mine, yours" in write_report(folder, tmp_path)[1]

    def test_an_untrained_baseline_that_is_as_good(self, tmp_path):
        few = {"tasks": ("denoising",), "sizes": (1,), "modalities": ("T1",), "subjects": 6, "draws": 1}
        rows = made_up_rows(**few, models=(SEEN,))
        worse, better = (
            [(row[0], name, Kind.UNTRAINED, *row[3:-1], row[-1] + add) for row in rows]
            for name, add in (("A", -1), ("B", 1))
        )
        for others, expected in ((worse, 0), (better, 1), (worse + better, 1)):
            write_results(tmp_path, [row for row in rows + others if row[-2] == "psnr"], examples=0)
            write_report(tmp_path, tmp_path / "report")
            cautions = re.findall(r'<p class="caution">(.*?)</p>', (tmp_path / "report/index.html").read_text())
            assert len(cautions) == expected
        minus = "\N{MINUS SIGN}1.00"
        assert cautions == [f"Neuralizer-seen does not beat “B” in denoising at N = 1: {minus} [{minus}, {minus}]."]


class TestComparison:
    def test_all_subjects_of_a_baseline(self):
        few = {"tasks": ("denoising",), "modalities": ("T1",), "subjects": 3, "draws": 1}
        comparison = compare(scores_of(made_up_rows(**few, models=(SEEN, BASELINE), sizes=(1, 32))))
        assert {n for model, _, n in comparison.means if model == BASELINE} == {1, 32, math.inf}
        assert comparison.size == 32

    def test_models_by_kind(self):
        few = {"tasks": ("denoising",), "modalities": ("T1",), "subjects": 3, "draws": 1}
        comparison = compare(scores_of(made_up_rows(**few, models=(*MODELS, *UNTRAINED), sizes=(1,))))
        assert comparison.models == list(MODELS)
        assert comparison.of_kind(Kind.BASELINE) == [BASELINE]
        assert comparison.of_kind(Kind.UNTRAINED) == list(UNTRAINED)

    def test_t1_input(self):
        rows = made_up_rows(
            tasks=("modality_transfer", "denoising"), modalities=("T1", "T2"), subjects=2, models=(SEEN,)
        )
        expected = simple_means(
            [row for row in rows if row[KEYS.index("modality")] in ("T1", "T1>T2")], SEEN, 8, "psnr"
        )
        found = of_t1(compare(scores_of(rows)))
        assert {task: found.means[SEEN, task, 8].value for task in found.metrics} == pytest.approx(expected)
        assert found.errors[SEEN, "denoising", 8] != found.errors[SEEN, "denoising", 8]  # NaN: one modality

    def test_cells_that_not_every_size_has(self):
        rows = made_up_rows(tasks=("denoising", "inpainting"), modalities=("T1", "T2"), subjects=2, models=(SEEN,))
        assert compare(scores_of(rows)).uneven() == []
        rows = [row for row in rows if (row[5], row[6], row[8]) != (32, "denoising", "T2")]
        assert compare(scores_of(rows)).uneven() == ["denoising"]


def sure(value, width=0.0):
    return Estimate(value, value + width * np.repeat([-1.0, 1.0], 50))


class TestTables:
    def test_the_best_is_bold(self):
        columns = {
            "A": {"s": sure(0.8004), "d": sure(20.0)},
            "B": {"s": sure(0.8003)},
            "C": {"s": sure(0.7), "d": sure(21)},
        }
        table = scores_table("t", "caption", columns, {"s": "dice", "d": "psnr"}, intervals=False)
        [first, second], means = table.parts
        assert [cell.text for cell in first] == ["S, Dice", "0.800", "0.800", "0.700"]
        assert [cell.bold for cell in first] == [False, True, True, False]  # equal as they are shown
        assert [cell.text for cell in second] == ["D, PSNR (dB)", "20.00", "–", "21.00"]  # noqa: RUF001
        assert [cell.bold for cell in second] == [False, False, False, True]
        assert means == ()

    def test_the_mean_is_of_who_has_tasks_of_the_metric(self):
        columns = {"A": {"s": sure(0.9), "t": sure(0.7), "d": sure(20.0)}, "B": {"d": sure(30.0)}}
        table = scores_table("t", "", columns, {"s": "dice", "t": "dice", "d": "psnr"}, intervals=False)
        (row,) = table.parts[1]
        assert [cell.text for cell in row][:2] == ["Mean of 2 tasks, Dice", "0.800"]
        assert row[2].text == "–"  # noqa: RUF001

    def test_planes_beside_the_same_structures(self):
        """Class 4 is not in the axial slice; what the reference scores with it does not count beside that slice."""
        own = {"experiment": "planes", "tasks": ("segmentation",), "modalities": ("T1",), "subjects": 3, "draws": 1}
        rows = made_up_rows(**own, models=(SEEN, *UNTRAINED), sizes=(1, 8), classes=("freesurfer:4", "freesurfer:17"))
        axial = [
            (*row[:10], "axial", 12, *row[12:-1], row[-1] - 0.25) for row in rows if row[9] == "freesurfer:17"
        ]  # fmt: skip
        table = planes_table("t", "", compare(scores_of([*rows, *axial])))
        values = [row[-1] for row in rows if row[1] == SEEN and row[5] == 8 and row[-2] == "dice" and row[9][-1] == "7"]
        mean = np.mean(values)
        (line,) = [row for row in table.parts[0] if row[0].text == "Axial 12 mm, Dice"]
        assert [cell.text for cell in line[1:3]] == [f"{mean - 0.25:.3f}", f"{mean:.3f}"]
        assert line[3].text == "-0.250 [-0.250, -0.250]"
        assert table.parts[0][0][0].text == "Coronal -17 mm, Dice, 2 classes"
        assert float(line[4].text) < mean - 0.25
        with pytest.raises(LeftOut, match="only slices at Axial 12 mm"):
            planes_table("t", "", compare(scores_of(axial)))

    def test_less_distance_is_better(self):
        table = scores_table("t", "", {"A": {"s": sure(9.5)}, "B": {"s": sure(10.5)}}, {"s": "hd95"})
        assert [cell.bold for cell in table.parts[0][0]] == [False, True, False]

    def test_one_model_is_not_the_best(self):
        table = scores_table("t", "", {"A": {"s": sure(9.5)}}, {"s": "psnr"})
        assert not table.parts[0][0][1].bold

    def test_differences(self):
        columns = {
            "N = 1": {"s": sure(0.02, 0.01), "d": sure(-0.3, 0.1)},
            "N = 2": {"s": sure(0.02, 0.03), "d": sure(0)},
        }
        table = differences_table("t", "", columns, {"s": "dice", "d": "psnr"})
        texts = [[(cell.text, cell.bold) for cell in row[1:]] for row in table.parts[0]]
        assert texts[0] == [("+0.020 [0.010, 0.030]", True), ("+0.020 [-0.010, 0.050]", False)]
        assert texts[1] == [("-0.30 [-0.40, -0.20]", False), ("+0.00 [0.00, 0.00]", False)]

    def test_classes(self):
        scores = {
            (SEEN, 1, "p:10"): np.array([0.5, 0.7]),
            (SEEN, 1, "p:9"): np.array([0.9]),
            (SEEN, 1, ""): np.array([0.7, 0.7]),
            (BASELINE, math.inf, "p:10"): np.array([0.8, 0.8]),
            (BASELINE, math.inf, ""): np.array([0.8, 0.8]),
        }
        table = classes_table("table3", "", scores, [SEEN, BASELINE], {"p:9": "left ear"})
        assert table.head == ("Model", "left ear", "p:10", "Mean")
        [[first], [second]] = table.parts
        assert [cell.text for cell in first] == ["Neuralizer-seen, N = 1", "0.90", "0.60 ± 0.14", "0.75 ± 0.00"]
        assert [cell.text for cell in second] == ["Baseline-seen, N = all", "–", "0.80 ± 0.00", "0.80 ± 0.00"]  # noqa: RUF001
        assert [cell.bold for cell in second] == [False, False, True, True]

    def test_many_classes_stand_below_each_other(self):
        scores = {(SEEN, n, f"p:{label}"): np.array([0.5, 0.7]) for n in (1, 2) for label in range(20)}
        scores |= {(SEEN, n, ""): np.array([0.5, 0.7]) for n in (1, 2)}
        table = classes_table("table3", "", scores, [SEEN], {})
        assert table.head == ("Class", "Neuralizer-seen, N = 1", "Neuralizer-seen, N = 2")
        assert [row[0].text for row in table.parts[0]] == [f"p:{label}" for label in range(20)]
        assert [row[0].text for row in table.parts[1]] == ["Mean"]

    @pytest.mark.parametrize(
        ("classes", "sizes", "columns"), [(8, 1, 8 + 2), (9, 1, 1 + 1), (14, 6, 6 + 1), (14, 18, 14 + 2)]
    )
    def test_what_there_is_less_of_stands_side_by_side(self, classes, sizes, columns):
        """Unless the classes are few."""
        scores = {(SEEN, n, f"p:{label}"): np.array([0.5, 0.7]) for n in range(sizes) for label in range(classes)}
        scores |= {(SEEN, n, ""): np.array([0.5, 0.7]) for n in range(sizes)}
        assert len(classes_table("table3", "", scores, [SEEN], {}).head) == columns

    def test_runtime(self):
        records = [
            {"model": "B", "training_seconds": 5400, "training_steps": 20_000, "seconds": 12.34, "device": "a | b"},
            {
                "model": "A",
                "parameters": 1_273_859,
                "context_size": 16,
                "flops": 9.6e11,
                "seconds": None,
                "peak_bytes": None,
            },
            {
                "model": "A",
                "parameters": 1_273_859,
                "context_size": 8,
                "flops": 4.8e11,
                "seconds": 0.0456,
                "peak_bytes": None,
            },
        ]
        table = runtime_table("t", "", records)
        assert table.head == (
            *("Model", "Parameters", "Training", "Training steps", "N", "GFLOP", "Prediction (s)", "Device"),
        )
        no = "–"  # noqa: RUF001
        assert [[[cell.text for cell in row] for row in part] for part in table.parts] == [
            [["A", "1,273,859", no, no, "8", "480", "0.0456", no], ["", "", "", "", "16", "960", no, no]],
            [["B", no, "1.50 h", "20,000", no, no, "12.3", "a | b"]],
        ]

    def test_runtime_of_the_papers_models(self):
        """In the paper's order, a part a model; what is the same for a model and for all stands once."""
        records = [
            {
                "model": model,
                "context_size": n,
                "parameters": 9,
                "device": "gpu",
                "seconds": 0.001 * n,
                "training_seconds": 180,
            }
            for n in (32, 1, 8)
            for model in ("Other", UNSEEN, SEEN)
        ]
        table = runtime_table("t", "Time.", records)
        assert table.caption == "Time. Device: gpu."
        assert table.head == ("Model", "Parameters", "Training", "N", "Prediction (s)")
        assert [[[cell.text for cell in row] for row in part] for part in table.parts] == [
            [
                [model, "9", "3.00 min", "1", "0.00100"],
                ["", "", "", "8", "0.00800"],
                ["", "", "", "32", "0.0320"],
            ]
            for model in (SEEN, UNSEEN, "Other")
        ]

    def test_another_training_of_the_same_model_shows(self):
        records = [
            {"model": "A", "context_size": n, "training_steps": steps} for n, steps in ((1, 100), (2, 100), (4, 200))
        ]
        (rows,) = runtime_table("t", "", records).parts
        assert [row[1].text for row in rows] == ["100", "", "200"]

    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [(28 * 3600, "28.0 h"), (1_000_000, "278 h"), (180, "3.00 min"), (45.04, "45.0 s"), (0, "0.00 s")],
    )
    def test_the_time_of_a_training(self, seconds, expected):
        (((_, cell),),) = runtime_table("t", "", [{"model": "A", "training_seconds": seconds}]).parts
        assert cell.text == expected

    def test_strange_names(self):
        strange = r"50 % of a_b & $c {d} \e #1 <x> [y](z) a|b ~^*"
        table = Table("t", strange, ("Task", strange), (((Cell(strange), Cell("-1.5 ± 0.1", bold=True)),),))
        shown = markdown(table).splitlines()
        assert shown[2].count("|") - shown[2].count("\\|") == 3
        assert shown[4].split()[-4:] == ["**-1.5", "±", "0.1**", "|"]
        assert "<x>" not in markdown(table).replace("\\<x\\>", "")
        assert "](" not in markdown(table).replace("\\](", "")
        source = latex(table)
        row = source.split("\\midrule\n")[1].splitlines()[0]
        assert row == (
            r"50 \% of a\_b \& \$c \{d\} \textbackslash{}e \#1 \textless{}x\textgreater{} [y](z) a\textbar{}b"
            r" \textasciitilde{}\textasciicircum{}* & \textbf{$-$1.5 $\pm$ 0.1} \\"
        )
        without = re.sub(r"\\[{}]", "", source)
        assert without.count("{") == without.count("}")

    def test_wide_tables_fit_the_page(self):
        wide = Table("t", "", tuple("a heading of many letters" for _ in range(4)), ((tuple([Cell("1")] * 4),),))
        assert r"\resizebox{\textwidth}" in latex(wide)
        wide = Table("t", "", tuple("abcdefghij"), ((tuple([Cell("1.00 [1.00, 1.00]")] * 10),),))
        assert r"\resizebox{\textwidth}" in latex(wide)
        narrow = Table("t", "", ("a", "b"), (((Cell("1"), Cell("2")),),))
        assert r"\resizebox" not in latex(narrow)


class TestWrongInput:
    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            ("scores.csv", None, "cannot be read (No such file or directory)"),
            ("scores.csv", "a,b\n1,2\n", "its columns are a,b, expected experiment,model"),
            ("models.json", "[{", "damaged (Expecting"),
            ("models.json", '{"model": 1}', "damaged, expected a list of records"),
            ("runtime.json", "[1, 2]", "damaged, expected a list of records"),
            ("runtime.json", "\x00", "damaged (Expecting"),
            ("examples/00.npz", "nothing", "damaged"),
        ],
    )
    def test_files(self, tmp_path, name, content, expected):
        rows = made_up_rows(tasks=("denoising",), models=(SEEN,), sizes=(1,), modalities=("T1",), subjects=2, draws=1)
        folder = write_results(tmp_path / "results", rows, examples=1, size=8)
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(content)
        with pytest.raises(InputError) as error:
            write_report(folder, tmp_path / "report")
        assert expected in str(error.value)
        assert str(folder / name) in str(error.value)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "report/index.html").exists()

    def test_a_folder_that_cannot_be_made(self, results, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match=r"file/report: cannot be made \(Not a directory\)"):
            write_report(results, tmp_path / "file/report")

    def test_names_are_text(self, tmp_path):
        """Nothing that stands in the results becomes a part of the page."""
        bad = "<script>alert(1)</script>\"'&"
        rows = made_up_rows(tasks=("denoising",), models=(SEEN,), sizes=(1, 2), modalities=("T1",), subjects=2, draws=1)
        rows = [(row[0], bad, *row[2:]) for row in rows]
        folder = write_results(tmp_path / "<b>results", rows, examples=0)
        (folder / "models.json").write_text(
            json.dumps([{"model": bad, "sha256": bad, "command": bad, "versions": {bad: bad}}])
        )
        (folder / "runtime.json").write_text(json.dumps([{"model": bad, "seconds": bad, "context_size": bad}]))
        write_report(folder, tmp_path / "report")
        page = Page((tmp_path / "report/index.html").read_text())
        assert "script" not in page.tags
        assert "Results of <b>results" in page.text
        assert bad in page.text


class TestCommand:
    def options(self, *arguments):
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers())
        return parser.parse_args(["report", *map(str, arguments)])

    def test_what_it_prints(self, tmp_path, capsys):
        rows = made_up_rows(tasks=("segmentation",), models=(SEEN,), sizes=(1, 2), modalities=("T1",), subjects=2)
        folder = write_results(tmp_path, rows, records=False)
        options = self.options(folder)
        options.run(options)
        lines = capsys.readouterr().out.splitlines()
        written = [line for line in lines if not line.startswith("left out: ")]
        assert {str(path) for path in (folder / "report").iterdir()} == set(written)
        assert written[-1] == str(folder / "report/index.html")
        assert "left out: table_runtime: no runtime.json" in lines
        assert "left hippocampus" in (folder / "report/table3.md").read_text()

    def test_another_folder(self, tmp_path):
        assert self.options("a", "--out", "b").out.name == "b"
