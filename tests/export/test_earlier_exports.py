"""What becomes of the files that an export replaces."""

import pytest

from facegen_keras.export.earlier_exports import back_up
from facegen_keras.export.write import publish, save_generator
from facegen_keras.generate.loading import load_generator


def test_existing_file_is_kept_under_its_runs_name(tmp_path, tiny_family):
    path = tmp_path / "dcgan_generator.h5"
    first = save_generator(tiny_family(images_seen=1), path, run="monday").read_bytes()
    save_generator(tiny_family(images_seen=2), path, run="tuesday")
    kept = tmp_path / "dcgan_generator.monday.h5"
    assert kept.read_bytes() == first
    assert load_generator(path).metadata["run"] == "tuesday"
    save_generator(tiny_family(images_seen=3), path, run="tuesday")
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, kept.name]
    assert load_generator(path).metadata["images_seen"] == 3
    assert back_up(path) == back_up(path) == tmp_path / "dcgan_generator.tuesday.h5"
    save_generator(tiny_family(images_seen=4), path, run="monday")
    save_generator(tiny_family(images_seen=5), path, run="wednesday")
    seen = {p.name: load_generator(p).metadata["images_seen"] for p in tmp_path.iterdir()}
    assert seen == {
        path.name: 5,
        kept.name: 1,
        "dcgan_generator.tuesday.h5": 3,
        "dcgan_generator.monday-2.h5": 4,
    }
    assert back_up(tmp_path / "absent.h5") is None


@pytest.mark.parametrize("how", ["save", "publish"])
def test_no_generator_stands_beside_the_encoder_of_another(tmp_path, how, tiny_family):
    here = tmp_path / "saved_models"
    here.mkdir()
    path = save_generator(tiny_family("combined"), here / "faces_generator.h5", run="older")
    foreign = here / "faces_discriminator.h5"
    foreign.write_bytes(b"somebody's own")
    alone = tiny_family("combined")
    alone.export_parts = lambda: {"generator": alone.main}
    if how == "save":
        save_generator(alone, path, run="newer")
    else:
        publish(save_generator(alone, tmp_path / "faces_generator.h5", run="newer"), path)
    assert sorted(file.name for file in here.iterdir()) == [
        "faces_discriminator.h5",
        "faces_encoder.older.h5",
        "faces_generator.h5",
        "faces_generator.older.h5",
    ]
    assert foreign.read_bytes() == b"somebody's own"


def test_a_card_moves_with_its_model_and_this_is_said(tmp_path, tiny_family, capsys):
    path = save_generator(tiny_family(), tmp_path / "dcgan_generator.h5", run="shipped")
    (tmp_path / "dcgan_generator.md").write_text("of the shipped model")
    trial = save_generator(tiny_family(), tmp_path / "run" / "dcgan_generator.h5", run="trial")
    capsys.readouterr()
    publish(trial, path)
    card = tmp_path / "dcgan_generator.shipped.md"
    assert card.read_text() == "of the shipped model"
    assert not (tmp_path / "dcgan_generator.md").exists()
    assert capsys.readouterr().out == (
        f"{path}: the model that was there is kept as dcgan_generator.shipped.h5, with its card "
        "dcgan_generator.shipped.md\n"
    )


def test_the_card_of_a_model_stays_where_other_files_of_its_name_are_replaced(tmp_path):
    (tmp_path / "dcgan_generator.md").write_text("of the .h5")
    other = tmp_path / "dcgan_generator.safetensors"
    other.write_bytes(b"older")
    assert back_up(other) is not None
    assert (tmp_path / "dcgan_generator.md").read_text() == "of the .h5"
