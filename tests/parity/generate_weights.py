"""Weights files as others write them, for crates/weights/tests.

    python generate_weights.py           # writes crates/weights/tests/fixtures

Written with torch 2.15.0, safetensors 0.8.0 and onnx 1.23.2; requirements.txt names the first two, and
`--without-onnx` leaves out what the last one is needed for. `*.expected.safetensors` holds the values
of a fixture as f32 and i64, under the names that weft gives them. The same versions write the same
bytes, but for legacy.pt and module.pt, in which torch writes numbers of its own.
"""

import argparse
import collections
import json
import os
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parents[2] / "crates" / "weights" / "tests" / "fixtures"


class Malicious:
    """Unpickled, this would run a command; it is harmless, should anything ever run it."""

    def __reduce__(self):
        return os.system, ("echo this must not run",)


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape) + sum(shape)))


def state_dict():
    """Every element type and every way in which a tensor can lie on its storage."""
    grid = normal(4, 6)
    tied = normal(3, 2)
    tensors = {
        "contiguous": normal(2, 3),
        "transposed": normal(2, 3).t(),
        "permuted": normal(2, 3, 4).permute(2, 0, 1),
        "offset": grid[1:3],
        "stepped": grid[::2, 1::3],
        "column": grid[:, 2],
        "embedding": tied,
        "decoder": tied,
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "empty_slice": grid[4:],
        "one_sized": normal(3, 1, 2).transpose(0, 1),
        "expanded": torch.tensor([1.0, 2.0]).expand(3, 2),
        "parameter": torch.nn.Parameter(normal(2, 2)),
        "frozen": torch.nn.Parameter(normal(2), requires_grad=False),
        "f16": torch.tensor([1.5, -65504.0, 6e-8, -0.0]).half(),
        "bf16": torch.tensor([1.5, -3e38, 1e-40, 3.14159]).bfloat16(),
        "bf16_transposed": normal(2, 3).bfloat16().t(),
        "f64": torch.tensor([1 / 3, -1e30, 1e-50], dtype=torch.float64),
        "i64": torch.tensor([0, -(2**63), 2**63 - 1]),
        "i32": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
        "i16": torch.tensor([-(2**15), 2**15 - 1], dtype=torch.int16),
        "i8": torch.tensor([-128, 127], dtype=torch.int8),
        "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "u16": torch.tensor([0, 65535, 7, 8], dtype=torch.uint16)[1:],
        "u32": torch.tensor([0, 2**32 - 1], dtype=torch.uint32),
        "bool": torch.tensor([[True, False], [True, True]]).t(),
    }
    state = collections.OrderedDict(tensors)
    # As of torch.nn.Module.state_dict().
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return state


def checkpoint():
    """What a trainer saves: tensors at several depths, and what is no tensor between them."""
    layer = torch.nn.Linear(3, 2)
    layer.load_state_dict({"weight": normal(2, 3), "bias": normal(2)})
    optimiser = torch.optim.AdamW(layer.parameters(), lr=1e-3)
    layer(normal(4, 3)).sum().backward()
    optimiser.step()
    return {
        "state_dict": layer.state_dict(),
        "optimizer": optimiser.state_dict(),
        "history": [normal(2), (normal(1), "text")],
        "epoch": 3,
        "loss": 0.25,
        "name": "run",
        "best": None,
        "done": False,
        "steps": 1 << 40,
        "huge": 1 << 80,
    }


def flat(value, path=""):
    """The tensors of nested dictionaries and lists by path."""
    if isinstance(value, torch.Tensor):
        return {path: value}
    items = {}
    if isinstance(value, dict):
        items = value
    elif isinstance(value, (list, tuple)):
        items = dict(enumerate(value))
    found = {}
    for key, item in items.items():
        found |= flat(item, f"{path}.{key}" if path else str(key))
    return found


def write_expected(value, path):
    wide = {
        name: tensor.detach().to(torch.float32 if tensor.is_floating_point() else torch.int64)
        for name, tensor in flat(value).items()
    }
    save_file({name: tensor.clone().contiguous() for name, tensor in wide.items()}, path)


