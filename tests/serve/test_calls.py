"""The calls, as a program uses them: look, predict, correct, save, go on."""

import json
import os

import nibabel as nib
import numpy as np
from workbench_files import AFFINE, boxes, picture, save_volume, tree, voxels

from neuralizer_jax.files.example_volumes import find_examples
from neuralizer_jax.files.volume_grid import read_grid
from neuralizer_jax.serve import security


def ids(client):
    return {scan["name"]: scan["id"] for scan in client.get("/api/scans").json()["scans"]}


def states(client):
    return {scan["name"]: scan["state"] for scan in client.get("/api/scans").json()["scans"]}


def from_bytes(content):
    return nib.Nifti1Image.from_bytes(content)


def predict(client, jobs, **wanted):
    answer = client.post("/api/jobs", json=wanted)
    assert answer.status_code == 201, answer.text
    jobs.wait()
    return client.get(f"/api/jobs/{answer.json()['id']}").json()


def upload(client, scan, labels, structures=None, name="labels.nii.gz"):
    data = {} if structures is None else {"structures": json.dumps(structures)}
    return client.post(f"/api/scans/{scan}/example", files={"labels": (name, labels)}, data=data)


def labels_of(tmp_path, values, affine=AFFINE):
    return save_volume(tmp_path / "drawn.nii.gz", values, affine).read_bytes()


def test_scan_is_predicted_corrected_and_becomes_an_example(client, jobs, folders, tmp_path):
    own = ids(client)["a.nii.gz"]
    assert states(client)["a.nii.gz"] == "new"
    job = predict(client, jobs, scan=own, task="segmentation")
    assert (job["state"], job["notes"]) == ("done", ["made up"])
    assert states(client)["a.nii.gz"] == "predicted"

    structures = client.get(f"/api/scans/{own}/structures?source=prediction").json()
    assert [(x["value"], x["name"], x["confidence"], x["check"]) for x in structures] == [
        (17, "thing", 0.41, True),
        (18, "other", None, True),
    ]
    shown = from_bytes(client.get(f"/api/scans/{own}/labels?source=prediction").content)
    image = from_bytes(client.get(f"/api/scans/{own}/image").content)
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert np.array_equal(shown.affine, image.affine)

    corrected = np.asarray(shown.dataobj).copy()
    corrected[0, 0, :3] = 53
    content = nib.Nifti1Image(corrected.astype(np.int32), shown.affine).to_bytes()
    answer = upload(client, own, content, name="labels.nii")
    assert answer.status_code == 201, answer.text
    stored = nib.as_closest_canonical(nib.load(answer.json()["labels"]))
    assert np.array_equal(np.asarray(stored.dataobj), corrected)
    assert np.allclose(nib.load(answer.json()["labels"]).affine, AFFINE)
    assert len(find_examples(folders.context).inputs) == 3
    assert states(client) == {"a.nii.gz": "saved", "b.nii.gz": "new", "images/e1.nii.gz": "saved"} | {
        "images/e2.nii.gz": "saved"
    }
    predict(client, jobs, scan=ids(client)["b.nii.gz"], task="segmentation")
    given = json.loads((folders.results / "b_dseg.nii.gz.arguments").read_text())
    assert any(path.endswith("images/a.nii.gz") for path in given)


def test_scan_is_no_example_of_itself(client, jobs, folders, tmp_path):
    own = ids(client)["a.nii.gz"]
    upload(client, own, labels_of(tmp_path, boxes(17)))
    predict(client, jobs, scan=own, task="segmentation")
    given = json.loads((folders.results / "a_dseg.nii.gz.arguments").read_text())
    assert sorted(os.path.basename(path) for path in given if "/images/" in path) == ["e1.nii.gz", "e2.nii.gz"]


