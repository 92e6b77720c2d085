"""A subject's picture shows its labels where they are, and the page every subject and every drop, whatever its name."""

import csv
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from input_pipeline.prepare.quality_page import Dropped, SubjectSummary, write_dropped_table, write_quality_page
from input_pipeline.prepare.quality_picture import GAP, PANEL, picture_width, quality_picture, save_picture
from input_pipeline.slices.from_labelmaps import phantom_jobs
from input_pipeline.slices.settings import PrepareSettings
from neuralizer_jax.errors import InputError
from neuralizer_jax.intensity import Window

HOSTILE = "<script>alert('x')</script>&\"quoted\""
# The rows of a panel below its caption.
BODY = slice(30, None)


@pytest.fixture(scope="session")
def record():
    """A subject as it is while its dataset is prepared: T1 and T2 in units of their own."""
    (job,) = phantom_jobs(PrepareSettings(subjects=1, skull_stripped=0.0))
    made = job.make().record
    return replace(
        made,
        modalities=made.modalities[:2],
        images=np.float32(1234) * made.images[:2] / 65535,
        coverage=made.coverage[:2],
        to_mni=made.to_mni[:2],
        labels=np.where(made.labels < 100, made.labels, 0),
        mask_source="segmentation",
    )


def panel(picture, index):
    start = index * (PANEL + GAP)
    return picture[:, start : start + PANEL]


def coloured(rgb):
    return (rgb != rgb[..., :1]).any(-1)


def with_labels(record, labels):
    return replace(record, labels=labels.astype(np.uint16)[None, None])


