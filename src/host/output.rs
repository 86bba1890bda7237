//! Files that a person asked for, at places of their choice.

use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Dir;
use super::replace::Temp;
use super::state::split;
use crate::error::{Context, Error, ErrorKind};

/// Writes files that only their owner may read, all of them complete before the first gets its name. A regular file
/// is replaced; anything else that has the name is left alone.
///
/// # Errors
/// [`ErrorKind::Unsafe`] for what is no regular file, [`ErrorKind::File`] for what the system refused.
pub fn write_private(files: &[(&Path, &[u8])]) -> Result<(), Error> {
    let mut places = Vec::with_capacity(files.len());
    for (path, bytes) in files {
        let (parent, name) = split(path, path)?;
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(parent, flags, Mode::empty()).at("cannot open the directory", parent)?;
        let dir = Dir::from_fd(fd, parent.to_owned());
        match dir.stat_child(name) {
            Err(Errno::NOENT) => {}
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {}
            Ok(_) => {
                let path = path.display();
                let message = format!("{path} is no regular file; nothing is written (- is standard output)");
                return Err(Error::new(ErrorKind::Unsafe, message));
            }
            Err(errno) => return Err(errno).at("cannot look at", path),
        }
        places.push((dir, name, *bytes));
    }
    let mut temps = Vec::with_capacity(places.len());
    for (dir, name, bytes) in &places {
        let mut temp = Temp::create(dir, name, None)?;
        temp.write(bytes)?;
        temp.set_mode(0o600)?;
        temp.finish(bytes)?;
        temps.push((temp, *name));
    }
    for (temp, name) in temps {
        temp.rename(name)?;
    }
    for (dir, ..) in &places {
        dir.sync().at("cannot put on disk", dir.own_path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Tree;
    use super::*;

    #[test]
    fn files_are_private_whole_and_never_put_in_place_of_something_else() {
        let tree = Tree::new();
        let (one, two) = (tree.path("one"), tree.path("two"));
        for text in [&b"first"[..], b"second"] {
            write_private(&[(&one, text), (&two, b"")]).unwrap();
            assert_eq!((tree.read("one"), tree.read("two")), (text.to_vec(), Vec::new()));
        }
        assert_eq!([tree.mode("one"), tree.mode("two")], [0o600, 0o600]);
        std::os::unix::fs::symlink("one", tree.path("link")).unwrap();
        let error = write_private(&[(&one, b"third"), (&tree.path("link"), b"x")]).unwrap_err();
        assert_eq!((error.kind(), tree.read("one")), (ErrorKind::Unsafe, b"second".to_vec()));
        assert!(write_private(&[(&tree.path("no/where"), b"")]).is_err());
        assert!(write_private(&[(Path::new("/"), b"")]).is_err());
    }
}
