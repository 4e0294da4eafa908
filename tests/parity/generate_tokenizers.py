"""Tokenizers and what the reference makes of 300 awkward strings, for
crates/data/tests/tokenizer_parity.rs.

    python generate_tokenizers.py        # writes the folder tokenizers/ beside this file

The reference is transformers with the `tokenizers` library below it; requirements.txt has the
versions. The vocabularies are learned here, from a text that is put together here:

    wordpiece   as BERT's: lower case, accents stripped, `##` inside words
    bpe         as RoBERTa's: bytes, a space belongs to the word behind it
    clip        as CLIP's: lower case, bytes, `</w>` ends a word, no token to mask with
    unigram     as XLM-RoBERTa's: sentencepiece with its nmt_nfkc normalisation, converted

expected.json of each holds, for texts given by their number in strings.json:

    single      every string: [number of tokens, ids, offsets]
    truncated   [string, max_tokens, ids]
    pairs       [first, second, max_tokens or null, ids, type ids, offsets]
    batches     {strings, length: null for the longest, ids, mask}

Offsets are start and end in characters, one list after the other. Lists for more than 40 tokens are
the SHA-256 of their numbers as little-endian 32 bit.
"""

import hashlib
import io
import json
import random
import shutil
import struct
from collections import Counter, defaultdict
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, normalizers, pre_tokenizers
from transformers import BertTokenizerFast, CLIPTokenizerFast, RobertaTokenizerFast, XLMRobertaTokenizerFast

FOLDER = Path(__file__).parent / "tokenizers"
LONGEST_LIST = 40

# --- The text to learn from ---------------------------------------------------------------------

WORDS = {
    "english": (
        "a the of on in with near two three red blue green white small large old young dog dogs cat cats horse "
        "man woman child children people street house tree trees snow beach water sky mountain mountains river "
        "bicycle riding running walking playing standing sitting holding wearing looking jumping hat coat shirt "
        "ball kite table plate food picture photograph painted painting isn't it's they're don't 2024 17 3.5"
    ),
    "german": "ein eine der die das auf mit vor Hund Häuser Straße größer Mädchen spielt läuft rot grün Fußgänger",
    "french": "un une le la les chien garçon à côté de l'eau forêt où été naïve cœur déjà façade très élève",
    "turkish": "bir kırmızı İstanbul ışık çocuk köpek ağaç güneş oynuyor",
    "vietnamese": "một con chó đang chạy trên bãi biển người phụ nữ áo đỏ",
    "russian": "собака бежит по снегу красный дом мальчик и девочка играют на улице большой город ёлка",
    "greek": "ένας σκύλος τρέχει στην παραλία κόκκινο σπίτι μεγάλο δέντρο Ελλάδα",
    "arabic": "كلب يركض على الشاطئ رجل يرتدي قميص أحمر بيت كبير طفل يلعب في الماء مَدْرَسَة",
    "hebrew": "כלב רץ על החוף איש עם חולצה אדומה בית גדול ילד משחק שָׁלוֹם",
    "hindi": "एक कुत्ता समुद्र तट पर दौड़ रहा है लाल घर बच्चा खेल पानी में किताब",
    "thai": "สุนัข วิ่ง บน ชายหาด บ้าน สีแดง เด็ก เล่น น้ำ",
    "chinese": "一只 狗 在 海滩 上 奔跑 红色 的 房子 孩子 玩水 大树 天空 照片 。 ，",
    "japanese": "犬が 浜辺を 走る 赤い 家 子供 カメラ テーブル 大きな 木 です 。 、",
    "korean": "개가 해변에서 달린다 빨간 집 아이가 물에서 논다 큰 나무",
    "emoji": "😀 😂 🐶 🐱 🌊 🏠 ❤️ 👍 👍🏽 👨‍👩‍👧 🇩🇪 🎉 ☀️",
}
WEIGHTS = [8, 2, 2, 1, 1, 2, 1, 2, 1, 1, 1, 2, 2, 1, 1]


def corpus():
    """4000 lines of words at random; frequent words come first in their list."""
    draw = random.Random(20)
    languages = {name: words.split() for name, words in WORDS.items()}
    lines = []
    for _ in range(4000):
        words = languages[draw.choices(list(languages), WEIGHTS)[0]]
        count = draw.randint(3, 10)
        line = ""
        for _ in range(count):
            # Some words are compounds, so that there is something to learn inside words.
            space = " " if line and draw.random() < 0.7 else ""
            line += space + words[int(len(words) * draw.random() ** 1.5)]
        lines.append(line[0].upper() + line[1:] + draw.choice(["", ".", "!", "?", " ..."]))
    return lines


