// Histories of real processes, damaged in every way that a scheduler, a compute unit, a
// courier or a disk may damage one: verify must name each, and where.
import { joined, Kind, parted, read, write } from '../lib/aolog.mjs'

// at is where the damage is done: the history has messages on both sides of it.
const AT = 4

// damages gives [name, file, [[what, nonce], ...]] for each way: the findings that must be
// among those that are wrong, and of which one must be the first.
export function damages (good, other) {
  const records = read(good)
  const place = nonce => records.findIndex(r => r.kind === Kind.entry && r.nonce === nonce)
  const head = records.filter(r => r.kind === Kind.entry).at(-1).nonce
  // with gives a copy in which a list of records is changed.
  const with_ = change => {
    const list = records.map(r => ({ ...r, payload: Buffer.from(r.payload) }))
    change(list)
    return write(list)
  }
  // entry changes the parts of the entry at a nonce.
  const entry = (change, nonce = AT) => with_(list => {
    const record = list[place(nonce)]
    const parts = parted(record.payload)
    const changed = { assignment: Buffer.from(parts.assignment), item: Buffer.from(parts.item) }
    change(changed, record)
    record.payload = joined(changed)
  })
  const bytes = change => { const file = Buffer.from(good); return change(file) ?? file }
  const flip = (buffer, at) => { buffer[at] ^= 1 }
  // spell changes a character of an id in base64url to another of that alphabet: what no
  // longer is base64 would be found for what it is, and not for its signature.
  const spell = (buffer, at) => { buffer[at] = buffer[at] === 0x41 ? 0x42 : 0x41 }
  // tag changes a character of the value of an assignment's tag.
  const tag = (name, nonce) => entry(({ assignment }) => {
    const found = assignment.indexOf(name)
    if (found < 0) throw new Error(`the assignment has no tag ${name}`)
    const value = found + name.length + 1
    if (name === 'Process' || name === 'Hash-Chain') spell(assignment, value + 9)
    else flip(assignment, value)
  }, nonce)
  const partsOf = nonce => parted(records[place(nonce)].payload)
  const foreign = read(other).filter(r => r.kind === Kind.entry)

  return [
    ['a message is missing', with_(list => list.splice(place(AT), 1)), [['missing', AT]]],
    ['three messages are missing', with_(list => list.splice(place(AT), 3)), [['missing', AT]]],
    ['the process is missing', with_(list => list.splice(place(0), 1)), [['missing', 0]]],
    ['two messages are swapped', with_(list => { const i = place(AT); [list[i], list[i + 1]] = [list[i + 1], list[i]] }), [['out-of-order', AT]]],
    ['the last comes first', with_(list => list.splice(place(1), 0, list.splice(place(head), 1)[0])), [['out-of-order', 1]]],
    ['a message is repeated', with_(list => list.splice(place(AT), 0, list[place(AT)])), [['repeated', AT]]],
    ['a message comes again at the end', with_(list => list.splice(place(head) + 1, 0, list[place(AT)])), [['repeated', AT]]],
    ['the process comes again', with_(list => list.splice(place(AT), 0, list[place(0)])), [['repeated', 0]]],
    ['a message has other data', entry(({ item }) => flip(item, item.length - 1)), [['message-signature', AT]]],
    ['a message has another tag', entry(({ item }) => flip(item, item.indexOf('Action') + 1)), [['message-signature', AT]]],
    ['a message is for another process', entry(({ item }) => flip(item, 2 + 512 + 512 + 5)), [['message-signature', AT], ['message-target', AT]]],
    ['a message is by another owner', entry(({ item }) => flip(item, 2 + 512 + 99)), [['message-signature', AT]]],
    ['a message is signed otherwise', entry(({ item }) => flip(item, 99)), [['message-signature', AT], ['message-id', AT]]],
    ['a message of another place', entry(parts => { parts.item = Buffer.from(partsOf(AT + 1).item) }), [['message-id', AT]]],
    ['a message of another process', entry(parts => { parts.item = Buffer.from(parted(foreign.at(-1).payload).item) }), [['message-id', AT]]],
    ['a message is cut off', entry(parts => { parts.item = parts.item.subarray(0, 600) }), [['message', AT]]],
    ['a message is rubbish', entry(parts => { parts.item = Buffer.from('rubbish') }), [['message', AT]]],
    ['the process has another tag', entry(({ item }) => spell(item, item.indexOf('Module') + 9), 0), [['message-signature', 0]]],
    ['an assignment is signed otherwise', entry(({ assignment }) => flip(assignment, 9)), [['assignment-signature', AT]]],
    ['an assignment has another nonce', tag('Nonce'), [['assignment-signature', AT]]],
    ['an assignment has another epoch', tag('Epoch'), [['assignment-signature', AT]]],
    ['an assignment has another hash chain', tag('Hash-Chain'), [['assignment-signature', AT]]],
    ['an assignment has another time', tag('Timestamp'), [['assignment-signature', AT]]],
    ['an assignment has another height', tag('Block-Height'), [['assignment-signature', AT]]],
    ['an assignment is of another process', tag('Process'), [['assignment-signature', AT]]],
    ['an assignment of another place', entry(parts => { parts.assignment = Buffer.from(partsOf(AT + 1).assignment) }), [['assignment', AT]]],
    ['an assignment of another history', entry(parts => { parts.assignment = Buffer.from(parted(foreign[AT - 2].payload).assignment) }), [['other-process', AT]]],
    ['an assignment is rubbish', entry(parts => { parts.assignment = Buffer.from('rubbish') }), [['assignment', AT]]],
    ['a whole place is of another process', with_(list => { list[place(AT)].payload = foreign[AT - 2].payload }), [['other-process', AT]]],
    ['the file ends in a record', bytes(file => file.subarray(0, records[place(AT)].offset + 100)), [['cut-off', AT]]],
    ['the file ends in a header', bytes(file => file.subarray(0, records[place(AT)].offset + 10)), [['cut-off', AT]]],
    ['the file ends between records', bytes(file => file.subarray(0, records[place(AT)].offset)), [['cut-off', AT]]],
    ['a byte of a record is wrong', bytes(file => flip(file, records[place(AT)].offset + 300)), [['damaged', AT]]],
    ['a byte of a header is wrong', bytes(file => flip(file, records[place(AT)].offset + 5)), [['damaged', AT]]],
    ['the module is another', with_(list => { const m = list.find(r => r.kind === Kind.module); spell(m.payload, m.payload.indexOf('"id":"') + 7) }), [['module', head + 1]]],
    ['the history is said to be of another process', with_(list => { const h = list[0]; spell(h.payload, h.payload.indexOf('"process":"') + 12) }), [['other-process', 0]]]
  ]
}
