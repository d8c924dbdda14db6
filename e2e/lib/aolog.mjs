// History files as docs/formats/aolog.md describes them, read and written here on their
// own, so that a test can say anything in one with checksums that fit.
const PREAMBLE = Buffer.from([0x89, 0x41, 0x4f, 0x4c, 0x4f, 0x47, 0x0d, 0x0a])
const MAGIC = Buffer.from([0x89, 0x61, 0x6f, 0x72])
const HEADER_BYTES = 28
export const Kind = { header: 1, entry: 2, item: 3, module: 8, index: 10, end: 11 }

const table = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1
  return n >>> 0
})

export function crc32c (bytes) {
  let crc = 0xffffffff
  for (const byte of bytes) crc = table[(crc ^ byte) & 0xff] ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

// read gives the records of a file, without its index and end.
export function read (file) {
  const records = []
  for (let at = PREAMBLE.length; at < file.length;) {
    const length = file.readUInt32LE(at + 4)
    const record = {
      kind: file[at + 8], flags: file[at + 9], nonce: Number(file.readBigUInt64LE(at + 12)), offset: at,
      payload: file.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length)
    }
    if (record.kind < Kind.index) records.push(record)
    at += HEADER_BYTES + length
  }
  return records
}

// write makes a file of records, with an index and an end that fit them.
export function write (records) {
  const parts = [PREAMBLE]
  const index = []
  let offset = PREAMBLE.length
  let [entries, head] = [0, 0]
  const put = ({ kind, flags = 0, nonce = 0, payload }) => {
    const header = Buffer.alloc(HEADER_BYTES)
    MAGIC.copy(header)
    header.writeUInt32LE(payload.length, 4)
    header[8] = kind
    header[9] = flags
    header.writeBigUInt64LE(BigInt(nonce), 12)
    header.writeUInt32LE(crc32c(payload), 20)
    header.writeUInt32LE(crc32c(header.subarray(0, 24)), 24)
    parts.push(header, payload)
    offset += HEADER_BYTES + payload.length
  }
  for (const record of records) {
    const isEntry = record.kind === Kind.entry
    if (isEntry ? entries % 64 === 0 : record.kind !== Kind.header) index.push({ ...record, offset })
    if (isEntry) [entries, head] = [entries + 1, record.nonce]
    put(record)
  }
  const lines = Buffer.alloc(17 * index.length)
  index.forEach((line, i) => {
    lines.writeBigUInt64LE(BigInt(line.nonce), 17 * i)
    lines.writeBigUInt64LE(BigInt(line.offset), 17 * i + 8)
    lines[17 * i + 16] = line.kind
  })
  const end = Buffer.alloc(24)
  end.writeBigUInt64LE(BigInt(offset), 0)
  end.writeBigUInt64LE(BigInt(entries), 8)
  end.writeBigUInt64LE(BigInt(head), 16)
  put({ kind: Kind.index, payload: lines })
  put({ kind: Kind.end, nonce: head, payload: end })
  return Buffer.concat(parts)
}

// parted gives the assignment and the item of an entry, and joined puts them together.
export function parted (payload) {
  const length = payload.readUInt32LE(0)
  return { assignment: payload.subarray(4, 4 + length), item: payload.subarray(4 + length) }
}

export function joined ({ assignment, item }) {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(assignment.length)
  return Buffer.concat([length, assignment, item])
}
