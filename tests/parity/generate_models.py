"""Writes the fixtures that hold weft's encoders and fusion models to the reference library.

    python generate_models.py                      # all of them, into the folder `fixtures` here
    python generate_models.py --only vit_square    # one of them
    python generate_models.py --out DIR            # somewhere else

A fixture is a folder of three files; README.md beside this script describes them. `make_fixture`
can be imported to write a fixture for a checkpoint of one's own.
"""

import argparse
import json
import shutil
import sys
import tempfile
import zlib
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers.models.blip import modeling_blip_text

DEFAULT_OUT = Path(__file__).resolve().parent / "fixtures"

# Name -> function that writes the fixture into a given folder. Filled by `@fixture`.
FIXTURES = {}


def fixture(function):
    """Registers a function that writes the fixture named like itself."""
    FIXTURES[function.__name__] = function
    return function


# --- Random numbers -----------------------------------------------------------------------------


def generator(*key):
    """A generator which depends on `key` alone, so that no fixture depends on those before it."""
    return torch.Generator().manual_seed(zlib.crc32(repr(key).encode()))


def normal(shape, *key):
    return torch.randn(tuple(shape), generator=generator(*key))


def integers(low, high, shape, *key):
    """Whole numbers in low..high (high excluded), as int64."""
    return torch.randint(low, high, tuple(shape), generator=generator(*key))


def randomise(model, name):
    """Moves every parameter well away from its special initial value.

    A freshly made model has zero biases, zero class tokens, unit norms and layer scales: two of
    them could be exchanged, or left at their default, without any test noticing. The maps are also
    wide enough that attention is far from uniform. Each parameter's numbers are a function of the
    fixture's and its own name.
    """
    norms = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.LayerNorm)}
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            values = normal(parameter.shape, name, "parameter", parameter_name)
            last = parameter_name.rsplit(".", 1)[-1]
            if id(parameter) in norms:
                parameter.copy_(1.0 + 0.1 * values)
            elif last in ("lambda1", "scaled_factor", "logit_scale"):
                # Scales: not one, and never near zero.
                parameter.copy_(0.75 + 0.15 * values)
            elif last == "beta":
                # The weight of a bridge that interpolates: not a half, and inside 0..1.
                parameter.copy_(0.3 + 0.05 * values)
            elif last == "class_embedding" or last.endswith("token"):
                parameter.copy_(0.5 * values)
            elif parameter.ndim < 2:
                parameter.copy_(0.1 * values)
            elif "embedding" in parameter_name and parameter.ndim != 4:
                # Tables. (A patch embedding, with four dimensions, is a linear map.)
                parameter.copy_(0.3 * values)
            else:
                # Linear maps, scaled to their input so that wide and narrow ones act alike.
                fan_in = parameter[0].numel()
                parameter.copy_(1.2 * fan_in**-0.5 * values)
    return model


# --- Writing a fixture --------------------------------------------------------------------------


def flatten(field, value):
    """Yields (name, tensor) for an output field; tuples become `field.0`, `field.1`, ..."""
    if isinstance(value, torch.Tensor):
        yield field, value
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            yield from flatten(f"{field}.{index}", item)


def run(forward, inputs, hidden_states):
    """The reference's output as {field: tensor}, in the order in which it names them."""
    arguments = dict(inputs, output_hidden_states=True) if hidden_states else inputs
    outputs = {}
    for field, value in forward(**arguments).items():
        # BridgeTower returns attentions and hidden states even where nobody asked for them.
        if field != "attentions" and (hidden_states or field != "hidden_states"):
            outputs.update(flatten(field, value))
    return outputs


def everywhere(field, value):
    return 1.0