# --- The 300 strings ----------------------------------------------------------------------------

BLANK = [
    "", " ", "  ", "\t", "\n", "\r\n", " \n\t ", "\u00a0", "\u3000", "\u2003 \u2009", "\u200b", "\u200b\u200c\u200d",
    "\ufeff", "\ufeffa dog", "\x00", "a\x00b", "\x01\x02\x1f\x7f", "\x85", "\u2028\u2029", "\u00ad", "a\u00adb",
    "a\u200bb", "a\u2060b", "a\u00a0b", "a\u3000b", "\ufffd", "a\ufffdb", "\uffff", "\U0010ffff", "\ue000\uf8ff",
    " a dog", "a dog ", "  a  dog  ", "a\tdog\nruns", "a dog\r\nand a cat", "\x1b[31mred\x1b[0m", "a\u180eb", "\u2800\u2800",
]  # fmt: skip
LATIN = [
    "A dog runs on the beach.", "A DOG RUNS ON THE BEACH!", "aDoG", "The dog's ball isn't theirs, it's THEY'RE's.",
    "don't DON'T don’t 'tis 's s' ''", "we'll I'LL you'd he'D I'm I'M", "naïve café", "nai\u0308ve cafe\u0301", "Straße STRASSE ẞ",
    "İstanbul ISTANBUL ıi İi", "ﬁne ﬂower ﬃ", "Ｆｕｌｌ　ｗｉｄｔｈ　１２３", "Ⅷ ⅷ ½ ¼ ² ³ ₄ ™ ℡ ㎏ ㌔", "ǅ ǆ Ǆ Ǳ", "œuvre Œuvre æon ÆON",
    "Ångström A\u030angström \u212bngström", "x" * 99, "x" * 100, "x" * 101, "Donaudampfschifffahrtsgesellschaft", "a_b-c.d/e\\f|g~h^i`j",
    "http://example.org/a?b=c&d=%20#e", "me@example.org", "3.14159 1,000,000 1e-9 0x1F", "1234567890" * 3, "12:34:56 2024-02-29",
    "(a) [b] {c} <d> «e» “f” ‘g’ „h“", "--- ... !!! ??? *** ___", "… — – − ‑ ‒", "$5 €5 £5 ¥5 ₿5 5¢ 5%", "a+b=c ≠ ≤ ∞ ∑ √ ∀x∈ℝ",
    "AaBbCcDdEe", "camelCaseWord", "snake_case_word", "ALLCAPS", "l'été où l'élève a déjà mangé", "Ça va? Où êtes-vous?", "một người phụ nữ áo đỏ",
    "m\u006f\u0323\u0302t", "ạ\u0301 a\u0323\u0301 a\u0301\u0323", "ŉ ſ ĸ ŀ", "ß", "Å", "e\u0301" * 10, "Zażółć gęślą jaźń", "árvíztűrő tükörfúrógép",
]  # fmt: skip
MARKS = [
    "\u0301", "\u0301a", "a\u0301\u0302\u0303\u0304\u0305", "Z\u0351\u036b\u0343a\u0317\u0331l\u0349g\u0320o\u0353", "q\u0307\u0323 q\u0323\u0307",
    "\u0e33 \u0e19\u0e33 \u0e19\u0e4d\u0e32", "\u1100\u1161\u11a8", "\u3131\u314f", "\u304b\u3099 \u304c", "\u0958 \u0915\u093c", "\u0344 \u0308\u0301",
    "\u2126 \u03a9", "\u1e9b\u0323", "a\u20dd b\u20e3", "\u0f43 \u0f42\u0fb7", "\u09cb \u09c7\u09be", "\ufb2c \u05e9\u05bc\u05c1", "\ufdfa", "\ufe8d\ufedf",
    "x\u0338 =\u0338", "\u0300\u0300\u0300", "a\u034fb", "\u1ab0a", "n\u0303o n\u0303", "\u01d5 \u00dc\u0304 U\u0308\u0304",
]  # fmt: skip
EAST = [
    "一只狗在海滩上奔跑。", "一只 dog 在 beach 上", "狗", "犬が浜辺を走る。", "カメラとテーブル", "ｶﾒﾗ ﾃｰﾌﾞﾙ ﾊﾟ", "か゛ ガ カ\u3099", "개가 해변에서 달린다",
    "\u1112\u1161\u11ab\u1100\u1173\u11af", "漢字かな交じり文123abc", "𠀀𠀁 𪚥", "㐀 豈 \uf900 \u8c48", "「赤い家」、『大きな木』！？", "１２３４ ABC ａｂｃ", "〇〻々ゝヽー〜～",
    "龍龜 龙龟", "中文，英文, mixed混合text", "日本語。English.한국어", "㈱ ㊙ ㍻ ㋿", "ㄅㄆㄇ", "⿰木林", "สุนัขวิ่งบนชายหาด", "ភាសាខ្មែរ", "မြန်မာ", "ལྷ་ས",
]  # fmt: skip
RIGHT_TO_LEFT = [
    "كلب يركض على الشاطئ", "رجل يرتدي قميص أحمر", "مَدْرَسَة كَبِيرَة", "السَّلَامُ عَلَيْكُمْ", "ﷺ ﷽ ﻻ", "ـــعـــ", "٠١٢٣٤٥ ۰۱۲۳",
    "כלב רץ על החוף", "שָׁלוֹם עֲלֵיכֶם", "שלום hello שלום", "a كلب b", "\u202eabc\u202c", "\u2067שלום\u2069 (a)", "\u200fא\u200e", "؟ ، ؛ «كلب»",
    "فارسی: می\u200cخواهم", "اردو: ہے ٹھیک", "ܫܠܡܐ", "ދިވެހި", "𞤀𞤣𞤤𞤢𞤥",
]  # fmt: skip
SOUTH = [
    "एक कुत्ता समुद्र तट पर दौड़ रहा है।", "क्षत्रिय ज्ञान श्री", "हिन्दी\u200dभाषा क्\u200dष", "১২৩ বাংলা কুকুর", "தமிழ் நாய் ஓடுகிறது", "తెలుగు కుక్క",
    "ಕನ್ನಡ ನಾಯಿ", "മലയാളം നായ", "ਪੰਜਾਬੀ ਕੁੱਤਾ", "ગુજરાતી કૂતરો", "සිංහල බල්ලා", "አማርኛ ውሻ", "ქართული ძაღლი", "հայերեն շուն",
    "собака бежит по снегу", "СОБАКА БЕЖИТ", "ёлка е\u0308лка Ёж", "й и\u0306", "ένας σκύλος τρέχει", "ΣΊΣΥΦΟΣ ςσ Σ", "ΐ ι\u0308\u0301", "𝒜𝓑 𝔸 𝟙𝟚 𝐛𝐨𝐥𝐝",
]  # fmt: skip
EMOJI = [
    "😀", "😀😂🐶", "a 🐶 on the 🏖️", "❤ ❤️ ❤\ufe0e", "👍🏽👍🏿👍", "👨‍👩‍👧‍👦", "👩🏽‍🚀🧑‍🤝‍🧑", "🏳️‍🌈🏴‍☠️", "🇩🇪🇫🇷🇯🇵", "🇩🇪🇫", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "1️⃣ #️⃣ *️⃣", "☀☀️☁", "©️ ® ™️", "🙂‍↔️", "\U0001fae8\U0001faf6", "🎉a🎉b", "‍", "🐶" * 12, "a\u200d🐶", "🤷‍♀️ ¯\\_(ツ)_/¯", "(╯°□°)╯︵ ┻━┻", "🀄🃏", "\ufe0f",
]  # fmt: skip
SPECIAL = [
    "[MASK]", "a [MASK] on the beach", "[CLS] a dog [SEP]", "[mask] [Mask]", "[PAD][PAD]", "[UNK]", "[ MASK ]", "a[MASK]b", "dog [SEP]", "[SEP]",
    "<mask>", "a <mask> on the beach", "a   <mask>   b", "<s>a dog</s>", "<pad>", "<unk>", "a<mask>b", "< mask >", "<MASK>", "</s></s>", "dog </s>",
    "<|endoftext|>", "a dog<|endoftext|>", "<|startoftext|>a dog <|endoftext|> b", "<|ENDOFTEXT|>", "<|endoftext", "▁", "▁▁a▁b", "a ▁b", "##dog", "dog##s",
    "</w>", "a</w>b", "Ġ", "aĠdog", "Ċĉ",
]  # fmt: skip
# Of 10,000 characters and the like: a pattern, so many times.
LONG = [
    ("a", 10000), ("a ", 5000), ("a dog runs on the beach. ", 400), ("狗", 10000), ("一只 dog ", 1250), ("🐶", 10000), ("e\u0301", 5000), ("كلب ", 2500),
    ("ab1! ", 2000), (" ", 10000), ("\n", 1000), ("[MASK]", 300), ("<mask> ", 300), ("<|endoftext|>", 200), ("x" * 101 + " ", 20), ("\u0301", 500),
    ("x" * 100 + " ", 20), ("İ", 300), ("👨‍👩‍👧‍👦", 100), ("a dog ", 60),
]  # fmt: skip


