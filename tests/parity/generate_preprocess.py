"""Pictures and what the reference makes of them, for crates/data/tests/preprocess_parity.rs.

    python generate_preprocess.py        # writes the folder preprocess/ beside this file

The reference is torchvision's `resize` and `center_crop` on a Pillow picture: `Image.resize` without
a reducing gap, the long side cut down to a whole number, the offset of the crop rounded half to even.
Transparency is composited over white before anything else. requirements.txt has the versions; Pillow
before 13 resizes across before down even where a picture loses much more height than width, and is
up to four levels off there. The pictures are made here, from formulas and seeded random numbers.

transformers halves an odd margin down, so that its crop begins one pixel further left or up than
torchvision's where the margin is 3, 7, 11, ... pixels. A spec says whose rounding it wants; what
transformers' own Pillow processor gives for it is checked here.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F
from transformers import (
    BlipImageProcessor,
    CLIPImageProcessor,
    CLIPImageProcessorPil,
    DeiTImageProcessor,
    SiglipImageProcessor,
    ViTImageProcessor,
)

FOLDER = Path(__file__).parent / "preprocess"
CLIP = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
INTERPOLATIONS = {
    "nearest": InterpolationMode.NEAREST,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "lanczos": InterpolationMode.LANCZOS,
}

# As weft writes a preprocess.json; `resize` is left out where it is `size`.
SPECS = {
    "clip": {"size": 32, "crop": True, "interpolation": "bicubic", **CLIP},
    "squeezed": {"size": 29, "crop": False, "interpolation": "bicubic", **CLIP},
    "margin": {"size": 32, "resize": 35, "crop": True, "interpolation": "bicubic", **HALF},
    "published": {
        "size": 32,
        "resize": 35,
        "crop": True,
        "rounding": "transformers",
        "interpolation": "bicubic",
        **HALF,
    },
    "deit": {"size": 28, "resize": 33, "crop": False, "interpolation": "bicubic", **HALF},
    "bilinear": {"size": 48, "crop": True, "interpolation": "bilinear", **HALF},
    "lanczos": {"size": 24, "crop": True, "interpolation": "lanczos", **CLIP},
    "nearest": {"size": 16, "resize": 18, "crop": True, "interpolation": "nearest", **HALF},
}
FULL = {"size": 224, "resize": 256, "crop": True, "interpolation": "bicubic", **CLIP}


def waves(width, height, channels, seed):
    """Smooth colours with hard-edged discs: nothing that a filter could get right by chance."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(channels):
        fx, fy, phase = draw.uniform(0.02, 0.35, 2).tolist() + [draw.uniform(0, 6)]
        planes.append(127.5 + 127.5 * np.sin(fx * x + fy * y + phase))
    pixels = np.stack(planes, axis=-1)
    for _ in range(4):
        cx, cy = draw.uniform(0, width), draw.uniform(0, height)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < (min(width, height) * draw.uniform(0.1, 0.3)) ** 2
        pixels[inside] = draw.uniform(0, 255, channels)
    return pixels.round().astype(np.uint8)


def extremes(width, height, seed):
    """Black and white at random, where filters with negative weights leave the range of a byte."""
    draw = np.random.default_rng(seed)
    return (draw.integers(0, 2, (height, width, 3)) * 255).astype(np.uint8)


