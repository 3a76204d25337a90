//! Field and curve kernels on every Vulkan device there is, against the host's arithmetic, bit for bit.

use std::io::Write;
use std::path::Path;

use ff::PrimeField;
use group::{Curve, Group};
use halo2curves::bn256::{Fq, Fr, G1, G1Affine};
use halo2curves::serde::SerdeObject;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use zkml_gpu_kernels::wgsl::{Arithmetic, Module, source};

const SEED: u64 = 7;
const THREADS: usize = 64;

/// Where packages put the description of the software device.
const SOFTWARE_DEVICES: [&str; 2] =
    ["/usr/share/vulkan/icd.d/lvp_icd.x86_64.json", "/usr/share/vulkan/icd.d/lvp_icd.json"];

struct Device {
    name: String,
    raw: wgpu::Device,
    queue: wgpu::Queue,
    arithmetic: Arithmetic,
}

/// Every device, once for each arithmetic that it can do.
fn devices() -> Vec<Device> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    let adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(wgpu::Backends::VULKAN));
    let software_installed = SOFTWARE_DEVICES.iter().any(|path| Path::new(path).exists());
    assert!(!software_installed || !adapters.is_empty(), "a software device is installed, but Vulkan finds none");
    if adapters.is_empty() {
        // Past the test harness, which would swallow it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no Vulkan device, the WGSL kernels were not run");
    }
    let mut devices = Vec::new();
    for adapter in &adapters {
        let int64 = adapter.features().contains(wgpu::Features::SHADER_INT64);
        devices.push(open(adapter, Arithmetic::Int32));
        devices.extend(int64.then(|| open(adapter, Arithmetic::Int64)));
    }
    devices
}

fn open(adapter: &wgpu::Adapter, arithmetic: Arithmetic) -> Device {
    let required_features = match arithmetic {
        Arithmetic::Int64 => wgpu::Features::SHADER_INT64,
        Arithmetic::Int32 => wgpu::Features::empty(),
    };
    let descriptor = wgpu::DeviceDescriptor { required_features, ..Default::default() };
    let (raw, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("the device opens");
    Device { name: format!("{}, {arithmetic:?}", adapter.get_info().name), raw, queue, arithmetic }
}

impl Device {
    /// `out[i] = expression(a[i], b[i])` for arrays of a type.
    fn map(&self, modules: &[Module], kind: &str, expression: &str, a: &[u8], b: &[u8]) -> Vec<u8> {
        let text = format!(
            "{}
            @group(0) @binding(0) var<storage, read> left: array<{kind}>;
            @group(0) @binding(1) var<storage, read> right: array<{kind}>;
            @group(0) @binding(2) var<storage, read_write> results: array<{kind}>;
            @compute @workgroup_size({THREADS}) fn test(@builtin(global_invocation_id) id: vec3<u32>) {{
                if id.x < arrayLength(&results) {{
                    let a = left[id.x];
                    let b = right[id.x];
                    results[id.x] = {expression};
                }}
            }}",
            source(self.arithmetic, modules)
        );
        let descriptor = wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Wgsl(text.into()) };
        let module = self.raw.create_shader_module(descriptor);
        let pipeline = self.raw.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("test"),
            compilation_options: Default::default(),
            cache: None,
        });
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffer = |usage| {
            let size = a.len() as u64;
            self.raw.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
        };
        let [left, right, results] = [buffer(usage), buffer(usage), buffer(usage)];
        let read = buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
        self.queue.write_buffer(&left, 0, a);
        self.queue.write_buffer(&right, 0, b);
        let entries: Vec<_> = [&left, &right, &results]
            .into_iter()
            .enumerate()
            .map(|(i, buffer)| wgpu::BindGroupEntry { binding: i as u32, resource: buffer.as_entire_binding() })
            .collect();
        let layout = pipeline.get_bind_group_layout(0);
        let group =
            self.raw.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries });
        let mut encoder = self.raw.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups((a.len() / 32).div_ceil(THREADS) as u32, 1, 1);
        drop(pass);
        encoder.copy_buffer_to_buffer(&results, 0, &read, 0, a.len() as u64);
        self.queue.submit([encoder.finish()]);
        read.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("the buffer is mapped"));
        self.raw.poll(wgpu::PollType::wait_indefinitely()).expect("the device answers");
        read.get_mapped_range(..).expect("the buffer is mapped").to_vec()
    }
}

fn bytes<T: SerdeObject>(values: &[T]) -> Vec<u8> {
    values.iter().flat_map(SerdeObject::to_raw_bytes).collect()
}

