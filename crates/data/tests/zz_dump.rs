#[test]
fn dump() {
    let start = std::time::Instant::now();
    let d = weft_data::emoji::open(0).unwrap();
    println!("OPEN {:?}", start.elapsed());
    let start = std::time::Instant::now();
    weft_data::emoji::open(0).unwrap();
    println!("OPEN {:?}", start.elapsed());
    println!("{}", d.summary());
    println!("CHECK {}", weft_data::emoji::checksum());
    for s in 1..5 { let d = weft_data::emoji::open(s).unwrap(); println!("SEED {s} {:?}", d.splits.iter().map(|(k,v)|(k.as_str(),v.len())).collect::<Vec<_>>()); }
    for (s, rs) in &d.splits { for r in rs { println!("R\t{s}\t{}\t{}", r.annotations["siblings"], r.captions.join(" | ")); } }
}