def strings():
    """300 texts; a long one as `{"repeat": [pattern, times]}`."""
    listed = BLANK + LATIN + MARKS + EAST + RIGHT_TO_LEFT + SOUTH + EMOJI + SPECIAL
    # The rest mixes what the lists have, so that scripts and marks meet inside words.
    draw = random.Random(300)
    pool = [text for text in listed if 0 < len(text) <= 40]
    mixed = []
    while len(listed) + len(LONG) + len(mixed) < 300:
        parts = []
        for _ in range(draw.randint(2, 4)):
            text = draw.choice(pool)
            start = draw.randrange(len(text))
            parts.append(text[start : start + draw.randint(1, 12)])
        mixed.append(draw.choice(["", " ", " "]).join(parts))
    repeated = [{"repeat": [pattern, times]} for pattern, times in LONG]
    return listed + repeated + mixed


def text_of(string):
    return string if isinstance(string, str) else string["repeat"][0] * string["repeat"][1]


# --- Learning -----------------------------------------------------------------------------------


def learn_merges(words, count):
    """The `count` most frequent pairs of neighbouring symbols, merged one after the other.

    The trainers of the `tokenizers` library settle ties by the order of a hash map, so that no two
    runs agree; here the smaller pair comes first. `words` maps tuples of symbols to frequencies;
    `##` at the start of a symbol that follows another one is dropped.
    """
    words = [[list(symbols), frequency] for symbols, frequency in sorted(words.items())]
    pairs, places = Counter(), defaultdict(set)
    for at, (symbols, frequency) in enumerate(words):
        for pair in zip(symbols, symbols[1:]):
            pairs[pair] += frequency
            places[pair].add(at)
    merges = []
    while len(merges) < count:
        pair = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[pair] < 2:
            break
        merged = pair[0] + pair[1].removeprefix("##")
        merges.append((*pair, merged))
        for at in sorted(places[pair]):
            symbols, frequency = words[at]
            for old in zip(symbols, symbols[1:]):
                pairs[old] -= frequency
            i = 0
            while i < len(symbols) - 1:
                if (symbols[i], symbols[i + 1]) == pair:
                    symbols[i : i + 2] = [merged]
                i += 1
            for new in zip(symbols, symbols[1:]):
                pairs[new] += frequency
                places[new].add(at)
        del pairs[pair]
    return merges


