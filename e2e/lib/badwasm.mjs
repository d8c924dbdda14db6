// Small modules that misbehave, written by hand: each has the three exports a
// node calls, and a handle that traps, never ends, or eats memory.

const PAGES_MIN = 2

export const hostile = {
  'traps': module_([0x00]), // unreachable
  'loops for ever': module_([0x03, 0x40, 0x0c, 0x00, 0x0b, 0x41, 0x00]), // loop br 0 end, i32.const 0
  'eats memory': module_([
    // loop: grow by 1024 pages until the host says no, then trap
    0x03, 0x40, 0x41, 0x80, 0x08, 0x40, 0x00, 0x41, 0x7f, 0x47, 0x0d, 0x00, 0x0b, 0x00
  ])
}

function module_ (handleBody) {
  const malloc = [0x41, 0x80, 0x20] // i32.const 4096: one place for all, nobody lives to read it
  return Buffer.from([
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
    ...section(1, vec([[0x60, 1, 0x7f, 1, 0x7f], [0x60, 2, 0x7f, 0x7f, 1, 0x7f], [0x60, 0, 0]])),
    ...section(3, vec([[0], [1], [2]])),
    ...section(5, vec([[0x00, PAGES_MIN]])),
    ...section(7, vec([
      [...name('memory'), 0x02, 0], [...name('malloc'), 0x00, 0], [...name('handle'), 0x00, 1],
      [...name('__wasm_call_ctors'), 0x00, 2]
    ])),
    ...section(10, vec([code(malloc), code(handleBody), code([])]))
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
