"""ViT and BERT with the parts of weft's: ../../../crates/vision, ../../../crates/text."""

import torch
import torch.nn.functional as F
from torch import nn

from blocks import Stack


class PatchEmbedding(nn.Module):
    def __init__(self, patch, width):
        super().__init__()
        self.patch = patch
        self.projection = nn.Linear(3 * patch * patch, width)

    def forward(self, images):
        """Every patch, by a convolution: `[batch, 3, h, w]` to `[batch, patches, width]`."""
        weight = self.projection.weight.view(-1, 3, self.patch, self.patch)
        x = F.conv2d(images, weight, self.projection.bias, stride=self.patch)
        return x.flatten(2).transpose(1, 2)

    def cut(self, images):
        """Pixels of each patch, `[batch, patches, 3 patch^2]`."""
        batch, channels, height, width = images.shape
        side = self.patch
        x = images.view(batch, channels, height // side, side, width // side, side)
        return x.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * side * side)


class Vit(nn.Module):
    def __init__(self, size, patch, width, depth, heads):
        super().__init__()
        patches = (size // patch) ** 2
        self.patch_embedding = PatchEmbedding(patch, width)
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.position_embedding = nn.Parameter(torch.empty(1, 1 + patches, width))
        self.stack = Stack(width, depth, heads, pre=True)

    def forward(self, images):
        x = self.patch_embedding(images)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1)
        return self.stack(x + self.position_embedding)

    def forward_masked(self, images, visible, restore, masked):
        """Encodes visible patches alone; mask tokens with their positions take the others' places.

        `visible`: `[batch, seen]`, indices of the patches that are seen; `restore`:
        `[batch, patches]`, where each patch stands in `[visible; mask tokens]`; `masked`:
        `[batch, patches, 1]`, 1 where a patch is masked.
        """
        pixels = self.patch_embedding.cut(images)
        batch, patches, depth = pixels.shape
        pixels = pixels.gather(1, visible.unsqueeze(2).expand(-1, -1, depth))
        positions = self.position_embedding[:, 1:]
        x = self.patch_embedding.projection(pixels) + positions[0][visible]
        front = (self.class_token + self.position_embedding[:, :1]).expand(batch, -1, -1)
        encoded = self.stack(torch.cat([front, x], 1))
        tokens = self.mask_token.expand(batch, patches - visible.shape[1], -1)
        restored = torch.cat([encoded[:, 1:], tokens], 1)
        restored = restored.gather(1, restore.unsqueeze(2).expand(-1, -1, restored.shape[2]))
        return torch.cat([encoded[:, :1], restored + positions * masked], 1)


class TextEmbeddings(nn.Module):
    def __init__(self, vocabulary, tokens, types, width, epsilon):
        super().__init__()
        self.word = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(torch.empty(tokens, width))
        self.token_type = nn.Parameter(torch.empty(types, width))
        self.norm = nn.LayerNorm(width, epsilon)

    def forward(self, ids):
        rows = self.position[: ids.shape[1]] + self.token_type[0]
        return self.norm(self.word(ids) + rows)


class TextEncoder(nn.Module):
    def __init__(self, vocabulary, tokens, types, width, depth, heads, epsilon=1e-12):
        super().__init__()
        self.embeddings = TextEmbeddings(vocabulary, tokens, types, width, epsilon)
        self.stack = Stack(width, depth, heads, pre=False, epsilon=epsilon)

    def forward(self, ids, mask):
        return self.stack(self.embeddings(ids), mask)


def seen(padding):
    """From padding, `[batch, tokens]`, to what scaled_dot_product_attention takes: true is seen."""
    return ~padding[:, None, None, :]


class ImageTower(nn.Module):
    """ViT-B/16 with a projection into the shared space."""

    def __init__(self):
        super().__init__()
        self.encoder = Vit(size=224, patch=16, width=768, depth=12, heads=12)
        self.projection = nn.Linear(768, 256)

    def forward(self, pixels):
        return F.normalize(self.projection(self.encoder(pixels)[:, 0]), dim=-1)


class TextTower(nn.Module):
    """BERT-base with a projection into the shared space."""

    def __init__(self):
        super().__init__()
        self.encoder = TextEncoder(30522, 512, types=2, width=768, depth=12, heads=12)
        self.projection = nn.Linear(768, 256)

    def forward(self, ids, padding):
        encoded = self.encoder(ids, seen(padding))
        return F.normalize(self.projection(encoded[:, 0]), dim=-1)
