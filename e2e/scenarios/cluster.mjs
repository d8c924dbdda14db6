// Messages, spawns and assignments of processes while nodes of a cluster are
// killed: each arrives once, on every node, in the order in which it was sent.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { tagOf, World } from '../lib/world.mjs'
import { until } from '../lib/suite.mjs'

const PROCESSES = 20
const TOKENS = 5
const HOPS = Number(process.env.E2E_HOPS ?? 200) // of all tokens together
const SHARES = 12

export async function cluster (suite, nodes, wallet) {
  const worlds = nodes.nodes.map(node => new World({ node, wallet }))
  const killing = new Killing(nodes, worlds)

  await suite.test(`cluster: ${HOPS} messages go round ${PROCESSES} processes while nodes are killed`, async () => {
    const world = killing.world
    const ring = await Promise.all(Array.from({ length: PROCESSES }, () => world.spawn()))
    await Promise.all(ring.map(async (process, i) => {
      await world.evaluate(process, `Next = "${ring[(i + 1) % PROCESSES]}"`)
      await world.load(process, 'ring.lua')
    }))
    const last = Math.floor(HOPS / TOKENS)
    for (let token = 0; token < TOKENS; token++) {
      await killing.post(ring[token * PROCESSES / TOKENS], { Action: 'Hop', Token: String(token), Hops: '0', Last: String(last) })
    }
    await killing.until('every token has made its hops', async world => {
      for (let token = 0; token < TOKENS; token++) {
        const end = await hops(once(world), ring[(token * PROCESSES / TOKENS + last) % PROCESSES])
        if (!end.some(hop => hop.token === String(token) && hop.hops === last)) return false
      }
      return true
    })
    for (const world of worlds) {
      let total = 0
      for (const [i, process] of ring.entries()) {
        const sent = (await hops(patient(world), process)).filter(hop => hop.hops < last)
          .map(hop => ({ from: process, token: hop.token, hops: hop.hops + 1 }))
        const arrived = (await hops(patient(world), ring[(i + 1) % PROCESSES])).filter(hop => hop.from)
        assert.deepEqual(arrived, sent, `from process ${i} to the next, at ${world.node.gateway}`)
        total += arrived.length
      }
      assert.equal(total, last * TOKENS)
    }
    killing.report()
  })

  await suite.test('cluster: a tree of spawns, three levels deep, grows while nodes are killed', async () => {
    const world = killing.world
    const root = await world.spawn({ tags: [{ name: 'Depth', value: '3' }] })
    const program = readFileSync(new URL('../lua/tree.lua', import.meta.url), 'utf8')
    await world.evaluate(root, `Program = [==[${program}]==]\n${program}`)
    await killing.until('the tree has grown', async world => (await tree(once(world), root, 3)).length === 15)
    for (const world of worlds) {
      const processes = await tree(patient(world), root, 3)
      assert.equal(new Set(processes).size, 15, `the tree at ${world.node.gateway} has ${processes.length} processes`)
    }
    killing.report()
  })

  await suite.test('cluster: what a process assigns is in each log once, in order, while nodes are killed', async () => {
    const world = killing.world
    const sharer = await world.spawn()
    const readers = await Promise.all(Array.from({ length: 3 }, () => world.spawn()))
    await world.evaluate(sharer, `Readers = { ${readers.map(id => `"${id}"`).join(', ')} }`)
    await world.load(sharer, 'ring.lua')
    const shared = []
    const sharing = async () => {
      for (let i = 0; i < SHARES; i++) shared.push(await killing.post(sharer, { Action: 'Share', Number: String(i) }))
    }
    await Promise.all([sharing(), killing.until('all is assigned', async world => {
      const counts = await Promise.all(readers.map(async reader => (await assigned(once(world), reader)).length))
      return counts.every(count => count >= SHARES)
    })])
    for (const world of worlds) {
      for (const reader of readers) assert.deepEqual(await assigned(patient(world), reader), shared, `at ${world.node.gateway}`)
    }
    killing.report()
  })
}

// Killing ends one node after the other and starts it again, the one that the
// client speaks to as well. The client then takes another.
class Killing {
  kills = 0

  constructor (nodes, worlds) {
    Object.assign(this, { nodes, worlds })
    this.world = worlds[0]
  }

  // until kills nodes, at least one, until a condition holds at one that runs, and
  // then waits until it holds at all of them.
  async until (what, condition) {
    const end = Date.now() + 60_000 + 200 * HOPS
    const before = this.kills
    for (let done = false; !done; this.kills++) {
      if (Date.now() > end) throw new Error(`${what}: not so after ${this.kills - before} kills`)
      const victim = this.kills % this.worlds.length
      this.world = this.worlds[(victim + 1) % this.worlds.length]
      await this.nodes.kill(this.worlds[victim].node)
      done = await until(what, () => condition(this.world), 1500).catch(() => false)
      await this.nodes.restart(this.worlds[victim].node)
    }
    this.since = this.kills - before
    for (const world of this.worlds) await until(`${what}, at ${world.node.gateway}`, () => condition(world))
  }

  // post sends a message once, to one node after the other until one takes it.
  async post (process, tags) {
    const item = await this.world.ao.signMessage({
      process, signer: this.world.wallet.signer, data: ' ', tags: Object.entries(tags).map(([name, value]) => ({ name, value }))
    })
    return until('a node takes the message', async () => {
      for (const world of this.worlds) {
        if (await world.ao.sendSignedMessage(item).then(() => true, () => false)) return item.id
      }
      return false
    })
  }

  report () {
    console.log(`      nodes were killed ${this.since} times`)
  }
}

// patient reads a log from a node that may not have met the others since it was
// started.
const patient = world => process => until(`the log of ${process}`, () => world.log(process, 500))

// once reads a log now or fails.
const once = world => process => world.log(process, 500)

// hops lists the tokens in a process's log.
async function hops (read, process) {
  return (await read(process)).map(({ message }) => message).filter(message => tagOf(message, 'Action') === 'Hop')
    .map(message => ({ from: tagOf(message, 'From-Process'), token: tagOf(message, 'Token'), hops: Number(tagOf(message, 'Hops')) }))
}

// tree lists a process and its descendants as their parents were told of them.
// Each knows its parent, and has two children or, at the end, none.
async function tree (read, process, depth) {
  const log = await read(process)
  const children = log.map(({ message }) => message).filter(message => tagOf(message, 'Action') === 'Spawned').map(message => tagOf(message, 'Process'))
  assert.equal(children.length, depth > 0 ? 2 : 0, `the children of ${process}`)
  const below = []
  for (const child of children) {
    const [first] = await read(child)
    assert.equal(tagOf(first.message, 'From-Process'), process)
    below.push(...await tree(read, child, depth - 1))
  }
  return [process, ...below]
}

// assigned lists the messages that a process was assigned.
async function assigned (read, process) {
  return (await read(process)).filter(({ message }) => message === null).map(({ assignment }) => tagOf(assignment, 'Message'))
}
