//! From `--backend` to a device: the only place besides the kernels that names one.

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::ValueEnum;

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// Flex, pure Rust on the processor.
    Cpu,
    /// NVIDIA GPUs.
    Cuda,
    /// Vulkan, Metal, DirectX 12 and WebGPU.
    Wgpu,
}

impl Backend {
    pub const ALL: [Backend; 3] = [Backend::Cpu, Backend::Cuda, Backend::Wgpu];

    pub fn name(self) -> &'static str {
        match self {
            Backend::Cpu => "cpu",
            Backend::Cuda => "cuda",
            Backend::Wgpu => "wgpu",
        }
    }

    /// Whether this binary has it.
    pub fn compiled(self) -> bool {
        match self {
            Backend::Cpu => cfg!(feature = "cpu"),
            Backend::Cuda => cfg!(feature = "cuda"),
            Backend::Wgpu => cfg!(feature = "wgpu"),
        }
    }

    /// The first device, or one line on what is missing.
    pub fn device(self) -> Result<Device> {
        if !self.compiled() {
            bail!(
                "this weft was built without {0}: build it with --features {0}, or run \
                 cargo xtask ... --backend {0}",
                self.name()
            );
        }
        self.open()
    }

    fn open(self) -> Result<Device> {
        match self {
            #[cfg(feature = "cpu")]
            Backend::Cpu => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Backend::Cuda => {
                if !cuda_driver() {
                    bail!(
                        "--backend cuda: no NVIDIA driver (libcuda) found; install the driver, \
                         or use --backend cpu or wgpu"
                    );
                }
                Ok(Device::cuda(0))
            }
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => {
                use burn::tensor::DeviceKind;
                let opened = std::panic::catch_unwind(|| {
                    let device = Device::wgpu(DeviceKind::DefaultDevice);
                    device.sync().map(|()| device)
                });
                match opened {
                    Ok(Ok(device)) => Ok(device),
                    _ => bail!(
                        "--backend wgpu: no usable GPU found; install a Vulkan driver (or use \
                         --backend cpu)"
                    ),
                }
            }
            #[allow(unreachable_patterns)]
            _ => unreachable!("compiled() was asked before"),
        }
    }
}

/// Whether the CUDA driver can be loaded. Burn itself would panic in a thread of its own.
#[cfg(feature = "cuda")]
fn cuda_driver() -> bool {
    let folders =
        ["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/local/nvidia/lib64"];
    let path = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let named = path.split(':').filter(|folder| !folder.is_empty());
    folders
        .into_iter()
        .chain(named)
        .any(|folder| std::path::Path::new(folder).join("libcuda.so.1").exists())
        || std::path::Path::new("/proc/driver/nvidia/version").exists()
}
