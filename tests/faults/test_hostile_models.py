"""Hostile models, checkpoints and records: code in them, foreign parts, sizes that would fill the memory."""

import base64
import io
import json
import marshal
import os
import struct
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from conftest import HARM, label_of, make_clip, refused, run
from hostile import TOUCHES, limited
from PIL import Image

import Write_Into_TFRecords
from first_impression.common.errors import UserError
from first_impression.data import audio, record_reader, record_writer
from first_impression.training import checkpoint, opening, saved_models

pytestmark = pytest.mark.usefixtures("no_harm")


def sound_model(*parts):
    sound = keras.Input((audio.FEATURES,))
    value = sound
    for part in parts:
        value = part(value)
    return keras.Model(sound, keras.layers.Dense(5, activation="sigmoid", name="traits")(value))


def repack(path, change, name="config.json", packing=zipfile.ZIP_STORED):
    """Rewrite a .keras file with one entry changed by `change(content)`, and with correct checksums."""
    with zipfile.ZipFile(path) as archive:
        content = {entry: archive.read(entry) for entry in archive.namelist()}
    content[name] = change(content[name])
    with zipfile.ZipFile(path, "w", packing) as archive:
        for entry, data in content.items():
            archive.writestr(entry, data)


def layer_becomes(layer, old="traits"):
    """A `change` for `repack`: replaces the layer named `old` in the configuration."""

    def change(config):
        config = json.loads(config)
        next(part for part in config["config"]["layers"] if part["name"] == old).update(layer)
        return json.dumps(config).encode()

    return change


def refusal_of(folder):
    """The message with which the model in `folder` is refused."""
    with pytest.raises(UserError) as refusal:
        opening.load_model(folder / saved_models.FINAL)
    assert "final.keras" in str(refusal.value) and "\n" not in str(refusal.value)
    return str(refusal.value)


def harm(x):
    open("harm.txt", "w").close()
    return x


def test_code_in_a_lambda_does_not_run(folder):
    sound_model(keras.layers.Lambda(harm, output_shape=(audio.FEATURES,), name="a")).save("final.keras")
    Path(HARM).unlink(missing_ok=True)  # Keras calls it while it builds the model
    assert "keras.layers.Lambda" in refusal_of(folder)
    code = {"code": base64.b64encode(marshal.dumps(harm.__code__)).decode(), "defaults": None, "closure": None}
    function = {"class_name": "__lambda__", "config": code}
    repack("final.keras", layer_becomes({"config": {"name": "a", "function": function}}, old="a"))
    assert "keras.layers.Lambda" in refusal_of(folder)


HOSTILE_PARTS = {
    "os.system": {"module": "os", "class_name": "system", "config": {"command": f"touch {HARM}"}},
    "builtins.exec": {"module": "builtins", "class_name": "exec", "config": f"open('{HARM}', 'w')"},
    "function": {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
    "get_file": {
        "module": "keras.utils",
        "class_name": "get_file",
        "config": {"fname": "harm.txt", "origin": "file:///etc/passwd", "cache_dir": "."},
    },
    "TFSMLayer": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "saved", "name": "a"}},
    "StringLookup": {
        "module": "keras.layers",
        "class_name": "StringLookup",
        "config": {"vocabulary": "/etc/passwd", "name": "a"},
    },
    "registered": {"module": "a", "class_name": "Dense", "registered_name": "builtins>Dense", "config": {}},
    "__lambda__": {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"units": 5, "activation": {"class_name": "__lambda__", "config": {"value": "x"}}},
    },
}


def test_an_array_of_a_kind_that_fills_the_memory_is_not_built(folder):
    array = {"class_name": "__numpy__", "config": {"value": [0], "dtype": f"V{10**10}"}}
    rescaling = {"module": "keras.layers", "class_name": "Rescaling", "config": {"scale": 1.0, "offset": array}}
    sound_model().save("final.keras")
    repack("final.keras", layer_becomes(rescaling))
    assert f"it has an array of 'V{10**10}'" in refusal_of(folder)


