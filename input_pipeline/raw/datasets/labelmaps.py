"""Label maps in FreeSurfer's numbers, without images: images are synthesised from them.

Any folder of label maps will do, for instance the maps published with SynthSeg; access and licence are those of the
maps. Every `.nii.gz`, `.nii`, `.mgz` or `.mgh` file at any depth is a subject, named by its file name without the
ending.
"""

from pathlib import Path

from input_pipeline.raw.found_files import discovery, readable_id, take_first, volumes_among
from input_pipeline.raw.subject import Discovery, RawLabels, RawSubject
from neuralizer_jax.errors import InputError
from neuralizer_jax.files.folder_tree import files_under

NAME = "labelmaps"
DESCRIPTION = "Any folder of label maps, and images of every modality synthesised from them."
HOW_TO_GET = """\
Put label maps in FreeSurfer's numbers into one folder, each under a file name of its own and nothing else with them,
for instance data/training_label_maps of https://github.com/BBillot/SynthSeg (no login, Apache 2.0).
"""


def discover(root: Path) -> Discovery:
    """Finds the label maps under `root`; of several with the same name, the first is taken."""
    found: dict[str, Path] = {}
    dropped: dict[str, str] = {}
    for path, stem in volumes_among(files_under(root, dropped), root, dropped):
        try:
            name = readable_id(stem)
        except InputError as error:
            dropped[path.relative_to(root).as_posix()] = str(error)
            continue
        take_first(found, name, path, f"the name {name}", root, dropped)

    subjects = [
        RawSubject(dataset=NAME, subject=name, person=name, images={}, labels=(RawLabels(path, "freesurfer"),))
        for name, path in found.items()
    ]
    return discovery(root, subjects, dropped, "label maps, .nii, .nii.gz or .mgz files")
