fn main() {
    let mut args = std::env::args().skip(1);
    let (what, file) = (args.next().unwrap(), args.next().unwrap());
    let read = imgop_core::formats::rancher::read(&std::fs::read_to_string(file).unwrap()).unwrap();
    eprintln!("{} warnings, {} rows", read.warnings.len(), read.config.rows().0.len());
    print!("{}", if what == "regsync" { read.config.regsync(None) } else { read.config.formatted() });
}
