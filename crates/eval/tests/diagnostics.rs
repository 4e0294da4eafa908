//! The diagnostics against closed forms.

use weft_eval::diagnostics::{alignment, std_per_dimension, uniformity};

#[test]
fn std_of_known_rows() {
    // Column deviations 1 and 3.
    assert_eq!(std_per_dimension(&[1.0, 2.0, 3.0, 8.0], 2).unwrap(), 2.0);
    assert_eq!(std_per_dimension(&[0.6; 12], 3).unwrap(), 0.0);
}

#[test]
fn alignment_and_uniformity_of_known_rows() {
    let axes = [1.0, 0.0, 0.0, 1.0];
    let swapped = [0.0, 1.0, 1.0, 0.0];
    assert_eq!(alignment(&axes, &axes, 2).unwrap(), 0.0);
    assert_eq!(alignment(&axes, &swapped, 2).unwrap(), 2.0);
    // One pair of rows at squared distance 2: ln(exp(-4)).
    assert!((uniformity(&axes, 2).unwrap() + 4.0).abs() < 1e-12);
    assert_eq!(uniformity(&[0.6, 0.8, 0.6, 0.8], 2).unwrap(), 0.0);
}

#[test]
fn bad_shapes_are_refused() {
    assert!(std_per_dimension(&[1.0; 4], 0).is_err());
    assert!(std_per_dimension(&[1.0; 5], 2).is_err());
    assert!(uniformity(&[1.0; 2], 2).is_err());
    assert!(alignment(&[1.0; 4], &[1.0; 6], 2).is_err());
}