def make_fixture(
    model,
    inputs,
    out,
    *,
    forward=None,
    hidden_states=True,
    hidden_cotangents=True,
    cotangent_weight=everywhere,
    dtype=torch.float32,
    in_memory_names=False,
):
    """Writes `config.json`, `model.safetensors` and `io.safetensors` into the folder `out`.

    model: a transformers model in float32. It is put in eval mode and left in `dtype`.
    inputs: what is passed to `forward`, by argument. Tensors, or Python flags (stored as one bool).
    forward: what to run instead of the model itself; returns a dict of tensors.
    hidden_states: ask for the hidden states of every layer as well, and store them.
    hidden_cotangents: also send a gradient into every hidden state, not into the main outputs only.
    cotangent_weight: (field, output) -> factor of that field's cotangent; zero where the output has
        no meaning and may differ.
    dtype: element type of the stored weights. They are rounded to it before anything is computed
        from them, in float32, so whoever widens them again has the very same numbers.
    in_memory_names: name the stored weights as the model in memory does. By default they carry the
        names of published checkpoints, which `save_pretrained` restores.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)

    round_parameters(model, dtype)
    model.eval()
    model.zero_grad(set_to_none=True)
    outputs = run(forward or model, inputs, hidden_states)

    # The scalar that is differentiated: a random linear function of the outputs. It reaches every
    # element of them with its own weight, which a sum or a mean would not.
    cotangents = {
        field: normal(value.shape, out.name, "cotangent", field) * cotangent_weight(field, value)
        for field, value in outputs.items()
        if value.requires_grad and (hidden_cotangents or not field.startswith("hidden_states"))
    }
    sum((outputs[field] * cotangent).sum() for field, cotangent in cotangents.items()).backward()

    tensors = {}
    for name, value in inputs.items():
        is_tensor = isinstance(value, torch.Tensor)
        tensors[f"input.{name}"] = value if is_tensor else torch.tensor([value])
    for field, value in outputs.items():
        tensors[f"output.{field}"] = value
    for field, value in cotangents.items():
        tensors[f"cotangent.{field}"] = value
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            tensors[f"grad.{name}"] = parameter.grad
    save_tensors(tensors, out / "io.safetensors")

    # `config.json` then names this type. `save_pretrained` may write more than these two files, so
    # not straight into `out`.
    model.to(dtype)
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        for file in ("config.json", "model.safetensors"):
            shutil.copyfile(Path(saved) / file, out / file)
    if in_memory_names:
        save_tensors(model.state_dict(), out / "model.safetensors")


def round_parameters(model, dtype):
    """Sets every parameter to the nearest number that `dtype` can hold."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype))


def save_tensors(tensors, path):
    """Writes tensors, having looked that all are finite."""
    # Cloned, since safetensors refuses two names for one memory (a tied or repeated output).
    tensors = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
    not_finite = [name for name, value in tensors.items() if not value.isfinite().all()]
    if not_finite:
        raise ValueError(f"{path}: not finite: {not_finite}")
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)


def build(model_class, name, *, init=None, **config):
    """A seeded random model of `model_class`, made from the keys of its configuration."""
    configuration = model_class.config_class(**config)
    configuration._attn_implementation = "eager"
    return randomise(model_class(configuration, **(init or {})), name)


# --- Inputs -------------------------------------------------------------------------------------


def padding_mask(lengths, width):
    """Row i has `lengths[i]` ones, then zeros."""
    return torch.tensor([[int(column < length) for column in range(width)] for length in lengths])


