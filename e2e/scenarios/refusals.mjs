// Where a node cannot start it says so in one line and ends.
import assert from 'node:assert/strict'
import { mkdtempSync, openSync, closeSync, readSync, writeSync, readdirSync, statSync, writeFileSync, rmSync, cpSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Node, freePortBase } from '../lib/node.mjs'

// refusals runs last: it stops the node and damages a copy of its store.
export async function refusals (suite, world) {
  const { binary, dataDir, portBase } = world.node
  const temp = mkdtempSync(join(tmpdir(), 'wallaby-refusals-'))

  const refused = async (options, pattern) => {
    const node = new Node({ binary, portBase: await freePortBase(), ...options })
    const { code, stderr } = await node.startRefused()
    assert.notEqual(code, 0, 'the node exited 0')
    assert.equal(stderr.split('\n').length, 1, `not one line:\n${stderr}`)
    assert.match(stderr, pattern)
    console.log(`      ${stderr}`)
  }

  await suite.test('a second node on the same directory is refused', async () => {
    await refused({ dataDir }, /another|in use|already|locked/i)
    assert.equal((await fetch(world.node.gateway + '/readyz')).status, 200, 'the first node serves on')
  })

  await suite.test('a port in use is refused', async () => {
    await refused({ dataDir: join(temp, 'port'), portBase }, new RegExp(String(portBase)))
    const base = await freePortBase()
    const server = createServer().listen(base + 3, '127.0.0.1')
    try {
      await refused({ dataDir: join(temp, 'port'), portBase: base }, new RegExp(`${base + 3}.*--port-base`))
    } finally {
      server.close()
    }
  })

  await suite.test('an unwritable directory is refused', async () => {
    // A file in the way stops everybody, also root, whom no mode bits stop.
    const file = join(temp, 'file')
    writeFileSync(file, '')
    await refused({ dataDir: join(file, 'data') }, /file.*data/)
  })

  await suite.test('a module that is no wasm, or not there, is refused', async () => {
    const file = join(temp, 'no.wasm')
    writeFileSync(file, 'not wasm')
    await refused({ dataDir: join(temp, 'module'), modules: [file] }, /no\.wasm/)
    await refused({ dataDir: join(temp, 'module'), modules: [join(temp, 'absent.wasm')] }, /absent\.wasm/)
    await refused({ dataDir: join(temp, 'module'), modules: ['A'.repeat(42) + '?=' + file] }, /A{42}\?|no such file/)
  })

  await suite.test('a damaged log is refused, and the file is named', async () => {
    assert.equal(await world.node.stop(), 0, world.node.output)
    const segments = find(dataDir, /\.seg$/)
    assert.ok(segments.length > 0, `no segment in ${dataDir}`)
    for (const share of [0.1, 0.5, 0.9]) {
      const copy = join(temp, `damaged-${share}`)
      cpSync(dataDir, copy, { recursive: true })
      flip(segments[0].replace(dataDir, copy), share)
      await refused({ dataDir: copy }, /\.seg/)
    }
  })

  await suite.test('the undamaged store still opens', async () => {
    await world.node.start()
    await world.node.stop()
  })

  rmSync(temp, { recursive: true, force: true })
}

function find (dir, pattern) {
  return readdirSync(dir, { recursive: true }).filter(name => pattern.test(name))
    .map(name => join(dir, name)).sort()
}

// flip inverts one byte inside the written part of a file, whose end may be
// preallocated zeros.
function flip (path, share) {
  const file = openSync(path, 'r+')
  const bytes = Buffer.alloc(statSync(path).size)
  readSync(file, bytes, 0, bytes.length, 0)
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  const at = Math.floor(end * share)
  writeSync(file, Buffer.from([bytes[at] ^ 0xff]), 0, 1, at)
  closeSync(file)
}
