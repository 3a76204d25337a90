//! Operations on a back end, with their inputs resident.

use ff::Field;
use halo2curves::bn256::{Fr, G1Affine};

use super::case::{Case, Output, Run};
use super::{
    COLUMNS, FOLD_WIDTH, Inputs, Operation, blinding_rows, factor, integer_column, integers, point, usable_rows,
};
use crate::backend::program::{NodeId, Program, ProgramBuilder};
use crate::backend::{Backend, IntegerColumn, IntegerRow, Result};

/// Points for multi-scalar multiplications.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    /// As many as a column has rows.
    pub points: &'a [G1Affine],
    /// What their table may take.
    pub table_budget_bytes: usize,
}

/// What the operations on one back end share: resident points.
#[derive(Debug)]
pub struct Fixture<'a, B: Backend> {
    backend: &'a B,
    points: Points<'a>,
    bases: B::Bases,
}

impl<'a, B: Backend> Fixture<'a, B> {
    /// Makes points resident; without any, operations that [take points](Operation::takes_points) fail.
    ///
    /// # Errors
    /// Failures of the back end.
    pub fn new(backend: &'a B, points: Option<Points<'a>>) -> Result<Self> {
        let points = points.unwrap_or(Points { points: &[], table_budget_bytes: 0 });
        let bases = backend.load_bases(points.points, points.table_budget_bytes)?;
        Ok(Self { backend, points, bases })
    }

    /// Bytes of the points' table; `None` where the back end does not tell.
    pub fn table_bytes(&self) -> Option<usize> {
        self.backend.table_bytes(&self.bases)
    }

    /// The operation on [its inputs](Operation::inputs).
    ///
    /// # Errors
    /// Failures of the back end.
    pub fn case<'b>(&'b self, inputs: &'b Inputs) -> Result<Case<'b, B>> {
        use Operation as Op;
        match inputs.operation() {
            Op::Upload | Op::UploadColumns | Op::UploadIntegerColumns | Op::Download | Op::Zeros => self.memory(inputs),
            Op::ReadRange | Op::WriteRange | Op::Slice => self.memory(inputs),
            Op::LoadBases | Op::Msm | Op::MsmI8 | Op::MsmI32 | Op::MsmRows => self.msm(inputs),
            Op::Ntt | Op::Intt | Op::CosetNtt | Op::InterpolateCosets => self.ntt(inputs),
            Op::AddAssign | Op::SubAssign | Op::MulAssign | Op::Scale | Op::BatchInvert => self.in_place(inputs),
            Op::Compile | Op::Evaluate => self.quotient(inputs),
            Op::LoadIntegers | Op::FoldIntegers => self.fold(inputs),
            _ => self.vector(inputs),
        }
    }

    fn memory<'b>(&'b self, inputs: &'b Inputs) -> Result<Case<'b, B>> {
        let (backend, n) = (self.backend, inputs.n());
        let rows = blinding_rows(n);
        let host: &'b [Vec<Fr>] = inputs.columns();
        match inputs.operation() {
            Operation::Upload => Ok(self.resident(move || backend.upload(&host[0]))),
            Operation::UploadColumns => {
                let slices: Vec<&[Fr]> = host.iter().map(Vec::as_slice).collect();
                Ok(self.residents(move || backend.upload_columns(&slices)))
            }
            Operation::UploadIntegerColumns => {
                let integers = integer_column(n);
                Ok(self.residents(move || {
                    let column = IntegerColumn { integers: &integers, zeros: 0, rest: &[] };
                    backend.upload_integer_columns(&[column; COLUMNS])
                }))
            }
            Operation::Zeros => Ok(self.resident(move || backend.zeros(n))),
            Operation::WriteRange => {
                let values = &host[0];
                let column = backend.upload(&host[1])?;
                Ok(self.overwrite(Some(column), move |column| backend.write_range(column, rows.start, values)))
            }
            _ => {
                let column = backend.upload(&host[0])?;
                Ok(match inputs.operation() {
                    Operation::Download => self.scalars(move || backend.download(&column)),
                    Operation::ReadRange => self.scalars(move || backend.read_range(&column, rows.clone())),
                    _ => self.resident(move || backend.slice(&column, 0..n)),
                })
            }
        }
    }

    fn msm<'b>(&'b self, inputs: &'b Inputs) -> Result<Case<'b, B>> {
        let (backend, bases, points) = (self.backend, &self.bases, self.points);
        let scalars = inputs.columns().first().map_or(&[][..], Vec::as_slice);
        Ok(match inputs.operation() {
            Operation::LoadBases => self.plain(Box::new(move |_| {
                backend.load_bases(points.points, points.table_budget_bytes).map(Output::Bases)
            })),
            Operation::MsmRows => {
                let rows: Vec<usize> = blinding_rows(inputs.n()).collect();
                self.points(move || backend.msm_rows(bases, &rows, scalars).map(|point| vec![point]))
            }
            _ => {
                let column = backend.upload(scalars)?;
                self.points(move || backend.msm(bases, &[&column]))
            }
        })
    }

