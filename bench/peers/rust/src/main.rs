//! The same work as ../raw.c through wireguard-control. Arguments and output as there. It has no way to say
//! "update only".
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;
use wireguard_control::{Backend, Device, DeviceUpdate, InterfaceName, Key, PeerConfigBuilder};

const RECORD: usize = 80;
const REMOVE: u8 = 1;
const ENDPOINT: u8 = 8;
const PRESHARED: u8 = 16;
const KEEPALIVE: u8 = 32;

fn key(bytes: &[u8]) -> Key {
    Key(bytes.try_into().expect("32 bytes"))
}

fn address(bytes: &[u8]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
}

fn short(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

fn load(path: &str) -> DeviceUpdate {
    let data = std::fs::read(path).expect(path);
    let mut update = DeviceUpdate::new();
    for record in data.chunks_exact(RECORD) {
        let flags = record[64];
        let mut peer = PeerConfigBuilder::new(&key(&record[0..32]));
        if flags & REMOVE != 0 {
            peer = peer.remove();
        }
        if flags & PRESHARED != 0 {
            peer = peer.set_preshared_key(key(&record[32..64]));
        }
        if flags & ENDPOINT != 0 {
            peer = peer.set_endpoint(SocketAddr::new(address(&record[72..76]), short(&record[68..70])));
        }
        if flags & KEEPALIVE != 0 {
            peer = peer.set_persistent_keepalive_interval(short(&record[66..68]));
        }
        if record[65] > 0 {
            peer = peer.add_allowed_ip(address(&record[76..80]), record[65]);
        }
        update = update.add_peer(peer);
    }
    update
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let device: InterfaceName = arguments[2].parse().expect("a device's name");
    let times: usize = arguments[3].parse().expect("a number");
    let updates: Vec<DeviceUpdate> = arguments[4..].iter().map(|path| load(path)).collect();
    let sizes: Vec<u64> = arguments[4..]
        .iter()
        .map(|path| std::fs::metadata(path).expect(path).len() / RECORD as u64)
        .collect();
    for time in 0..times {
        if updates.is_empty() {
            let start = Instant::now();
            let read = Device::get(&device, Backend::Kernel).expect("the device");
            println!("{} {}", start.elapsed().as_nanos(), read.peers.len());
        } else {
            // apply() takes it away; the copy is not the library's doing.
            let update = updates[time % updates.len()].clone();
            let start = Instant::now();
            update.apply(&device, Backend::Kernel).expect("the kernel takes it");
            println!("{} {}", start.elapsed().as_nanos(), sizes[time % sizes.len()]);
        }
    }
}