def counted(lines, normalizer, pre_tokenizer):
    """How often each word occurs, as `tokenizers` normalises and splits."""
    words = Counter()
    for line in lines:
        line = normalizer.normalize_str(line) if normalizer else line
        words.update(word for word, _ in pre_tokenizer.pre_tokenize_str(line))
    return words


def numbered(*groups):
    tokens = dict.fromkeys(token for group in groups for token in group)
    return {token: number for number, token in enumerate(tokens)}


def wordpiece(lines):
    empty = BertTokenizerFast().backend_tokenizer
    words = counted(lines, empty.normalizer, empty.pre_tokenizer)
    words = {(word[0], *("##" + c for c in word[1:])): count for word, count in words.items()}
    letters = sorted({symbol.removeprefix("##") for symbols in words for symbol in symbols})
    merges = learn_merges(words, 700)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    continued = ["##" + letter for letter in letters]
    return BertTokenizerFast(vocab=numbered(special, letters, continued, [m for *_, m in merges]))


def alphabet():
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def bpe(lines):
    words = counted(lines, None, pre_tokenizers.ByteLevel(add_prefix_space=False))
    merges = learn_merges({tuple(word): count for word, count in words.items()}, 900)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocab = numbered(special, alphabet(), [merged for *_, merged in merges], ["<mask>"])
    pairs = [(left, right) for left, right, _ in merges]
    # As published: the space before a mask belongs to it.
    mask = AddedToken("<mask>", lstrip=True, normalized=False, special=True)
    return RobertaTokenizerFast(vocab=vocab, merges=pairs, mask_token=mask)


