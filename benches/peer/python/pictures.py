"""Makes a folder of JPEG photographs of a usual size for the data path.

    python pictures.py FOLDER [--count 320]

The few real photographs that scikit-image and scikit-learn ship are cut at random (at least 60 % of
each side, seeded), resized to 640 x 480 or 480 x 640 and written at quality 90 with 4:2:0 chroma.
"""

import argparse
import random
from pathlib import Path

import skimage.data
import sklearn.datasets
from PIL import Image

FILES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "retina.jpg")


def photographs():
    folder = Path(skimage.data.__file__).parent
    photos = [Image.open(folder / name).convert("RGB") for name in FILES]
    samples = [sklearn.datasets.load_sample_image(f"{name}.jpg") for name in ("china", "flower")]
    return photos + [Image.fromarray(sample) for sample in samples]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=320)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    choice, photos = random.Random(0), photographs()
    for index in range(args.count):
        photo = photos[index % len(photos)]
        upright = choice.random() < 0.25
        size = (480, 640) if upright else (640, 480)
        # The largest crop of that shape, and then a part of it.
        scale = min(photo.width / size[0], photo.height / size[1]) * choice.uniform(0.6, 1.0)
        width, height = (round(side * scale) for side in size)
        left = choice.randint(0, photo.width - width)
        top = choice.randint(0, photo.height - height)
        cut = photo.resize(size, Image.BICUBIC, (left, top, left + width, top + height))
        cut.save(args.folder / f"{index:04}.jpg", quality=90, subsampling="4:2:0")
    print(f"{args.count} pictures in {args.folder}")


if __name__ == "__main__":
    main()
