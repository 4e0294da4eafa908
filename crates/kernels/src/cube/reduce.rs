//! Sums over the units of a cube.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// The sum of every unit's `number`, given to every unit. `scratch` holds one number for each of
/// the `units`, a power of two; it may be used again at once.
///
/// Halves are added pairwise, in one order whatever the device does at once.
#[cube]
pub fn sum_over_cube(number: f32, scratch: &mut Shared<[f32]>, #[comptime] units: usize) -> f32 {
    let unit = UNIT_POS as usize;
    scratch[unit] = number;
    sync_cube();
    #[unroll]
    for step in 0..comptime!(units.ilog2()) {
        let half = comptime!(units >> (step + 1));
        if unit < half {
            scratch[unit] += scratch[unit + half];
        }
        sync_cube();
    }
    let sum = scratch[0];
    sync_cube();
    sum
}