    fn ntt<'b>(&'b self, inputs: &'b Inputs) -> Result<Case<'b, B>> {
        let (backend, columns) = (self.backend, self.upload(inputs)?);
        Ok(match inputs.operation() {
            Operation::Ntt => self.residents(move || backend.ntt(&references(&columns))),
            Operation::Intt => self.residents(move || backend.intt(&references(&columns))),
            Operation::CosetNtt => self.residents(move || backend.coset_ntt(&references(&columns), point())),
            _ => self.residents(move || backend.interpolate_cosets(&with_factors(&columns))),
        })
    }

    fn in_place<'b>(&'b self, inputs: &'b Inputs) -> Result<Case<'b, B>> {
        let (backend, mut columns) = (self.backend, self.upload(inputs)?);
        // The last is what the first, which is overwritten, is combined with; there may be one only.
        let other = columns.split_off(columns.len() - 1);
        let acc = columns.pop();
        Ok(match inputs.operation() {
            Operation::AddAssign => self.overwrite(acc, move |acc| backend.add_assign(acc, &other[0])),
            Operation::SubAssign => self.overwrite(acc, move |acc| backend.sub_assign(acc, &other[0])),
            Operation::MulAssign => self.overwrite(acc, move |acc| backend.mul_assign(acc, &other[0])),
            Operation::Scale => self.overwrite(other.into_iter().next(), move |acc| backend.scale(acc, factor(0))),
            _ => self.overwrite(other.into_iter().next(), move |acc| backend.batch_invert(acc)),
        })
    }

    fn vector<'b>(&'b self, inputs: &'b Inputs) -> Result<Case<'b, B>> {
        let (backend, n, columns) = (self.backend, inputs.n(), self.upload(inputs)?);
        Ok(match inputs.operation() {
            Operation::LinearCombination => self.resident(move || backend.linear_combination(&with_factors(&columns))),
            Operation::PrefixSum => self.resident(move || backend.prefix_sum(&columns[0], point())),
            Operation::PrefixProduct => self.resident(move || backend.prefix_product(&columns[0], Fr::ONE)),
            Operation::AffineScan => self.resident(move || backend.affine_scan(&columns[0], &columns[1], point())),
            Operation::DivideByLinear => self.resident(move || backend.divide_by_linear(&columns[0], point())),
            Operation::Powers => self.resident(move || backend.powers(Fr::ONE, point(), n)),
            Operation::InnerProduct => self.scalars(move || Ok(vec![backend.inner_product(&columns[0], &columns[1])?])),
            Operation::PermuteLookup => self.residents(move || {
                let (input, table) = backend.permute_lookup(&columns[0], &columns[1], usable_rows(n))?;
                Ok(vec![input, table])
            }),
            _ => self.scalars(move || {
                let queries: Vec<(&B::Scalars, Fr)> = columns.iter().map(|column| (column, point())).collect();
                backend.eval_polynomials(&queries)
            }),
        })
    }

    fn quotient<'b>(&'b self, inputs: &'b Inputs) -> Result<Case<'b, B>> {
        let (backend, n, program) = (self.backend, inputs.n(), gates());
        if inputs.operation() == Operation::Compile {
            return Ok(self.plain(Box::new(move |_| backend.compile(&program).map(Output::Compiled))));
        }
        let (columns, compiled) = (self.upload(inputs)?, backend.compile(&program)?);
        let challenges = [factor(0), factor(1), factor(2)];
        Ok(self.residents(move || backend.evaluate(&compiled, n, &references(&columns), &challenges)))
    }

    fn fold<'b>(&'b self, inputs: &'b Inputs) -> Result<Case<'b, B>> {
        let (backend, integers) = (self.backend, integers(inputs.n()));
        let load = move || {
            let rows = integers.chunks(FOLD_WIDTH).map(|integers| IntegerRow { first: 0, integers });
            backend.load_integers(&rows.collect::<Vec<_>>())
        };
        Ok(match inputs.columns() {
            [factors] => {
                let resident = load()?;
                self.resident(move || backend.fold_integers(&resident, factors))
            }
            _ => self.plain(Box::new(move |_| load().map(Output::Integers))),
        })
    }

