//! Generates messages and stubs from the protos of the project.

use std::error::Error;
use std::path::Path;

use protox::Compiler;
use protox::file::{ChainFileResolver, DescriptorSetFileResolver, GoogleFileResolver, IncludeFileResolver};
use protox::prost::Message;
use protox::prost_reflect::prost_types::FileDescriptorSet;

const PROTOS: &str = "../../../protos";

fn main() -> Result<(), Box<dyn Error>> {
    // Imports are looked up here, then among Google's well-known types, then in what `tonic-types` brings.
    let mut imports = ChainFileResolver::new();
    imports.add(IncludeFileResolver::new(PROTOS.into()));
    imports.add(GoogleFileResolver::new());
    imports.add(DescriptorSetFileResolver::new(google_rpc()?));

    let mut compiler = Compiler::with_file_resolver(imports);
    compiler.include_imports(true).include_source_info(true);
    for entry in Path::new(PROTOS).join("visavis/api/v1").read_dir()? {
        let name = entry?.file_name().into_string().expect("names of protos are ASCII");
        compiler.open_file(format!("visavis/api/v1/{name}"))?;
    }

    println!("cargo:rerun-if-changed={PROTOS}/visavis");
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// `google/rpc/status.proto` and its neighbours, under the names by which the world imports them.
fn google_rpc() -> Result<FileDescriptorSet, Box<dyn Error>> {
    let mut set = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
    for file in &mut set.file {
        if file.package() == "google.rpc" {
            file.name = Some(format!("google/rpc/{}", file.name()));
        }
    }
    Ok(set)
}
