"""Built-in heads: kept on disk, in the contrast of the target."""

import numpy as np
import pytest
from miniature_head import head_affine, head_image, head_labels

from input_pipeline.space.tissue_classes import CLASSES
from input_pipeline.synthesis.contrasts import class_means, class_spreads
from neuralizer_jax.volumes import example_heads
from neuralizer_jax.volumes.aligned import align_scan
from neuralizer_jax.volumes.contrast import tissue_signals
from neuralizer_jax.volumes.displacement import FIELD_SHAPE
from neuralizer_jax.volumes.example_heads import example_head, head_deformation
from neuralizer_jax.volumes.scan import Scan


@pytest.mark.parametrize("modality", ["T1", "T2"])
def test_an_image_has_the_contrast_of_the_target(modality, monkeypatch, tmp_path):
    scan = align_scan(Scan(head_image(modality), head_affine()), aligned=True)
    means, spreads = tissue_signals(scan)
    signal = dict(zip(CLASSES, means, strict=True))
    ascending = ("ventricle", "cortex", "white_matter") if modality == "T1" else ("white_matter", "cortex", "ventricle")
    assert sorted(ascending, key=signal.get) == list(ascending)
    monkeypatch.setattr(example_heads, "_kept_labels", lambda number, cache: head_labels())
    head = example_head(0, (means, spreads), skull_stripped=False)
    assert np.corrcoef(head.image.ravel(), scan.values.ravel().astype(float))[0, 1] > 0.9
    stripped = example_head(0, (means, spreads), skull_stripped=True)
    assert not stripped.image[~stripped.brain].any()


def test_a_head_is_deformed_once_whatever_the_contrast(monkeypatch, tmp_path):
    monkeypatch.setattr(example_heads, "_kept_labels", lambda number, cache: head_labels())
    calls = []

    def deform(values, seen, *, skull_stripped, step_mm):
        calls.append(skull_stripped)
        return np.zeros(FIELD_SHAPE, np.float32)

    monkeypatch.setattr("input_pipeline.align.deform_to_template.deform_to_template", deform)
    for modality, stripped in (("T1", False), ("T2", False), ("T2", True)):
        head = example_head(0, (class_means(modality), class_spreads(modality)), skull_stripped=stripped)
        head_deformation(head, skull_stripped=stripped, cache=tmp_path)
    assert calls == [False, True]


def test_anatomies_are_kept_and_made_again_where_damaged(monkeypatch, tmp_path):
    made = []

    def make(number):
        made.append(number)
        return np.full(example_heads.SHAPE, number, np.uint16)

    monkeypatch.setattr(example_heads, "example_labels", make)
    kept = example_heads._kept_labels
    assert (kept(3, tmp_path) == kept(3, tmp_path)).all()
    assert made == [3]
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    assert (kept(3, tmp_path) == 3).all()
    assert made == [3, 3]
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert (kept(4, blocked) == 4).all()
