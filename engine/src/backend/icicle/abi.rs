//! The part of ICICLE's C interface that this back end calls, as releases 3.0 to 4.0 have it.
//!
//! Source: the headers `icicle/{device,errors,runtime,msm,ntt}.h` and their sources in ingonyama-zk/icicle. Scalars and
//! coordinates are eight 32-bit words, the least significant first: [`Words`] on the little-endian hosts that ICICLE is
//! built for. Structs are laid out as in C, C++'s `bool` is a byte, and enumerations are `int`.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use zkml_gpu_kernels::field::Words;

/// What a call returns: 0, or a number of [`status_name`].
pub(super) type Status = c_int;

/// Success.
pub(super) const SUCCESS: Status = 0;

/// The names of the numbers, in `eIcicleError`'s order. The first releases end with UNKNOWN_ERROR as 12.
const STATUS_NAMES: [&str; 15] = [
    "SUCCESS",
    "INVALID_DEVICE",
    "OUT_OF_MEMORY",
    "INVALID_POINTER",
    "ALLOCATION_FAILED",
    "DEALLOCATION_FAILED",
    "COPY_FAILED",
    "SYNCHRONIZATION_FAILED",
    "STREAM_CREATION_FAILED",
    "STREAM_DESTRUCTION_FAILED",
    "API_NOT_IMPLEMENTED",
    "INVALID_ARGUMENT",
    "BACKEND_LOAD_FAILED",
    "LICENSE_CHECK_ERROR",
    "UNKNOWN_ERROR",
];

/// ICICLE's name for a status.
pub(super) fn status_name(status: Status) -> &'static str {
    usize::try_from(status).ok().and_then(|status| STATUS_NAMES.get(status)).copied().unwrap_or("unknown")
}

/// Bytes of a device's type, with the zero at its end.
const TYPE_BYTES: usize = 64;

/// `icicle::Device`: a type such as `CUDA`, and which one of that type.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeviceId {
    kind: [c_char; TYPE_BYTES],
    index: c_int,
}

impl DeviceId {
    /// The device of this type and number. Of a type's name only what fits is taken.
    pub(super) fn new(kind: &str, index: u16) -> Self {
        let mut letters = [0; TYPE_BYTES];
        for (letter, byte) in letters[..TYPE_BYTES - 1].iter_mut().zip(kind.bytes()) {
            *letter = byte as c_char;
        }
        Self { kind: letters, index: index.into() }
    }
}

/// `icicle::MSMConfig`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct MsmConfig {
    stream: *mut c_void,
    precompute_factor: c_int,
    window_bits: c_int,
    scalar_bits: c_int,
    batch_size: c_int,
    are_points_shared_in_batch: bool,
    are_scalars_on_device: bool,
    are_scalars_montgomery_form: bool,
    are_points_on_device: bool,
    are_points_montgomery_form: bool,
    are_results_on_device: bool,
    is_async: bool,
    extension: *mut c_void,
}

impl MsmConfig {
    /// One sum of points in Montgomery form, which is there when the call returns.
    pub(super) fn new() -> Self {
        Self {
            stream: ptr::null_mut(),
            precompute_factor: 1,
            window_bits: 0,
            scalar_bits: 0,
            batch_size: 1,
            are_points_shared_in_batch: true,
            are_scalars_on_device: false,
            are_scalars_montgomery_form: true,
            are_points_on_device: false,
            are_points_montgomery_form: true,
            are_results_on_device: false,
            is_async: false,
            extension: ptr::null_mut(),
        }
    }

    /// Scalars are canonical, and below 2^bits.
    pub(super) fn canonical(self, bits: u8) -> Self {
        Self { are_scalars_montgomery_form: false, scalar_bits: bits.into(), ..self }
    }

    /// Points are in the device's memory.
    pub(super) fn resident(self) -> Self {
        Self { are_points_on_device: true, ..self }
    }
}

/// `icicle::NTTDir`.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Coefficients to values.
    Forward = 0,
    /// Values to coefficients.
    Inverse = 1,
}

/// `icicle::Ordering::kNN`: natural order in and out.
const NATURAL: c_int = 0;

/// `icicle::NTTConfig<scalar_t>`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct NttConfig {
    stream: *mut c_void,
    coset_generator: Words,
    batch_size: c_int,
    columns_batch: bool,
    ordering: c_int,
    are_inputs_on_device: bool,
    are_outputs_on_device: bool,
    is_async: bool,
    extension: *mut c_void,
}

impl NttConfig {
    /// One transform over the coset of this canonical generator, from host memory to host memory, which is done when
    /// the call returns.
    pub(super) fn new(coset_generator: Words) -> Self {
        Self {
            stream: ptr::null_mut(),
            coset_generator,
            batch_size: 1,
            columns_batch: false,
            ordering: NATURAL,
            are_inputs_on_device: false,
            are_outputs_on_device: false,
            is_async: false,
            extension: ptr::null_mut(),
        }
    }
}

/// `icicle::NTTInitDomainConfig`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct DomainConfig {
    stream: *mut c_void,
    is_async: bool,
    extension: *mut c_void,
}

impl DomainConfig {
    /// A domain that is there when the call returns.
    pub(super) fn new() -> Self {
        Self { stream: ptr::null_mut(), is_async: false, extension: ptr::null_mut() }
    }
}

/// An affine point: x, y. The identity is (0, 0).
pub(super) type Affine = [Words; 2];

/// A projective point: X, Y, Z with x = X/Z and y = Y/Z. Z = 0 is the identity.
pub(super) type Projective = [Words; 3];

