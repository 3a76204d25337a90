//! Files of several sections, each with its digest: keys, compiled models, reference strings.
//!
//! ```text
//! magic (8 bytes) | version u32 | number of sections u32 | for each: name (8 bytes), length u64, digest (32 bytes)
//! digest of all that (32 bytes) | the sections, one after the other
//! ```
//!
//! Numbers are little-endian and of fixed width. Digests are Blake2b-256, personalised: the header's by the magic, a
//! section's by its name. So the header's digest, which is the file's own ([`Container::digest`]), stands for every
//! byte, and two files that share a section show it by the section's digest ([`Container::section_digest`]).
//!
//! A digest guards against damage, not against fraud.
//!
//! ```
//! use zkml_gpu_files::container::{Container, Kind, Writer};
//! use std::io::Cursor;
//!
//! const NOTE: Kind = Kind { magic: *b"zkmlgpuN", version: 1, what: "a note" };
//! let mut file = Cursor::new(Vec::new());
//! let mut writer = Writer::new(&mut file, NOTE, &[*b"text\0\0\0\0"])?;
//! writer.section(&b"hello"[..])?;
//! let digest = writer.finish()?;
//! let mut read = Container::open(file, NOTE)?;
//! assert_eq!(read.section(*b"text\0\0\0\0", 100)?, b"hello");
//! assert_eq!(*read.digest(), digest);
//! # Ok::<(), zkml_gpu_files::container::ContainerError>(())
//! ```

use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes of a digest.
pub const DIGEST_BYTES: usize = 32;
/// A digest.
pub type Digest = [u8; DIGEST_BYTES];
/// A section's name, padded with zeros.
pub type SectionName = [u8; 8];

/// The name of one of many sections of a kind: the kind, and four decimal digits.
pub fn numbered(kind: [u8; 4], number: usize) -> SectionName {
    let mut name = [0; 8];
    name[..4].copy_from_slice(&kind);
    let digits = format!("{number:04}");
    name[4..].copy_from_slice(&digits.as_bytes()[..4]);
    name
}

/// Magic, version, number of sections.
const FIXED_BYTES: usize = 8 + 4 + 4;
/// Name, length and digest of a section.
const ENTRY_BYTES: usize = 8 + 8 + DIGEST_BYTES;
/// Most sections of a file: no kind has more, and a number from a file is bounded before memory is taken by it.
const MAX_SECTIONS: u32 = 1 << 11;
/// Bytes that are read at a time: enough to make the calls cheap, little beside any section worth it.
const CHUNK_BYTES: usize = 1 << 20;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// First bytes of the file.
    pub magic: [u8; 8],
    /// The version that this program writes and reads.
    pub version: u32,
    /// The kind in words, with an article.
    pub what: &'static str,
}

/// Why a file is not read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum ContainerError {
    /// The system's failure.
    Io(io::Error),
    /// The file begins with other bytes.
    Magic {
        /// The kind expected, in words.
        expected: &'static str,
    },
    /// Another version.
    Version {
        /// The kind, in words.
        what: &'static str,
        /// Version of the file.
        found: u32,
        /// Version that is read.
        expected: u32,
    },
    /// The file is damaged.
    Damaged(String),
    /// A section is larger than its reader takes.
    TooLarge {
        /// The section.
        section: String,
        /// Its bytes.
        len: u64,
        /// The most that are read.
        limit: u64,
    },
}

impl std::error::Error for ContainerError {}

impl std::fmt::Display for ContainerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Magic { expected } => write!(f, "not {expected}"),
            Self::Version { what, found, expected } => {
                write!(f, "version {found} of {what}, this program reads version {expected}")
            }
            Self::Damaged(problem) => write!(f, "{problem}: the file is damaged"),
            Self::TooLarge { section, len, limit } => {
                write!(f, "section '{section}' has {len} bytes, at most {limit} are read")
            }
        }
    }
}

impl From<io::Error> for ContainerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Name, length and digest of a section, and where it begins.
#[derive(Clone, Debug)]
struct Entry {
    name: SectionName,
    len: u64,
    digest: Digest,
    offset: u64,
}

