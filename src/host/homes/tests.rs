use super::super::Root;
/// A tree of its own under the temporary directory, as root's and nobody else's.
pub(super) fn tree(name: &str) -> (std::path::PathBuf, Root) {
    let base = std::env::temp_dir().join(format!("ddum-{name}-{}-{}", std::process::id(), fastrand::u64(..)));
    for dir in ["", "home", "etc"] {
        std::fs::create_dir_all(base.join(dir)).unwrap();
        rustix::fs::chmod(base.join(dir), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
    }
    let root = Root::open(&base).unwrap();
    (base, root)
}
