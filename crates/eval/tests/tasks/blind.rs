use proptest::prelude::*;
use weft_data::tasks::Region;
use weft_eval::{Prior, TypicalRegion};

#[test]
fn words_then_kind_then_all() {
    let prior = Prior::of([
        ("What colour is it?", "colour", "red"),
        ("what colour is it", "colour", "red"),
        ("What colour is it?", "colour", "blue"),
        ("Is it there?", "exist", "no"),
        ("Is it here?", "exist", "no"),
        ("How many?", "count", "2"),
        ("How many are there?", "count", "3"),
        ("How many are here?", "count", "3"),
        ("Any left?", "exist", "no"),
    ])
    .unwrap();
    assert_eq!(*prior.majority(), "no");
    assert_eq!(*prior.given("WHAT  colour is it!", "?"), "red");
    assert_eq!(*prior.given("How many?", "count"), "2");
    assert_eq!(*prior.given("How many then?", "count"), "3");
    assert_eq!(*prior.given("Why?", "reason"), "no");
    assert!(Prior::<&str>::of([]).is_none());
}

#[test]
fn ties_go_to_the_first_in_order() {
    let prior = Prior::of([("q", "k", true), ("q", "k", false)]).unwrap();
    assert!(!prior.majority());
    assert!(!prior.given("q", "k"));
}

proptest! {
    /// Against counting each candidate anew.
    #[test]
    fn agrees_with_counting(
        examples in prop::collection::vec(("[ab]", "[xy]", 0..4u8), 1..30),
        text in "[abc]", kind in "[xyz]",
    ) {
        let prior = Prior::of(examples.iter().map(|(t, k, a)| (t.as_str(), k.as_str(), *a))).unwrap();
        let best = |fits: &dyn Fn(&(String, String, u8)) -> bool| {
            let count = |answer: u8| {
                examples.iter().filter(|example| fits(example) && example.2 == answer).count()
            };
            (0..4u8).filter(|&answer| count(answer) > 0)
                .max_by_key(|&answer| (count(answer), std::cmp::Reverse(answer)))
        };
        let expected = best(&|example| example.0 == text)
            .or_else(|| best(&|example| example.1 == kind))
            .or_else(|| best(&|_| true));
        prop_assert_eq!(Some(*prior.given(&text, &kind)), expected);
        prop_assert_eq!(Some(*prior.majority()), best(&|_| true));
    }
}

#[test]
fn the_typical_region_is_a_share_of_the_picture() {
    let region = |x, y, width, height| Region { x, y, width, height };
    // Shares of centre and size: (0.5, 0.25, 0.5, 0.5) and (0.75, 0.75, 0.25, 0.5).
    let train =
        [(region(50.0, 0.0, 100.0, 50.0), [200, 100]), (region(25.0, 5.0, 10.0, 5.0), [40, 10])];
    let typical = TypicalRegion::of(train).unwrap();
    // (0.625, 0.5, 0.375, 0.5) of 800 x 400.
    assert_eq!(typical.within([800, 400]), region(350.0, 100.0, 300.0, 200.0));
    // A region of its own kind is found again.
    let only = TypicalRegion::of([train[0]]).unwrap();
    assert_eq!(only.within([200, 100]), train[0].0);
    assert!(TypicalRegion::of([]).is_none());
}
