//! What reflection tells is what `proto/` says.

use std::path::Path;
use std::{env, fs};

use chat_proto::CLIENT_DESCRIPTORS;

#[test]
fn the_descriptors_are_those_of_proto() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = package.join("../../proto");
    let mut compiler = protox::Compiler::new([&proto]).expect("proto/ is there");
    // Comments are for readers of the files.
    compiler.include_source_info(false).include_imports(true);
    for file in ["chat/v1/chat.proto", "cluster/v1/cluster.proto"] {
        compiler.open_file(file).expect("it compiles");
    }
    let wanted = compiler.encode_file_descriptor_set();
    if env::var_os("UPDATE_EXPECT").is_some() {
        let committed = package.join("src/generated/client.binpb");
        fs::write(committed, &wanted).expect("it can be written");
    } else {
        assert!(
            wanted == CLIENT_DESCRIPTORS,
            "client.binpb differs from proto/; UPDATE_EXPECT=1 writes it"
        );
    }
}
