//! The grouping of a lookup's input and table: both are sorted, every run of inputs takes one table row, and the rows
//! that repeat take what is left, in order.

use zkml_gpu_kernels::cuda::Module;

use super::Cuda;
use super::device::Buffer;
use super::kernels::{Arguments, Element, Kernel};
use super::memory::{CudaScalars, ELEMENT_BYTES, Work};
use super::scan::COUNT;
use crate::backend::Result;
use crate::error::BackendError;

/// `SORT_THREADS` and `LOOKUP_THREADS`
const THREADS: u32 = 256;
/// Keys that a block sorts: `SORT_BLOCK`.
const BLOCK: usize = 1024;

const fn sort(name: &'static str) -> Kernel {
    Kernel::new(Module::Sort, name, THREADS)
}

const fn lookup(name: &'static str) -> Kernel {
    Kernel::new(Module::Lookup, name, THREADS)
}

const SORT_LOAD: Kernel = sort("sort_load");
const SORT_BLOCKS: Kernel = sort("sort_blocks");
const SORT_MERGE: Kernel = sort("sort_merge");
const LOOKUP_MARK_UNUSED: Kernel = lookup("lookup_mark_unused");
const LOOKUP_MARK_REPEATED: Kernel = lookup("lookup_mark_repeated");
const LOOKUP_COLLECT: Kernel = lookup("lookup_collect");
const LOOKUP_PLACE: Kernel = lookup("lookup_place");

fn blocks(rows: usize) -> usize {
    rows.div_ceil(THREADS as usize)
}

/// What rows are marked with, and how many marks are before each.
struct Marks {
    marks: Buffer,
    ranks: Buffer,
}

impl Cuda {
    pub(super) fn permute(
        &self,
        input: &CudaScalars,
        table: &CudaScalars,
        usable: usize,
    ) -> Result<(CudaScalars, CudaScalars)> {
        let work = self.work("permute_lookup");
        let len = input.len;
        if usable > len {
            return Err(BackendError::OutOfRange { operation: work.operation, start: 0, end: usable, len });
        }
        let (permuted_input, permuted_table) = (work.vector(len)?, work.vector(len)?);
        for column in [&permuted_input, &permuted_table] {
            work.fill(column.row(usable), 0, (len - usable) as u64 * ELEMENT_BYTES)?;
        }
        if usable == 0 {
            return Ok((permuted_input, permuted_table));
        }
        let (inputs, tables) = (work.sorted(input, usable)?, work.sorted(table, usable)?);
        let marks = work.room::<u32>(usable)?;
        let arguments = Arguments::new().word(usable).address(tables.address()).address(inputs.address());
        work.launch(&LOOKUP_MARK_UNUSED, blocks(usable), arguments.address(marks.address()))?;
        let unused = work.ranked(marks, usable)?;
        let (marks, missing) = work.mark_repeated(&inputs, &tables, usable)?;
        let repeated = work.ranked(marks, usable)?;
        let left = work.room::<Element>(usable)?;
        let arguments = Arguments::new().word(usable).address(tables.address()).address(unused.marks.address());
        let arguments = arguments.address(unused.ranks.address()).address(left.address());
        work.launch(&LOOKUP_COLLECT, blocks(usable), arguments)?;
        let arguments = Arguments::new().word(usable).address(inputs.address()).address(left.address());
        let arguments = arguments.address(repeated.marks.address()).address(repeated.ranks.address());
        let arguments = arguments.address(permuted_input.address()).address(permuted_table.address());
        work.launch(&LOOKUP_PLACE, blocks(usable), arguments)?;
        if work.read::<u32>(missing.address(), 1)? != [u32::MAX] {
            return Err(BackendError::NotInTable { row: work.first_missing(input, &tables, usable)? });
        }
        Ok((permuted_input, permuted_table))
    }
}

impl Work<'_> {
    /// The canonical integers of the first rows.
    fn keys(&self, vector: &CudaScalars, usable: usize) -> Result<Buffer> {
        let keys = self.room::<Element>(usable)?;
        let arguments = Arguments::new().word(usable).address(vector.address()).address(keys.address());
        self.launch(&SORT_LOAD, blocks(usable), arguments)?;
        Ok(keys)
    }

    /// The same in ascending order.
    fn sorted(&self, vector: &CudaScalars, usable: usize) -> Result<Buffer> {
        let mut keys = self.keys(vector, usable)?;
        let blocks = usable.div_ceil(BLOCK);
        self.launch(&SORT_BLOCKS, blocks, Arguments::new().word(usable).address(keys.address()))?;
        let mut run = BLOCK;
        let mut merged = if run < usable { Some(self.room::<Element>(usable)?) } else { None };
        while let Some(out) = merged.take().filter(|_| run < usable) {
            let arguments = Arguments::new().word(usable).word(run).address(keys.address()).address(out.address());
            self.launch(&SORT_MERGE, blocks, arguments)?;
            merged = Some(std::mem::replace(&mut keys, out));
            run *= 2;
        }
        Ok(keys)
    }

    /// The inputs that repeat the one before, and the lowest row that is not in the sorted table: all ones where there
    /// is none.
    fn mark_repeated(&self, inputs: &Buffer, tables: &Buffer, usable: usize) -> Result<(Buffer, Buffer)> {
        let (marks, missing) = (self.room::<u32>(usable)?, self.room::<u32>(1)?);
        self.fill(missing.address(), u8::MAX, size_of::<u32>() as u64)?;
        let arguments = Arguments::new().word(usable).address(inputs.address()).address(tables.address());
        let arguments = arguments.address(marks.address()).address(missing.address());
        self.launch(&LOOKUP_MARK_REPEATED, blocks(usable), arguments)?;
        Ok((marks, missing))
    }

    fn ranked(&self, marks: Buffer, rows: usize) -> Result<Marks> {
        let (ranks, zero) = (self.room::<u32>(rows)?, self.zeroed::<u32>(1)?);
        let input = || Arguments::new().word(rows).address(marks.address());
        self.scan(&COUNT, rows, &input, zero.address(), ranks.address())?;
        Ok(Marks { marks, ranks })
    }

    /// The first row whose input is not among the sorted keys.
    fn first_missing(&self, input: &CudaScalars, tables: &Buffer, usable: usize) -> Result<usize> {
        let keys = self.keys(input, usable)?;
        let (_, missing) = self.mark_repeated(&keys, tables, usable)?;
        match self.read::<u32>(missing.address(), 1)?.first() {
            Some(row) if (*row as usize) < usable => Ok(*row as usize),
            _ => Err(self.error("a missing input was found the second time")),
        }
    }
}
