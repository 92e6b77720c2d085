"""A subject's picture shows its labels where they are, on every slice."""

from dataclasses import replace

import numpy as np
import pytest

from input_pipeline.prepare.quality_picture import GAP, PANEL, quality_picture
from input_pipeline.slices.from_labelmaps import phantom_jobs
from input_pipeline.slices.settings import PrepareSettings

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
    picture = quality_picture(record)
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
    outlined = panel(quality_picture(with_labels(record, labels)), 1)
    rows, columns = np.nonzero(coloured(outlined))
    assert len(rows) == 4 * 19
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (200, 219, 100, 119)
    assert len(np.unique(outlined[rows, columns], axis=0)) == 1


def test_a_single_pixel_is_outlined(record):
    labels = np.zeros((192, 192), int)
    labels[100, 50] = 1
    mark = coloured(panel(quality_picture(with_labels(record, labels)), 1))
    np.testing.assert_array_equal(np.argwhere(mark), [[200, 100], [200, 101], [201, 100], [201, 101]])


def test_the_brain_mask_is_outlined_in_the_panel_after_the_labels(record):
    mark = coloured(panel(quality_picture(record), 2))
    mask = record.brain_mask[0].repeat(2, 0).repeat(2, 1)
    rows, columns = np.nonzero(mark)
    assert mask[rows, columns].all()
    assert rows.min() == np.nonzero(mask)[0].min()
    assert columns.max() == np.nonzero(mask)[1].max()


def test_left_is_left(record):
    left = with_labels(record, np.where(record.labels[0, 0] == 17, 17, 0))
    assert np.nonzero(coloured(panel(quality_picture(left), 1)))[1].max() < PANEL // 2
    # Of the letters: only an L is empty in the upper right.
    black = panel(quality_picture(replace(record, images=0 * record.images)), 0)[PANEL // 2 - 20 : PANEL // 2 + 20]
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
    assert quality_picture(many).shape == (PANEL, width, 3)


@pytest.mark.parametrize("gain", [1e-9, 1.0, 1e6])
def test_an_image_fills_the_range_whatever_its_unit(record, gain):
    picture = quality_picture(replace(record, images=record.images * np.float32(gain)))
    expected = quality_picture(record)
    assert (np.abs(picture.astype(int) - expected) <= 4).all()
    for index in (0, 3):
        values = panel(picture, index)[BODY]
        assert values.min() == 0
        assert values.max() >= 252
        assert 20 < np.median(values[100:250, 100:280]) < 235


def test_a_little_image_is_scaled_by_what_is_not_zero(record):
    image = np.zeros((192, 192), np.float32)
    image[90:94, 90:94] = np.linspace(100, 200, 16).reshape(4, 4)
    picture = quality_picture(replace(record, images=np.stack([image, image])[:, None]))
    values = panel(picture, 0)[180:188, 180:188, 0]
    assert values.min() < 40
    assert 80 < np.median(values) < 170
    assert values.max() > 220


def test_the_caption_names_the_source_and_nothing_else_depends_on_it(record):
    first, second = (quality_picture(replace(record, label_sources=(s,))) for s in ("synthetic", "template"))
    differs = (first != second).any(-1)
    assert differs.any()
    assert not differs[BODY].any()
    assert not np.delete(differs, np.s_[PANEL + GAP : 2 * PANEL + GAP], axis=1).any()


@pytest.mark.parametrize(("slices", "shown"), [(2, 2), (3, 3), (40, 12)])
def test_all_slices_are_shown_below(record, slices, shown):
    scale = 2.0 ** (np.arange(slices, dtype=np.float32) % 5)
    many = replace(
        record,
        y=np.arange(-17, slices - 17).astype(np.int16),
        images=np.repeat(record.images, slices, axis=1) * scale[:, None, None],
        labels=np.repeat(record.labels, slices, axis=1),
        brain_mask=np.repeat(record.brain_mask, slices, axis=0),
    )
    picture = quality_picture(many)
    np.testing.assert_array_equal(picture[:PANEL], quality_picture(record))
    rows = -(-shown // 4)
    assert picture.shape == ((1 + rows) * (PANEL + GAP) - GAP, 4 * (PANEL + GAP) - GAP, 3)
    expected = panel(picture, 1)[BODY][: PANEL - 30]
    for index in range(shown):
        top = (1 + index // 4) * (PANEL + GAP)
        np.testing.assert_array_equal(panel(picture, index % 4)[top : top + PANEL][BODY], expected)
    rest = panel(picture, shown % 4)[-PANEL:]
    assert shown % 4 == 0 or (rest == rest[0, 0]).all()