def segments(lengths, width):
    """Token types: the first half of each text is segment 0, the second half and padding are 1."""
    return 1 - padding_mask([length // 2 for length in lengths], width)


def text(name, lengths, vocab, pad=0):
    """Token ids and attention mask of texts of these lengths, padded to the longest."""
    mask = padding_mask(lengths, max(lengths))
    # The first ids are left to the special tokens, so that no word is taken for padding.
    ids = integers(5, vocab, mask.shape, name, "input_ids")
    return dict(input_ids=torch.where(mask == 1, ids, pad), attention_mask=mask)


def pixels(name, batch, height, width):
    return normal((batch, 3, height, width), name, "pixel_values")


def some_patches(name, batch, patches):
    """A mask over patches with about a third set, different in each picture."""
    return integers(0, 3, (batch, patches), name, "bool_masked_pos") == 0


# --- BERT ---------------------------------------------------------------------------------------

BERT = dict(
    vocab_size=41,
    hidden_size=10,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=14,
    max_position_embeddings=11,
    type_vocab_size=2,
    pad_token_id=0,
)


@fixture
def bert(out):
    model = build(transformers.BertModel, "bert", **BERT)
    inputs = text("bert", (9, 5), 41)
    inputs["token_type_ids"] = segments((9, 5), 9)
    make_fixture(model, inputs, out)


@fixture
def bert_position_ids(out):
    """Positions given by the caller: shifted, repeated, and not rising by one."""
    model = build(transformers.BertModel, "bert_position_ids", **dict(BERT, num_hidden_layers=1))
    inputs = text("bert_position_ids", (7, 5), 41)
    inputs["position_ids"] = torch.tensor([[2, 3, 5, 7, 9, 10, 1], [10, 0, 4, 4, 6, 8, 9]])
    make_fixture(model, inputs, out, hidden_cotangents=False, dtype=torch.float16)


@fixture
def bert_gelu_tanh(out):
    """The tanh form of GELU, an own epsilon, no pooler; neither a mask nor segments are given."""
    config = dict(BERT, num_hidden_layers=1, hidden_act="gelu_new", layer_norm_eps=1e-3)
    init = dict(add_pooling_layer=False)
    model = build(transformers.BertModel, "bert_gelu_tanh", init=init, **config)
    inputs = dict(input_ids=integers(0, 41, (2, 8), "bert_gelu_tanh", "input_ids"))
    make_fixture(model, inputs, out, dtype=torch.float16)


@fixture
def bert_decoder(out):
    """Causal self-attention, then cross-attention to states of another encoder."""
    config = dict(BERT, num_hidden_layers=1)
    config.update(is_decoder=True, add_cross_attention=True, use_cache=False)
    model = build(transformers.BertModel, "bert_decoder", **config)
    inputs = text("bert_decoder", (7, 5), 41)
    inputs["encoder_hidden_states"] = normal((2, 6, 10), "bert_decoder", "encoder_hidden_states")
    inputs["encoder_attention_mask"] = padding_mask((4, 6), 6)
    make_fixture(model, inputs, out, dtype=torch.float16)


# --- RoBERTa and XLM-R --------------------------------------------------------------------------

# Positions count the tokens that are not padding and begin after the padding's own position.
ROBERTA = dict(
    vocab_size=43,
    hidden_size=10,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=14,
    max_position_embeddings=11,
    type_vocab_size=1,
    pad_token_id=1,
    layer_norm_eps=1e-5,
)


@fixture
def roberta(out):
    model = build(transformers.RobertaModel, "roberta", **ROBERTA)
    inputs = text("roberta", (8, 5), 43, pad=1)
    make_fixture(model, inputs, out, hidden_cotangents=False, dtype=torch.bfloat16)


@fixture
def xlm_roberta(out):
    """Padding between words: it takes no position, so those after it move up."""
    config = dict(ROBERTA, num_hidden_layers=1, vocab_size=47, num_attention_heads=5)
    model = build(transformers.XLMRobertaModel, "xlm_roberta", **config)
    inputs = text("xlm_roberta", (8, 5), 47, pad=1)
    for row, column in [(0, 2), (0, 3), (0, 6), (1, 1)]:
        inputs["input_ids"][row, column] = 1
        inputs["attention_mask"][row, column] = 0
    make_fixture(model, inputs, out)


# --- CLIP's text encoder ------------------------------------------------------------------------

CLIP_TEXT = dict(
    vocab_size=44,
    hidden_size=10,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=14,
    max_position_embeddings=11,
    projection_dim=13,
    hidden_act="quick_gelu",
    bos_token_id=42,
)


def clip_text_inputs(name, eos, pad):
    """Texts that begin with 42, end with `eos` and are padded; all other ids are below 40."""
    lengths = (8, 5)
    inputs = text(name, lengths, 40, pad)
    inputs["input_ids"][:, 0] = 42
    for row, length in enumerate(lengths):
        inputs["input_ids"][row, length - 1] = eos
    return inputs


@fixture
def clip_text_legacy_eos(out):
    """`eos_token_id` 2 is the old mistake: pooled where the *largest* id stands, at first.

    The padding is the end token again, as in CLIP's tokenizer, so the first of them must be taken.
    """
    config = dict(CLIP_TEXT, eos_token_id=2, pad_token_id=1)
    model = build(transformers.CLIPTextModelWithProjection, "clip_text_legacy_eos", **config)
    inputs = clip_text_inputs("clip_text_legacy_eos", eos=43, pad=43)
    make_fixture(model, inputs, out, dtype=torch.float16)


@fixture
def clip_text(out):
    """Pooled at the first `eos_token_id`, which is not the largest id here. Activation: GELU."""
    config = dict(CLIP_TEXT, num_hidden_layers=1, hidden_act="gelu", layer_norm_eps=1e-4)
    config.update(eos_token_id=4, pad_token_id=4)
    model = build(transformers.CLIPTextModelWithProjection, "clip_text", **config)
    inputs = clip_text_inputs("clip_text", eos=4, pad=4)
    make_fixture(model, inputs, out)


# --- ViT and DeiT -------------------------------------------------------------------------------

VIT = dict(
    hidden_size=14,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=18,
    image_size=6,
    patch_size=2,
)


@fixture
def vit_square(out):
    model = build(transformers.ViTModel, "vit_square", **VIT)
    make_fixture(model, dict(pixel_values=pixels("vit_square", 2, 6, 6)), out)


@fixture
def vit_interpolated(out):
    """A 3x3 grid of positions stretched to 2x4 patches. Weights under their in-memory names."""
    model = build(transformers.ViTModel, "vit_interpolated", **dict(VIT, num_hidden_layers=1))
    inputs = dict(pixel_values=pixels("vit_interpolated", 2, 4, 8), interpolate_pos_encoding=True)
    make_fixture(model, inputs, out, in_memory_names=True, dtype=torch.float16)


@fixture
def vit_masked(out):
    """Some patches replaced by the mask token."""
    config = dict(VIT, num_hidden_layers=1)
    model = build(transformers.ViTModel, "vit_masked", init=dict(use_mask_token=True), **config)
    inputs = dict(pixel_values=pixels("vit_masked", 2, 6, 6))
    inputs["bool_masked_pos"] = some_patches("vit_masked", 2, 9)
    make_fixture(model, inputs, out, dtype=torch.float16)


@fixture
def vit_rectangular(out):
    """Made for pictures of 4 x 8 pixels: its table is 2x4. No pooler, no bias for q, k and v."""
    config = dict(VIT, image_size=[4, 8], num_hidden_layers=1, num_attention_heads=7)
    config.update(qkv_bias=False, layer_norm_eps=1e-3, hidden_act="gelu_new")
    init = dict(add_pooling_layer=False)
    model = build(transformers.ViTModel, "vit_rectangular", init=init, **config)
    inputs = dict(pixel_values=pixels("vit_rectangular", 2, 4, 8))
    make_fixture(model, inputs, out, hidden_cotangents=False, dtype=torch.float16)


@fixture
def deit(out):
    """Two leading tokens: class and distillation. Weights under their in-memory names."""
    model = build(transformers.DeiTModel, "deit", **dict(VIT, num_hidden_layers=1))
    inputs = dict(pixel_values=pixels("deit", 2, 6, 6))
    make_fixture(model, inputs, out, in_memory_names=True, hidden_cotangents=False)


@fixture
def deit_interpolated(out):
    """A 3x3 grid stretched to 4x2, with some patches masked."""
    config = dict(VIT, num_hidden_layers=1)
    init = dict(use_mask_token=True)
    model = build(transformers.DeiTModel, "deit_interpolated", init=init, **config)
    inputs = dict(
        pixel_values=pixels("deit_interpolated", 2, 8, 4),
        bool_masked_pos=some_patches("deit_interpolated", 2, 8),
        interpolate_pos_encoding=True,
    )
    make_fixture(model, inputs, out, dtype=torch.float16)


# --- CLIP's vision encoder ----------------------------------------------------------------------

CLIP_VISION = dict(VIT, num_attention_heads=7, projection_dim=11)


@fixture
def clip_vision(out):
    model = build(transformers.CLIPVisionModelWithProjection, "clip_vision", **CLIP_VISION)
    inputs = dict(pixel_values=pixels("clip_vision", 2, 6, 6))
    make_fixture(model, inputs, out, hidden_cotangents=False, dtype=torch.float16)


@fixture
def clip_vision_interpolated(out):
    """A 3x3 grid stretched to 2x4, with GELU and another epsilon."""
    config = dict(CLIP_VISION, num_hidden_layers=1, hidden_act="gelu", layer_norm_eps=1e-3)
    model = build(transformers.CLIPVisionModelWithProjection, "clip_vision_interpolated", **config)
    inputs = dict(
        pixel_values=pixels("clip_vision_interpolated", 2, 4, 8),
        interpolate_pos_encoding=True,
    )
    make_fixture(model, inputs, out, dtype=torch.float16)


# --- DINOv2 -------------------------------------------------------------------------------------

DINOV2 = dict(
    hidden_size=14,
    num_hidden_layers=2,
    num_attention_heads=2,
    mlp_ratio=2,
    image_size=6,
    patch_size=2,
)


@fixture
def dinov2(out):
    model = build(transformers.Dinov2Model, "dinov2", **DINOV2)
    inputs = dict(pixel_values=pixels("dinov2", 2, 6, 6))
    make_fixture(model, inputs, out, hidden_cotangents=False, dtype=torch.float16)


@fixture
def dinov2_swiglu(out):
    """A gated feed-forward: its width is two thirds of 28, rounded up to a multiple of 8, so 24."""
    config = dict(DINOV2, num_hidden_layers=1, use_swiglu_ffn=True)
    model = build(transformers.Dinov2Model, "dinov2_swiglu", **config)
    inputs = dict(pixel_values=pixels("dinov2_swiglu", 2, 6, 6))
    make_fixture(model, inputs, out)


@fixture
def dinov2_interpolated(out):
    """DINOv2 always interpolates: 3x3 to 2x4 here. Some patches are masked; no bias for q, k and v.

    Weights under their in-memory names.
    """
    config = dict(DINOV2, num_hidden_layers=1, qkv_bias=False)
    model = build(transformers.Dinov2Model, "dinov2_interpolated", **config)
    inputs = dict(pixel_values=pixels("dinov2_interpolated", 2, 4, 8))
    inputs["bool_masked_pos"] = some_patches("dinov2_interpolated", 2, 8)
    make_fixture(model, inputs, out, in_memory_names=True, dtype=torch.float16)


# --- BLIP's text encoder ------------------------------------------------------------------------

BLIP_TEXT = dict(
    vocab_size=44,
    hidden_size=10,
    encoder_hidden_size=13,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=14,
    projection_dim=12,
    max_position_embeddings=11,
    pad_token_id=0,
    bos_token_id=42,
    sep_token_id=3,
)


@fixture
def blip_text(out):
    """Reads the states of an image encoder that is wider than itself; some of them are masked."""
    model = build(modeling_blip_text.BlipTextModel, "blip_text", **BLIP_TEXT)
    inputs = text("blip_text", (7, 4), 44)
    inputs["encoder_hidden_states"] = normal((2, 5, 13), "blip_text", "encoder_hidden_states")
    inputs["encoder_attention_mask"] = padding_mask((5, 3), 5)
    make_fixture(model, inputs, out, dtype=torch.float16)


@fixture
def blip_text_alone(out):
    """Without states to read, so that the cross-attention is passed over and has no gradient."""
    config = dict(BLIP_TEXT, num_hidden_layers=1)
    model = build(modeling_blip_text.BlipTextModel, "blip_text_alone", **config)
    inputs = text("blip_text_alone", (8, 5), 44)
    make_fixture(model, inputs, out, hidden_cotangents=False)


# --- ViLT ---------------------------------------------------------------------------------------

VILT = dict(
    vocab_size=41,
    hidden_size=14,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=18,
    max_position_embeddings=11,
    image_size=6,
    patch_size=2,
)


def in_reading_order(model):
    """ViLT's forward, with the patches in reading order.

    The reference draws the order of the patches, and which of the padding patches fill up the
    shorter pictures, with `torch.multinomial`. Here the draw is replaced by 0, 1, 2, ...
    """

    def forward(**arguments):
        drawn = torch.multinomial
        torch.multinomial = lambda weights, count, replacement=False: torch.arange(int(count))
        try:
            return model(**arguments)
        finally:
            torch.multinomial = drawn

    return forward


@fixture
def vilt(out):
    """One picture size for all (not the table's: 3x3 positions stretched to 2x4), texts padded."""
    model = build(transformers.ViltModel, "vilt", **VILT)
    inputs = text("vilt", (7, 4), 41)
    inputs["token_type_ids"] = segments((7, 4), 7)
    inputs["pixel_values"] = pixels("vilt", 2, 4, 8)
    inputs["pixel_mask"] = torch.ones(2, 4, 8, dtype=torch.int64)
    make_fixture(model, inputs, out, forward=in_reading_order(model), dtype=torch.float16)


@fixture
def vilt_ragged(out):
    """Pictures of 3x2 and 1x3 patches, padded to 3x3; the longer of them has six patches.

    The outputs at padding have no meaning (the reference draws the patches that stand there), so
    no gradient is sent into them.
    """
    model = build(transformers.ViltModel, "vilt_ragged", **dict(VILT, num_hidden_layers=1))
    inputs = text("vilt_ragged", (6, 4), 41)
    inputs["pixel_mask"] = torch.zeros(2, 6, 6, dtype=torch.int64)
    for picture, (rows, columns) in enumerate([(3, 2), (1, 3)]):
        inputs["pixel_mask"][picture, : rows * 2, : columns * 2] = 1
    inputs["pixel_values"] = pixels("vilt_ragged", 2, 6, 6) * inputs["pixel_mask"][:, None]
    # Text, the picture's class token, six patches.
    patches = padding_mask((6, 3), 6)
    real = torch.cat([inputs["attention_mask"], torch.ones(2, 1), patches], dim=1)
    make_fixture(
        model,
        inputs,
        out,
        forward=in_reading_order(model),
        cotangent_weight=lambda field, value: real[:, :, None] if value.ndim == 3 else 1.0,
        dtype=torch.float16,
    )


# --- BridgeTower --------------------------------------------------------------------------------

# The vision tower has `hidden_size // 64` heads and a feed-forward of four times its width, so it
# cannot be narrower than 64: with its gradients a layer takes 300 kB, and there is no room for more
# than two. Text and fusion share one width: the fusion layers are made from the text's
# configuration.


def bridgetower_config(tower_layers, fusion_layers):
    return dict(
        hidden_size=8,
        num_hidden_layers=fusion_layers,
        num_attention_heads=2,
        intermediate_size=14,
        contrastive_hidden_size=10,
        logit_scale_init_value=2.6592,
        text_config=dict(
            vocab_size=43,
            hidden_size=8,
            num_hidden_layers=tower_layers,
            num_attention_heads=2,
            intermediate_size=14,
            max_position_embeddings=11,
        ),
        vision_config=dict(
            hidden_size=64,
            num_hidden_layers=tower_layers,
            image_size=4,
            patch_size=2,
        ),
    )


def bridgetower_inputs(name, lengths, height=4, width=4):
    inputs = text(name, lengths, 43, pad=1)
    inputs["pixel_values"] = pixels(name, len(lengths), height, width)
    return inputs


@fixture
def bridgetower(out):
    """Bridges that add, as is the default; the only one here with hidden states."""
    model = build(transformers.BridgeTowerModel, "bridgetower", **bridgetower_config(2, 2))
    inputs = bridgetower_inputs("bridgetower", lengths=(7, 6))
    make_fixture(model, inputs, out, hidden_cotangents=False, dtype=torch.float16)


@fixture
def bridgetower_masked_lm(out):
    """An own projection into the fusion for each layer, bridges that scale, non-square pictures."""
    config = bridgetower_config(2, 2)
    config.update(share_cross_modal_transformer_layers=False, link_tower_type="scaled_add")
    model = build(transformers.BridgeTowerForMaskedLM, "bridgetower_masked_lm", **config)
    inputs = bridgetower_inputs("bridgetower_masked_lm", lengths=(6, 7), height=6, width=2)
    inputs["interpolate_pos_encoding"] = True
    make_fixture(model, inputs, out, hidden_states=False, dtype=torch.float16)


@fixture
def bridgetower_retrieval(out):
    """Bridges that interpolate."""
    model_class = transformers.BridgeTowerForImageAndTextRetrieval
    config = dict(bridgetower_config(2, 2), link_tower_type="interpolate")
    model = build(model_class, "bridgetower_retrieval", **config)
    inputs = bridgetower_inputs("bridgetower_retrieval", lengths=(7, 4))
    make_fixture(model, inputs, out, hidden_states=False, dtype=torch.float16)


def without_expanding(model):
    """BridgeTower's forward, with the type embeddings broadcast instead of expanded.

    The contrastive model expands the picture's type embedding to the shape of the vision tower's
    states, then adds it to their *projection*. That asks for one width of both, which would add
    half a megabyte to the fixture. The sum is the same without the expansion.
    """

    def forward(**arguments):
        expand_as = torch.Tensor.expand_as
        torch.Tensor.expand_as = lambda self, other: self
        try:
            return model(**arguments)
        finally:
            torch.Tensor.expand_as = expand_as

    return forward


@fixture
def bridgetower_contrastive(out):
    """One layer of fusion over two layers of each tower, which both precede it; no bridge."""
    model_class = transformers.BridgeTowerForContrastiveLearning
    model = build(model_class, "bridgetower_contrastive", **bridgetower_config(2, 1))
    inputs = bridgetower_inputs("bridgetower_contrastive", lengths=(5, 7))
    make_fixture(
        model,
        inputs,
        out,
        forward=without_expanding(model),
        hidden_states=False,
        dtype=torch.float16,
    )


# --- METER --------------------------------------------------------------------------------------


def meter_forward(model):
    """METER (Dou et al. 2022) from the parts of a BridgeTowerModel.

    Only the last states of both encoders enter the fusion. Each is projected and gets its type
    embedding (there is no norm at this point, unlike in BridgeTower); then both streams read the
    other one's *previous* states in every layer.
    """

    def forward(input_ids, attention_mask, pixel_values):
        texts = model.text_model(input_ids, attention_mask=attention_mask).last_hidden_state
        # One entry per layer, each after `ln_post`.
        pictures = model.vision_model.visual(pixel_values, None)[-1]

        # Text positions that may be attended to, as the additive mask that attention expects.
        mask = torch.zeros(attention_mask.shape).masked_fill(attention_mask == 0, torch.finfo().min)
        mask = mask[:, None, None, :]

        kinds = model.token_type_embeddings.weight
        texts = model.cross_modal_text_transform(texts) + kinds[0]
        pictures = model.cross_modal_image_transform(pictures) + kinds[1]
        layers = zip(model.cross_modal_text_layers, model.cross_modal_image_layers, strict=True)
        for text_layer, image_layer in layers:
            texts, pictures = (
                text_layer(texts, pictures, attention_mask=mask)[0],
                image_layer(pictures, texts, encoder_attention_mask=mask)[0],
            )
        return dict(
            text_features=texts,
            image_features=pictures,
            pooler_output=model.get_cls_features(texts, pictures),
        )

    return forward


@fixture
def meter(out):
    """Stored as a BridgeTowerModel without what METER has not: the bridges and the first norms."""
    config = bridgetower_config(tower_layers=1, fusion_layers=2)
    model = build(transformers.BridgeTowerModel, "meter", **config)
    for part in ("text_link_tower", "image_link_tower", "text_layernorm", "image_layernorm"):
        delattr(model, f"cross_modal_{part}")
    # The reference's text model has a pooler that nothing reads.
    make_fixture(
        model,
        bridgetower_inputs("meter", lengths=(6, 7)),
        out,
        forward=meter_forward(model),
        hidden_states=False,
        dtype=torch.float16,
    )
    path = out / "config.json"
    stored = json.loads(path.read_text())
    stored.update(architectures=["MeterModel"], model_type="meter")
    path.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")


# --- Command line -------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder of the fixtures")
    parser.add_argument("--only", metavar="NAME", help="write this fixture alone")
    arguments = parser.parse_args()
    if arguments.only is not None and arguments.only not in FIXTURES:
        sys.exit(f"no fixture {arguments.only!r}; there are: {', '.join(FIXTURES)}")

    # One thread and fixed algorithms: the same bytes on every run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()

    total = 0
    for name in [arguments.only] if arguments.only else FIXTURES:
        out = arguments.out / name
        FIXTURES[name](out)
        size = sum(file.stat().st_size for file in out.iterdir())
        architecture = json.loads((out / "config.json").read_text())["architectures"][0]
        print(f"{name:26} {architecture:36} {size / 1024:8.1f} KiB", flush=True)
        total += size
    print(f"{'all':26} {'':36} {total / 1024:8.1f} KiB")


if __name__ == "__main__":
    main()
