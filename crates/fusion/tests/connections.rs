//! Each connection against its equation in plain loops, and how the encoder wires them.

mod common;

use burn::tensor::{Device, Tensor};
use common::encoders::{EPSILON, KEYS, TOKENS, WIDTH, co_attention, inputs, mask, module};
use common::{
    Rows, assert_close, attention, attention_weights, dot, linear, mean, norm, numbers, random,
    rows, sigmoid, softmax,
};
use weft_fusion::attend::{Attend, Crossing, Watch};
use weft_fusion::manager::Other;
use weft_fusion::{
    ConnectionConfig, ConnectionKind, CrossLayerGate, Direction, Fused, Granularity, LevelConcat,
    LevelSum, Levels, Manager, Part, Sources,
};
use weft_nn::{LayerNormConfig, Memory, MultiHeadAttention, MultiHeadAttentionConfig};

const LEVELS: usize = 3;
/// Of the two examples, how many tokens of this stream and of the other are no padding.
const OWN: [usize; 2] = [4, 3];
const SEEN: [usize; 2] = [5, 2];

fn layer_norm() -> LayerNormConfig {
    LayerNormConfig { width: WIDTH, epsilon: EPSILON }
}

fn visible(lengths: [usize; 2], tokens: usize) -> Tensor<3> {
    mask(lengths, tokens).bias().equal_elem(0.0).float().reshape([2, tokens, 1])
}

/// One stream's tokens, the other's state before the layer, and its levels.
struct Example {
    cross: MultiHeadAttention,
    s: Tensor<3>,
    memory: Memory,
    levels: Vec<Tensor<3>>,
}

fn example() -> Example {
    Example {
        cross: module(MultiHeadAttentionConfig::new(WIDTH, 2).init(&Device::flex())),
        s: random([2, TOKENS, WIDTH]),
        memory: Memory { tokens: random([2, KEYS, WIDTH]), mask: Some(mask(SEEN, KEYS)) },
        levels: (0..LEVELS).map(|_| random([2, KEYS, WIDTH])).collect(),
    }
}

impl Example {
    /// What a connection that knows both streams' padding makes of it.
    fn crossed<R>(&self, connection: impl FnOnce(Crossing) -> R) -> R {
        connection(Crossing {
            attend: &mut Attend::new(&self.cross, None),
            s: self.s.clone(),
            memory: &self.memory,
            levels: &self.levels,
            own_visible: Some(&visible(OWN, TOKENS)),
            others_visible: Some(&visible(SEEN, KEYS)),
        })
    }
}

fn sum(terms: impl Iterator<Item = Vec<f64>>) -> Vec<f64> {
    terms.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect()).unwrap()
}