@pytest.mark.parametrize("part", HOSTILE_PARTS)
def test_foreign_part_of_a_model_is_not_built(folder, part):
    sound_model().save("final.keras")
    repack("final.keras", layer_becomes(HOSTILE_PARTS[part]))
    assert "it has a part that none of our models has" in refusal_of(folder)
    # The same part in the architecture of a checkpoint
    with zipfile.ZipFile("final.keras") as archive:
        about = {"architecture": archive.read("config.json").decode(), "progress": {}}
    np.savez("checkpoint.npz", about=np.array(json.dumps(about)))
    with pytest.raises(UserError, match="checkpoint.npz is damaged .*none of our models has"):
        checkpoint.read(folder)


def test_object_in_a_checkpoint_is_not_unpickled(folder):
    np.savez("checkpoint.npz", about=np.array([TOUCHES], object))
    with pytest.raises(UserError, match="checkpoint.npz is damaged"):
        checkpoint.read(folder)


def test_model_that_would_fill_the_memory_is_not_built(folder):
    sound_model().save("final.keras")
    repack("final.keras", lambda config: config.replace(b'"units": 5', b'"units": 1000000000'))
    assert "weights" in refusal_of(folder)
    # small numbers that grow: each layer doubles the width
    doubles = [keras.layers.Concatenate() for _ in range(12)]
    model = sound_model(
        lambda value: value[:, :1], *(lambda value, join=join: join([value, value]) for join in doubles)
    )
    with pytest.raises(ValueError, match="weights|part"):
        opening.check_architecture(json.loads(model.to_json()))


@pytest.mark.parametrize("nested", [False, True])
def test_model_whose_paddings_would_fill_the_memory_is_refused(folder, nested):
    frames = keras.Input((224, 224, 3))
    padded = keras.layers.ZeroPadding2D(200_000)(frames)
    value = keras.Model(frames, padded)(frames) if nested else padded
    value = keras.layers.GlobalMaxPooling2D()(value)
    keras.Model(frames, keras.layers.Dense(5, activation="sigmoid")(value)).save("final.keras")
    assert "values of one frame" in refusal_of(folder)


def test_layer_that_is_used_twice_is_refused():
    value, layer = keras.Input((224, 224, 3)), keras.layers.ZeroPadding2D(200)
    model = keras.Model(value, layer(layer(value)))
    with pytest.raises(ValueError, match="is used more than once"):
        opening.check_architecture(json.loads(model.to_json()))


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_compressed_model_or_checkpoint_is_not_read(folder, name):
    sound_model().save("final.keras")
    repack("final.keras", lambda content: content + bytes(50_000_000), name, packing=zipfile.ZIP_DEFLATED)
    assert "is packed in a way" in refusal_of(folder)
    np.savez_compressed("checkpoint.npz", a=np.zeros(10_000_000))
    with pytest.raises(UserError, match="checkpoint.npz .*is packed in a way"):
        checkpoint.read(folder)


def test_bzip2_in_a_model_or_a_published_zip_fills_no_memory(folder):
    for name, kept in (("bomb.npz", "a.npy"), ("bomb.keras", "config.json"), ("bomb.zip", "manifest.json")):
        with zipfile.ZipFile(name, "w", zipfile.ZIP_BZIP2) as archive:
            archive.writestr(kept, bytes(400 * 10**6))
        content = Path(name).read_bytes()  # whose directory declares a size below that of the file
        Path(name).write_bytes(content.replace(struct.pack("<I", 400 * 10**6), struct.pack("<I", 500)))
    os.rename("bomb.npz", "checkpoint.npz")
    said, peak = limited(
        "from pathlib import Path\n"
        "from first_impression.sharing import fetching\n"
        "from first_impression.training import checkpoint, opening\n"
        "def opened(path):\n    with opening.open_whole_zip(path): pass\n"
        "refused(fetching.published_folder, 'bomb.zip')\n"
        "refused(checkpoint.read, Path('.'))\n"
        "try: opened(Path('bomb.keras'))\nexcept ValueError as error: print(error)"
    )
    assert len(said) == 3 and all("is packed in a way" in line for line in said) and peak < 0.5


def test_checkpoint_that_claims_a_huge_array_takes_no_memory(folder):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile("checkpoint.npz", "w") as archive:
        archive.writestr("a.npy", head.getvalue())
    with pytest.raises(UserError, match="checkpoint.npz is damaged"):
        checkpoint.read(folder)


