//! The constraints on a coset in stages, so that few columns are on it at a time.
//!
//! The fold of the constraints is a sum. Its terms, each of which reads a few columns, are put in an order in which the
//! terms that read a column follow each other closely; a stage is a run of terms, brings the columns that no stage
//! before it read, and drops those that no stage after it reads. Every column is transformed once a coset, as if all
//! terms were evaluated together. The stages of a few cosets are taken together, which saves the way from values to
//! coefficients for all but one of them.

use std::collections::{HashMap, HashSet};

use super::poly::Poly;
use super::program::{NamedProgram, RowProgramBuilder};
use super::shape::Shape;
use crate::backend::program::{NodeId, Term};

/// How constraints are divided into stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Staging {
    /// Terms that read as many columns or fewer are not taken apart.
    pub(super) term_columns: usize,
    /// Polynomials that a stage brings to a coset, unless a single term needs more.
    pub(super) brought: usize,
    /// Cosets that are worked on at a time, at least one.
    pub(super) cosets: usize,
}

/// Bytes of columns that a stage brings: it should outweigh the start of its tasks.
const STAGE_BYTES: usize = 8 << 20;

impl Staging {
    /// For the host, whose columns of integers are transformed from values; a few stages for each two cosets.
    pub(super) fn of_host(shape: &Shape) -> Self {
        Self { term_columns: 12, brought: shape.batch(STAGE_BYTES), cosets: 2 }
    }

    /// One stage for each coset: for a device, which has few programs rather than many, and where memory is no matter.
    pub(super) const fn whole() -> Self {
        Self { term_columns: usize::MAX, brought: usize::MAX, cosets: 1 }
    }
}

/// A part of the constraints, on a few cosets.
#[derive(Debug, Clone, Default)]
pub(super) struct NamedStage {
    /// On each of the cosets.
    pub(super) parts: Vec<NamedPart>,
}

/// A stage on one coset.
#[derive(Debug, Clone, Default)]
pub(super) struct NamedPart {
    /// The polynomials that are read here first.
    pub(super) brought: Vec<Poly>,
    /// For each class that has terms here, their sum.
    pub(super) program: NamedProgram,
    /// The class of each output.
    pub(super) classes: Vec<usize>,
    /// The polynomials that are read here last.
    pub(super) dropped: Vec<Poly>,
}

/// A term of a class's fold.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClassTerm {
    pub(super) class: usize,
    pub(super) term: Term,
}

/// Divides terms into stages on cosets that evaluate the first few classes each, `classes` says how many. A stage brings
/// `most` polynomials, or more where a single term needs them.
pub(super) fn stages(
    program: &mut RowProgramBuilder,
    terms: &[ClassTerm],
    classes: &[usize],
    most: usize,
) -> Vec<NamedStage> {
    let evaluated = classes.iter().max().copied().unwrap_or(0);
    let terms: Vec<ClassTerm> = terms.iter().copied().filter(|term| term.class < evaluated).collect();
    let read: Vec<Vec<Poly>> = terms.iter().map(|of| program.polys_of(&of.term)).collect();
    let all: HashSet<Poly> = read.iter().flatten().copied().collect();
    let order = if all.len() <= most { (0..terms.len()).collect() } else { order(&read) };
    let mut runs: Vec<Vec<usize>> = Vec::new();
    let (mut present, mut brought) = (HashSet::new(), 0);
    for index in order {
        let new = read[index].iter().filter(|poly| present.insert(**poly)).count();
        brought += new;
        match runs.last_mut() {
            Some(run) if brought <= most => run.push(index),
            _ => {
                runs.push(vec![index]);
                brought = new;
            }
        }
    }
    let mut stages = vec![NamedStage::default(); runs.len()];
    for classes in classes {
        let on_coset = |index: &usize| terms[*index].class < *classes;
        let runs = runs.iter().map(|run| run.iter().copied().filter(on_coset).collect::<Vec<_>>());
        let parts = parts(program, &terms, &read, &runs.collect::<Vec<_>>());
        stages.iter_mut().zip(parts).for_each(|(stage, part)| stage.parts.push(part));
    }
    stages
}

/// Runs of terms on one coset.
fn parts(
    program: &mut RowProgramBuilder,
    terms: &[ClassTerm],
    read: &[Vec<Poly>],
    runs: &[Vec<usize>],
) -> Vec<NamedPart> {
    // The stages that read a polynomial first and last.
    let mut spans: HashMap<Poly, [usize; 2]> = HashMap::new();
    let mut all: Vec<Poly> = Vec::new();
    for (stage, run) in runs.iter().enumerate() {
        for poly in run.iter().flat_map(|index| &read[*index]) {
            let span = spans.entry(*poly).or_insert_with(|| {
                all.push(*poly);
                [stage; 2]
            });
            span[1] = stage;
        }
    }
    let part = |(stage, run): (usize, &Vec<usize>)| {
        let members: Vec<ClassTerm> = run.iter().map(|index| terms[*index]).collect();
        let (classes, outputs) = sums(program, &members);
        let ends = |end: usize| all.iter().copied().filter(|poly| spans[poly][end] == stage).collect();
        NamedPart { brought: ends(0), program: program.schedule(&outputs), classes, dropped: ends(1) }
    };
    runs.iter().enumerate().map(part).collect()
}