def test_chosen_examples_and_labels_are_used_with_their_names(client, jobs, folders, bench):
    examples = client.get("/api/examples").json()
    assert [x["name"] for x in examples["structures"]] == ["left thing", "right thing"]
    one = examples["examples"][1]
    predict(client, jobs, scan=ids(client)["a.nii.gz"], task="segmentation", examples=[one["id"]], labels=[53])
    given = json.loads((folders.results / "a_dseg.nii.gz.arguments").read_text())
    assert given[given.index("--labels") + 1] == "53"
    assert sum("/images/" in path for path in given) == 1
    assert "53\tright thing" in (bench.scratch / "names.tsv").read_text()


def test_labels_in_another_order_of_axes_are_turned_to_the_scan(client, tmp_path, folders):
    values = boxes(17, 53)
    turned = nib.as_closest_canonical(nib.Nifti1Image(values, AFFINE))
    content = labels_of(tmp_path, np.asarray(turned.dataobj), turned.affine)
    answer = upload(client, ids(client)["a.nii.gz"], content)
    assert np.array_equal(voxels(answer.json()["labels"]), values)


def test_structures_that_were_not_looked_for_count_as_unknown(client, tmp_path, folders):
    """A scan with the label 17 alone says nothing of 53; one with a new label says nothing of those before it."""
    scans = ids(client)
    upload(client, scans["a.nii.gz"], labels_of(tmp_path, boxes(17)), [{"value": 17, "name": "left thing"}])
    listed = json.loads((folders.context / "labels.json").read_text())
    assert listed == {"e1.nii.gz": [17, 53], "e2.nii.gz": [17, 53], "a.nii.gz": [17]}
    new = [{"value": value, "name": name} for value, name in ((17, "left thing"), (53, "right thing"), (60, "new"))]
    upload(client, scans["b.nii.gz"], labels_of(tmp_path, boxes(17, 60)), new)
    listed = json.loads((folders.context / "labels.json").read_text())
    assert listed == {"e1.nii.gz": [17, 53], "e2.nii.gz": [17, 53], "a.nii.gz": [17], "b.nii.gz": [17, 53, 60]}
    assert client.get("/api/examples").json()["structures"][2]["name"] == "new"


def test_example_that_was_annotated_for_all_needs_no_list(client, tmp_path, folders):
    upload(client, ids(client)["a.nii.gz"], labels_of(tmp_path, boxes(17, 53)))
    assert not (folders.context / "labels.json").exists()


def test_replaced_labels_are_kept(client, folders, tmp_path):
    before = (folders.context / "labels/e1.nii.gz").read_bytes()
    own = ids(client)["images/e1.nii.gz"]
    answer = upload(client, own, labels_of(tmp_path, boxes(53)))
    assert answer.json()["labels"] == str(folders.context / "labels/e1.nii.gz")
    assert (voxels(folders.context / "labels/e1.nii.gz") == boxes(53)).all()
    assert before in tree(folders.context / ".replaced").values()
    assert len(find_examples(folders.context).inputs) == 2


def test_results_that_were_changed_by_hand_are_kept(client, jobs, folders):
    own = ids(client)["a.nii.gz"]
    by_hand = save_volume(folders.results / "a_dseg.nii.gz", boxes(1)).read_bytes()
    predict(client, jobs, scan=own, task="segmentation")
    assert by_hand in tree(folders.context / ".replaced").values()


def test_image_result_is_shown_beside_the_scan(client, jobs):
    own = ids(client)["a.nii.gz"]
    assert client.get(f"/api/scans/{own}/image?result=true").status_code == 404
    predict(client, jobs, scan=own, task="denoising")
    assert client.get(f"/api/scans/{own}").json()["image"]["task"] == "denoising"
    assert client.get(f"/api/scans/{own}/image?result=true").status_code == 200


def test_failed_prediction_says_why(client, jobs, folders):
    save_volume(folders.targets / "bad.nii.gz", picture(7))
    job = predict(client, jobs, scan=ids(client)["bad.nii.gz"], task="segmentation")
    assert job["state"] == "failed"
    assert job["error"].endswith("bad.nii.gz: is bad")


