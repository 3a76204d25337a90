//! Says which GPU the tests run on.

use zkml_gpu_engine::backend::MemoryOps;
use zkml_gpu_tests::gpu;

fn main() {
    match gpu::whole() {
        Some(device) => println!("GPU tests run on {}", device.description()),
        None => println!(
            "GPU tests are SKIPPED: no Vulkan, Metal or DirectX 12 device (Debian: mesa-vulkan-drivers, libvulkan1)"
        ),
    }
}