fn average(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn times(weights: &[f64], row: &[f64]) -> Vec<f64> {
    // One weight for all channels, or one for each.
    row.iter().enumerate().map(|(c, x)| x * weights[c.min(weights.len() - 1)]).collect()
}

const ALL: [Granularity; 3] = [Granularity::Scalar, Granularity::Token, Granularity::Channel];

#[test]
fn gate_is_its_equation() {
    for granularity in ALL {
        let gate = module(CrossLayerGate::new(granularity, LEVELS, &layer_norm(), &Device::flex()));
        let example = example();
        let (found, reading) = example.crossed(|crossing| gate.forward(crossing));
        let Example { cross, s, memory, levels } = example;
        for at in 0..2 {
            let (own, others) = (OWN[at], SEEN[at]);
            let s = rows(&s, at);
            let levels: Vec<Rows> = levels.iter().map(|level| rows(level, at)).collect();
            let asked = linear(&gate.query, &mean(&s, own));
            let logits: Vec<f64> = levels
                .iter()
                .map(|level| {
                    let offered = linear(&gate.key, &mean(level, others));
                    let both: Vec<f64> =
                        asked.iter().zip(&offered).map(|(a, b)| (a + b).tanh()).collect();
                    linear(&gate.score, &both)[0]
                })
                .collect();
            let alpha = softmax(&logits);
            let mixed: Rows = (0..KEYS)
                .map(|key| {
                    sum((0..LEVELS).map(|j| {
                        times(&[alpha[j]], &norm(&gate.level_norms[j], EPSILON, &levels[j][key]))
                    }))
                })
                .collect();
            let a = attention(&cross, &s, &rows(&memory.tokens, at), KEYS, others);
            let b = attention(&cross, &s, &mixed, KEYS, others);
            let both: Rows =
                a.iter().zip(&b).map(|(a, b)| [a.clone(), b.clone()].concat()).collect();
            let g: Rows = (0..TOKENS)
                .map(|token| {
                    let asked = match granularity {
                        Granularity::Scalar => mean(&both, own),
                        _ => both[token].clone(),
                    };
                    linear(&gate.gate, &asked).into_iter().map(sigmoid).collect()
                })
                .collect();
            let expected: Rows = (0..TOKENS)
                .map(|token| {
                    let rest: Vec<f64> = g[token].iter().map(|g| 1.0 - g).collect();
                    sum([times(&g[token], &a[token]), times(&rest, &b[token])].into_iter())
                })
                .collect();
            assert_close(&rows(&found, at), &expected, "gate");
            assert_close(&rows(&reading.weights, at), &vec![alpha], "weights");
            // One number for the whole sequence, or the channels' mean of each token.
            let told = if granularity == Granularity::Scalar { 1 } else { TOKENS };
            let kept: Rows = g[..told].iter().map(|g| vec![average(g)]).collect();
            assert_close(&rows(reading.kept.as_ref().unwrap(), at), &kept, "kept");
        }
    }
}

#[test]
fn a_gate_begins_in_its_layer() {
    let gate = CrossLayerGate::new(Granularity::Channel, LEVELS, &layer_norm(), &Device::flex());
    let bias = numbers(gate.gate.bias.unwrap().val());
    assert!(bias.iter().all(|b| (sigmoid(*b) - 0.9).abs() < 1e-6));
}

#[test]
fn sum_is_its_equation() {
    for granularity in ALL {
        let link = module(LevelSum::new(granularity, LEVELS, &layer_norm(), &Device::flex()));
        let example = example();
        let (found, reading) = example.crossed(|crossing| link.forward(crossing));
        let Example { cross, s, levels, .. } = example;
        assert_eq!(reading.weights.dims(), [2, 1, LEVELS]);
        for at in 0..2 {
            let (own, others) = (OWN[at], SEEN[at]);
            let s = rows(&s, at);
            let asked = mean(&s, own);
            let levels: Vec<Rows> = levels.iter().map(|level| rows(level, at)).collect();
            let gate = |j: usize, key: usize| -> Vec<f64> {
                let of = match granularity {
                    Granularity::Scalar => mean(&levels[j], others),
                    _ => levels[j][key].clone(),
                };
                let gate = linear(&link.gates[j], &[asked.clone(), of].concat());
                gate.into_iter().map(sigmoid).collect()
            };
            let mixed: Rows = (0..KEYS)
                .map(|key| {
                    sum((0..LEVELS).map(|j| {
                        let level = norm(&link.level_norms[j], EPSILON, &levels[j][key]);
                        times(&gate(j, key), &level)
                    }))
                })
                .collect();
            let expected = attention(&cross, &s, &mixed, KEYS, others);
            assert_close(&rows(&found, at), &expected, "sum");
            // People read the mean over the tokens that are some.
            let read = |j: usize| {
                let gates: Vec<f64> = (0..others).map(|key| average(&gate(j, key))).collect();
                average(&gates)
            };
            let read: Rows = vec![(0..LEVELS).map(read).collect()];
            assert_close(&rows(&reading.weights, at), &read, "weights");
            let Some(each) = &reading.of_others else {
                assert!(
                    matches!(granularity, Granularity::Scalar),
                    "tokens have gates of their own"
                );
                continue;
            };
            let of_key = |key: usize| (0..LEVELS).map(|j| average(&gate(j, key))).collect();
            assert_close(&rows(each, at), &(0..KEYS).map(of_key).collect::<Rows>(), "each");
        }
    }
}

#[test]
fn concat_is_its_equation() {
    let link = module(LevelConcat::new(LEVELS, &layer_norm(), &Device::flex()));
    let Example { cross, s, memory, levels } = example();
    let mut watch = Watch::default();
    let found = link.forward(Crossing {
        attend: &mut Attend::new(&cross, Some(&mut watch)),
        s: s.clone(),
        memory: &memory,
        levels: &levels,
        own_visible: None,
        others_visible: None,
    });
    let reading = link.reading(watch.weights.unwrap());
    let embedding = numbers(link.level_embedding.val());
    for (at, seen) in SEEN.into_iter().enumerate() {
        let keys: Rows = (0..LEVELS)
            .flat_map(|j| {
                let embedding = embedding[j * WIDTH..][..WIDTH].to_vec();
                let norm_of = &link.level_norms[j];
                rows(&levels[j], at).into_iter().map(move |row| {
                    sum([norm(norm_of, EPSILON, &row), embedding.clone()].into_iter())
                })
            })
            .collect();
        let expected = attention(&cross, &rows(&s, at), &keys, KEYS, seen);
        assert_close(&rows(&found, at), &expected, "concat");
        let heads = attention_weights(&cross, &rows(&s, at), &keys, KEYS, seen);
        let of_level = |token: usize, j: usize| {
            let of_heads: Vec<f64> =
                heads.iter().map(|head| head[token][j * KEYS..][..KEYS].iter().sum()).collect();
            average(&of_heads)
        };
        let read: Rows =
            (0..TOKENS).map(|token| (0..LEVELS).map(|j| of_level(token, j)).collect()).collect();
        assert_close(&rows(&reading.weights, at), &read, "weights");
    }
    assert!(reading.kept.is_none());
}

fn manager(kind: ConnectionKind, granularity: Granularity, first: bool) -> Manager {
    let config = ConnectionConfig { granularity: Some(granularity), ..ConnectionConfig::new(kind) };
    let mut manager = module(Manager::new(&config, LEVELS, first, &layer_norm(), &Device::flex()));
    // What begins as a constant would hide a mistake.
    let uneven = |param: burn::module::Param<Tensor<1>>| {
        param.map(|x| {
            let count = x.dims()[0] as i64;
            x + Tensor::<1, burn::tensor::Int>::arange(0..count, &Device::flex()).float() * 0.3
        })
    };
    manager.logits = manager.logits.map(uneven);
    manager.state_weight = manager.state_weight.map(uneven);
    manager.temperature = manager.temperature.map(|x| x * 0.7);
    manager
}

#[test]
fn managers_are_their_equation() {
    use ConnectionKind::{Managers, Static};
    let cases = [
        (Static, Granularity::Scalar, false),
        (Static, Granularity::Channel, false),
        (Managers, Granularity::Scalar, false),
        (Managers, Granularity::Token, false),
        (Managers, Granularity::Channel, false),
        (Managers, Granularity::Token, true),
    ];
    for (kind, granularity, first) in cases {
        let manager = manager(kind, granularity, first);
        let levels: Vec<Tensor<3>> = (0..LEVELS).map(|_| random([2, TOKENS, WIDTH])).collect();
        let state = (!first).then(|| random([2, TOKENS, WIDTH]));
        let tokens = random([2, KEYS, WIDTH]);
        let bias = mask(SEEN, KEYS).bias().reshape([2, 1, KEYS]);
        let other = Other { tokens: tokens.clone(), bias: Some(bias) };
        let seen = visible(OWN, TOKENS);
        let (found, reading) = manager.forward(&levels, state.clone(), &other, Some(&seen));
        assert!(reading.kept.is_none());
        // Learned numbers are the same for every pair, and what is no token's is told once.
        let adaptive = manager.query.is_some();
        assert_eq!(adaptive, kind == Managers && !first);
        let told = if adaptive && granularity != Granularity::Scalar { TOKENS } else { 1 };
        assert_eq!(reading.weights.dims(), [if adaptive { 2 } else { 1 }, told, LEVELS]);
        let temperature = numbers(manager.temperature.val())[0];
        let embedding = numbers(manager.level_embedding.val());
        let channels = if granularity == Granularity::Channel { WIDTH } else { 1 };
        for at in 0..2 {
            let levels: Vec<Rows> = levels.iter().map(|level| rows(level, at)).collect();
            let tokens = rows(&tokens, at);
            let state = state.as_ref().map(|state| rows(state, at));
            let asked = state.as_ref().map(|state| -> Rows {
                state
                    .iter()
                    .map(|row| {
                        let scores: Vec<f64> = tokens[..SEEN[at]]
                            .iter()
                            .map(|key| dot(row, key) / (WIDTH as f64).sqrt())
                            .collect();
                        let weights = softmax(&scores);
                        let seen =
                            sum(weights.iter().zip(&tokens).map(|(w, key)| times(&[*w], key)));
                        [seen, row.clone()].concat()
                    })
                    .collect()
            });
            let weights_of = |token: usize| -> Rows {
                let logits = match (&manager.logits, &manager.query) {
                    (Some(logits), _) => numbers(logits.val()),
                    (None, query) => {
                        let asked = asked.as_ref().unwrap();
                        let of = match granularity {
                            Granularity::Scalar => mean(asked, OWN[at]),
                            _ => asked[token].clone(),
                        };
                        linear(query.as_ref().unwrap(), &of)
                    }
                };
                let mut weights = vec![vec![0.0; channels]; LEVELS];
                for c in 0..channels {
                    let of: Vec<f64> =
                        (0..LEVELS).map(|j| logits[j * channels + c] / temperature).collect();
                    softmax(&of).into_iter().enumerate().for_each(|(j, w)| weights[j][c] = w);
                }
                weights
            };
            let expected: Rows = (0..TOKENS)
                .map(|token| {
                    let weights = weights_of(token);
                    let mixed = sum((0..LEVELS).map(|j| {
                        let embedding = embedding[j * WIDTH..][..WIDTH].to_vec();
                        let level = sum([levels[j][token].clone(), embedding].into_iter());
                        times(&weights[j], &norm(&manager.level_norms[j], EPSILON, &level))
                    }));
                    match &state {
                        None => mixed,
                        Some(state) => {
                            let normed =
                                norm(manager.state_norm.as_ref().unwrap(), EPSILON, &state[token]);
                            let weight = numbers(manager.state_weight.as_ref().unwrap().val());
                            sum([mixed, times(&weight, &normed)].into_iter())
                        }
                    }
                })
                .collect();
            assert_close(&rows(&found, at), &expected, &format!("{kind:?} {granularity:?}"));
            let average_of = |token: usize| -> Vec<f64> {
                weights_of(token).iter().map(|of_channels| average(of_channels)).collect()
            };
            let read: Rows = (0..told).map(average_of).collect();
            let of_pair = rows(&reading.weights, if adaptive { at } else { 0 });
            assert_close(&of_pair, &read, &format!("weights of {kind:?} {granularity:?}"));
        }
    }
}

/// Every kind, with every source and granularity that it has.
fn connections() -> Vec<ConnectionConfig> {
    let sources = [None, Some(Sources::Encoders), Some(Sources::Fusion), Some(Sources::Both)];
    let granularities = [None, Some(ALL[0]), Some(ALL[1]), Some(ALL[2])];
    let mut all = Vec::new();
    for kind in ConnectionKind::ALL {
        for sources in sources {
            for granularity in granularities {
                let config =
                    ConnectionConfig { kind, sources, granularity, direction: Direction::Both };
                if config.validate().is_ok() {
                    all.push(config);
                }
            }
        }
    }
    all
}

#[test]
fn every_connection_fuses_and_tells_of_itself() {
    for connection in connections() {
        let (config, fusion) = co_attention(connection, 2);
        let (image, text) = inputs(config.encoder_layers());
        let padding = mask(OWN, TOKENS);
        let (fused, readings) = fusion.fuse_with_readings(&image, &text, &padding);
        assert_eq!(fused.class.dims(), [2, 2 * WIDTH]);
        assert_eq!(fused.image.dims(), [2, KEYS, WIDTH]);
        assert_eq!(fused.text.dims(), [2, TOKENS, WIDTH]);
        let kind = connection.kind;
        let silent = kind == ConnectionKind::None || connection.is_bridge();
        assert_eq!(readings.len(), 2);
        // Of two layers: no level is there twice.
        let levels = match connection.sources() {
            Sources::Encoders => [2, 2],
            Sources::Fusion => [1, 2],
            Sources::Both => [2, 3],
        };
        for (layer, levels) in readings.into_iter().zip(levels) {
            for stream in [layer.text, layer.image] {
                let found = stream.map(|reading| reading.weights.dims()[2]);
                assert_eq!(found, (!silent).then_some(levels), "{connection:?}");
            }
        }

        let (watched, weights) = fusion.fuse_with_weights(&image, &text, &padding);
        let same = (watched.class - fused.class.clone()).abs().max().into_scalar::<f32>();
        assert!(same < 1e-5, "{kind:?}: {same}");
        assert_eq!(weights.len(), 2);
        assert_eq!(weights[0].dims(), [2, 2, TOKENS, KEYS]);

        for part in [Part::Class, Part::Image, Part::Text] {
            let found = fusion.fuse_part(&image, &text, &padding, part);
            let expected = fused.part(part);
            assert_eq!(found.dims(), expected.dims(), "{part:?}");
            let difference = (found - expected).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-5, "{connection:?}, {part:?}: {difference}");
        }

        let score = |fused: Fused| fused.class.narrow(1, 0, 1).reshape([2]);
        let cam = fusion.grad_cam(&image, &text, &padding, 1, score);
        assert_eq!(cam.dims(), [2, TOKENS, KEYS]);
        assert!(numbers(cam.clone()).iter().all(|x| *x >= 0.0));
        assert!(numbers(cam).iter().any(|x| *x > 0.0), "{kind:?}");

        // What is padding does not matter.
        let changed = text.map(|layer| {
            let [_, _, width] = layer.dims();
            layer.slice_assign([1..2, 3..4, 0..width], random([1, 1, width]) * 9.0)
        });
        let again = fusion.fuse(&image, &changed, &padding);
        let difference = (again.class - fused.class).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-4, "{connection:?}: {difference}");
    }
}