def test_flipped_bit_in_a_weight_is_noticed(folder):
    sound_model().save("final.keras")
    content = bytearray((folder / "final.keras").read_bytes())
    content[len(content) // 2] ^= 64
    (folder / "final.keras").write_bytes(content)
    assert "final.keras is damaged" in refusal_of(folder)


@pytest.mark.parametrize("kind", ["external link", "soft link", "external data", "virtual"])
def test_weights_from_outside_the_model_file_are_refused(folder, kind):
    sound_model().save("final.keras")
    secret = np.full((audio.FEATURES, 5), 7, "f4")
    with h5py.File("secret.h5", "w") as file:
        file["a"] = secret
    secret.tofile("secret.raw")

    def change(weights):
        Path("w.h5").write_bytes(weights)
        with h5py.File("w.h5", "a") as file:
            names = []
            file.visititems(
                lambda name, item: names.append(name) if getattr(item, "shape", ()) == secret.shape else None
            )
            (name,) = names
            del file[name]
            if kind == "external link":
                file[name] = h5py.ExternalLink(str(folder / "secret.h5"), "a")
            elif kind == "soft link":
                file[name] = h5py.SoftLink("/nowhere")
            elif kind == "external data":
                place = [(str(folder / "secret.raw"), 0, h5py.h5f.UNLIMITED)]
                file.create_dataset(name, secret.shape, "f4", external=place)
            else:
                layout = h5py.VirtualLayout(secret.shape, "f4")
                layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "a", secret.shape)
                file.create_virtual_dataset(name, layout)
        return Path("w.h5").read_bytes()

    repack("final.keras", change, "model.weights.h5")
    refusal_of(folder)


def test_predict_refuses_a_hostile_model_in_one_line(folder):
    sound_model().save("final.keras")
    (folder / "runs/audio").mkdir(parents=True)
    os.rename("final.keras", "runs/audio/final.keras")
    repack("runs/audio/final.keras", layer_becomes(HOSTILE_PARTS["os.system"]))
    make_clip("a.mp4", [90] * 5)
    refused(run("predict.py", "a.mp4"), "runs/audio/final.keras", "os.system")


def jpeg_of_size(side):
    """A JPEG of 224 x 224 pixels whose header says `side` x `side`."""
    file = io.BytesIO()
    Image.new("RGB", (224, 224), (90, 120, 40)).save(file, "jpeg")
    content = file.getvalue()
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", side, side) + content[at + 4 :]


def write_records(path, pictures):
    items = [record_writer.Example(f"clip{number}", label_of(number), Path()) for number in range(len(pictures))]
    record_writer.write(Path(path), "train", "image", items, lambda _: iter(pictures), {})


@pytest.mark.slow
def test_picture_that_claims_to_be_huge_fills_no_memory():
    sides = (225, 65_535)
    for side in sides:
        Path("frame1.jpg").write_bytes(jpeg_of_size(side))
        with pytest.raises(UserError, match="frame1.jpg is not a usable frame"):
            Write_Into_TFRecords.pixels(Path("frame1.jpg"))
        write_records(f"{side}.tfrecords", [jpeg_of_size(224), jpeg_of_size(side)])
    Path("frame1.jpg").write_bytes(jpeg_of_size(224))
    assert len(Write_Into_TFRecords.pixels(Path("frame1.jpg"))) == record_reader.RAW_BYTES
    said, peak = limited(
        "from first_impression.data import batching, record_reader\n"
        "def read(path):\n"
        "    opened = record_reader.open_records(path, 'train', 'image')\n"
        "    return len(list(record_reader.translate_read_errors(batching.batches(opened, 1), opened)))\n"
        f"for side in {sides}: refused(read, f'{{side}}.tfrecords')"
    )
    for side, line in zip(sides, said, strict=True):
        assert f"{side}.tfrecords: damaged, or not of this kind" in line
    assert peak < 2


def test_records_without_their_end_are_refused():
    write_records("t.tfrecords", [jpeg_of_size(224)] * 4)
    content = Path("t.tfrecords").read_bytes()
    Path("t.tfrecords").write_bytes(content[: len(content) // 4 * 3])  # three whole records
    with pytest.raises(UserError, match="t.tfrecords has lost 1 of its records"):
        record_reader.open_records("t.tfrecords", "train", "image")
    Path("t.tfrecords.json").unlink()
    assert record_reader.open_records("t.tfrecords", "train", "image").size == 3