def test_outlines_follow_the_borders_and_leave_the_inside_as_it_is(record):
    picture = quality_picture(record, 0)
    plain, outlined = panel(picture, 0), panel(picture, 1)
    large = record.labels[0, 0].repeat(2, 0).repeat(2, 1)
    for axis in (0, 1):
        border = np.diff(large.astype(int), axis=axis) != 0
        first, second = (np.delete(coloured(outlined), end, axis) for end in (-1, 0))
        np.testing.assert_array_equal(border & ~(first | second), False)
    padded = np.pad(large, 1)
    same = [padded[1 + r : 385 + r, 1 + c : 385 + c] == large for r, c in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    inside = np.all(same, axis=0)
    inside[:, :50] = inside[:, -50:] = False  # L and R
    np.testing.assert_array_equal(outlined[BODY][inside[BODY]], plain[BODY][inside[BODY]])
    assert not coloured(plain).any()
    assert coloured(outlined).mean() < 0.15


def test_an_outline_is_one_pixel_wide_and_of_one_colour(record):
    labels = np.zeros((192, 192), int)
    labels[100:110, 50:60] = 17
    outlined = panel(quality_picture(with_labels(record, labels), 0), 1)
    rows, columns = np.nonzero(coloured(outlined))
    assert len(rows) == 4 * 19
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (200, 219, 100, 119)
    assert len(np.unique(outlined[rows, columns], axis=0)) == 1


def test_a_single_pixel_is_outlined(record):
    labels = np.zeros((192, 192), int)
    labels[100, 50] = 1
    mark = coloured(panel(quality_picture(with_labels(record, labels), 0), 1))
    np.testing.assert_array_equal(np.argwhere(mark), [[200, 100], [200, 101], [201, 100], [201, 101]])


def test_the_brain_mask_is_outlined_in_the_panel_after_the_labels(record):
    mark = coloured(panel(quality_picture(record, 0), 2))
    mask = record.brain_mask[0].repeat(2, 0).repeat(2, 1)
    rows, columns = np.nonzero(mark)
    assert mask[rows, columns].all()
    assert rows.min() == np.nonzero(mask)[0].min()
    assert columns.max() == np.nonzero(mask)[1].max()


def test_left_is_left(record):
    left = with_labels(record, np.where(record.labels[0, 0] == 17, 17, 0))
    assert np.nonzero(coloured(panel(quality_picture(left, 0), 1)))[1].max() < PANEL // 2
    # Of the letters: only an L is empty in the upper right.
    black = panel(quality_picture(replace(record, images=0 * record.images), 0), 0)[PANEL // 2 - 20 : PANEL // 2 + 20]
    for side, is_left in ((black[:, :30], True), (black[:, -30:], False)):
        rows, columns = np.nonzero(side[..., 0] > 128)
        corner = side[rows.min() : rows.min() + 5, columns.max() - 3 : columns.max() + 1, 0]
        assert (corner < 128).all() == is_left


@pytest.mark.parametrize(
    ("modalities", "protocols", "panels"),
    [
        (("T1",), (), 2),
        (("DTI-00", "DTI-01", "T1"), ("freesurfer",), 4),
        (("T1", "T2", "PD", "MRA", "FLAIR", "ADC", "DWI"), ("freesurfer", "hammers", "lesion", "tumour"), 10),
    ],
)
def test_panels_are_limited(record, modalities, protocols, panels):
    many = replace(
        record,
        modalities=modalities,
        images=np.resize(record.images, (len(modalities), 1, 192, 192)),
        protocols=protocols,
        labels=np.resize(record.labels, (len(protocols), 1, 192, 192)),
        label_sources=("found",) * len(protocols),
    )
    width = panels * (PANEL + GAP) - GAP
    assert quality_picture(many, 0).shape == (PANEL, width, 3)
    assert picture_width(modalities, len(protocols)) == width


@pytest.mark.parametrize("gain", [1e-9, 1.0, 1e6])
def test_an_image_fills_the_range_whatever_its_unit(record, gain):
    picture = quality_picture(replace(record, images=record.images * np.float32(gain)), 0)
    expected = quality_picture(record, 0)
    assert (np.abs(picture.astype(int) - expected) <= 4).all()
    for index in (0, 3):
        values = panel(picture, index)[BODY]
        assert values.min() == 0
        assert values.max() >= 252
        assert 20 < np.median(values[100:250, 100:280]) < 235


def test_a_little_image_is_scaled_by_what_is_not_zero(record):
    image = np.zeros((192, 192), np.float32)
    image[90:94, 90:94] = np.linspace(100, 200, 16).reshape(4, 4)
    picture = quality_picture(replace(record, images=np.stack([image, image])[:, None]), 0)
    values = panel(picture, 0)[180:188, 180:188, 0]
    assert values.min() < 40
    assert 80 < np.median(values) < 170
    assert values.max() > 220


def test_the_caption_names_the_source_and_nothing_else_depends_on_it(record):
    first, second = (quality_picture(replace(record, label_sources=(s,)), 0) for s in ("synthetic", "template"))
    differs = (first != second).any(-1)
    assert differs.any()
    assert not differs[BODY].any()
    assert not np.delete(differs, np.s_[PANEL + GAP : 2 * PANEL + GAP], axis=1).any()


class Page(HTMLParser):
    """Tags, text, and the attributes of the images of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.images = set(), "", []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attributes)
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_data(self, data):
        self.text += data + "\n"

    def after(self, heading):
        """The text from the last mention of a section's name on: the navigation comes first."""
        return self.text.rpartition(f"\n{heading}\n")[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, record):
    folder = tmp_path_factory.mktemp("page")
    (folder / "pictures").mkdir()
    save_picture(folder / "pictures" / "one.png", quality_picture(record, 0))
    return folder


def summary(subject, **fields):
    base = SubjectSummary(
        subject, "train", ("T1", "T2"), {"freesurfer": "found"}, "found", "none", None, None, 1.0, "pictures/one.png"
    )
    return replace(base, **fields)


def page_of(folder, rows, dropped=(), windows=None, title="phantom", command="neuralizer prepare phantom"):
    path = write_quality_page(
        folder, title=title, command=command, rows=rows, dropped=list(dropped), windows=windows or {}
    )
    return Page(path)


def test_a_file_name_cannot_write_html(folder, record):
    name = "a b#?%\"'<b>\udcff.png"
    save_picture(folder / name, quality_picture(record, 0))
    row = summary(HOSTILE, split=HOSTILE, modalities=(HOSTILE,), label_sources={HOSTILE: HOSTILE}, picture=name)
    row = replace(row, mask_source=HOSTILE, alignment=HOSTILE, coverage_min=0.5)
    drops = [Dropped(HOSTILE, "", HOSTILE), Dropped("broken-\udcff", HOSTILE, HOSTILE)]
    page = page_of(folder, [row], drops, {HOSTILE: Window(0, 1)}, title=HOSTILE, command=HOSTILE)
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) >= 12
    assert "broken-\\udcff" in page.text
    sources = {unquote_to_bytes(image["src"]) for image in page.images}
    assert sources == {b"contact_sheet.png", name.encode("utf-8", "surrogateescape")}
    assert not any(set(image["src"]) & set(" #?\"'<>") for image in page.images)


def test_every_subject_and_every_drop_is_on_the_page(folder):
    rows = [summary(f"kept-{index}", split=("train", "test")[index % 2]) for index in range(30)]
    drops = [Dropped(f"gone-{index}", "", "no brain") for index in range(40)]
    drops += [Dropped("kept-1", "FLAIR", "too small"), Dropped("kept-2", "T2", "too small")]
    page = page_of(folder, rows, drops)
    assert page.tags.isdisjoint({"script", "link", "iframe"})
    shown = page.after("All subjects").splitlines()
    assert [line for line in shown if line.startswith("kept-")] == [row.subject for row in rows]
    listed = page.after("Dropped").splitlines()
    assert {f"gone-{index}" for index in range(40)} | {"kept-1: FLAIR", "kept-2: T2"} <= set(listed)
    assert listed.index("no brain") < listed.index("too small")
    for name, number in (("kept", 30), ("dropped", 40), ("train", 15), ("test", 15)):
        assert f"{name}\n{number}\n" in page.text
    assert "images dropped\n2\n" in page.text
    pictures = page.images[1:]
    assert all(image["loading"] == "lazy" for image in pictures)
    assert {(image["width"], image["height"]) for image in pictures} == {(str(picture_width(("T1", "T2"), 1)), "384")}


def test_the_template_s_labels_carry_a_caution(folder):
    caution = "not used for training segmentation"
    assert caution not in page_of(folder, [summary("a"), summary("b", label_sources={})]).text
    page = page_of(folder, [summary("a"), summary("b", label_sources={"freesurfer": "template"})])
    assert page.text.count(caution) == 1
    assert page_of(folder, [summary("a", mask_source="template")]).text.count("the mask is the template's") == 1


def test_alignment_is_summed_up(folder):
    rows = [summary(str(r), alignment="centroids", residual_mm=r) for r in (1.0, 2.0, 7.0)]
    rows += [summary(str(m), alignment="intensity", mutual_information=m) for m in (0.3, 0.5, 0.6)]
    text = page_of(folder, rows).text
    assert "centroids\n3\nresidual: median 2.0 mm, largest 7.0 mm" in text
    assert "intensity\n3\nmutual information: median 0.50, lowest 0.30" in text


def test_the_worst_are_shown_first(folder):
    rows = [summary(f"usual-{i}", alignment="centroids", residual_mm=2 + i / 100) for i in range(40)]
    rows += [
        summary("partly-covered", alignment="centroids", residual_mm=1.0, coverage_min=0.84),
        summary("far-off", alignment="centroids", residual_mm=9.0),
        summary("dissimilar", alignment="intensity", mutual_information=0.2),
        *(summary(f"similar-{i}", alignment="intensity", mutual_information=0.6) for i in range(5)),
    ]
    first = page_of(folder, rows).after("Look at these first").partition("\nAll subjects\n")[0].splitlines()
    subjects = {row.subject for row in rows}
    shown = [line for line in first if line in subjects]
    assert shown[:4] == ["far-off", "dissimilar", "partly-covered", "usual-39"]
    assert len(shown) == 8
    assert "an image covers 84% of the brain in the slice" in first


def test_where_all_are_alike_none_is_pointed_out(folder):
    rows = [summary(str(i), alignment="centroids", residual_mm=2.0, coverage_min=0.95) for i in range(3)]
    assert "Look at these first" not in page_of(folder, rows).text


def test_empty_sections_are_left_out(folder, tmp_path):
    text = page_of(folder, [summary("a")]).text
    assert "Dropped" not in text
    assert "Intensities" not in text
    full = page_of(folder, [summary("a")], [Dropped("b", "", "no brain")], {"T1": Window(0.0214, 1.5)}).text
    assert "\nT1\n0.021\n1.500\n" in full
    nothing = page_of(tmp_path, [], [Dropped("b", "", "no brain")])
    assert "\nno brain\n1\nb\n" in nothing.text
    assert nothing.images == []


def test_a_sheet_of_one_subject(folder):
    page_of(folder, [summary("a")])
    sheet = np.asarray(Image.open(folder / "contact_sheet.png"))
    assert sheet.shape == (192, 192, 3)
    # The labels' panel at half its size.
    with Image.open(folder / "pictures" / "one.png") as picture:
        half = panel(np.asarray(picture), 1).reshape(192, 2, 192, 2, 3).mean((1, 3))
    np.testing.assert_allclose(sheet[20:], half[20:], atol=1)


def test_a_sheet_of_many_is_a_choice_over_the_whole_list(folder):
    rows = []
    for grey in range(200):
        rows.append(summary(f"s{grey}", picture=f"pictures/grey-{grey}.png", label_sources={}))
        save_picture(folder / rows[-1].picture, np.full((PANEL, PANEL, 3), grey, np.uint8))
    page = page_of(folder, rows)
    assert "60 of 200 subjects" in page.text
    sheet = np.asarray(Image.open(folder / "contact_sheet.png"))
    assert sheet.shape == (8 * 192 + 7 * GAP, 8 * 192 + 7 * GAP, 3)
    step = 192 + GAP
    greys = [int(sheet[index // 8 * step + 100, index % 8 * step + 100, 0]) for index in range(60)]
    assert greys[0] == 0
    assert set(np.diff(greys)) == {3, 4}
    assert greys[-1] >= 195


def test_a_missing_picture_is_named_and_the_old_page_stays(folder):
    page_of(folder, [summary("before")])
    with pytest.raises(InputError, match=r"nowhere\.png: cannot be read"):
        page_of(folder, [summary("after", picture="nowhere.png")])
    assert "before" in Page(folder / "index.html").text
    assert not list(folder.glob(".*"))


texts = st.builds(
    str.__add__,
    st.sampled_from(["", "=", "+", "-", "@", "\t", "\r", "'", ",", '"', "\n"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)


@given(st.lists(st.builds(Dropped, texts, texts, texts), max_size=5))
def test_dropped_table_is_read_back_and_holds_no_formula(tmp_path_factory, dropped):
    path = tmp_path_factory.getbasetemp() / "dropped.csv"
    write_dropped_table(path, dropped)
    with open(path, encoding="utf-8", newline="") as stream:
        head, *lines = csv.reader(stream)
    assert head == ["subject", "image", "reason"]
    cells = [cell for drop in dropped for cell in (drop.subject, drop.image, drop.reason)]
    for cell, written in zip(cells, [cell for line in lines for cell in line], strict=True):
        assert written[:1] not in set("=+-@\t\r")
        assert written == (f"'{cell}" if cell[:1] and cell[0] in "=+-@\t\r" else cell)


def test_dropped_table_takes_names_that_are_not_text(tmp_path):
    write_dropped_table(tmp_path / "dropped.csv", [Dropped("=1+1", "T1", "a\udcff")])
    assert (tmp_path / "dropped.csv").read_text("utf-8") == "subject,image,reason\n'=1+1,T1,a\\udcff\n"