def palette_with_transparency():
    # Colours of the palette by area, so that the picture is small.
    indices = (np.add.outer(np.arange(44) // 5, np.arange(66) // 7) % 6).astype(np.uint8)
    picture = Image.fromarray(indices, "P")
    picture.putpalette([250, 20, 20, 20, 250, 20, 20, 20, 250, 240, 240, 20, 5, 5, 5, 128, 64, 32])
    picture.info["transparency"] = bytes([0, 255, 128, 77, 255, 200])
    return picture


def pictures():
    """The 20 pictures, by file name."""
    board = np.add.outer(np.arange(127), np.arange(129)) % 2 * 255
    grey_alpha = waves(75, 50, 2, 13)
    stripes = np.repeat((np.arange(500) // 3 % 2 * 200 + 20)[None], 40, axis=0)
    return {
        "wide.png": Image.fromarray(waves(97, 61, 3, 1)),
        "high.png": Image.fromarray(waves(61, 97, 3, 2)),
        "fitting.png": Image.fromarray(waves(32, 32, 3, 3)),
        "small.png": Image.fromarray(waves(20, 13, 3, 4)),
        "one-pixel.png": Image.fromarray(np.array([[[200, 100, 7]]], np.uint8)),
        "one-column.png": Image.fromarray(waves(1, 37, 3, 6)),
        "one-row.png": Image.fromarray(waves(37, 1, 3, 7)),
        "long-column.png": Image.fromarray(waves(1, 5000, 3, 8)),
        "long-row.png": Image.fromarray(waves(5000, 1, 3, 9)),
        "tiny.png": Image.fromarray(extremes(2, 3, 10)),
        "alpha.png": Image.fromarray(waves(80, 70, 4, 11)),
        "alpha.webp": Image.fromarray(waves(64, 90, 4, 12)),
        "grey-alpha.png": Image.fromarray(grey_alpha, "LA"),
        "grey.png": Image.fromarray(waves(101, 67, 1, 14)[:, :, 0]),
        "two-colours.png": Image.fromarray(extremes(53, 71, 15)[:, :, 0]).convert("1"),
        "palette-alpha.png": palette_with_transparency(),
        "palette.gif": Image.fromarray(waves(45, 58, 3, 16)).quantize(32),
        "board.png": Image.fromarray(board.astype(np.uint8)),
        "noise.png": Image.fromarray(extremes(90, 60, 18)),
        "stripes.png": Image.fromarray(stripes.astype(np.uint8)),
    }


def save(picture, path):
    if path.suffix == ".webp":
        picture.save(path, lossless=True, exact=True, quality=100, method=6)
    else:
        picture.save(path, **({"optimize": True} if path.suffix == ".png" else {}))


def over_white(picture):
    rgba = picture.convert("RGBA")
    rgb = Image.new("RGB", picture.size, "white")
    rgb.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return rgb


def reference(picture, spec):
    """The picture's pixels as `spec` wants them, before they are normalised."""
    resize = spec.get("resize", spec["size"])
    target = resize if spec["crop"] else [resize, resize]
    picture = F.resize(picture, target, INTERPOLATIONS[spec["interpolation"]])
    if rounding(spec) == "torchvision":
        return F.center_crop(picture, spec["size"])
    left, top = ((side - spec["size"]) // 2 for side in picture.size)
    return F.crop(picture, top, left, spec["size"], spec["size"])


def rounding(spec):
    return spec.get("rounding", "torchvision")


def normalised(picture, spec):
    return F.normalize(F.to_tensor(picture), spec["mean"], spec["std"])


def agrees_with_transformers(picture, spec, values):
    """Whether transformers gives the same numbers, which it cannot where its rounding differs."""
    resize = spec.get("resize", spec["size"])
    long = int(resize * max(picture.size) / min(picture.size)) if spec["crop"] else resize
    differs = any((side - spec["size"]) % 4 == 3 for side in (resize, long))
    if differs and rounding(spec) == "torchvision":
        return True
    size = {"shortest_edge": resize} if spec["crop"] else {"height": resize, "width": resize}
    code = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}[spec["interpolation"]]
    processor = CLIPImageProcessorPil(
        size=size,
        crop_size=spec["size"],
        resample=code,
        image_mean=spec["mean"],
        image_std=spec["std"],
    )
    # Channels last: a picture of one row could be taken for one of channels.
    found = processor(picture, input_data_format="channels_last", return_tensors="pt")
    return torch.allclose(found["pixel_values"][0].float(), values, atol=1e-5)


def samples(values, spec):
    """A few of the normalised numbers: `[channel, row, column, value]`."""
    side, channels = spec["size"], range(3)
    places = [(c, (c * 5 + i * 7) % side, (c * 3 + i * 11 + 1) % side) for c in channels for i in range(3)]
    return [[c, row, column, float(values[c, row, column])] for c, row, column in places]


def write_configs():
    """preprocessor_config.json as transformers saves them, and as older releases did."""
    folder = FOLDER / "configs"
    processors = {
        "clip": CLIPImageProcessor(),
        "vit": ViTImageProcessor(),
        "siglip": SiglipImageProcessor(),
        "blip": BlipImageProcessor(),
        "deit": DeiTImageProcessor(),
    }
    written = {}
    for name, processor in processors.items():
        path = folder / f"{name}.json"
        path.write_text(processor.to_json_string())
        kept = processor.to_dict()
        size, side = kept["size"], kept.get("crop_size", kept["size"])["height"]
        written[name] = {
            "size": side,
            "resize": size.get("shortest_edge") or size["height"],
            "crop": bool(size.get("shortest_edge")),
            "rounding": "transformers" if kept.get("do_center_crop") else "torchvision",
            "interpolation": {1: "lanczos", 2: "bilinear", 3: "bicubic"}[int(kept["resample"])],
            "mean": list(kept["image_mean"]),
            "std": list(kept["image_std"]),
        }
    return written


def main():
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    for name in ("pictures", "expected", "configs"):
        (FOLDER / name).mkdir(parents=True)
    made = pictures()
    assert len(made) == 20
    for name, picture in made.items():
        save(picture, FOLDER / "pictures" / name)
    # Read again: what counts is what the files hold.
    read = {name: over_white(Image.open(FOLDER / "pictures" / name)) for name in made}
    big = waves(333, 251, 3, 20)
    save(Image.fromarray(big), FOLDER / "pictures" / "photo.png")

    cases = []
    specs = {name: (spec, read) for name, spec in SPECS.items()}
    specs["full"] = (FULL, {"photo.png": Image.fromarray(big)})
    for name, (spec, inputs) in specs.items():
        side = spec["size"]
        column = Image.new("RGB", (side, side * len(inputs)))
        values = {}
        for row, (file, picture) in enumerate(inputs.items()):
            pixels = reference(picture, spec)
            numbers = normalised(pixels, spec)
            assert agrees_with_transformers(picture, spec, numbers), (name, file)
            column.paste(pixels, (0, row * side))
            values[file] = samples(numbers, spec)
        column.save(FOLDER / "expected" / f"{name}.png", optimize=True)
        cases.append({"name": name, "spec": spec, "pictures": list(inputs), "samples": values})
    expected = {"cases": cases, "configs": write_configs()}
    (FOLDER / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    total = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    print(f"{len(made) + 1} pictures, {len(cases)} specs, {total} bytes")
    assert total < 900_000


if __name__ == "__main__":
    main()
