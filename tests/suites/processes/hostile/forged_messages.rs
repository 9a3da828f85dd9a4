//! Messages of peers as trees of fields, and every way to bring one field of them to an extreme.
//!
//! A field is absent, or of another wire type, or has a number or a length at which something could
//! wrap, overflow or run out of room; nested messages are taken apart the same way. Fields are
//! written by hand, so that a message need not be one that our types could hold.

use bytes::{BufMut as _, Bytes, BytesMut};
use chat_consensus::{BOOT_COUNT_MAX, LOG_INDEX_MAX, NodeId, TERM_MAX};
use prost::encoding::encode_varint;

/// Where numbers of the protocol end, and where those of the machine do.
const NUMBERS: [u64; 9] = [
    0,
    1,
    (1 << 20) + 2,
    TERM_MAX.0,
    TERM_MAX.0 + 1,
    LOG_INDEX_MAX.0,
    LOG_INDEX_MAX.0 + 1,
    BOOT_COUNT_MAX << 32,
    u64::MAX,
];
/// Around the 16 bytes of an id and the 32 of a hash, and far more than both.
const LENGTHS: [usize; 7] = [0, 1, 15, 16, 17, 32, 64 * 1024];

/// One field of a message.
#[derive(Clone, Debug)]
pub(super) struct Field {
    number: u64,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Number(u64),
    /// Eight bytes whatever the number.
    Fixed(u64),
    Bytes(Bytes),
    Message(Vec<Field>),
}

/// The sender that a message claims, and its receiver.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    /// Empty, ours or another one's.
    pub(super) cluster: Bytes,
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) storage: Bytes,
    pub(super) term: u64,
}

/// What an observer of the cluster knows of it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) cluster: Bytes,
    /// Every node, and its disk.
    pub(super) voters: Vec<(NodeId, Bytes)>,
    /// The end of the log.
    pub(super) index: u64,
    pub(super) term: u64,
}

impl Known {
    /// The disk of this voter.
    fn asked(&self, node: NodeId) -> Bytes {
        let voter = self.voters.iter().find(|(voter, _)| *voter == node);
        voter.map(|(_, disk)| disk.clone()).unwrap_or_default()
    }
}

fn number(number: u64, value: u64) -> Field {
    let value = Value::Number(value);
    Field { number, value }
}

fn bytes(number: u64, value: impl Into<Bytes>) -> Field {
    let value = Value::Bytes(value.into());
    Field { number, value }
}

fn message(number: u64, fields: Vec<Field>) -> Field {
    let value = Value::Message(fields);
    Field { number, value }
}

/// The bytes of a message.
pub(super) fn encode(fields: &[Field]) -> Bytes {
    const VARINT: u64 = 0;
    const FIXED: u64 = 1;
    const LENGTH: u64 = 2;
    let mut encoded = BytesMut::new();
    for field in fields {
        let mut put_key = |wire| encode_varint(field.number << 3 | wire, &mut encoded);
        match &field.value {
            Value::Number(value) => {
                put_key(VARINT);
                encode_varint(*value, &mut encoded);
            }
            Value::Fixed(value) => {
                put_key(FIXED);
                encoded.put_u64_le(*value);
            }
            Value::Bytes(value) => {
                put_key(LENGTH);
                encode_varint(value.len() as u64, &mut encoded);
                encoded.put_slice(value);
            }
            Value::Message(fields) => {
                put_key(LENGTH);
                let inner = encode(fields);
                encode_varint(inner.len() as u64, &mut encoded);
                encoded.put(inner);
            }
        }
    }
    encoded.freeze()
}

/// The message itself, and with one field at a time absent or at an extreme.
pub(super) fn with_extremes(fields: &[Field]) -> Vec<Vec<Field>> {
    let mut variants = vec![fields.to_vec()];
    for place in 0..fields.len() {
        let mut without = fields.to_vec();
        without.remove(place);
        variants.push(without);
        for value in extremes(&fields[place].value) {
            let mut variant = fields.to_vec();
            variant[place].value = value;
            variants.push(variant);
        }
    }
    variants
}

fn extremes(value: &Value) -> Vec<Value> {
    let garbage = || Value::Bytes(Bytes::from_static(&[0xff; 24]));
    match value {
        Value::Number(_) => {
            let numbers = NUMBERS.map(Value::Number);
            numbers.into_iter().chain([garbage()]).collect()
        }
        Value::Fixed(_) => [0, u64::MAX].map(Value::Fixed).to_vec(),
        Value::Bytes(_) => {
            let filled = |length, with| Value::Bytes(Bytes::from(vec![with; length]));
            let zeros = LENGTHS.map(|length| filled(length, 0));
            let ones = LENGTHS.map(|length| filled(length, 0xff));
            let number = [Value::Number(u64::MAX)];
            zeros.into_iter().chain(ones).chain(number).collect()
        }
        Value::Message(fields) => {
            let variants = with_extremes(fields).into_iter().skip(1);
            let variants = variants.map(Value::Message);
            variants.chain([garbage()]).collect()
        }
    }
}

