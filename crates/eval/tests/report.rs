//! The pages: escaping, self-containment, well-formedness.

use std::collections::BTreeMap;

use weft_eval::{
    Answerer, AttentionMap, Curve, EvalError, Example, Heat, Hit, Mark, Query, Report, Shown,
    TaskResult, search_page, tasks_page,
};

const EVIL: &str = "<script>alert('x')</script> & \"quote\" \u{0}";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

fn hit(picture: &[u8], correct: bool) -> Hit {
    Hit { picture: picture.to_vec(), caption: EVIL.to_owned(), score: 0.5, correct }
}

fn report() -> Report {
    let evil = || EVIL.to_owned();
    let metrics = ["i2t_r1", EVIL].map(|name| (name.to_owned(), 12.5));
    Report {
        title: evil(),
        facts: vec![(evil(), evil())],
        curves: vec![
            Curve { name: evil(), points: (0..5000).map(|i| (f64::from(i), 1.0)).collect() },
            Curve { name: "holes".to_owned(), points: vec![(0.0, f64::NAN), (1.0, 2.0)] },
            Curve { name: "nothing".to_owned(), points: vec![] },
        ],
        results: vec![TaskResult {
            task: evil(),
            split: evil(),
            n: 3,
            metrics: BTreeMap::from(metrics),
            recipe: evil(),
            checkpoint: evil(),
            seed: 1,
            seconds: 1.0,
        }],
        gallery: vec![Query {
            text: evil(),
            split: evil(),
            hits: vec![hit(PNG, false), hit(b"GIF89a", true), hit(b"<svg>", false)],
        }],
        examples: vec![Example {
            kind: evil(),
            title: evil(),
            pictures: vec![
                Shown {
                    picture: PNG.to_vec(),
                    size: [64, 48],
                    heat: Some(Heat { grid: [2, 2], weights: vec![0.0, 0.5, 1.0, 0.25] }),
                    marks: vec![Mark {
                        name: evil(),
                        rectangle: [1.0, 2.0, 3.0, 4.0],
                        truth: true,
                    }],
                },
                Shown { picture: b"<svg>".to_vec(), size: [1, 1], ..Shown::default() },
            ],
            answers: vec![(evil(), evil())],
            right: Some(true),
        }],
        attention: vec![AttentionMap {
            picture: PNG.to_vec(),
            caption: evil(),
            grid: [2, 3],
            words: vec![
                (evil(), vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
                ("flat".to_owned(), vec![0.2; 6]),
            ],
        }],
        notes: vec![evil()],
        credit: vec![evil(), "see https://example.org".to_owned()],
    }
}

/// Every tag closes in order: what an HTML parser would otherwise repair in its own way.
fn assert_balanced(html: &str) {
    const VOID: [&str; 2] = ["meta", "img"];
    let mut open = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap();
        if tag.starts_with('!') || tag.ends_with('/') || VOID.contains(&name) {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// No tag refers to anything but embedded data and the page itself.
fn assert_self_contained(html: &str) {
    assert!(html.starts_with("<!DOCTYPE html>"));
    assert!(!html.contains("url(") && !html.contains("@import"));
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        assert!(!tag.contains("http://") && !tag.contains("https://"), "{tag}");
        for attribute in ["src=\"", "href=\""] {
            for value in tag.split(attribute).skip(1) {
                assert!(value.starts_with("data:image/") || value.starts_with('#'), "{tag}");
            }
        }
    }
}

#[test]
fn text_is_escaped_and_the_page_stands_alone() {
    for html in [report().html().unwrap(), search_page(EVIL, &[hit(PNG, false)], &[])] {
        assert!(!html.contains("<script"));
        assert!(!html.contains('\0'));
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;"));
        assert_balanced(&html);
        assert_self_contained(&html);
    }
}

#[test]
fn right_pictures_have_a_word_and_lost_ones_a_notice() {
    let html = Report { examples: vec![], ..report() }.html().unwrap();
    assert_eq!(html.matches("✓ right").count(), 1);
    assert!(html.contains("right picture in place 2"));
    assert_eq!(html.matches("unknown picture format").count(), 1);
    assert!(html.contains("data:image/gif;base64,R0lGODlh"));
}

#[test]
fn pictures_keep_their_type() {
    let cases: [(&[u8], &str); 4] = [
        (PNG, "data:image/png;base64,"),
        (b"\xff\xd8\xff\xe0", "data:image/jpeg;base64,/9j/4A=="),
        (b"GIF87a", "data:image/gif;base64,"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "data:image/webp;base64,"),
    ];
    for (picture, uri) in cases {
        assert!(search_page("q", &[hit(picture, false)], &[]).contains(uri), "{uri}");
    }
    assert!(!search_page("q", &[hit(b"", false)], &[]).contains("data:image"));
}

#[test]
fn curves_are_thinned_and_gaps_are_told() {
    let html = report().html().unwrap();
    let longest = html
        .split("points=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap_or_default().split_whitespace().count());
    assert!(longest.max().is_some_and(|points| points > 100 && points <= 500));
    assert!(html.contains("only one point: 2 at step 1 (1 not finite, left out)"));
    assert!(html.contains("no points"));
}

#[test]
fn a_picture_is_embedded_once_for_all_its_maps() {
    let report = Report { gallery: vec![], examples: vec![], ..report() };
    let html = report.html().unwrap();
    assert_eq!(html.matches("data:image/png").count(), 1);
    assert_eq!(html.matches("href=\"#picture-0\"").count(), 2);
    // Six patches of the one map that is not flat.
    assert_eq!(html.matches("<rect ").count(), 6);
    assert!(html.contains("×2.0") && html.contains("×1.0"));
}

#[test]
fn bad_heat_maps_are_refused() {
    let with = |grid, weights| {
        let words = vec![("dog".to_owned(), weights)];
        let (picture, caption) = (PNG.to_vec(), "a dog".to_owned());
        let attention = vec![AttentionMap { picture, caption, grid, words }];
        Report { attention, ..Report::default() }.html()
    };
    assert!(with([1, 2], vec![0.0, 1.0]).is_ok());
    let error = with([2, 2], vec![0.0; 3]).unwrap_err().to_string();
    assert_eq!(error, "heat map of `dog` in `a dog`: 3 weights for a grid of 2 x 2");
    assert!(with([0, 2], vec![]).is_err());
    assert!(with([1, 2], vec![0.0, f32::NAN]).is_err());
}

#[test]
fn an_empty_report_is_a_page() {
    let html = Report { title: "empty".to_owned(), ..Report::default() }.html().unwrap();
    assert_balanced(&html);
    assert!(html.contains("<h1>empty</h1>") && !html.contains("<h2>"));
    assert!(search_page("q", &[], &[]).contains("Nothing found."));
}

fn shown() -> Shown {
    Shown { picture: PNG.to_vec(), size: [60, 40], ..Shown::default() }
}

fn page_of(shown: Shown, right: Option<bool>) -> Result<String, EvalError> {
    let example = Example {
        kind: "vqa: count".to_owned(),
        title: "how many?".to_owned(),
        pictures: vec![shown],
        answers: vec![("answer".to_owned(), "two".to_owned())],
        right,
    };
    tasks_page("page", &[], &[example], &[])
}

#[test]
fn an_example_shows_what_was_asked_answered_and_looked_at() {
    let heat = Some(Heat { grid: [2, 3], weights: vec![0.0, 1.0, 0.2, 0.2, 0.2, 0.2] });
    let marks = vec![
        Mark { name: "said".to_owned(), rectangle: [1.0, 2.0, 3.0, 4.0], truth: false },
        Mark { name: "true".to_owned(), rectangle: [5.0, 6.0, 7.0, 8.0], truth: true },
    ];
    let html = page_of(Shown { heat, marks, ..shown() }, Some(true)).unwrap();
    assert_balanced(&html);
    assert_self_contained(&html);
    for part in [
        "<h3>how many?</h3>",
        "vqa: count",
        "<dt>answer</dt><dd>two</dd>",
        "✓ right",
        "viewBox=\"0 0 60 40\"",
        // The second cell of three by two over 60 x 40 pixels is the hottest.
        "<rect x=\"20\" y=\"0\" width=\"20\" height=\"20\" fill=\"#fcff78\"/>",
        "<rect x=\"1\" y=\"2\" width=\"3\" height=\"4\"",
        "said (dashed)",
        "true (solid)",
    ] {
        assert!(html.contains(part), "no {part} in {html}");
    }
    let body = |html: String| html.split("<body>").nth(1).unwrap().to_owned();
    let wrong = body(page_of(shown(), Some(false)).unwrap());
    assert!(wrong.contains("✗ wrong") && !wrong.contains("✓ right"));
    let unknown = body(page_of(shown(), None).unwrap());
    assert!(!unknown.contains("✗ wrong") && !unknown.contains("✓ right"));
    let flat = Heat { grid: [1, 2], weights: vec![0.5, 0.5] };
    assert!(!body(page_of(Shown { heat: Some(flat), ..shown() }, None).unwrap()).contains("<rect"));
}

#[test]
fn an_example_that_cannot_be_drawn_is_named() {
    let heat = |grid, weights| Shown { heat: Some(Heat { grid, weights }), ..shown() };
    let mark = |rectangle| {
        let mark = Mark { name: "m".to_owned(), rectangle, truth: true };
        Shown { marks: vec![mark], ..shown() }
    };
    for shown in [
        heat([2, 2], vec![1.0; 3]),
        heat([0, 0], vec![]),
        heat([1, 2], vec![1.0, f32::NAN]),
        mark([0.0, 0.0, f32::INFINITY, 1.0]),
        mark([0.0, 0.0, -1.0, 1.0]),
        Shown { size: [0, 4], ..shown() },
    ] {
        let error = page_of(shown, None).unwrap_err();
        assert!(
            matches!(&error, EvalError::Example { title, .. } if title == "how many?"),
            "{error}"
        );
    }
}

#[test]
fn baselines_stand_beside_the_model() {
    let mut result = TaskResult { n: 7, ..report().results[0].clone() };
    result.metrics.clear();
    result.add_figure("accuracy", Answerer::Model, 61.5);
    result.add_figure("accuracy", Answerer::Majority, 25.0);
    let html = tasks_page("page", &[result], &[], &[]).unwrap();
    assert_balanced(&html);
    assert!(html.contains("<th scope=\"col\" class=\"number\">majority</th>"));
    assert!(html.contains(
        "<tr><th scope=\"row\">accuracy</th><td class=\"number\">61.50</td>\
         <td class=\"number\">25.00</td></tr>"
    ));
}