/// Declares the functions: the field that holds one, the library that has it, its symbol and its parameters.
macro_rules! functions {
    ($($(#[$doc:meta])* $field:ident: $library:ident $symbol:literal ($($parameter:ty),*);)*) => {
        /// The functions that this back end calls.
        #[derive(Debug, Clone, Copy)]
        pub(super) struct Functions {
            $($(#[$doc])* pub(super) $field: unsafe extern "C" fn($($parameter),*) -> Status,)*
        }

        impl Functions {
            /// Finds them.
            ///
            /// # Errors
            /// Names the first that is missing.
            ///
            /// # Safety
            /// Functions of these names in the libraries have the parameters that are declared here.
            #[allow(unsafe_code)]
            pub(super) unsafe fn resolve(libraries: &super::file::Libraries) -> Result<Self, String> {
                // SAFETY: by the caller's word.
                Ok(Self { $($field: unsafe { libraries.$library.symbol($symbol) }?,)* })
            }
        }
    };
}

functions! {
    /// Loads the plugins in `ICICLE_BACKEND_INSTALL_DIR`, or else in ICICLE's own folder.
    load_plugins: device "icicle_load_backend_from_env_or_default" ();
    /// Writes the types of devices that there are plugins for, with commas between them.
    registered_devices: device "icicle_get_registered_devices" (*mut c_char, usize);
    /// Whether there is a plugin for a type of device.
    is_device_available: device "icicle_is_device_available" (*const DeviceId);
    /// Makes a device the calling thread's. Throws where there is no plugin for its type.
    set_device: device "icicle_set_device" (*const DeviceId);
    /// Allocates memory of the thread's device.
    allocate: device "icicle_malloc" (*mut *mut c_void, usize);
    /// Frees it.
    free: device "icicle_free" (*mut c_void);
    /// Copies so many bytes into it from host memory.
    copy_to_device: device "icicle_copy_to_device" (*mut c_void, *const c_void, usize);
    /// Makes the powers of a root of unity, in canonical form, for transforms up to its order. Does nothing where there
    /// are some.
    init_domain: field "bn254_ntt_init_domain" (*const Words, *const DomainConfig);
    /// Forgets them.
    release_domain: field "bn254_ntt_release_domain" ();
    /// Transforms a vector of this length.
    ntt: field "bn254_ntt" (*const Words, c_int, Direction, *const NttConfig, *mut Words);
    /// Sums so many multiples of points.
    msm: curve "bn254_msm" (*const Words, *const Affine, c_int, *const MsmConfig, *mut Projective);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn devices_are_laid_out_as_in_c() {
        assert_eq!((size_of::<DeviceId>(), align_of::<DeviceId>()), (68, 4));
        assert_eq!((offset_of!(DeviceId, kind), offset_of!(DeviceId, index)), (0, 64));
    }

    #[test]
    fn the_name_of_a_devices_type_ends_with_a_zero() {
        let named = |kind: &str| DeviceId::new(kind, 3).kind.map(|letter| letter as u8);
        assert_eq!(named("CUDA")[..6], *b"CUDA\0\0");
        let long = named(&"x".repeat(100));
        assert_eq!((long[62], long[63]), (b'x', 0));
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_config_of_sums_is_laid_out_as_in_c() {
        assert_eq!((size_of::<MsmConfig>(), align_of::<MsmConfig>()), (40, 8));
        let numbers = [
            offset_of!(MsmConfig, stream),
            offset_of!(MsmConfig, precompute_factor),
            offset_of!(MsmConfig, window_bits),
            offset_of!(MsmConfig, scalar_bits),
            offset_of!(MsmConfig, batch_size),
            offset_of!(MsmConfig, extension),
        ];
        assert_eq!(numbers, [0, 8, 12, 16, 20, 32]);
        let flags = [
            offset_of!(MsmConfig, are_points_shared_in_batch),
            offset_of!(MsmConfig, are_scalars_on_device),
            offset_of!(MsmConfig, are_scalars_montgomery_form),
            offset_of!(MsmConfig, are_points_on_device),
            offset_of!(MsmConfig, are_points_montgomery_form),
            offset_of!(MsmConfig, are_results_on_device),
            offset_of!(MsmConfig, is_async),
        ];
        assert_eq!(flags, [24, 25, 26, 27, 28, 29, 30]);
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_configs_of_transforms_are_laid_out_as_in_c() {
        assert_eq!((size_of::<NttConfig>(), align_of::<NttConfig>()), (64, 8));
        let offsets = [
            offset_of!(NttConfig, stream),
            offset_of!(NttConfig, coset_generator),
            offset_of!(NttConfig, batch_size),
            offset_of!(NttConfig, columns_batch),
            offset_of!(NttConfig, ordering),
            offset_of!(NttConfig, are_inputs_on_device),
            offset_of!(NttConfig, are_outputs_on_device),
            offset_of!(NttConfig, is_async),
            offset_of!(NttConfig, extension),
        ];
        assert_eq!(offsets, [0, 8, 40, 44, 48, 52, 53, 54, 56]);
        assert_eq!((size_of::<DomainConfig>(), align_of::<DomainConfig>()), (24, 8));
        assert_eq!((offset_of!(DomainConfig, is_async), offset_of!(DomainConfig, extension)), (8, 16));
        assert_eq!((size_of::<Direction>(), Direction::Forward as i32, Direction::Inverse as i32), (4, 0, 1));
    }

    #[test]
    fn points_are_their_coordinates() {
        assert_eq!((size_of::<Affine>(), size_of::<Projective>()), (64, 96));
    }

    #[test]
    fn every_status_has_a_name() {
        assert_eq!(
            [0, 2, 13, 14].map(status_name),
            ["SUCCESS", "OUT_OF_MEMORY", "LICENSE_CHECK_ERROR", "UNKNOWN_ERROR"]
        );
        assert_eq!([-1, 15, i32::MAX].map(status_name), ["unknown"; 3]);
    }
}
