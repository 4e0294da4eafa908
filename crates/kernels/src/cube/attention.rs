//! Attention on CubeCL.
//!
//! A cube has a tile of queries of one head of one item and walks over the keys tile by tile, with a
//! running maximum and sum for the softmax of each query, so that no `[queries, keys]` tensor exists
//! (Dao et al. 2022, "FlashAttention"). The backward pass computes the weights again. It walks three
//! times: over the keys for the statistics of each query, over the keys for the gradient of the
//! queries, and over the queries for those of the keys and values. Each number is summed by one
//! unit, in order.
//!
//! Tiles are copied to shared memory from where they are: any strides will do.

mod backward;
mod forward;
mod tile;

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::untile;
use burn_cubecl::tensor::CubeTensor;

use self::tile::Tiling;
use super::{cubes, empty};
use crate::attention::extension::AttentionOps;

impl AttentionOps for CubeBackend {
    fn attention_forward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let [q, k, v, bias] = [q, k, v, bias].map(untile);
        let client = q.client.clone();
        let tiling = Tiling::new(&client, q.shape().dims(), heads);
        let out = empty(&q, q.shape());
        forward::forward::launch(
            &client,
            cubes(&client, tiling.cubes(&q, heads)),
            CubeDim::new_1d(tiling.units as u32),
            q.into_tensor_arg(),
            k.into_tensor_arg(),
            v.into_tensor_arg(),
            bias.into_tensor_arg(),
            out.clone().into_tensor_arg(),
            heads,
            tiling.scale(),
            tiling,
        );
        out
    }

    fn attention_backward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [q, k, v, bias, gradient] = [q, k, v, bias, gradient].map(untile);
        let client = q.client.clone();
        let [batch, queries, width] = q.shape().dims();
        let tiling = Tiling::new(&client, [batch, queries, width], heads);
        let dim = CubeDim::new_1d(tiling.units as u32);
        let per_query = cubes(&client, tiling.cubes(&q, heads));
        let per_key = cubes(&client, tiling.cubes(&k, heads));
        let inputs = [q.clone(), k.clone(), v.clone(), bias, gradient];
        let inputs = || inputs.clone().map(CubeTensor::into_tensor_arg);

        let statistics = empty(&q, [batch, heads, queries, backward::STATISTICS]);
        let [q_arg, k_arg, v_arg, bias, gradient] = inputs();
        backward::statistics::launch(
            &client,
            per_query.clone(),
            dim,
            q_arg,
            k_arg,
            v_arg,
            bias,
            gradient,
            statistics.clone().into_tensor_arg(),
            heads,
            tiling.scale(),
            tiling,
        );
        let dq = empty(&q, q.shape());
        let [q_arg, k_arg, v_arg, bias, gradient] = inputs();
        backward::queries::launch(
            &client,
            per_query,
            dim,
            q_arg,
            k_arg,
            v_arg,
            bias,
            gradient,
            statistics.clone().into_tensor_arg(),
            dq.clone().into_tensor_arg(),
            heads,
            tiling.scale(),
            tiling,
        );
        let [dk, dv] = [&k, &v].map(|x| empty(x, x.shape()));
        let [q_arg, k_arg, v_arg, bias, gradient] = inputs();
        backward::keys_and_values::launch(
            &client,
            per_key,
            dim,
            q_arg,
            k_arg,
            v_arg,
            bias,
            gradient,
            statistics.into_tensor_arg(),
            dk.clone().into_tensor_arg(),
            dv.clone().into_tensor_arg(),
            heads,
            tiling.scale(),
            tiling,
        );
        (dq, dk, dv)
    }
}
