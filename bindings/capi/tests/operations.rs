//! Multiplications and transforms, as C gets them, against sums and powers that are computed one by one; on every back
//! end that runs on this machine's hardware.
#![expect(unsafe_code, reason = "what is tested is called as C calls it")]

use std::ffi::CString;
use std::ptr::{null, null_mut};

use ff::{Field, PrimeField};
use group::{Curve, Group};
use halo2curves::CurveAffine;
use halo2curves::bn256::{Fr, G1, G1Affine};
use rand_core::OsRng;
use zkml_gpu::BackendChoice;
use zkml_gpu_c::operations::{
    Backend, Direction, zkml_backend_free, zkml_backend_open, zkml_bases_free, zkml_bases_load, zkml_msm, zkml_ntt,
};
use zkml_gpu_c::status::Status;

const LOG_N: u32 = 5;
const N: usize = 1 << LOG_N;

fn bytes(elements: &[Fr]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_repr().as_ref().to_vec()).collect()
}

fn point_bytes(point: &G1Affine) -> Vec<u8> {
    let coordinates: Option<halo2curves::Coordinates<G1Affine>> = point.coordinates().into();
    coordinates.map_or(vec![0; 64], |at| [at.x().to_repr().as_ref(), at.y().to_repr().as_ref()].concat())
}

fn random(count: usize) -> Vec<Fr> {
    (0..count).map(|_| Fr::random(OsRng)).collect()
}

/// Calls a test with each back end.
fn on_each(test: impl Fn(*const Backend)) {
    for choice in BackendChoice::present() {
        let name = CString::new(choice.to_string()).expect("a name");
        let mut backend = null_mut();
        // SAFETY: text that ends with a zero, and a place for a pointer.
        assert_eq!(unsafe { zkml_backend_open(name.as_ptr(), &raw mut backend) }, Status::Ok, "{choice}");
        test(backend);
        // SAFETY: it was opened above, and is used no more.
        unsafe { zkml_backend_free(backend) };
    }
}

#[test]
fn sums_of_points_are_those_of_one_point_after_the_other() {
    let mut points: Vec<G1Affine> = (0..N).map(|_| G1::random(OsRng).to_affine()).collect();
    // The identity, and a point twice.
    points[3] = G1Affine::default();
    points[5] = points[4];
    let mut columns = [random(N), random(N)];
    columns[0][7] = Fr::ZERO;
    columns[1] = vec![Fr::ZERO; N];
    on_each(|backend| {
        let given: Vec<u8> = points.iter().flat_map(point_bytes).collect();
        let mut bases = null_mut();
        // SAFETY: as many points as it says, and a place for a pointer.
        assert_eq!(unsafe { zkml_bases_load(backend, given.as_ptr(), N, 0, &raw mut bases) }, Status::Ok);
        let mut sums = vec![1u8; 128];
        let scalars = bytes(&columns.concat());
        // SAFETY: two columns of scalars, and room for two points.
        assert_eq!(unsafe { zkml_msm(bases, scalars.as_ptr(), N, 2, sums.as_mut_ptr()) }, Status::Ok);
        let expected = columns.iter().flat_map(|column| {
            let sum: G1 = points.iter().zip(column).map(|(point, scalar)| point * scalar).sum();
            point_bytes(&sum.to_affine())
        });
        assert_eq!(sums, expected.collect::<Vec<u8>>());
        // SAFETY: it was loaded above, and is used no more.
        unsafe { zkml_bases_free(bases) };
    });
}

#[test]
fn transforms_are_values_at_powers_of_the_root_and_at_their_shifts() {
    // r - 1 is the greatest element; its quotient by n is exact.
    let exponent = (-Fr::ONE) * Fr::from(N as u64).invert().expect("n is not 0");
    let exponent: Vec<u64> =
        exponent.to_repr().as_ref().chunks(8).map(|b| u64::from_le_bytes(b.try_into().expect("8 bytes"))).collect();
    let root = Fr::from(7).pow_vartime(exponent);
    let (columns, shift) = ([random(N), random(N)], Fr::random(OsRng));
    on_each(|backend| {
        for shift in [None, Some(shift)] {
            let mut values = bytes(&columns.concat());
            let place = shift.map(|shift| shift.to_repr());
            let place = place.as_ref().map_or(null(), |bytes| bytes.as_ref().as_ptr());
            // SAFETY: two columns of elements, and a shift or none.
            let status = unsafe { zkml_ntt(backend, values.as_mut_ptr(), LOG_N, 2, Direction::Forward as i32, place) };
            assert_eq!(status, Status::Ok);
            let at = |power: usize| shift.unwrap_or(Fr::ONE) * root.pow_vartime([power as u64]);
            let value = |column: &Vec<Fr>, x: Fr| column.iter().rev().fold(Fr::ZERO, |sum, c| sum * x + c);
            let expected: Vec<Fr> = columns.iter().flat_map(|c| (0..N).map(move |i| value(c, at(i)))).collect();
            assert_eq!(values, bytes(&expected));
            // SAFETY: as above.
            let status = unsafe { zkml_ntt(backend, values.as_mut_ptr(), LOG_N, 2, Direction::Inverse as i32, place) };
            match shift {
                None => assert_eq!((status, values), (Status::Ok, bytes(&columns.concat()))),
                Some(_) => assert_eq!((status, values), (Status::BadInput, bytes(&expected)), "nothing is changed"),
            }
        }
    });
}
