"""Weights on the hub: made ready, loaded through the hub's own client, and refused where they are not ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_stand_in import COMMITS, StandIn, serving

from neuralizer_jax import InputError, load_weights
from neuralizer_jax.cli.main import main
from neuralizer_jax.cli.named_weights import parse
from neuralizer_jax.weights.hub import hub_address, shown_name
from neuralizer_jax.weights.pretrained import weights_path

ADDRESS = "hf://someone/heads"


@pytest.fixture
def made(tmp_path, tiny_weights):
    """A folder that is ready for the hub."""
    licence = tmp_path / "terms.txt"
    licence.write_text("Do what you like.\n")
    command = ["push-ready", str(tmp_path / "made"), "--weights", str(tiny_weights)]
    assert main([*command, "--license", "cc0-1.0", "--license-file", str(licence)]) == 0
    return tmp_path / "made"


@pytest.fixture
def hub(made, tmp_path, monkeypatch):
    """A hub with that folder on it, which the client in this process asks; an empty local cache."""
    constants = pytest.importorskip("huggingface_hub.constants")
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    with serving(StandIn({"main": dict(files), "v1": dict(files)})) as served:
        ask_at(served.url, monkeypatch)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield served


def ask_at(url, monkeypatch):
    """Lets the client in this process ask another hub, as HF_ENDPOINT does before it is imported."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


def refused(*arguments):
    with pytest.raises(InputError) as error:
        weights_path(*arguments)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


# Addresses


@pytest.mark.parametrize("text", ["hf://someone/heads@refs/pr/3", "hf:/someone/heads@refs/pr/3"])
def test_an_address_is_read_as_text_and_as_a_path(text):
    address = hub_address(Path(text))
    assert (address.repository, address.revision) == ("someone/heads", "refs/pr/3")


@pytest.mark.parametrize(
    "text",
    [
        "hf://",
        "hf://heads",
        "hf://a/b/c",
        "hf://a/b@",
        "hf://../b",
        "hf://a/b@../../x",
        "hf://a/b c",
        f"hf://a/{'b' * 99}",
    ],
)
def test_what_is_no_address_is_refused(text):
    assert "expected hf://OWNER/NAME" in refused(text)


@pytest.mark.parametrize("text", ["hf.safetensors", "runs/hf://a/b", "small", "hfx://a/b"])
def test_other_names_are_no_addresses(text):
    assert hub_address(text) is None


# Loading


def test_weights_of_the_hub_are_those_that_were_made(hub, tiny_weights):
    import jax
    import numpy as np

    (model, params), (expected, wanted) = load_weights(ADDRESS), load_weights(tiny_weights)
    assert model == expected
    assert all(map(np.array_equal, jax.tree.leaves(params), jax.tree.leaves(wanted)))


def test_a_revision_is_another_file(hub):
    hub.files["v1"]["config.json"] = hub.files["main"]["config.json"].replace(b"neuralizer_jax", b"another")
    assert shown_name(weights_path(ADDRESS)) == f"{ADDRESS}@{COMMITS['main'][:12]}"
    assert "has library_name 'another'" in refused(f"{ADDRESS}@v1")
    assert "no such revision" in refused(f"{ADDRESS}@v9")


def test_tables_call_them_by_their_repository(hub):
    assert parse(f"{ADDRESS}@v1").name == "heads"
    assert parse(f"Mine={ADDRESS}").name == "Mine"


def test_a_file_is_loaded_once(hub):
    weights_path(ADDRESS)
    weights_path(ADDRESS)
    assert len([line for line in hub.asked if line.startswith("GET")]) == 2
    assert {line.rpartition("/")[2] for line in hub.asked} == {"config.json", "model.safetensors"}


def test_the_command_line_reads_the_hub_of_the_environment_and_works_offline_after(hub, tmp_path):
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}

    def convert(name, **more):
        command = [sys.executable, "-m", "neuralizer_jax", "convert", ADDRESS, str(tmp_path / name)]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True, check=False)

    offline = convert("never.safetensors", HF_HUB_OFFLINE="1")
    assert offline.returncode == 2
    assert "its local cache has no config.json" in offline.stderr
    assert len(offline.stderr.splitlines()) == 1
    online = convert("online.safetensors")
    assert online.returncode == 0, online.stderr
    asked = len(hub.asked)
    assert convert("offline.safetensors", HF_HUB_OFFLINE="1").returncode == 0
    assert len(hub.asked) == asked
    assert (tmp_path / "online.safetensors").read_bytes() == (tmp_path / "offline.safetensors").read_bytes()