def clip(lines):
    empty = CLIPTokenizerFast().backend_tokenizer
    words = counted(lines, empty.normalizer, empty.pre_tokenizer)
    words = {(*word[:-1], word[-1] + "</w>"): count for word, count in words.items()}
    merges = learn_merges(words, 700)
    ends = [letter + "</w>" for letter in alphabet()]
    special = ["<|startoftext|>", "<|endoftext|>"]
    vocab = numbered(alphabet(), ends, [merged for *_, merged in merges], special)
    return CLIPTokenizerFast(vocab=vocab, merges=[(left, right) for left, right, _ in merges])


def unigram(lines):
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=written,
        model_type="unigram",
        vocab_size=1000,
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        num_threads=1,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(3, model.get_piece_size())]
    special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return XLMRobertaTokenizerFast(
        vocab=special + pieces + [("<mask>", 0.0)],
        mask_token=AddedToken("<mask>", lstrip=True, normalized=False, special=True),
        _spm_precompiled_charsmap=charsmap(written.getvalue()),
    )


def charsmap(model):
    """The compiled normalisation in a sentencepiece model: field 2 of field 3 (protobuf)."""
    (spec,) = protobuf_fields(model)[3]
    (compiled,) = protobuf_fields(spec)[2]
    return compiled


def protobuf_fields(message):
    """The fields of a protobuf message that are bytes, by number."""
    fields, at = defaultdict(list), 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            varint()
        else:
            length = {1: 8, 5: 4}.get(kind) or varint()
            fields[number].append(message[at : at + length])
            at += length
    return fields


# --- Expectations -------------------------------------------------------------------------------


def listed(numbers, tokens):
    if tokens <= LONGEST_LIST:
        return list(numbers)
    return hashlib.sha256(struct.pack(f"<{len(numbers)}I", *numbers)).hexdigest()


def flat(offsets):
    return [number for pair in offsets for number in pair]


def expectations(tokenizer, texts):
    def encode(*texts, **options):
        # As a batch of one: of a lone pair, transformers drops a second text that is empty.
        lists = [[text] for text in texts]
        found = tokenizer(*lists, return_offsets_mapping=True, return_token_type_ids=True, **options)
        assert set(found["attention_mask"][0]) == {1}
        return found["input_ids"][0], found["token_type_ids"][0], flat(found["offset_mapping"][0])

    single = []
    for text in texts:
        ids, _, offsets = encode(text)
        single.append([len(ids), listed(ids, len(ids)), listed(offsets, len(ids))])

    truncated = []
    draw = random.Random(7)
    for at in sorted(draw.sample(range(300), 60)):
        for length in (2, 3, 9, 77):
            ids, _, _ = encode(texts[at], truncation=True, max_length=length)
            truncated.append([at, length, listed(ids, len(ids))])

    pairs = []
    for _ in range(60):
        first, second = draw.randrange(300), draw.randrange(300)
        for length in (None, 4, 5, 12, 25):
            options = {"truncation": "longest_first", "max_length": length} if length else {}
            ids, types, offsets = encode(texts[first], texts[second], **options)
            lists = [listed(numbers, len(ids)) for numbers in (ids, types, offsets)]
            pairs.append([first, second, length, *lists])

    batches = []
    short = [at for at, text in enumerate(texts) if single[at][0] <= 20]
    for length in (None, 24):
        chosen = draw.sample(short, 12)
        options = {"padding": "max_length", "max_length": length} if length else {"padding": True}
        found = tokenizer([texts[at] for at in chosen], **options)
        batches.append(
            {
                "strings": chosen,
                "length": length,
                "ids": found["input_ids"],
                "mask": found["attention_mask"],
            }
        )
    return {"single": single, "truncated": truncated, "pairs": pairs, "batches": batches}


def main():
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    lines, given = corpus(), strings()
    texts = [text_of(string) for string in given]
    assert len(texts) == 300 and max(map(len, texts)) >= 10_000
    FOLDER.mkdir()
    (FOLDER / "strings.json").write_text(json.dumps(given, indent=0) + "\n")
    for learn in (wordpiece, bpe, clip, unigram):
        tokenizer = learn(lines)
        folder = FOLDER / learn.__name__
        folder.mkdir()
        # transformers adds nothing of its own to a text: all that counts is in this file.
        definition = json.loads(tokenizer.backend_tokenizer.to_str())
        write(folder / "tokenizer.json", definition)
        write(folder / "expected.json", expectations(tokenizer, texts))
        print(learn.__name__, len(tokenizer), "tokens")
    total = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    print(total, "bytes")
    assert total < 1_200_000


def write(path, value):
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