/// The first 8 bytes of a file, which tell its kind; `None` where it is shorter.
///
/// # Errors
/// The system's.
pub fn magic(mut file: impl Read) -> io::Result<Option<[u8; 8]>> {
    let mut magic = [0; 8];
    match file.read_exact(&mut magic) {
        Ok(()) => Ok(Some(magic)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn hasher(personal: &[u8; 8]) -> blake2b_simd::State {
    blake2b_simd::Params::new().hash_length(DIGEST_BYTES).personal(personal).to_state()
}

fn finished(state: &blake2b_simd::State) -> Digest {
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(state.finalize().as_bytes());
    digest
}

/// A section's name without its padding.
fn shown(name: &SectionName) -> String {
    String::from_utf8_lossy(name).trim_end_matches('\0').escape_debug().to_string()
}

/// Writes a file, section after section.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    kind: Kind,
    names: Vec<SectionName>,
    entries: Vec<Entry>,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file that will have these sections, in this order.
    ///
    /// # Errors
    /// The system's.
    pub fn new(mut out: W, kind: Kind, names: &[SectionName]) -> Result<Self, ContainerError> {
        out.seek(SeekFrom::Start(0))?;
        // The header comes last, when the digests are known: a file that was cut short begins with zeros.
        out.write_all(&vec![0; header_bytes(names.len())])?;
        Ok(Self { out, kind, names: names.to_vec(), entries: Vec::with_capacity(names.len()) })
    }

    /// Writes the next section from a reader.
    ///
    /// # Errors
    /// The system's, and one for a section too many.
    pub fn section(&mut self, mut content: impl Read) -> Result<(), ContainerError> {
        self.section_with(|out| io::copy(&mut content, out).map(|_| ()))
    }

    /// Writes the next section by a function.
    ///
    /// # Errors
    /// As [`section`](Self::section).
    pub fn section_with(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), ContainerError> {
        let name = *self.names.get(self.entries.len()).ok_or_else(|| too_many(self.names.len()))?;
        let mut counted = Counted { out: &mut self.out, state: hasher(&name), len: 0 };
        write(&mut counted)?;
        let (len, digest) = (counted.len, finished(&counted.state));
        self.entries.push(Entry { name, len, digest, offset: 0 });
        Ok(())
    }

    /// Writes the header; the file's digest.
    ///
    /// # Errors
    /// The system's, and one for missing sections.
    pub fn finish(mut self) -> Result<Digest, ContainerError> {
        if self.entries.len() != self.names.len() {
            let problem = format!("{} sections of {} were written", self.entries.len(), self.names.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem).into());
        }
        let sections = u32::try_from(self.entries.len()).map_err(|_| too_many(self.names.len()))?;
        let mut header = self.kind.magic.to_vec();
        header.extend(self.kind.version.to_le_bytes());
        header.extend(sections.to_le_bytes());
        for entry in &self.entries {
            header.extend(entry.name);
            header.extend(entry.len.to_le_bytes());
            header.extend(entry.digest);
        }
        let mut state = hasher(&self.kind.magic);
        state.update(&header);
        let digest = finished(&state);
        header.extend(digest);
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header)?;
        self.out.flush()?;
        Ok(digest)
    }
}

fn too_many(declared: usize) -> ContainerError {
    io::Error::new(io::ErrorKind::InvalidInput, format!("more than the {declared} sections declared")).into()
}

const fn header_bytes(sections: usize) -> usize {
    FIXED_BYTES + sections * ENTRY_BYTES + DIGEST_BYTES
}

/// Counts and digests what passes.
struct Counted<'a, W> {
    out: &'a mut W,
    state: blake2b_simd::State,
    len: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.state.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file whose header was read and checked; its sections are checked as they are read.
#[derive(Debug)]
pub struct Container<R> {
    file: R,
    entries: Vec<Entry>,
    digest: Digest,
}

impl<R> Container<R> {
    /// The same sections, from what the file is made into.
    pub fn map<S>(self, into: impl FnOnce(R) -> S) -> Container<S> {
        Container { file: into(self.file), entries: self.entries, digest: self.digest }
    }
}