/// A class, and a cofactor of its terms.
type Group = (usize, Option<NodeId>);

/// The sum of the terms of each class that has any; terms with one cofactor are summed before they are multiplied by it.
fn sums(program: &mut RowProgramBuilder, terms: &[ClassTerm]) -> (Vec<usize>, Vec<NodeId>) {
    let mut groups: Vec<(Group, Vec<NodeId>)> = Vec::new();
    for ClassTerm { class, term } in terms {
        let scaled = program.nodes.mul(term.scale, term.atom);
        match groups.iter_mut().find(|(of, _)| *of == (*class, term.cofactor)) {
            Some((_, sum)) => sum.push(scaled),
            None => groups.push(((*class, term.cofactor), vec![scaled])),
        }
    }
    let mut classes: Vec<(usize, NodeId)> = Vec::new();
    for ((class, cofactor), members) in groups {
        let sum = members.into_iter().reduce(|sum, term| program.nodes.add(sum, term));
        let Some(sum) = sum else { continue };
        let value = cofactor.map_or(sum, |cofactor| program.nodes.mul(cofactor, sum));
        match classes.iter_mut().find(|(of, _)| *of == class) {
            Some((_, total)) => *total = program.nodes.add(*total, value),
            None => classes.push((class, value)),
        }
    }
    classes.into_iter().unzip()
}

/// An order of the terms in which few polynomials are in use at a time: next is the term that, together with those that
/// then lack nothing, makes for the fewest more polynomials in use for each one that they read; the first of several.
fn order(read: &[Vec<Poly>]) -> Vec<usize> {
    let mut columns = Columns::new(read);
    let mut order = Vec::with_capacity(read.len());
    while let Some(next) = columns.best() {
        for set in columns.take(next) {
            order.extend_from_slice(&columns.sets[set].1);
        }
    }
    order
}

/// What terms read that are not in the order yet.
struct Columns {
    /// Polynomials by number, and the terms that read just these.
    sets: Vec<(Vec<usize>, Vec<usize>)>,
    /// The sets that hold each polynomial.
    users: Vec<Vec<usize>>,
    /// How many of them wait.
    left: Vec<usize>,
    present: Vec<bool>,
    /// How many polynomials each set lacks; none for sets that do not wait.
    missing: Vec<Option<usize>>,
}

impl Columns {
    fn new(read: &[Vec<Poly>]) -> Self {
        let mut numbers: HashMap<Poly, usize> = HashMap::new();
        let mut indices: HashMap<Vec<usize>, usize> = HashMap::new();
        let mut sets: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
        for (term, polys) in read.iter().enumerate() {
            let mut number = |poly: &Poly| {
                let next = numbers.len();
                *numbers.entry(*poly).or_insert(next)
            };
            let mut set: Vec<usize> = polys.iter().map(&mut number).collect();
            set.sort_unstable();
            let index = *indices.entry(set).or_insert_with_key(|set| {
                sets.push((set.clone(), Vec::new()));
                sets.len() - 1
            });
            sets[index].1.push(term);
        }
        let mut users = vec![Vec::new(); numbers.len()];
        for (index, (set, _)) in sets.iter().enumerate() {
            set.iter().for_each(|column| users[*column].push(index));
        }
        let left = users.iter().map(Vec::len).collect();
        let missing = sets.iter().map(|(set, _)| Some(set.len())).collect();
        Self { present: vec![false; numbers.len()], sets, users, left, missing }
    }

    /// The sets that lack nothing once this one is taken, itself first.
    fn freed(&self, set: usize) -> Vec<usize> {
        let mut lacks: HashMap<usize, usize> = HashMap::new();
        for column in self.sets[set].0.iter().filter(|column| !self.present[**column]) {
            for user in &self.users[*column] {
                *lacks.entry(*user).or_default() += 1;
            }
        }
        let mut others: Vec<usize> = lacks
            .into_iter()
            .filter(|(user, lacked)| *user != set && self.missing[*user] == Some(*lacked))
            .map(|(user, _)| user)
            .collect();
        others.sort_unstable();
        others.insert(0, set);
        others
    }

    /// Polynomials in use after a set and what it frees, less those before; and how many they read.
    fn growth(&self, set: usize) -> (i64, i64) {
        let opened = self.missing[set].unwrap_or(0) as i64;
        let mut uses: HashMap<usize, usize> = HashMap::new();
        for column in self.freed(set).into_iter().flat_map(|set| &self.sets[set].0) {
            *uses.entry(*column).or_default() += 1;
        }
        let closed = uses.iter().filter(|(column, uses)| self.left[**column] == **uses).count() as i64;
        (opened - closed, uses.values().sum::<usize>() as i64)
    }

