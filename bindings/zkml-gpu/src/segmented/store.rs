//! Where the graphs and layouts of segments are until they are needed: in memory, or in a file or its bytes.

use std::io::{Read, Seek};
use std::sync::{Arc, Mutex, PoisonError};

use zkml_gpu_circuit::layout::Layout;
use zkml_gpu_files::container::{Container, ContainerError, SectionName, Writer, numbered};
use zkml_gpu_graph::Graph;

use crate::encoding;

/// The graphs of all segments, and the layouts of their circuits. Clones share them.
#[derive(Clone)]
pub(super) enum Store {
    /// All of them.
    Memory(Arc<(Vec<Graph>, Vec<Layout>)>),
    /// A file that has them in numbered sections, or its bytes.
    File(Arc<Mutex<Container<Source>>>),
}

/// A file, or its bytes.
pub(super) type Source = Box<dyn ReadSeek>;

/// What can be read at any place.
pub(super) trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

const GRAPH: [u8; 4] = *b"grph";
const LAYOUT: [u8; 4] = *b"layt";

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory(_) => "Memory",
            Self::File(_) => "File",
        })
    }
}

impl Store {
    /// Graphs and layouts that are in memory.
    pub(super) fn memory(graphs: Vec<Graph>, layouts: Vec<Layout>) -> Self {
        Self::Memory(Arc::new((graphs, layouts)))
    }

    /// Those of a file, or of its bytes.
    pub(super) fn of<R: Read + Seek + Send + 'static>(container: Container<R>) -> Self {
        Self::File(Arc::new(Mutex::new(container.map(|file| Box::new(file) as Source))))
    }

    /// The names of the sections of so many segments and circuits.
    pub(super) fn names(segments: usize, circuits: usize) -> impl Iterator<Item = SectionName> {
        let graphs = (0..segments).map(|number| numbered(GRAPH, number));
        graphs.chain((0..circuits).map(|number| numbered(LAYOUT, number)))
    }

    /// The graph of a segment.
    pub(super) fn graph(&self, segment: usize) -> Result<Graph, ContainerError> {
        match self {
            Self::Memory(all) => all.0.get(segment).cloned().ok_or_else(|| missing("segment", segment)),
            Self::File(file) => read(&mut file.lock().unwrap_or_else(PoisonError::into_inner), GRAPH, segment),
        }
    }

    /// The layout of a circuit.
    pub(super) fn layout(&self, circuit: usize) -> Result<Layout, ContainerError> {
        match self {
            Self::Memory(all) => all.1.get(circuit).cloned().ok_or_else(|| missing("circuit", circuit)),
            Self::File(file) => read(&mut file.lock().unwrap_or_else(PoisonError::into_inner), LAYOUT, circuit),
        }
    }

    /// Writes the sections of [`names`](Self::names).
    pub(super) fn write<W: std::io::Write + Seek>(
        &self,
        [segments, circuits]: [usize; 2],
        writer: &mut Writer<W>,
    ) -> Result<(), ContainerError> {
        for segment in 0..segments {
            let graph = self.graph(segment)?;
            writer.section_with(|out| encoding::write(&graph, out))?;
        }
        for circuit in 0..circuits {
            let layout = self.layout(circuit)?;
            writer.section_with(|out| encoding::write(&layout, out))?;
        }
        Ok(())
    }
}

fn missing(what: &str, number: usize) -> ContainerError {
    ContainerError::Damaged(format!("there is no {what} {number}"))
}

fn read<T: serde::de::DeserializeOwned, R: Read + Seek>(
    container: &mut Container<R>,
    kind: [u8; 4],
    number: usize,
) -> Result<T, ContainerError> {
    let limit = encoding::limit();
    let bytes = container.section(numbered(kind, number), limit)?;
    Ok(encoding::read(&bytes, limit)?)
}
