"""The data path by torchvision's transforms and torch's DataLoader: ../src/workloads/data.rs."""

import multiprocessing
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision import io
from torchvision.transforms import InterpolationMode, v2
from torchvision import transforms as v1

from worker import Workload

BATCH = 32
AHEAD = 2
SIZE = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
# ALBEF's operations, each of which is carried out with probability 1/2.
OPERATIONS = {
    "Identity", "AutoContrast", "Equalize", "Brightness", "Sharpness",
    "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate",
}  # fmt: skip


class RandAugment1(v1.RandAugment):
    def _augmentation_space(self, num_bins, image_size):
        space = super()._augmentation_space(num_bins, image_size)
        return {name: how for name, how in space.items() if name in OPERATIONS}


class RandAugment2(v2.RandAugment):
    _AUGMENTATION_SPACE = {
        name: how for name, how in v2.RandAugment._AUGMENTATION_SPACE.items() if name in OPERATIONS
    }


def transforms(version, rand_augment, to_floats):
    # Magnitude 7 of 10, one operation at a time, each with probability 1/2, twice.
    operation = rand_augment(num_ops=1, magnitude=7, num_magnitude_bins=11, fill=[128, 128, 128])
    return version.Compose(
        [
            version.RandomResizedCrop(
                SIZE, scale=(0.2, 1.0), interpolation=InterpolationMode.BICUBIC
            ),
            version.RandomHorizontalFlip(),
            version.RandomApply([operation], p=0.5),
            version.RandomApply([operation], p=0.5),
            *to_floats,
            version.Normalize(MEAN, STD),
        ]
    )


def pillow(path):
    with Image.open(path) as picture:
        return picture.convert("RGB")


def tensor(path):
    return io.decode_jpeg(io.read_file(path), mode=io.ImageReadMode.RGB)


V2_FLOATS = [v2.ToDtype(torch.float32, scale=True)]
VARIANTS = {
    "pillow-v1": (pillow, v1, RandAugment1, [v1.ToTensor()]),
    "pillow-v2": (pillow, v2, RandAugment2, [v2.ToImage(), *V2_FLOATS]),
    "tensor-v2": (tensor, v2, RandAugment2, V2_FLOATS),
}


class Pictures(Dataset):
    def __init__(self, folder, variant):
        self.paths = sorted(str(path) for path in folder.glob("*.jpg"))
        self.read, version, rand_augment, to_floats = VARIANTS[variant]
        self.transform = transforms(version, rand_augment, to_floats)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.transform(self.read(self.paths[index]))


def own_mib(process):
    """Memory of a process, with its share of the pages that others have as well."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


class Endless(Sampler):
    """Epoch after epoch, so that the workers never wait for the next one."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        while True:
            yield from torch.randperm(self.count).tolist()


class Data(Workload):
    unit = "pictures per core"

    def __init__(self, folder, threads, variant):
        super().__init__()
        pictures = Pictures(folder, variant)
        self.threads = threads
        self.loader = DataLoader(
            pictures,
            batch_size=BATCH,
            sampler=Endless(len(pictures)),
            num_workers=threads,
            prefetch_factor=AHEAD,
        )
        self.batches = None

    def prepare(self):
        """Starts the workers and takes what is prepared ahead."""
        self.batches = iter(self.loader)
        for _ in range(AHEAD * self.threads):
            next(self.batches)

    def step(self):
        for _ in range(self.threads):
            batch = next(self.batches)
        if not self.check:
            self.first(shape=batch.shape)
            self.notes = [f"mean of a first batch {batch.mean():.3f}"]
        return len(batch)

    def settle(self):
        workers = multiprocessing.active_children()
        self.others_mib = max(self.others_mib, sum(own_mib(worker.pid) for worker in workers))
        # Ends the workers.
        self.batches = None


def setup(args):
    if args.pictures is None:
        raise SystemExit("--pictures is needed")
    return Data(args.pictures, args.threads, args.variant)
