"""The quality page shows every subject and everything dropped, whatever its name, and points out what stands out."""

from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from PIL import Image

from input_pipeline.prepare.collect import PreparedDataset
from input_pipeline.prepare.dropped import Dropped
from input_pipeline.prepare.quality_page import write_quality_page
from input_pipeline.prepare.quality_picture import GAP, PANEL, save_picture
from neuralizer_jax.errors import InputError
from neuralizer_jax.intensity import Window

HOSTILE = "<script>alert('x')</script>&\"quoted\""
PICTURE = np.full((PANEL, 4 * (PANEL + GAP) - GAP, 3), 90, np.uint8)


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
        if data.strip():
            self.text += " ".join(data.split()) + "\n"

    def after(self, heading):
        """The text from the last mention of a section's name on: the navigation comes first."""
        return self.text.rpartition(f"\n{heading}\n")[2]


def entry(subject, **fields):
    base = {
        "subject": subject, "person": subject, "split": "train", "y": [-17], "modalities": ["T1", "T2"],
        "label_sources": {"freesurfer": "found"}, "label_pixels": {"freesurfer": {"17": [20], "53": [10]}},
        "mask_source": "found", "skull_stripped": False, "alignment": "none", "residual_mm": None,
        "mutual_information": None, "coverage": 1.0,
    }  # fmt: skip
    return base | fields


def page_of(
    folder, entries, dropped=(), windows=None, title="phantom", command="neuralizer prepare phantom", chosen=None
):
    (folder / "quality/pictures").mkdir(parents=True, exist_ok=True)
    for own in entries:
        path = folder / "quality/pictures" / f"{own['subject']}.png"
        if not path.exists():
            save_picture(path, PICTURE)
    prepared = PreparedDataset(folder, windows or {}, list(entries), list(dropped), chosen or {})
    return Page(write_quality_page(prepared, title=title, command=command))


def test_a_file_name_cannot_write_html(tmp_path):
    name = "a b#?%\"'<b>\udcff"
    own = entry(name, split=HOSTILE, modalities=[HOSTILE], label_sources={"lesion": HOSTILE}, mask_source=HOSTILE,
                label_pixels={"lesion": {"1": [3]}}, alignment=HOSTILE, coverage=0.5)  # fmt: skip
    drops = [Dropped(HOSTILE, "", HOSTILE), Dropped("broken-\udcff", HOSTILE, HOSTILE)]
    page = page_of(tmp_path, [own], drops, {HOSTILE: Window(0, 1)}, title=HOSTILE, command=HOSTILE)
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) >= 12
    assert "broken-\\udcff" in page.text
    sources = {unquote_to_bytes(image["src"]) for image in page.images}
    assert sources == {b"contact_sheet.png", f"pictures/{name}.png".encode("utf-8", "surrogateescape")}
    assert not any(set(image["src"]) & set(" #?\"'<>") for image in page.images)


def test_every_subject_and_every_drop_is_on_the_page(tmp_path):
    rows = [entry(f"kept-{index}", split=("train", "test")[index % 2]) for index in range(30)]
    drops = [Dropped(f"gone-{index}", "", "no brain") for index in range(40)]
    drops += [Dropped("kept-1", "FLAIR", "too small"), Dropped("kept-2", "T2", "too small")]
    page = page_of(tmp_path, rows, drops)
    assert page.tags.isdisjoint({"script", "link", "iframe"})
    shown = page.after("All subjects").splitlines()
    assert [line for line in shown if line.startswith("kept-")] == [row["subject"] for row in rows]
    listed = page.after("Dropped").splitlines()
    assert {f"gone-{index}" for index in range(40)} | {"kept-1: FLAIR", "kept-2: T2"} <= set(listed)
    assert listed.index("no brain") < listed.index("too small")
    for name, number in (("kept", 30), ("dropped", 40), ("train", 15), ("test", 15)):
        assert f"{name}\n{number}\n" in page.text
    assert "images dropped\n2\n" in page.text
    pictures = page.images[1:]
    assert all(image["loading"] == "lazy" for image in pictures)
    height, width, _ = PICTURE.shape
    assert {(image["width"], image["height"]) for image in pictures} == {(str(width), str(height))}


def test_the_template_s_labels_carry_a_caution(tmp_path):
    def cautions(*entries):
        return page_of(tmp_path, entries).text.count("only as accurate as the alignment")

    assert cautions(entry("a"), entry("b", label_sources={})) == 0
    assert cautions(entry("a"), entry("b", label_sources={"freesurfer": "template"})) == 1
    assert cautions(entry("a", mask_source="template")) == 1


def test_the_structures_in_the_slices_are_in_the_legend(tmp_path):
    page = page_of(tmp_path, [entry("a"), entry("b", label_pixels={"freesurfer": {"16": [5], "507": [9]}})])
    legend = page.after("Colours of freesurfer, the same for left and right:").splitlines()
    assert legend[:2] == ["brain stem", "hippocampus"]


def test_alignment_is_summed_up(tmp_path):
    rows = [entry(str(r), alignment="centroids", residual_mm=r) for r in (1.0, 2.0, 7.0)]
    rows += [entry(str(m), alignment="intensity", mutual_information=m) for m in (0.3, 0.5, 0.6)]
    text = page_of(tmp_path, rows).text
    assert "centroids\n3\nresidual: median 2.0 mm, largest 7.0 mm" in text
    assert "intensity\n3\nmutual information: median 0.50, lowest 0.30" in text


def pointed_out(folder, rows):
    """Subjects under the heading, in order, with the reason for each."""
    text = page_of(folder, rows).text
    if "Look at these first" not in text:
        return {}
    lines = text.rpartition("\nLook at these first\n")[2].partition("\nAll subjects\n")[0].splitlines()
    starts = [place for place, line in enumerate(lines) if line in {row["subject"] for row in rows}]
    ends = [*starts[1:], len(lines)]
    return {lines[start]: lines[end - 1] for start, end in zip(starts, ends, strict=True)}


