//! The keys of a recipe that choose and size the fusion encoder.

use serde::{Deserialize, Serialize};
use weft_nn::{ConfigError, TransformerConfig};

use crate::co_attention::CoAttentionConfig;
use crate::connection::ConnectionConfig;
use crate::joint::{ClassToken, JointFusionConfig};

/// The kinds of fusion encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FusionKind {
    /// Self-attention over patches and words together (MAMO).
    #[default]
    Joint,
    /// Two streams that attend to one another (METER, BridgeTower, ManagerTower, UNIMO-3).
    CoAttention,
}

/// The `[model.fusion]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionConfig {
    #[serde(default)]
    pub kind: FusionKind,
    /// Of the joint encoder.
    #[serde(default)]
    pub class_token: ClassToken,
    /// Of the co-attention encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionConfig>,
    pub transformer: TransformerConfig,
}

impl FusionConfig {
    /// A joint encoder.
    pub fn joint(transformer: TransformerConfig) -> Self {
        Self {
            kind: FusionKind::Joint,
            class_token: Default::default(),
            connection: None,
            transformer,
        }
    }

    /// The joint encoder's sizes, where it is one.
    pub fn as_joint(&self) -> Option<JointFusionConfig> {
        let (class_token, transformer) = (self.class_token, self.transformer.clone());
        (self.kind == FusionKind::Joint).then_some(JointFusionConfig { class_token, transformer })
    }

    /// The co-attention encoder's sizes, where it is one: METER's, with one projection for all layers.
    pub fn as_co_attention(&self) -> Option<CoAttentionConfig> {
        let TransformerConfig { width, norm_epsilon, .. } = self.transformer;
        (self.kind == FusionKind::CoAttention).then(|| CoAttentionConfig {
            connection: self.connection.unwrap_or_default(),
            share_projections: true,
            norm_epsilon,
            transformer: TransformerConfig {
                memory_width: Some(width),
                ..self.transformer.clone()
            },
        })
    }

    /// Checks that an encoder of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fail = |problem: &str| Err(ConfigError::new("model.fusion", problem));
        match (self.as_joint(), self.as_co_attention()) {
            (Some(_), _) if self.connection.is_some() => {
                fail("a connection is for kind = \"co-attention\"")
            }
            (Some(joint), _) => joint.validate(),
            (None, Some(_)) if self.class_token != ClassToken::Learned => {
                fail("class_token is for kind = \"joint\"")
            }
            (None, Some(_)) if self.transformer.memory_width.is_some() => {
                fail("transformer.memory_width is the width; leave it out")
            }
            (None, Some(streams)) => streams.validate(),
            (None, None) => unreachable!("an encoder is of one kind"),
        }
    }

    /// How many upper layers of each encoder are read.
    pub fn encoder_layers(&self) -> usize {
        self.as_co_attention().map_or(1, |streams| streams.encoder_layers())
    }

    /// Width of the fused class: one token's, or both streams' beside one another.
    pub fn class_width(&self) -> usize {
        match self.kind {
            FusionKind::Joint => self.transformer.width,
            FusionKind::CoAttention => 2 * self.transformer.width,
        }
    }
}
