//! From ids to rows of a table.

#[cfg(any(feature = "flex", feature = "cube"))]
pub mod extension;

use burn::tensor::module;
use burn::tensor::{Int, Tensor};

/// `table[ids]`
///
/// # Shapes
///
/// - `table`: `[rows, width]`
/// - `ids`: `[batch, tokens]`, each below `rows`
/// - output: `[batch, tokens, width]`
///
/// # Panics
///
/// On Flex, at an id that is not in the table.
pub fn embedding(table: Tensor<2>, ids: Tensor<2, Int>) -> Tensor<3> {
    #[cfg(any(feature = "flex", feature = "cube"))]
    {
        use burn::backend::Dispatch;
        use extension::EmbeddingOps;

        let table = table.into_dispatch();
        if crate::fused::takes(&table) {
            let ids = ids.into_dispatch();
            return Tensor::from_dispatch(Dispatch::embedding_forward(table, ids));
        }
        module::embedding(Tensor::from_dispatch(table), ids)
    }
    #[cfg(not(any(feature = "flex", feature = "cube")))]
    module::embedding(table, ids)
}
