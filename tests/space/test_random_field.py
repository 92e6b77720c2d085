"""Random fields have the variance and smoothness asked for; streams of a seed are independent."""

import numpy as np

from input_pipeline.space.random_field import generator, smooth_field, spline_weights


def test_random_fields_have_unit_variance_at_every_scale():
    for spacing in (1.5, 4, 12):
        field = smooth_field(generator(0, "test"), (128, 100, 5), spacing)
        assert abs(field.mean()) < 0.3
        assert 0.8 < field.std() < 1.2
        # Smooth: neighbours differ less than the field varies.
        assert np.abs(np.diff(field, axis=0)).mean() < 1.2 / spacing


def test_streams_of_other_names_are_independent():
    first, again, other = (generator(7, *stream).normal(size=100) for stream in (("a", 1), ("a", 1), ("b", 1)))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.4


def test_the_matrix_interpolates_like_the_field():
    nodes = generator(0, "test").standard_normal(9, dtype=np.float32)
    field = smooth_field(generator(0, "test"), (50,), 10.0)
    np.testing.assert_allclose(spline_weights(50, 10.0) @ nodes[: spline_weights(50, 10.0).shape[1]], field, atol=1e-6)