impl Sender {
    fn header(&self) -> Field {
        let run = 1 << 32 | 7;
        let fields = vec![
            bytes(1, self.cluster.clone()),
            number(2, self.term),
            number(3, self.from.0),
            number(4, self.to.0),
            bytes(5, self.storage.clone()),
            number(6, run),
            number(7, 1),
            // The group: empty for the default one.
            bytes(8, Bytes::new()),
        ];
        message(1, fields)
    }
}

/// A request of each kind that a peer makes, and the RPC that takes it; several for one RPC where
/// it has several kinds. Only the header names the sender.
pub(super) fn requests(sender: &Sender, known: &Known) -> Vec<(&'static str, Vec<Field>)> {
    let header = || sender.header();
    let last = |at: u64| message(at, vec![number(1, known.index), number(2, known.term)]);
    let asked = || bytes(5, known.asked(sender.to));
    let election = |kind| vec![header(), number(2, kind), last(3), asked()];
    let garbage = Bytes::from_static(b"not a valid request");
    vec![
        ("Coordinator", vec![header()]),
        ("Election", vec![header(), number(2, 1), last(3)]),
        ("Election", election(2)),
        ("Election", election(3)),
        (
            "GetCommits",
            vec![
                header(),
                last(2),
                number(3, known.index),
                number(4, 1 << 20),
                number(5, 0),
                number(6, 1),
            ],
        ),
        (
            "Heartbeat",
            vec![header(), number(2, known.index), number(3, 1)],
        ),
        ("Resign", vec![header(), number(2, sender.from.0)]),
        ("Propose", vec![header(), bytes(2, garbage)]),
        ("ReadIndex", vec![header()]),
    ]
}

/// What a node forwards to the leader for a client, of each kind, with a session that does not
/// exist; with one field at a time at an extreme.
pub(super) fn proposals(sender: &Sender) -> Vec<Vec<Field>> {
    let token = || Bytes::from(vec![7; 32]);
    let digest = || Bytes::from("0123456789abcdef".repeat(4));
    let credential = |at| message(at, vec![number(1, 2), number(2, 2)]);
    let session = || {
        let name = bytes(2, "honest-0");
        message(1, vec![bytes(1, token()), name, credential(3)])
    };
    let id = "00000000-0000-4000-8000-000000000000";
    let ids = || vec![session(), bytes(2, id), bytes(2, id)];
    // Of storage.v1.Command; the last three only a leader may make.
    let operations = [
        message(
            5,
            vec![
                bytes(1, token()),
                credential(2),
                bytes(3, id),
                bytes(4, "honest-0"),
                bytes(5, "honest-1"),
                bytes(6, "forged"),
            ],
        ),
        message(6, vec![session()]),
        message(7, ids()),
        message(8, ids()),
        message(9, vec![session()]),
        message(11, vec![session()]),
        message(
            3,
            vec![bytes(1, "forged"), bytes(2, "hash"), bytes(3, token())],
        ),
        message(
            4,
            vec![bytes(1, "honest-0"), credential(2), bytes(3, token())],
        ),
        message(10, vec![session(), bytes(2, "hash"), bytes(3, token())]),
    ];
    let time = || Field {
        number: 2,
        value: Value::Fixed(9),
    };
    let request_id = |at| bytes(at, vec![9; 16]);
    let commands = operations.into_iter().flat_map(|operation| {
        let command = vec![request_id(1), operation.clone()];
        let timed = vec![request_id(1), time(), operation];
        [command, timed].map(|command| vec![message(12, command)])
    });
    let origin = || message(17, vec![bytes(1, "192.0.2.1"), time(), number(3, 100)]);
    let secrets = [
        message(13, vec![bytes(1, "forged"), bytes(2, digest())]),
        message(14, vec![bytes(1, "honest-0"), bytes(2, digest())]),
        message(15, vec![session(), bytes(2, digest()), bytes(3, digest())]),
    ];
    let secrets = secrets
        .into_iter()
        .map(|operation| vec![operation, request_id(16), origin()]);
    let mut proposals = Vec::new();
    for request in commands.chain(secrets) {
        for request in with_extremes(&request) {
            proposals.push(vec![sender.header(), message(2, request)]);
        }
    }
    proposals
}

/// Longer than a node takes in one message, and as long as it takes.
pub(super) fn overlong(sender: &Sender) -> [Vec<Field>; 2] {
    [9 << 20, 7 << 20].map(|length| vec![sender.header(), bytes(2, vec![b'x'; length])])
}
