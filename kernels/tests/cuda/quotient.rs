//! Expression programs.

use halo2curves::bn256::Fr;
use zkml_gpu_kernels::cuda::{Step, Value, straight_line};

use crate::device::{Arguments, Device};
use crate::{SEED, addresses, edges_and_random, random, rng};

const THREADS: usize = 128;

/// A program of every operation, over two columns and two scalars: outputs, and the same by the host's arithmetic.
fn program() -> (Vec<Step>, Vec<Value>) {
    use Value::{Cell, Result, Scalar};
    let steps = vec![
        Step::Mul(Cell(0), Cell(1)),
        Step::Sub(Result(0), Scalar(0)),
        Step::Mul(Result(1), Result(1)),
        Step::Add(Result(2), Cell(2)),
        Step::Negate(Result(3)),
        Step::Mul(Result(4), Scalar(1)),
    ];
    (steps, vec![Result(5), Result(3), Cell(1), Scalar(0)])
}

fn expected(cells: [Fr; 3], scalars: &[Fr]) -> [Fr; 4] {
    let difference = cells[0] * cells[1] - scalars[0];
    let sum = difference.square() + cells[2];
    [-sum * scalars[1], sum, cells[1], scalars[0]]
}

/// The kernels that are built with the others: programs written out.
pub(crate) fn kernels() -> String {
    let (steps, outputs) = program();
    let steps: Vec<(usize, Step)> = steps.into_iter().enumerate().collect();
    let kept: Vec<(usize, Value)> = outputs.into_iter().enumerate().collect();
    straight_line("test_program", &steps, &kept)
}

/// The steps of the interpreter: results 0 and 2 in registers, the others in memory beside the outputs.
fn interpreted() -> Vec<u32> {
    let (scalar, cell, register, memory) =
        (|i: u32| i, |i: u32| 1 << 30 | i, |i: u32| 2 << 30 | i, |i: u32| 3 << 30 | i);
    let (add, sub, mul, negate, copy) = (0, 1, 2, 3, 4);
    [
        [mul, cell(0), cell(1), register(0)],
        [sub, register(0), scalar(0), memory(4)],
        [mul, memory(4), memory(4), register(31)],
        [add, register(31), cell(2), memory(1)],
        [negate, memory(1), memory(1), register(0)],
        [mul, register(0), scalar(1), memory(0)],
        [copy, cell(1), cell(1), memory(2)],
        [copy, scalar(0), scalar(0), memory(3)],
    ]
    .concat()
}

#[test]
fn programs_are_interpreted_and_written_out() {
    let (mut device, mut rng) = (Device::new(), rng());
    for rows in [1, 5, 300] {
        let columns = [edges_and_random(&mut rng, rows), random(&mut rng, rows)];
        let scalars = random(&mut rng, 2);
        // Column and rotation of each cell.
        let queries = [(0, 0), (1, 1 % rows), (0, rows - 1)];
        let at = columns.each_ref().map(|column| device.upload_elements(column));
        let list = queries.map(|(column, rotation)| Arguments::new().address(at[column]).word(rotation).laid_out().0);
        let (list, scalars_at) = (device.upload(&list.concat()), device.upload_elements(&scalars));
        let expected: Vec<[Fr; 4]> = (0..rows)
            .map(|row| expected(queries.map(|(column, rotation)| columns[column][(row + rotation) % rows]), &scalars))
            .collect();
        let steps = interpreted().iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let steps = device.upload(&steps);
        for kernel in ["evaluate", "test_program"] {
            let memory: Vec<u64> = (0..5).map(|_| device.allocate(32 * rows)).collect();
            let places = device.upload(&addresses(&memory));
            let params = Arguments::new().address(steps).address(list).address(scalars_at).address(places);
            // In two pieces: no block computes rows of both.
            for (first, end) in [(rows / 3, rows), (0, rows / 3)] {
                let params = params.clone().word(rows).word(8).word(first).word(end);
                device.launch(kernel, (end - first).div_ceil(THREADS), THREADS, Arguments::new().structure(params));
            }
            for (output, at) in memory[..4].iter().enumerate() {
                let column: Vec<Fr> = expected.iter().map(|row| row[output]).collect();
                assert_eq!(device.read_elements(*at, rows), column, "{kernel}, output {output}, seed {SEED}");
            }
        }
    }
}