impl<R: Read + Seek> Container<R> {
    /// Reads the header of a file of this kind. Its lengths must be the file's.
    ///
    /// # Errors
    /// [`ContainerError`] for any other file.
    pub fn open(mut file: R, kind: Kind) -> Result<Self, ContainerError> {
        let len = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut fixed = [0; FIXED_BYTES];
        if len < FIXED_BYTES as u64 {
            return Err(ContainerError::Magic { expected: kind.what });
        }
        file.read_exact(&mut fixed)?;
        if fixed[..8] != kind.magic {
            return Err(ContainerError::Magic { expected: kind.what });
        }
        let word = |at: usize| fixed[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        let (found, sections) = (word(8), word(12));
        if found != kind.version {
            return Err(ContainerError::Version { what: kind.what, found, expected: kind.version });
        }
        if sections > MAX_SECTIONS || len < header_bytes(sections as usize) as u64 {
            return Err(ContainerError::Damaged(format!("{sections} sections in {len} bytes")));
        }
        let mut rest = vec![0; header_bytes(sections as usize) - FIXED_BYTES];
        file.read_exact(&mut rest)?;
        let (table, checksum) = rest.split_at(rest.len() - DIGEST_BYTES);
        let mut state = hasher(&kind.magic);
        state.update(&fixed).update(table);
        let digest = finished(&state);
        if checksum != digest {
            return Err(ContainerError::Damaged("the header's checksum does not match".into()));
        }
        let mut offset = header_bytes(sections as usize) as u64;
        let mut entries = Vec::with_capacity(sections as usize);
        for bytes in table.chunks_exact(ENTRY_BYTES) {
            let entry = entry(bytes, offset);
            offset = offset.checked_add(entry.len).filter(|end| *end <= len).ok_or_else(cut)?;
            entries.push(entry);
        }
        if offset != len {
            return Err(ContainerError::Damaged(format!("{} bytes after the last section", len - offset)));
        }
        Ok(Self { file, entries, digest })
    }

    /// The file's digest: that of its header, which has those of all sections.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// A section's digest, as the header has it.
    ///
    /// # Errors
    /// [`ContainerError::Damaged`] where there is no such section, or two.
    pub fn section_digest(&self, name: SectionName) -> Result<&Digest, ContainerError> {
        Ok(&self.entry(name)?.digest)
    }

    /// A section's length in bytes.
    ///
    /// # Errors
    /// As [`section_digest`](Self::section_digest).
    pub fn section_len(&self, name: SectionName) -> Result<u64, ContainerError> {
        Ok(self.entry(name)?.len)
    }

    /// A section of at most `limit` bytes, whole and checked.
    ///
    /// # Errors
    /// [`ContainerError`] where it is not there, larger, or damaged.
    pub fn section(&mut self, name: SectionName, limit: u64) -> Result<Vec<u8>, ContainerError> {
        let len = self.entry(name)?.len;
        if len > limit {
            return Err(ContainerError::TooLarge { section: shown(&name), len, limit });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
        self.chunks(name, 1, |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Hands a section on piece by piece, each a multiple of `unit` bytes but for the last one. What was handed on
    /// counts only where this returns without error: the digest is known at the end.
    ///
    /// # Errors
    /// [`ContainerError`] where it is not there or damaged, and those of `take`.
    pub fn chunks(
        &mut self,
        name: SectionName,
        unit: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), ContainerError>,
    ) -> Result<(), ContainerError> {
        let Entry { len, digest, offset, .. } = *self.entry(name)?;
        let unit = unit.max(1);
        let most = (CHUNK_BYTES / unit).max(1) * unit;
        let mut chunk = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(most)];
        let (mut state, mut left) = (hasher(&name), len);
        self.file.seek(SeekFrom::Start(offset))?;
        while left > 0 {
            let size = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            self.file.read_exact(&mut chunk[..size]).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => cut(),
                _ => error.into(),
            })?;
            state.update(&chunk[..size]);
            take(&chunk[..size])?;
            left -= size as u64;
        }
        if finished(&state) == digest { Ok(()) } else { Err(damaged(&name)) }
    }

    fn entry(&self, name: SectionName) -> Result<&Entry, ContainerError> {
        let mut found = self.entries.iter().filter(|entry| entry.name == name);
        match (found.next(), found.next()) {
            (Some(entry), None) => Ok(entry),
            (None, _) => Err(ContainerError::Damaged(format!("there is no section '{}'", shown(&name)))),
            (Some(_), Some(_)) => Err(ContainerError::Damaged(format!("there are two sections '{}'", shown(&name)))),
        }
    }
}