    /// The set to take next.
    fn best(&self) -> Option<usize> {
        let waiting = (0..self.sets.len()).filter(|set| self.missing[*set].is_some());
        let weighed = waiting.map(|set| (set, self.growth(set)));
        // Of equal ones the first.
        let less = |(_, (growth, uses)): &(usize, (i64, i64)), (_, (other, of)): &(usize, (i64, i64))| {
            (growth * of).cmp(&(other * uses))
        };
        weighed.min_by(less).map(|(set, _)| set)
    }

    /// Takes a set and what it frees.
    fn take(&mut self, set: usize) -> Vec<usize> {
        let taken = self.freed(set);
        for set in &taken {
            self.missing[*set] = None;
            for column in &self.sets[*set].0 {
                self.left[*column] -= 1;
                if !std::mem::replace(&mut self.present[*column], true) {
                    for user in &self.users[*column] {
                        self.missing[*user] = self.missing[*user].map(|missing| missing - 1);
                    }
                }
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Lanes of three columns that no other lane reads, under a selector of all; and a sum of the lanes' last columns.
    fn lanes(count: usize) -> Vec<Vec<Poly>> {
        let column = |lane: usize, i: usize| Poly::Advice(3 * lane + i);
        let own = (0..count).flat_map(|lane| {
            [vec![Poly::Fixed(0), column(lane, 0), column(lane, 1)], vec![column(lane, 1), column(lane, 2)]]
        });
        own.chain((0..count).map(|lane| vec![column(lane, 2)])).collect()
    }

    #[test]
    fn terms_of_one_lane_follow_each_other() {
        let read = lanes(10);
        let order = order(&read);
        assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), (0..read.len()).collect());
        assert_eq!(order.len(), read.len());
        let spans = |poly: &Poly| {
            let places = order.iter().enumerate().filter(|(_, term)| read[**term].contains(poly));
            let places: Vec<usize> = places.map(|(place, _)| place).collect();
            [places[0], places[places.len() - 1]]
        };
        let all: BTreeSet<String> = read.iter().flatten().map(|poly| format!("{poly:?}")).collect();
        let polys: Vec<Poly> = (0..30).map(Poly::Advice).chain([Poly::Fixed(0)]).collect();
        assert_eq!(all.len(), polys.len());
        let most = (0..order.len())
            .map(|place| polys.iter().map(spans).filter(|[first, last]| (*first..=*last).contains(&place)).count())
            .max();
        // Two of a lane, and the selector: the lane's last column comes and goes before its first.
        assert_eq!(most, Some(3), "{order:?}");
    }

    #[test]
    fn every_term_has_one_stage_and_what_it_reads_is_there() {
        let mut program = RowProgramBuilder::default();
        let read = lanes(6);
        let one = program.nodes.constant(halo2curves::bn256::Fr::one());
        let mut terms = Vec::new();
        for (number, polys) in read.iter().enumerate() {
            let queries: Vec<NodeId> = polys.iter().map(|poly| program.query(*poly, 0)).collect();
            let atom = queries.into_iter().reduce(|product, query| program.nodes.mul(product, query));
            let term = Term { scale: one, cofactor: None, atom: atom.unwrap_or(one) };
            terms.push(ClassTerm { class: number % 2, term });
        }
        for (most, classes) in [(4, vec![2, 1]), (100, vec![2, 2]), (1, vec![1])] {
            let stages = stages(&mut program, &terms, &classes, most);
            assert!(most < 100 || stages.len() == 1);
            for (coset, evaluated) in classes.iter().enumerate() {
                let (mut present, mut brought) = (BTreeSet::new(), 0);
                for stage in &stages {
                    let part = &stage.parts[coset];
                    let name = |poly: &Poly| format!("{poly:?}");
                    brought += part.brought.len();
                    present.extend(part.brought.iter().map(name));
                    assert!(part.program.polys.iter().all(|poly| present.contains(&name(poly))));
                    assert!(part.classes.iter().all(|class| class < evaluated));
                    assert_eq!(part.classes.len(), part.program.program.outputs().len());
                    for poly in &part.dropped {
                        assert!(present.remove(&name(poly)));
                    }
                }
                assert!(present.is_empty(), "{present:?} stay");
                let wanted: BTreeSet<String> = terms
                    .iter()
                    .zip(&read)
                    .filter(|(term, _)| term.class < *evaluated)
                    .flat_map(|(_, polys)| polys.iter().map(|poly| format!("{poly:?}")))
                    .collect();
                assert_eq!(brought, wanted.len(), "each is brought once");
            }
        }
    }
}