def test_flat_images(client, jobs, folders, tmp_path):
    """PNG: shown as a plane with its first row at the top, drawn on, predicted, saved."""
    from PIL import Image

    for folder in (folders.context, folders.targets):
        for path in folder.rglob("*.nii.gz"):
            path.unlink()
    pixels = np.random.default_rng(0).integers(0, 255, (6, 9)).astype(np.uint8)
    pixels[0] = 255
    Image.fromarray(pixels).save(folders.targets / "t.png")
    own = ids(client)["t.png"]
    assert client.get(f"/api/scans/{own}").json()["shape"] == [9, 6, 1]
    image = from_bytes(client.get(f"/api/scans/{own}/image").content)
    assert (np.asarray(image.dataobj)[:, -1, 0] == 255).all()
    drawn = np.zeros((9, 6, 1), np.int32)
    drawn[2, 5, 0] = 3
    answer = upload(client, own, nib.Nifti1Image(drawn, np.eye(4)).to_bytes(), name="l.nii")
    assert answer.status_code == 201, answer.text
    stored = np.asarray(Image.open(answer.json()["labels"]))
    assert (stored[0, 2], stored.sum()) == (3, 3)
    Image.fromarray(255 - pixels).save(folders.targets / "u.png")
    job = predict(client, jobs, scan=ids(client)["u.png"], task="segmentation")
    assert job["state"] == "done"
    shown = from_bytes(client.get(f"/api/scans/{ids(client)['u.png']}/labels?source=prediction").content)
    assert shown.shape == (9, 6, 1)


def test_calls_are_described(client):
    described = client.get("/api/openapi.json").json()["paths"]
    assert {"/api/scans", "/api/scans/{scan}/example", "/api/jobs", "/api/jobs/{number}"} <= set(described)
    assert all(call["description"] for calls in described.values() for call in calls.values())
    assert "multipart/form-data" in described["/api/scans"]["post"]["requestBody"]["content"]


def test_page_loads_nothing_from_elsewhere(client):
    index = client.get("/")
    policy = index.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy.replace("https:", "http:")
    assert "http" not in index.text
    for name in ("workbench.js", "niivue.js", "style.css"):
        assert f"page/{name}" in index.text
        assert client.get(f"/page/{name}").status_code == 200


def test_stored_example_has_the_header_of_the_scan(client, tmp_path, folders):
    upload(client, ids(client)["a.nii.gz"], labels_of(tmp_path, boxes(17)))
    stored, scan = read_grid(folders.context / "labels/a.nii.gz"), read_grid(folders.targets / "a.nii.gz")
    assert stored.header["sform_code"] == scan.header["sform_code"]
    assert security.MAX_BODY > 2**30


def test_example_stays_annotated_for_what_it_lacks(client, tmp_path, folders):
    """Labels that are absent from an example are known to be so, and still are when it is corrected."""
    own = ids(client)["images/e1.nii.gz"]
    upload(client, own, labels_of(tmp_path, boxes(53)))
    structures = client.get(f"/api/scans/{own}/structures?source=example").json()
    assert [x["value"] for x in structures] == [17, 53]
    assert not (folders.context / "labels.json").exists()


def test_structures_of_built_in_heads_can_be_chosen(client, jobs, folders):
    task = next(x for x in client.get("/api/tasks").json() if x["task"] == "built-in")
    assert {x["name"] for x in task["structures"] if x["usual"]} >= {"left hippocampus", "brain stem"}
    predict(client, jobs, scan=ids(client)["a.nii.gz"], task="built-in", labels=[17])
    given = json.loads((folders.results / "a_dseg.nii.gz.arguments").read_text())
    assert given[given.index("--labels") + 1] == "17"
    assert "--context-in" not in given
    refused = client.post("/api/jobs", json={"scan": ids(client)["a.nii.gz"], "task": "built-in", "labels": [999]})
    assert refused.status_code == 400