@pytest.mark.parametrize("gone", ["hub", "network"])
def test_without_a_network_the_cache_is_used_and_what_is_missing_is_named(hub, monkeypatch, gone):
    path = weights_path(ADDRESS)
    if gone == "hub":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    else:
        ask_at("http://127.0.0.1:9", monkeypatch)  # nothing listens
    assert weights_path(ADDRESS) == path
    if gone == "hub":  # otherwise the client tries for half a minute
        path.unlink()
        assert "its local cache has no model.safetensors" in refused(ADDRESS)


# What is refused


def test_what_is_not_there_is_named(hub):
    assert "is not on the hub" in refused("hf://someone/else")
    del hub.files["main"]["model.safetensors"]
    assert "has no model.safetensors" in refused(ADDRESS)
    del hub.files["v1"]["config.json"]
    assert "has no config.json" in refused(f"{ADDRESS}@v1")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b'{"library_name": "transformers"}', b"[" * 100_000, b'{"library_name": {"a\\n": 1}}'],
)
def test_weights_of_another_library_are_not_loaded(hub, content):
    hub.files["main"]["config.json"] = content
    assert "expected neuralizer_jax" in refused(ADDRESS)
    assert not [line for line in hub.asked if line.endswith("model.safetensors")]


@pytest.mark.parametrize(("file", "size"), [("config.json", 2**20 + 1), ("model.safetensors", 2**31 + 1)])
def test_a_file_that_is_too_large_is_not_loaded(hub, file, size):
    hub.sizes[file] = size
    assert f"{file} has {size:,} bytes, expected at most" in refused(ADDRESS)
    assert not [line for line in hub.asked if line.startswith("GET") and line.endswith(file)]


def test_a_file_that_changed_is_refused(hub):
    hub.files["main"]["model.safetensors"] += b"\0"
    assert "is not the file that config.json describes" in refused(ADDRESS)


def test_without_the_client_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install 'neuralizer-jax[hub]'" in refused(ADDRESS)


# Made ready


def test_a_folder_for_the_hub_is_whole(made, tiny_weights, tmp_path):
    assert {path.name for path in made.iterdir()} == {"model.safetensors", "config.json", "README.md", "LICENSE"}
    assert (made / "model.safetensors").read_bytes() == tiny_weights.read_bytes()
    assert (made / "LICENSE").read_text() == "Do what you like.\n"
    assert json.loads((made / "config.json").read_text())["library_name"] == "neuralizer_jax"


def test_the_client_reads_the_front_matter(made):
    repocard = pytest.importorskip("huggingface_hub").ModelCard.load(made / "README.md")
    assert (repocard.data.license, repocard.data.library_name) == ("cc0-1.0", "neuralizer_jax")
    assert "neuroimaging" in repocard.data.tags
    assert repocard.text.strip().startswith("# ")


def test_weights_of_the_package_have_card_pictures_and_licence(tmp_path, capsys):
    assert main(["push-ready", str(tmp_path / "small")]) == 0
    files = {path.name for path in (tmp_path / "small").iterdir()}
    assert files == {"model.safetensors", "config.json", "README.md", "LICENSE", "small_expected.png"}
    assert "hf upload" in capsys.readouterr().out
    assert "MIT" in (tmp_path / "small/LICENSE").read_text()


@pytest.mark.parametrize(
    ("more", "card", "message"),
    [
        (["--license", "mit"], "# mine\n", "licence is not known"),
        (["--license", "My own", "--license-file", "card.md"], "# mine\n", "expected a licence as the hub calls it"),
        (["--license", "mit", "--license-file", "none.txt"], "# mine\n", "none.txt: No such file"),
        (["--license", "mit", "--license-file", "card.md"], f"# mine\n`{'0' * 64}`\n", "is the card of other weights"),
        (["--license", "mit", "--license-file", "card.md"], "![a](../secret.png)\n", "expected a picture beside"),
        (["--license", "mit", "--license-file", "card.md"], "---\nlicense: gpl\n---\n", "has another licence"),
    ],
)
def test_nothing_is_made_of_wrong_input(tmp_path, tiny_weights, monkeypatch, capsys, more, card, message):
    monkeypatch.chdir(tmp_path)
    Path("card.md").write_text(card)
    before = sorted(Path().iterdir())
    assert main(["push-ready", "made", "--weights", str(tiny_weights), "--card", "card.md", *more]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1
    assert sorted(Path().iterdir()) == before


def test_a_folder_with_files_is_kept(made, tiny_weights, capsys):
    (made / "README.md").write_text("mine")
    assert main(["push-ready", str(made)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (made / "README.md").read_text() == "mine"