/// Edge values against each other, and random ones.
fn pairs<F: PrimeField>(rng: &mut ChaCha8Rng) -> (Vec<F>, Vec<F>) {
    let radix = F::from(2).pow([256]);
    // Raw words 1 and p - 1 are the Montgomery forms of 1/R and -1/R.
    let unit = radix.invert().expect("not zero");
    let edges = [F::ZERO, F::ONE, -F::ONE, radix, -radix, unit, -unit, F::TWO_INV, F::from(1 << 13), F::from(u64::MAX)];
    let mut pairs: Vec<_> = edges.iter().flat_map(|a| edges.iter().map(move |b| (*a, *b))).collect();
    pairs.extend((0..400).map(|_| (F::random(&mut *rng), F::random(&mut *rng))));
    pairs.into_iter().unzip()
}

/// The raw words of an element's canonical integer.
fn canonical<F: PrimeField>(a: F) -> Vec<u8> {
    a.to_repr().as_ref().to_vec()
}

fn check_field<F: PrimeField + SerdeObject>(device: &Device, prefix: &str) {
    let (a, b) = pairs::<F>(&mut ChaCha8Rng::seed_from_u64(SEED));
    let (a_bytes, b_bytes) = (bytes(&a), bytes(&b));
    let check = |expression: &str, expected: &dyn Fn(F, F) -> Vec<u8>| {
        let expression = expression.replace("f_", &format!("{prefix}_"));
        let results = device.map(&[], "Element", &expression, &a_bytes, &b_bytes);
        for (i, result) in results.chunks(32).enumerate() {
            let context = || format!("{}: {expression} for {:?} and {:?}, seed {SEED}", device.name, a[i], b[i]);
            assert_eq!(result, expected(a[i], b[i]), "{}", context());
        }
    };
    let raw = |value: F| value.to_raw_bytes();
    check("f_add(a, b)", &|a, b| raw(a + b));
    check("f_sub(a, b)", &|a, b| raw(a - b));
    check("f_mul(a, b)", &|a, b| raw(a * b));
    check("f_square(a)", &|a, _| raw(a.square()));
    check("f_double(a)", &|a, _| raw(a.double()));
    check("f_neg(a)", &|a, _| raw(-a));
    check("f_inverse(a)", &|a, _| raw(a.invert().unwrap_or(F::ZERO)));
    check("f_from_montgomery(a)", &|a, _| canonical(a));
    check("f_to_montgomery(f_from_montgomery(a))", &|a, _| raw(a));
    check("Element(array<u32, 8>(u32(f_equal(a, b)), u32(f_is_zero(a)), 0, 0, 0, 0, 0, 0))", &|a, b| {
        let mut flags = vec![0; 32];
        (flags[0], flags[4]) = (u8::from(a == b), u8::from(a == F::ZERO));
        flags
    });
}

#[test]
fn scalar_field_is_the_hosts() {
    devices().iter().for_each(|device| check_field::<Fr>(device, "fr"));
}

#[test]
fn base_field_is_the_hosts() {
    devices().iter().for_each(|device| check_field::<Fq>(device, "fq"));
}

/// Random points, equal and opposite ones, one twice the other or its opposite, and the identity.
fn point_pairs(rng: &mut ChaCha8Rng) -> Vec<(G1Affine, G1Affine)> {
    let mut pairs = vec![(G1Affine::default(), G1Affine::default())];
    for _ in 0..10 {
        let a = G1::random(&mut *rng);
        let others = [a, -a, a.double(), -a.double(), G1::identity(), G1::random(&mut *rng)];
        pairs.extend(others.map(|b| (a.to_affine(), b.to_affine())));
        pairs.push((G1Affine::default(), a.to_affine()));
    }
    pairs
}

#[test]
fn sums_of_points_are_the_hosts() {
    let pairs = point_pairs(&mut ChaCha8Rng::seed_from_u64(SEED));
    let (a, b): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let raw = |points: &[G1Affine]| bytes(&points.iter().flat_map(|p| [p.x, p.y]).collect::<Vec<Fq>>());
    for device in devices() {
        let check = |expression: &str, expected: &dyn Fn(G1, G1) -> G1| {
            let expression = format!("point_to_affine({expression})");
            let results = device.map(&[Module::Curve], "Affine", &expression, &raw(&a), &raw(&b));
            for (i, result) in results.chunks(64).enumerate() {
                let expected = expected(a[i].into(), b[i].into()).to_affine();
                assert_eq!(result, raw(&[expected]), "{}: {expression}, pair {i}, seed {SEED}", device.name);
            }
        };
        check("point_double(point_from_affine(a))", &|a, _| a.double());
        check("point_add_affine(point_from_affine(a), b)", &|a, b| a + b);
        check("point_add_affine(point_double(point_from_affine(a)), affine_signed(b, true))", &|a, b| a.double() - b);
        check("point_add(point_from_affine(a), point_from_affine(b))", &|a, b| a + b);
        check("point_add(point_double(point_from_affine(a)), point_from_affine(b))", &|a, b| a.double() + b);
        check("point_add(point_double(point_from_affine(a)), point_double(point_from_affine(b)))", &|a, b| {
            a.double() + b.double()
        });
    }
}
