//! Where the graphs and layouts of segments are until they are needed: in memory, or in a file.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::{Mutex, PoisonError};

use zkml_gpu_circuit::layout::Layout;
use zkml_gpu_files::container::{Container, ContainerError, SectionName, Writer, numbered};
use zkml_gpu_graph::Graph;

use crate::encoding;

/// The graphs of all segments, and the layouts of their circuits.
#[derive(Debug)]
pub(super) enum Store {
    /// All of them.
    Memory(Vec<Graph>, Vec<Layout>),
    /// A file that has them in numbered sections.
    File(Mutex<Container<File>>),
}

const GRAPH: [u8; 4] = *b"grph";
const LAYOUT: [u8; 4] = *b"layt";

impl Store {
    /// The names of the sections of so many segments and circuits.
    pub(super) fn names(segments: usize, circuits: usize) -> impl Iterator<Item = SectionName> {
        let graphs = (0..segments).map(|number| numbered(GRAPH, number));
        graphs.chain((0..circuits).map(|number| numbered(LAYOUT, number)))
    }

    /// The graph of a segment.
    pub(super) fn graph(&self, segment: usize) -> Result<Graph, ContainerError> {
        match self {
            Self::Memory(graphs, _) => graphs.get(segment).cloned().ok_or_else(|| missing("segment", segment)),
            Self::File(file) => read(&mut file.lock().unwrap_or_else(PoisonError::into_inner), GRAPH, segment),
        }
    }

    /// The layout of a circuit.
    pub(super) fn layout(&self, circuit: usize) -> Result<Layout, ContainerError> {
        match self {
            Self::Memory(_, layouts) => layouts.get(circuit).cloned().ok_or_else(|| missing("circuit", circuit)),
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
