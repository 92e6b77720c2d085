"""The page of a scan shows all structures, loads nothing, and shows hostile names as they are."""

import base64
import gzip
import json
from html.parser import HTMLParser

import nibabel as nib
import numpy as np
import pytest

from neuralizer_jax.errors import InputError
from neuralizer_jax.pictures import shown_volume as shown_volume_module
from neuralizer_jax.pictures.shown_volume import shown_volume
from neuralizer_jax.report.volume_index import write_volume_index
from neuralizer_jax.report.volume_page import FoundStructure, SegmentedScan, write_volume_page

HOSTILE = "</script><script>alert('x')</script>&\"quoted\" {{ 7 }}"
AFFINE = np.array([[0, 0, -2.0, 30], [-1, 0, 0, 40], [0, 1.5, 0, -50], [0, 0, 0, 1]])  # stored P, S, L


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.content = path.read_text("utf-8")
        self.tags, self.text, self.data, self._script = [], "", {}, None
        self.feed(self.content)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._script = dict(attributes).get("id", "") if tag == "script" else None

    def handle_data(self, data):
        if self._script is None:
            self.text += " ".join(data.split()) + "\n"
        elif self._script:
            self.data[self._script] = json.loads(data)
        self._script = None

    def sources(self):
        return [a[key] for _, a in self.tags for key in ("src", "href", "srcset", "data", "action") if key in a]


def head():
    """A head of 60 x 50 x 40 voxels with two structures, and noise around it."""
    x, y, z = np.indices((60, 50, 40))
    scan = np.where((x - 30) ** 2 + (y - 25) ** 2 + (z - 20) ** 2 < 15**2, 700.0 + 5 * x, 0)
    labels = np.zeros(scan.shape, np.int32)
    labels[22:27, 20:30, 12:18] = 1017
    labels[34:38, 20:30, 20:30] = 70053
    return (scan + np.random.default_rng(0).normal(0, 1, scan.shape)).astype(np.float32), labels


def segmented(name="sub-01_T1w.nii.gz", **changes):
    scan, labels = head()
    structures = [
        FoundStructure(70053, "right thing", 400, 1200.0, 0.91, examples=(("a.nii", 0.5), ("b.nii", 0.3))),
        FoundStructure(1017, "left thing", 300, 900.0, 0.71, warnings=("is small",), examples=(("a.nii", 0.7),)),
        FoundStructure(3, HOSTILE, 0, 0.0, 0.0, warnings=("not found",)),
    ]
    return SegmentedScan(**{"name": name, "scan": scan, "labels": labels, "affine": AFFINE, "structures": structures,
                            "to_mni": np.eye(4), "mutual_information": 0.61} | changes)  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    write_volume_page(path, segmented(name=HOSTILE, made_by={HOSTILE: HOSTILE}, warnings=(HOSTILE,)))
    return Page(path)


def embedded(page, name):
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(page.data["data"][name])))


def test_the_table_lists_every_structure_warnings_first(page):
    table = page.text[page.text.index("confidence") :]
    places = [table.index(text) for text in ("not found", "left thing", "is small", "right thing", "1,200")]
    assert places == sorted(places)


def test_hostile_text_is_shown_as_it_is_and_becomes_no_tag(page):
    assert page.text.count(HOSTILE) >= 5
    assert HOSTILE in page.data["data"]["names"]
    assert page.data["summary"]["name"] == HOSTILE
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert len(scripts) == 4  # summary, data, viewer, the page's own


def test_nothing_is_loaded_from_elsewhere(page):
    assert all(source.startswith("data:image/") for source in page.sources())
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_the_embedded_labels_lie_where_they_were(page):
    scan, labels = embedded(page, "scan"), embedded(page, "labels")
    assert scan.shape == labels.shape
    assert np.allclose(scan.affine, labels.affine)
    assert nib.aff2axcodes(labels.affine) == ("R", "A", "S")
    _, original = head()
    names = page.data["data"]["names"]
    for value, name in ((1017, "left thing"), (70053, "right thing")):
        own = np.argwhere(original == value) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
        found = np.argwhere(np.asarray(labels.dataobj) == names.index(name) + 1)
        found = found @ labels.affine[:3, :3].T + labels.affine[:3, 3]
        assert sorted(map(tuple, own.round(2))) == sorted(map(tuple, found.round(2)))
        place = np.round(np.linalg.inv(labels.affine)[:3] @ [*page.data["data"]["places"][names.index(name)], 1])
        assert labels.dataobj[tuple(place.astype(int))] == names.index(name) + 1
    assert page.data["data"]["places"][names.index(HOSTILE)] is None


def test_all_storages_give_the_same_page_volumes():
    scan, labels = head()
    first = shown_volume(scan, labels, AFFINE, [1017, 70053])
    for axes in ((1, 2, 0), (2, 1, 0)):
        turn = np.eye(4)[[*np.argsort(axes), 3]] @ np.diag([-1, 1, 1, 1])
        turn[:3, 3] = np.where(turn[:3, :3].sum(axis=1) < 0, scan.shape - np.ones(3), 0)
        stored, own = (np.flip(x.transpose(axes), 0) for x in (scan, labels))
        other = shown_volume(stored, own, AFFINE @ turn, [1017, 70053])
        assert np.array_equal(first.scan, other.scan)
        assert np.array_equal(first.places, other.places)
        assert np.allclose(first.affine, other.affine)


def test_the_head_is_cut_out_and_a_large_scan_is_thinned(monkeypatch):
    scan, labels = head()
    whole = shown_volume(scan, labels, AFFINE, [1017])
    assert whole.step == 1
    assert whole.scan.size < scan.size
    monkeypatch.setattr(shown_volume_module, "_MOST_VOXELS", 5000)
    thin = shown_volume(scan, labels, AFFINE, [1017])
    assert thin.scan.size <= 5000
    assert np.array_equal(thin.scan, whole.scan[:: thin.step, :: thin.step, :: thin.step])
    assert np.allclose(thin.affine[:, :3], whole.affine[:, :3] * thin.step)
    assert np.allclose(thin.affine[:, 3], whole.affine[:, 3])


def test_a_scan_without_structures_has_a_page(tmp_path):
    write_volume_page(tmp_path / "index.html", segmented(structures=[], labels=np.zeros((60, 50, 40), int)))
    assert Page(tmp_path / "index.html").data["data"]["names"] == []


def test_the_index_lists_the_pages_to_check_first(tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    good = [FoundStructure(1017, "left thing", 300, 900.0, 0.9)]
    write_volume_page(scans / "sub #1?.html", segmented(name="sub-1", structures=good))
    write_volume_page(scans / "sub-2.html", segmented(name=HOSTILE))
    (scans / "other.html").write_text("<p>not ours</p>")
    (scans / "damaged.html").write_text('<script type="application/json" id="summary">{"name": 3</script>')
    assert write_volume_index(tmp_path / "index.html", scans.glob("*.html")) == 2
    index = Page(tmp_path / "index.html")
    assert index.text.index(HOSTILE) < index.text.index("sub-1")
    assert [a["href"] for tag, a in index.tags if tag == "a"] == ["scans/sub-2.html", "scans/sub%20%231%3F.html"]
    assert "left thing is small" in index.text


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "page").write_text("")
    with pytest.raises(InputError, match="page: the folder cannot be made"):
        write_volume_page(tmp_path / "page/index.html", segmented())