/// Changing a lower level of the picture changes the words' first layer only where the connection
/// reads it, and the words' stream only where the direction says so.
#[test]
fn levels_are_read_where_the_recipe_says() {
    use ConnectionKind as K;
    for (kind, direction, words, patches) in [
        (K::None, Direction::Both, false, false),
        (K::Gate, Direction::Both, true, true),
        (K::Gate, Direction::Text, true, false),
        (K::Gate, Direction::Image, false, true),
        (K::Sum, Direction::Text, true, false),
        (K::Concat, Direction::Text, true, false),
        // Managers mix the levels of a stream's own modality.
        (K::Managers, Direction::Image, false, true),
        (K::Static, Direction::Text, true, false),
    ] {
        let sources = (kind != K::None).then_some(Sources::Encoders);
        let connection = ConnectionConfig { kind, sources, direction, granularity: None };
        let (config, fusion) = co_attention(connection, 2);
        let layers = config.encoder_layers();
        let (image, text) = inputs(layers);
        let lower = |levels: &Levels| {
            let mut layers = levels.layers().to_vec();
            if layers.len() > 1 {
                let [_, tokens, width] = layers[0].dims();
                layers[0] = random([2, tokens, width]);
            }
            Levels::new(layers)
        };
        let first = |image: &Levels, text: &Levels| {
            fusion.forward(text.layers(), image.layers(), None).swap_remove(0)
        };
        let before = first(&image, &text);
        let after = first(&lower(&image), &lower(&text));
        let moved = |a: &Tensor<3>, b: &Tensor<3>| {
            (a.clone() - b.clone()).abs().max().into_scalar::<f32>() > 1e-5
        };
        // In the first layer a stream reads the other one's input as well.
        let enters = matches!(kind, K::Managers | K::Static);
        let text_moved = moved(&before.text, &after.text);
        let image_moved = moved(&before.image, &after.image);
        assert_eq!(text_moved, words || (enters && patches), "{kind:?} {direction:?}");
        assert_eq!(image_moved, patches || (enters && words), "{kind:?} {direction:?}");
    }
}

#[test]
fn keys_that_do_not_go_together_are_refused() {
    use ConnectionKind as K;
    let refused = |config: ConnectionConfig| config.validate().unwrap_err().problem;
    let with = |kind, sources, granularity| ConnectionConfig {
        kind,
        sources,
        granularity,
        direction: Direction::Both,
    };
    assert!(refused(with(K::None, Some(Sources::Both), None)).contains("none"));
    assert!(refused(with(K::Add, Some(Sources::Fusion), None)).contains("encoders"));
    assert!(refused(with(K::Static, None, Some(Granularity::Token))).contains("static"));
    assert!(refused(with(K::Concat, None, Some(Granularity::Channel))).contains("attention"));
}