    fn upload(&self, inputs: &Inputs) -> Result<Vec<B::Scalars>> {
        self.backend.upload_columns(&inputs.columns().iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn plain<'b>(&'b self, run: Run<'b, B>) -> Case<'b, B> {
        Case { backend: self.backend, overwritten: None, run }
    }

    /// A case that gives a vector.
    fn resident<'b>(&'b self, run: impl Fn() -> Result<B::Scalars> + 'b) -> Case<'b, B> {
        self.plain(Box::new(move |_| run().map(|vector| Output::Resident(vec![vector]))))
    }

    /// A case that gives vectors.
    fn residents<'b>(&'b self, run: impl Fn() -> Result<Vec<B::Scalars>> + 'b) -> Case<'b, B> {
        self.plain(Box::new(move |_| run().map(Output::Resident)))
    }

    /// A case that gives scalars on the host.
    fn scalars<'b>(&'b self, run: impl Fn() -> Result<Vec<Fr>> + 'b) -> Case<'b, B> {
        self.plain(Box::new(move |_| run().map(Output::Scalars)))
    }

    /// A case that gives points.
    fn points<'b>(&'b self, run: impl Fn() -> Result<Vec<G1Affine>> + 'b) -> Case<'b, B> {
        self.plain(Box::new(move |_| run().map(Output::Points)))
    }

    /// A case that changes a vector in place.
    fn overwrite<'b>(
        &'b self,
        overwritten: Option<B::Scalars>,
        run: impl Fn(&mut B::Scalars) -> Result<()> + 'b,
    ) -> Case<'b, B> {
        let run: Run<'b, B> = Box::new(move |copy| {
            let mut changed: Vec<B::Scalars> = copy.into_iter().collect();
            changed.iter_mut().try_for_each(&run)?;
            Ok(Output::Resident(changed))
        });
        Case { backend: self.backend, overwritten, run }
    }
}

fn references<S>(columns: &[S]) -> Vec<&S> {
    columns.iter().collect()
}

fn with_factors<S>(columns: &[S]) -> Vec<(Fr, &S)> {
    columns.iter().enumerate().map(|(i, column)| (factor(i), column)).collect()
}

/// Three gates over [`COLUMNS`](super::COLUMNS) columns, folded: an arithmetic gate with its selector, a running total,
/// and the step of a permutation's grand product over two columns. Scalars: y, beta, gamma.
fn gates() -> Program {
    let mut nodes = ProgramBuilder::new();
    let [selector, a, b, c, total, sigma_a, sigma_b, product] = std::array::from_fn(|column| nodes.column(column, 0));
    let [next_total, next_product] = [4, 7].map(|column| nodes.column(column, 1));
    let [y, beta, gamma] = [0, 1, 2].map(|scalar| nodes.scalar(scalar));
    let square = nodes.mul(a, b);
    let difference = nodes.sub(square, c);
    let arithmetic = nodes.mul(selector, difference);
    let sum = nodes.add(total, a);
    let running = nodes.sub(next_total, sum);
    let permuted = [(a, sigma_a), (b, sigma_b)].map(|(value, sigma)| term(&mut nodes, value, sigma, [beta, gamma]));
    let identity = [(a, selector), (b, c)].map(|(value, name)| term(&mut nodes, value, name, [beta, gamma]));
    let [left, right] = [(next_product, permuted), (product, identity)].map(|(product, [first, second])| {
        let both = nodes.mul(first, second);
        nodes.mul(product, both)
    });
    let step = nodes.sub(left, right);
    let folded = nodes.horner(&[arithmetic, running, step], y);
    nodes.finish(&[folded])
}

/// `value + beta·name + gamma`
fn term(nodes: &mut ProgramBuilder, value: NodeId, name: NodeId, [beta, gamma]: [NodeId; 2]) -> NodeId {
    let shifted = nodes.mul(beta, name);
    let sum = nodes.add(value, shifted);
    nodes.add(sum, gamma)
}

#[cfg(test)]
mod tests {
    use super::super::data::distinct_points;
    use super::*;
    use crate::backend::{Cpu, Dual};

    #[test]
    fn every_operation_runs_and_gives_the_same_each_time() {
        for log_n in [1, 3, 6] {
            let (cpu, points) = (Dual::new(Cpu::new(), Cpu::portable()), distinct_points(1 << log_n));
            let fixture = Fixture::new(&cpu, Some(Points { points: &points, table_budget_bytes: 1 << 14 })).unwrap();
            for operation in Operation::ALL {
                let inputs = operation.inputs(log_n);
                let case = fixture.case(&inputs).unwrap();
                let outcome = case.outcome().unwrap();
                assert!(case.time().is_ok());
                assert!(case.outcome().unwrap() == outcome, "{operation:?} changed its inputs");
                let empty = outcome.scalars.is_empty() && outcome.points.is_empty();
                assert_eq!(empty, *operation == Operation::Compile, "{operation:?}");
            }
        }
    }
}
