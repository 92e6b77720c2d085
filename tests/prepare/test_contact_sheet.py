"""The contact sheet of the demo."""

import numpy as np
from PIL import Image

from input_pipeline.prepare.contact_sheet import draw_contact_sheet


def test_a_contact_sheet_is_written(tmp_path):
    image, labels = np.full((24, 24), 0.5), np.full((24, 24), 17)
    path = draw_contact_sheet(
        tmp_path / "sheet.png", [[labels, image], [image]], row_titles=["a", "b"], column_titles=["labels", "T1"]
    )
    assert list(tmp_path.iterdir()) == [path]
    with Image.open(path) as picture:
        assert picture.size == (480, 480)
