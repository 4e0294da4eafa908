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

/// The largest of every unit's `number` and its place, the first of equal ones, given to every unit.
/// Both scratches hold one number for each of the `units`, a power of two; they may be used again at
/// once.
#[cube]
pub fn first_largest(
    number: f32,
    place: u32,
    numbers: &mut Shared<[f32]>,
    places: &mut Shared<[u32]>,
    #[comptime] units: usize,
) -> (f32, u32) {
    let unit = UNIT_POS as usize;
    numbers[unit] = number;
    places[unit] = place;
    sync_cube();
    #[unroll]
    for step in 0..comptime!(units.ilog2()) {
        let half = comptime!(units >> (step + 1));
        if unit < half {
            let other = numbers[unit + half];
            let equal = other == numbers[unit];
            if other > numbers[unit] || (equal && places[unit + half] < places[unit]) {
                numbers[unit] = other;
                places[unit] = places[unit + half];
            }
        }
        sync_cube();
    }
    let largest = (numbers[0], places[0]);
    sync_cube();
    largest
}
