"""The datasets, one module each: `discover` finds subjects in a folder that the user has downloaded.

A module has `NAME`, `MANUAL_DOWNLOAD_INSTRUCTIONS`, `discover(root) -> Discovery` and the dataset's TFDS builder.
Subjects are found by file name alone, at any depth; no image is opened. Where a file lies in the folder twice, the
first in natural order is taken and the second dropped. `Discovery.dropped` is keyed by subject id, or by subject id and
modality, or by path under the root.
"""

from input_pipeline.raw.datasets.atlas2 import Atlas2
from input_pipeline.raw.datasets.bids import Bids
from input_pipeline.raw.datasets.brats2021 import Brats2021
from input_pipeline.raw.datasets.hammers import Hammers
from input_pipeline.raw.datasets.isles2022 import Isles2022
from input_pipeline.raw.datasets.ixi import Ixi
from input_pipeline.raw.datasets.labelmaps import Labelmaps
from input_pipeline.raw.datasets.multiatlas2012 import Multiatlas2012
from input_pipeline.raw.datasets.oasis3 import Oasis3
from input_pipeline.raw.datasets.phantom import Phantom
from input_pipeline.raw.datasets.wmh2017 import Wmh2017

BUILDERS = {
    builder.name: builder
    for builder in (
        Oasis3, Brats2021, Ixi, Atlas2, Hammers, Isles2022, Wmh2017, Multiatlas2012, Bids, Labelmaps, Phantom,
    )
}  # fmt: skip
