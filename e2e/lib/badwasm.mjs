// Small modules that misbehave, written by hand: each has the exports a node
// calls, and a handle that traps, never ends, or eats memory.

const PAGES_MIN = 2
const I32 = 0x7f

export const hostile = {
  'traps': module_([0x00]), // unreachable
  'loops for ever': module_([0x03, 0x40, 0x0c, 0x00, 0x0b, 0x41, 0x00]), // loop br 0 end, i32.const 0
  'eats memory': module_([
    // loop: grow by 1024 pages until the host says no, then trap
    0x03, 0x40, 0x41, 0x80, 0x08, 0x40, 0x00, 0x41, 0x7f, 0x47, 0x0d, 0x00, 0x0b, 0x00
  ])
}

function module_ (handleBody) {
  // One place for all that is allocated: nobody lives to read it.
  const place = [0x41, 0x80, 0x20] // i32.const 4096
  const types = [[0x60, 0, 0], [0x60, 0, 1, I32], [0x60, 1, I32, 0], [0x60, 1, I32, 1, I32], [0x60, 2, I32, I32, 1, I32]]
  const functions = [
    ['__wasm_call_ctors', 0, []], ['stackSave', 1, place], ['stackRestore', 2, []],
    ['stackAlloc', 3, place], ['malloc', 3, place], ['handle', 4, handleBody]
  ]
  return Buffer.from([
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
    ...section(1, vec(types)),
    ...section(3, vec(functions.map(([, type]) => [type]))),
    ...section(5, vec([[0x00, PAGES_MIN]])),
    ...section(7, vec([[...name('memory'), 0x02, 0], ...functions.map(([text], i) => [...name(text), 0x00, i])])),
    ...section(10, vec(functions.map(([, , body]) => code(body))))
  ])
}

function section (id, body) {
  return [id, ...leb(body.length), ...body]
}

function vec (items) {
  return [...leb(items.length), ...items.flat()]
}

function code (body) {
  return [...leb(body.length + 2), 0x00, ...body, 0x0b]
}

function name (text) {
  return [...leb(text.length), ...Buffer.from(text)]
}

function leb (n) {
  const bytes = []
  do {
    bytes.push((n & 0x7f) | (n > 0x7f ? 0x80 : 0))
    n >>>= 7
  } while (n > 0)
  return bytes
}
