fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mut o = weft_data::packages::Options::from_env().unwrap();
    o.file = args.get(2).filter(|a| *a != "-").map(Into::into);
    o.verify = args.len() > 3;
    let t = std::time::Instant::now();
    match weft_data::packages::get(&args[1], &o) {
        Ok(p) => println!("{p:?}"),
        Err(e) => println!("ERROR {e}"),
    }
    println!("{:?}", t.elapsed());
}