def rewrite(source, target, compression=zipfile.ZIP_STORED, **replaced):
    """Copies a zip archive with other compression, or other bytes of some of its members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for member in old.infolist():
            name = Path(member.filename).name
            info = zipfile.ZipInfo(member.filename)
            info.compress_type = compression
            new.writestr(info, replaced.get(name, old.read(member)))


def write_torch(folder):
    state = state_dict()
    torch.save(state, folder / "state_dict.bin")
    torch.save(state, folder / "protocol_4.pt", pickle_protocol=4)
    write_expected(state, folder / "state_dict.expected.safetensors")
    nested = checkpoint()
    torch.save(nested, folder / "checkpoint.ckpt")
    write_expected(nested, folder / "checkpoint.expected.safetensors")
    rewrite(folder / "state_dict.bin", folder / "deflated.bin", zipfile.ZIP_DEFLATED)
    small = {"weight": normal(2, 3)}
    torch.save(small, folder / "small.pt")
    rewrite(folder / "small.pt", folder / "big_endian.pt", byteorder=b"big")
    torch.save(small, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(small["weight"], folder / "unnamed.pt")
    torch.save(Malicious(), folder / "malicious.bin")
    torch.save(small | {"extra": Malicious()}, folder / "malicious_beside_weights.bin")
    torch.save(torch.nn.Linear(2, 2), folder / "module.pt")


def write_sharded(folder):
    state = {"encoder.weight": normal(2, 3), "encoder.bias": normal(2), "head.weight": normal(1, 2)}
    for name, writer in [("model.safetensors", save_file), ("pytorch_model.bin", torch.save)]:
        target = folder / f"sharded_{name.rsplit('.')[-1]}"
        target.mkdir(exist_ok=True)
        stem, suffix = name.split(".")
        weight_map = {}
        for number, part in enumerate(["encoder", "head"], 1):
            shard = f"{stem}-{number:05}-of-00002.{suffix}"
            tensors = {key: value for key, value in state.items() if key.startswith(part)}
            writer(tensors, target / shard)
            weight_map |= {key: shard for key in tensors}
        index = {"metadata": {"total_size": 40}, "weight_map": weight_map}
        (target / f"{name}.index.json").write_text(json.dumps(index, indent=2) + "\n")
    save_file(state, folder / "sharded.expected.safetensors")


def write_onnx(folder):
    import onnx
    from onnx import TensorProto, helper

    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(normal(*parameter.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Three dimensions: MatMul with a transposed weight of a made-up name. Two: Gemm.
        for name, example in [("matmul", normal(1, 2, 3)), ("gemm", normal(2, 3))]:
            torch.onnx.export(model, (example,), folder / f"{name}.onnx", dynamo=False)
    write_expected(model.state_dict(), folder / "onnx_module.expected.safetensors")

    kinds = {
        "f32": (TensorProto.FLOAT, [1.5, -2.0]),
        "f64": (TensorProto.DOUBLE, [1 / 3, -1e30]),
        "f16": (TensorProto.FLOAT16, [1.5, -65504.0]),
        "bf16": (TensorProto.BFLOAT16, [1.5, -3.0]),
        "i64": (TensorProto.INT64, [-(2**63), 2**63 - 1]),
        "i32": (TensorProto.INT32, [-(2**31), 2**31 - 1]),
        "i16": (TensorProto.INT16, [-(2**15), 2**15 - 1]),
        "i8": (TensorProto.INT8, [-128, 127]),
        "u8": (TensorProto.UINT8, [0, 255]),
        "u16": (TensorProto.UINT16, [0, 65535]),
        "u32": (TensorProto.UINT32, [0, 2**32 - 1]),
        "bool": (TensorProto.BOOL, [True, False]),
    }
    fields, raws, expected = [], [], {}
    for name, (kind, values) in kinds.items():
        field = helper.make_tensor(f"field.{name}", kind, [2], values)
        array = onnx.numpy_helper.to_array(field)
        fields.append(field)
        raws.append(onnx.numpy_helper.from_array(array, f"raw.{name}"))
        is_float = name in ("f32", "f64", "f16", "bf16")
        wide = torch.tensor(array.astype("float64" if is_float else "int64").tolist())
        wide = wide.float() if is_float else wide
        expected |= {f"field.{name}": wide, f"raw.{name}": wide.clone()}
    far = onnx.numpy_helper.from_array(array, "external")
    onnx.external_data_helper.set_external_data(far, "far.bin")
    far.ClearField("raw_data")
    graph = helper.make_graph([], "kinds", [], [], initializer=[*fields, *raws, far])
    (folder / "kinds.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    save_file(expected, folder / "kinds.expected.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--without-onnx", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_torch(arguments.out)
    write_sharded(arguments.out)
    if not arguments.without_onnx:
        write_onnx(arguments.out)


if __name__ == "__main__":
    main()
