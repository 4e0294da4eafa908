//! How the layers of a co-attention encoder are connected: the keys of a recipe.

use serde::{Deserialize, Serialize};
use weft_nn::ConfigError;

/// What a layer of the co-attention encoder reads besides the layer before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionKind {
    /// Nothing: in-layer interaction alone (METER, Dou et al. 2022).
    #[default]
    None,
    /// The uni-modal layer of its own depth: `norm(u + c)` (BridgeTower, Xu et al. 2023).
    Add,
    /// `norm(s u + c)` with a learned number `s`, at first 1 (a variant of BridgeTower's code).
    ScaledAdd,
    /// `norm((1 - b) u + b c)` with a learned number `b`, at first 1/2 (a variant of BridgeTower's
    /// code).
    Interpolate,
    /// A weighted sum of all levels of its own modality; the weights are learned, the same for every
    /// input (ManagerTower's static managers, Xu et al. 2023).
    Static,
    /// The same with weights that depend on both streams (ManagerTower's adaptive managers).
    Managers,
    /// U1: cross-attention to a mixture of the other modality's levels, gated against in-layer
    /// cross-attention. Our reading of UNIMO-3's abstract.
    Gate,
    /// U2: one cross-attention to a sum of the other modality's levels, each behind a gate of its own.
    /// Our reading.
    Sum,
    /// U3: one cross-attention to the tokens of all levels of the other modality. Our reading.
    Concat,
}

impl ConnectionKind {
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Add,
        Self::ScaledAdd,
        Self::Interpolate,
        Self::Static,
        Self::Managers,
        Self::Gate,
        Self::Sum,
        Self::Concat,
    ];
}

/// Which levels a connection chooses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sources {
    /// The upper layers of the uni-modal encoder, as many as the fusion encoder has.
    Encoders,
    /// The fusion encoder's own states: what goes into each layer up to this one.
    Fusion,
    /// Both, without what goes into the first layer of the fusion encoder: an encoder's last layer, or a manager's sum of
    /// them.
    Both,
}

/// For what a weight is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// For a picture or a caption as a whole.
    Scalar,
    /// For each word or patch.
    Token,
    /// For each channel of each word or patch.
    Channel,
}

/// Which stream is given other levels; the other one has in-layer interaction alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    Text,
    Image,
    #[default]
    Both,
}

/// The `[model.fusion.connection]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionConfig {
    #[serde(default)]
    pub kind: ConnectionKind,
    /// By default as published, and for our readings of UNIMO-3 the fusion encoder's own layers: its
    /// abstract speaks of different layers within the cross-modal encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Sources>,
    /// By default as published, or for our readings as docs/guide/unimo-3.md has it: channels of static weights and of U1's gate,
    /// tokens otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granularity: Option<Granularity>,
    #[serde(default)]
    pub direction: Direction,
}

impl ConnectionConfig {
    pub fn new(kind: ConnectionKind) -> Self {
        Self { kind, ..Self::default() }
    }

    pub fn sources(&self) -> Sources {
        use ConnectionKind as K;
        self.sources.unwrap_or(match self.kind {
            K::None | K::Gate | K::Sum | K::Concat => Sources::Fusion,
            K::Add | K::ScaledAdd | K::Interpolate | K::Static | K::Managers => Sources::Encoders,
        })
    }

    pub fn granularity(&self) -> Granularity {
        self.granularity.unwrap_or(match self.kind {
            ConnectionKind::Static | ConnectionKind::Gate => Granularity::Channel,
            _ => Granularity::Token,
        })
    }

    /// From how many levels `layer` of `depth` layers chooses.
    pub fn levels(&self, layer: usize, depth: usize) -> usize {
        match self.sources() {
            Sources::Encoders => depth,
            Sources::Fusion => layer + 1,
            Sources::Both => depth + layer,
        }
    }

    /// Whether the connection adds one uni-modal layer to a state.
    pub fn is_bridge(&self) -> bool {
        use ConnectionKind as K;
        matches!(self.kind, K::Add | K::ScaledAdd | K::Interpolate)
    }

    /// Whether uni-modal layers below the last one are read.
    pub fn reads_encoders(&self) -> bool {
        self.kind != ConnectionKind::None && self.sources() != Sources::Fusion
    }

    /// Whether the text stream, or the image stream, has the connection.
    pub fn serves(&self, text: bool) -> bool {
        self.kind != ConnectionKind::None
            && match self.direction {
                Direction::Both => true,
                Direction::Text => text,
                Direction::Image => !text,
            }
    }

    /// Checks that the keys go together.
    pub fn validate(&self) -> Result<(), ConfigError> {
        use ConnectionKind as K;
        let fail = |problem: &str| Err(ConfigError::new("model.fusion.connection", problem));
        if self.kind == K::None && self.direction != Direction::Both {
            return fail("kind \"none\" gives neither stream other levels, and has no direction");
        }
        match (self.kind, self.sources, self.granularity) {
            (K::None, Some(_), _) | (K::None, _, Some(_)) => {
                fail("kind \"none\" has neither sources nor granularity")
            }
            (K::Add | K::ScaledAdd | K::Interpolate, Some(Sources::Fusion | Sources::Both), _) => {
                fail("bridges read the uni-modal encoders: sources = \"encoders\"")
            }
            (K::Add | K::ScaledAdd | K::Interpolate, _, Some(_)) => {
                fail("bridges have no granularity")
            }
            (K::Static, _, Some(Granularity::Token)) => {
                fail("static weights know no token: granularity = \"scalar\" or \"channel\"")
            }
            (K::Concat, _, Some(Granularity::Scalar | Granularity::Channel)) => {
                fail("kind \"concat\" chooses by attention: granularity = \"token\"")
            }
            _ => Ok(()),
        }
    }
}