fn entry(bytes: &[u8], offset: u64) -> Entry {
    let (mut name, mut digest) = ([0; 8], [0; DIGEST_BYTES]);
    name.copy_from_slice(&bytes[..8]);
    digest.copy_from_slice(&bytes[16..]);
    let len = bytes[8..16].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Entry { name, len, digest, offset }
}

fn cut() -> ContainerError {
    ContainerError::Damaged("the file ends early".into())
}

fn damaged(name: &SectionName) -> ContainerError {
    ContainerError::Damaged(format!("the checksum of section '{}' does not match", shown(name)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const KIND: Kind = Kind { magic: *b"zkmlgpuT", version: 7, what: "a test" };
    const NAMES: [SectionName; 3] = [*b"first\0\0\0", *b"empty\0\0\0", *b"last\0\0\0\0"];

    fn written(contents: [&[u8]; 3]) -> (Vec<u8>, Digest) {
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file, KIND, &NAMES).unwrap();
        contents.iter().for_each(|content| writer.section(*content).unwrap());
        let digest = writer.finish().unwrap();
        (file.into_inner(), digest)
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ContainerError> {
        let mut container = Container::open(Cursor::new(bytes), KIND)?;
        NAMES.iter().map(|name| container.section(*name, 1 << 30)).collect()
    }

    #[test]
    fn sections_come_back_and_name_the_file() {
        let (bytes, digest) = written([b"one", b"", b"three"]);
        assert_eq!(read(&bytes).unwrap(), [&b"one"[..], b"", b"three"]);
        assert_eq!(*Container::open(Cursor::new(&bytes), KIND).unwrap().digest(), digest);
        let (other, another) = written([b"one", b"", b"thref"]);
        assert_ne!(digest, another);
        let digests = |bytes: &[u8]| {
            let container = Container::open(Cursor::new(bytes), KIND).unwrap();
            NAMES.map(|name| *container.section_digest(name).unwrap())
        };
        let (ours, theirs) = (digests(&bytes), digests(&other));
        assert_eq!(ours[..2], theirs[..2], "sections that are equal have equal digests");
        assert_ne!(ours[2], theirs[2]);
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        let (bytes, _) = written([b"one", b"", b"three"]);
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&changed).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len]).is_err(), "{len} bytes");
        }
        assert!(read(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn another_kind_and_another_version_are_told_apart() {
        let (bytes, _) = written([b"", b"", b""]);
        let open = |kind| Container::open(Cursor::new(&bytes), kind).map(|_| ()).unwrap_err().to_string();
        assert_eq!(open(Kind { magic: *b"zkmlgpuX", ..KIND }), "not a test");
        assert_eq!(open(Kind { version: 8, ..KIND }), "version 7 of a test, this program reads version 8");
    }

    #[test]
    fn a_section_is_not_read_beyond_its_limit_and_pieces_are_whole_units() {
        let long = vec![5; 3 * CHUNK_BYTES + 12];
        let (bytes, _) = written([&long, b"", b"xyz"]);
        let mut container = Container::open(Cursor::new(&bytes), KIND).unwrap();
        assert!(container.section(NAMES[2], 2).unwrap_err().to_string().contains("'last' has 3 bytes"));
        let mut pieces = Vec::new();
        let take = |chunk: &[u8]| {
            pieces.push(chunk.len());
            Ok(())
        };
        container.chunks(NAMES[0], 12, take).unwrap();
        assert_eq!(pieces.iter().sum::<usize>(), long.len());
        assert!(pieces.len() > 3 && pieces.iter().all(|len| len % 12 == 0), "{pieces:?}");
    }

    #[test]
    fn sections_that_are_missing_or_too_many_are_not_written() {
        let mut writer = Writer::new(Cursor::new(Vec::new()), KIND, &NAMES[..1]).unwrap();
        writer.section(&b""[..]).unwrap();
        assert!(writer.section(&b""[..]).is_err());
        let missing = Writer::new(Cursor::new(Vec::new()), KIND, &NAMES).unwrap();
        assert!(missing.finish().is_err());
    }
}
