//! The control plane's messages: DM's `pb` package and our own master-worker stream.

#![allow(missing_docs, clippy::all)]

/// DM's gRPC package: `pb.Master`, `pb.Worker` and their messages.
pub mod pb {
    tonic::include_proto!("pb");
}

/// Our own stream between a master and its workers.
pub mod control {
    tonic::include_proto!("rsyncdm.v1");
}

/// The compiled descriptor set of every .proto file, for printing answers by field.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