def test_the_worst_are_shown_first(tmp_path):
    rows = [entry(f"usual-{i}", alignment="centroids", residual_mm=2 + i / 100) for i in range(40)]
    rows += [
        entry("partly-covered", alignment="centroids", residual_mm=1.9, coverage=0.84),
        entry("far-off", alignment="centroids", residual_mm=9.0),
        entry("dissimilar", alignment="intensity", mutual_information=0.2),
        *(entry(f"similar-{i}", alignment="intensity", mutual_information=0.6) for i in range(5)),
    ]
    shown = pointed_out(tmp_path, rows)
    assert list(shown) == ["far-off", "dissimilar", "partly-covered"]
    assert shown["far-off"] == "residual 9.0 mm, median 2.2 mm"
    assert shown["dissimilar"] == "mutual information 0.20, median 0.60"
    assert shown["partly-covered"] == "an image covers 84% of the brain in the slice"


def test_at_most_eight_are_shown(tmp_path):
    rows = [entry(f"usual-{i}", residual_mm=2.0) for i in range(40)]
    rows += [entry(f"off-{i}", residual_mm=5.0 + i) for i in range(12)]
    assert list(pointed_out(tmp_path, rows)) == [f"off-{i}" for i in range(11, 3, -1)]


@pytest.mark.parametrize("spread", [0.0, 0.2, 0.45])
def test_small_deviations_are_not_pointed_out(tmp_path, spread):
    """A residual within a millimetre of the median, mutual information within a tenth of it."""
    rows = [entry(str(i), residual_mm=2 + spread * (i % 5 - 2), coverage=0.95) for i in range(11)]
    rows += [entry(f"m{i}", mutual_information=0.6 * (1 + spread * (i % 5 - 2) / 10)) for i in range(11)]
    assert pointed_out(tmp_path, rows) == {}


def test_empty_sections_are_left_out(tmp_path):
    text = page_of(tmp_path, [entry("a")]).text
    assert "Dropped" not in text
    assert "Intensities" not in text
    full = page_of(tmp_path, [entry("a")], [Dropped("b", "", "no brain")], {"T1": Window(0.0214, 1.5)}).text
    assert "\nT1\n0.021\n1.500\n" in full
    nothing = page_of(tmp_path, [], [Dropped("b", "", "no brain")])
    assert "\nno brain\n1\nb\n" in nothing.text
    assert nothing.images == []


def test_a_sheet_of_one_subject(tmp_path):
    (tmp_path / "quality/pictures").mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 256, PICTURE.shape).astype(np.uint8)
    save_picture(tmp_path / "quality/pictures/a.png", picture)
    page_of(tmp_path, [entry("a")])
    sheet = np.asarray(Image.open(tmp_path / "quality/contact_sheet.png"))
    assert sheet.shape == (192, 192, 3)
    # The panel of the labels at half its size.
    half = picture[:, PANEL + GAP : 2 * PANEL + GAP].reshape(192, 2, 192, 2, 3).mean((1, 3))
    np.testing.assert_allclose(sheet[20:], half[20:], atol=1)


def test_a_sheet_of_many_is_a_choice_over_the_whole_list(tmp_path):
    (tmp_path / "quality/pictures").mkdir(parents=True)
    rows = [entry(f"s{grey}", label_sources={}) for grey in range(200)]
    for grey, own in enumerate(rows):
        save_picture(tmp_path / f"quality/pictures/{own['subject']}.png", np.full((PANEL, PANEL, 3), grey, np.uint8))
    page = page_of(tmp_path, rows)
    assert "60 of 200 subjects" in page.text
    sheet = np.asarray(Image.open(tmp_path / "quality/contact_sheet.png"))
    assert sheet.shape == (8 * 192 + 7 * GAP, 8 * 192 + 7 * GAP, 3)
    step = 192 + GAP
    greys = [int(sheet[index // 8 * step + 100, index % 8 * step + 100, 0]) for index in range(60)]
    assert greys[0] == 0
    assert set(np.diff(greys)) == {3, 4}
    assert greys[-1] >= 195


def test_a_damaged_picture_is_named_and_the_old_page_stays(tmp_path):
    page_of(tmp_path, [entry("before")])
    (tmp_path / "quality/pictures/after.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"after\.png: cannot be read"):
        page_of(tmp_path, [entry("after")])
    assert "before" in Page(tmp_path / "quality/index.html").text
    assert not list((tmp_path / "quality").glob(".*"))


def test_files_that_were_taken_and_files_that_were_not(tmp_path):
    taken = {"T1": "sub-01_T1w.nii.gz, one of 2", "labels": "<sub-01_dseg.nii.gz>"}
    drops = [
        Dropped("a/sub-01_T1w.nii.gz", "", "second"),
        Dropped("x_T1w.nii", "", "no sub-"),
        Dropped("02", "", "none"),
    ]
    page = page_of(tmp_path, [entry("01"), entry("03")], drops, chosen={"01": taken})
    shown = page.after("All subjects")
    assert all(file in shown for file in taken.values())
    assert shown.count("Files:") == 1
    assert "1\nsubjects dropped\n" in page.text or "subjects dropped\n1\n" in page.text
    assert "2\nfiles not taken\n" in page.text or "files not taken\n2\n" in page.text


def test_an_image_with_little_in_common_with_the_template_stands_out(tmp_path):
    rows = [entry(f"s{i}", alignment="intensity", mutual_information=0.18) for i in range(3)]
    assert "mutual information 0.18" in page_of(tmp_path, rows).after("Look at these first").split("All subjects")[0]
