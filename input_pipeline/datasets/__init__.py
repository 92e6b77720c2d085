"""The datasets, one module each: `discover` finds subjects in a folder that the user has downloaded.

A module has `NAME`, `MANUAL_DOWNLOAD_INSTRUCTIONS` and `discover(root) -> Discovery`. Subjects are found by file name
alone, at any depth; no image is opened. Where a file lies in the folder twice, the first in natural order is taken.
`Discovery.dropped` is keyed by subject id, or by subject id and modality, or by path under the root.
"""

from input_pipeline.datasets import (
    atlas2,
    brats2021,
    hammers,
    isles2022,
    ixi,
    labelmaps,
    multiatlas2012,
    oasis3,
    wmh2017,
)

DATASETS = {
    module.NAME: module
    for module in (oasis3, brats2021, ixi, atlas2, hammers, isles2022, wmh2017, multiatlas2012, labelmaps)
}
