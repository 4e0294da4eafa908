"""A whole training step of the recipe `quick`: ../src/workloads/mamo.rs and
../../../crates/{objectives,train}."""

import copy

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from blocks import adamw, load_weft, maybe_compiled, parameters
from mamo_model import WIDTH, Model
from worker import Workload

ITM_WEIGHT = 4.0
MOMENTUM = 0.995
CLIP_NORM = 1.0


class Batch:
    """One of weft's batches, with the indices that follow from its masks."""

    def __init__(self, inputs, index):
        def take(name):
            return inputs[f"{index}.{name}"]

        self.images, self.ids, self.masked_ids = take("images"), take("ids"), take("masked_ids")
        self.padding = take("padding")
        image_mask, text_mask = take("image_mask"), take("text_mask")
        # Stable: visible patches and masked ones stay in reading order.
        order = image_mask.int().argsort(stable=True, dim=1)
        visible = int((~image_mask[0]).sum())
        self.visible, self.restore = order[:, :visible], order.argsort(1)
        self.masked = image_mask.unsqueeze(2).float()
        self.patches = image_mask.flatten().nonzero().squeeze(1)
        self.rows = text_mask.flatten().nonzero().squeeze(1)
        self.words = self.ids.flatten()[self.rows]
        caption = take("caption_of")
        self.same_caption = caption[:, None] == caption[None, :]


def pick(x, rows):
    return x.flatten(0, 1)[rows]


def standardized(x):
    return F.layer_norm(x, (WIDTH,), eps=1e-6)


def draw(logits, same_caption):
    """A wrong picture for each caption and a wrong caption for each picture (ALBEF, section 3.1)."""
    logits = logits.detach().masked_fill(same_caption, float("-inf"))
    image_of_text = torch.multinomial(logits.T.softmax(1), 1).squeeze(1)
    text_of_image = torch.multinomial(logits.softmax(1), 1).squeeze(1)
    return image_of_text, text_of_image


@torch.no_grad()
def targets(twin, batch):
    """What the momentum twin makes of the clean pair: for MRM patches and words, for MIM patches."""
    image = twin.vision(batch.images)
    text = twin.text(batch.ids, ~batch.padding[:, None, None, :])
    _, fused_image, fused_text = twin.fusion(image, text, batch.padding)
    return (
        standardized(pick(fused_image, batch.patches)),
        standardized(pick(fused_text, batch.rows)),
        standardized(pick(image[:, 1:], batch.patches)),
    )


def itm(model, image, text, padding, positive, negatives):
    image_of_text, text_of_image = negatives
    images = torch.cat([image[image_of_text], image])
    texts = torch.cat([text, text[text_of_image]])
    paddings = torch.cat([padding, padding[text_of_image]])
    negative, _, _ = model.backbone.fusion(images, texts, paddings)
    logits = model.heads.itm(torch.cat([positive, negative]))
    labels = torch.zeros(len(logits), dtype=torch.long)
    labels[: len(positive)] = 1
    return F.cross_entropy(logits, labels)


def losses(model, twin, batch, negatives=None):
    """ITC, ITM, MLM, MRM, MIM; each encoder pass is made once."""
    backbone, heads = model.backbone, model.heads
    mask = ~batch.padding[:, None, None, :]
    image = backbone.vision(batch.images)
    text = backbone.text(batch.ids, mask)
    masked_image = backbone.vision.forward_masked(
        batch.images, batch.visible, batch.restore, batch.masked
    )
    masked_text = backbone.text(batch.masked_ids, mask)

    similarity = backbone.image_embedding(image) @ backbone.text_embedding(text).T
    logits = similarity / model.temperature
    classes = torch.arange(len(logits))
    itc = (F.cross_entropy(logits, classes) + F.cross_entropy(logits.T, classes)) / 2

    positive, _, _ = backbone.fusion(image, text, batch.padding)
    if negatives is None:
        negatives = draw(logits, batch.same_caption)
    matching = itm(model, image, text, batch.padding, positive, negatives)

    _, _, fused_text = backbone.fusion(image, masked_text, batch.padding)
    _, fused_image, _ = backbone.fusion(masked_image, text, batch.padding)
    words, patches = pick(fused_text, batch.rows), pick(fused_image, batch.patches)
    mlm = F.cross_entropy(heads.mlm(words, backbone.text.embeddings.word.weight), batch.words)

    image_target, text_target, mim_target = targets(twin, batch)
    mrm = F.mse_loss(heads.mrm(patches), image_target) + F.mse_loss(heads.mrm(words), text_target)
    mim = F.l1_loss(heads.mim(patches), mim_target)
    total = itc + ITM_WEIGHT * matching + mlm + mrm + mim
    return {"itc": itc, "itm": matching, "mlm": mlm, "mrm": mrm, "mim": mim, "loss": total}


class Mamo(Workload):
    unit = "pairs"

    def __init__(self, exchange, variant):
        super().__init__()
        weights = exchange / "weights.safetensors"
        vocabulary = len(load_file(weights)["heads.mlm.bias"])
        self.model = Model(vocabulary)
        load_weft(self.model, weights)
        self.twin = copy.deepcopy(self.model.backbone).requires_grad_(False)
        self.parameters = parameters(self.model)
        inputs = load_file(exchange / "inputs.safetensors")
        count = sum(name.endswith(".images") for name in inputs)
        self.batches = [Batch(inputs, index) for index in range(count)]
        self.negatives = inputs["image_of_text"], inputs["text_of_image"]
        self.rates = inputs["lr"].tolist()
        self.optimizer = adamw(self.model, betas=(0.9, 0.98))
        self.online = list(self.model.backbone.parameters())
        self.following = list(self.twin.parameters())
        self.losses = maybe_compiled(losses, variant)
        self.taken = 0

    def step(self):
        batch = self.batches[self.taken % len(self.batches)]
        # Both sides match the same wrong pairs in the first step, which is compared.
        negatives = self.negatives if self.taken == 0 else None
        found = self.losses(self.model, self.twin, batch, negatives)
        found["loss"].backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM, foreach=True)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rates[min(self.taken, len(self.rates) - 1)]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.model.temperature.clamp_(0.001, 0.5)
            torch._foreach_lerp_(self.following, self.online, 1 - MOMENTUM)
        figures = {name: value.item() for name, value in found.items()}
        self.first(**figures, grad_norm=norm.item())
        self.taken += 1
        return len(batch.ids)


def setup(args):
    return Mamo(args.exchange, args.variant)
