"""Loads what `weft export` wrote with the reference library, and makes fixtures of it.

    python check_export.py EXPORTED FIXTURES

Each encoder must load without a missing or unexpected key. The fixtures then hold weft to what the
reference computes with them: WEFT_PARITY_DIR=FIXTURES cargo nextest run -p weft-model --test parity
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer

from generate_models import make_fixture

CAPTIONS = ["a woman surfing", "a red heart on fire with flames"]


# These classes make a pooler unless told otherwise, which weft's encoders do not have.
WITH_POOLER = ["vit", "deit", "bert", "roberta"]


def load(folder):
    kind = AutoConfig.from_pretrained(folder).model_type
    options = {"add_pooling_layer": False} if kind in WITH_POOLER else {}
    model, report = AutoModel.from_pretrained(folder, output_loading_info=True, **options)
    problems = {what: names for what, names in report.items() if names}
    assert not problems, problems
    return model


def main():
    exported, fixtures = map(Path, sys.argv[1:])
    picture = np.random.RandomState(0).randint(0, 255, (90, 72, 3), dtype=np.uint8)
    processor = AutoImageProcessor.from_pretrained(exported / "vision")
    pixels = processor(Image.fromarray(picture), return_tensors="pt").pixel_values
    make_fixture(load(exported / "vision"), {"pixel_values": pixels}, fixtures / "vision")

    tokenizer = AutoTokenizer.from_pretrained(exported / "text")
    batch = tokenizer(CAPTIONS, padding=True, return_tensors="pt")
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    make_fixture(load(exported / "text"), inputs, fixtures / "text")
    print(f"{fixtures}: vision, text")


if __name__ == "__main__":
    main()
