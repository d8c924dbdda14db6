// kill -9 in the middle of traffic, and what must be there afterwards.
import assert from 'node:assert/strict'
import { Economy } from './token.mjs'
import { tagOf } from '../lib/world.mjs'
import { until } from '../lib/suite.mjs'

const SENDERS = 6
const ACKS_BEFORE_KILL = 40
const KILLS = 3

export async function restart (suite, world) {
  let economy
  for (let round = 1; round <= KILLS; round++) {
    await suite.test(`kill -9 in traffic and restart, round ${round}`, async () => {
      economy ??= await Economy.open(world)
      const before = await memory(world, economy)
      const { acknowledged, uncertain } = await trafficUntilKilled(world, economy)
      await killedWhileStarting(world.node)
      await world.node.start()
      await remembered(world, before)

      const log = await world.log(economy.token)
      for (const id of acknowledged) {
        assert.equal(log.filter(({ message }) => message.id === id).length, 1, `acknowledged message ${id}`)
        const result = await world.ao.result({ process: economy.token, message: id })
        assert.equal(result.Messages.length, 2, JSON.stringify(result))
      }
      await resend(world, economy, uncertain)
      const settled = economy.settled(await economy.ordered(), 2)
      await world.untilEqual('pushes go on until all is quiet', () => economy.state(), settled)
      await unbroken(world, economy)
    })
  }

  await suite.test('results and logs are the same after a restart by SIGTERM, which exits 0', async () => {
    economy ??= await Economy.open(world)
    const before = await memory(world, economy)
    assert.equal(await world.node.stop(), 0, world.node.output)
    await world.node.start()
    await remembered(world, before)
    const { scheduler, authority } = world.node.status()
    assert.deepEqual({ scheduler, authority }, { scheduler: world.scheduler, authority: world.authority })
    console.log(`      ready again after ${world.node.startMS} ms`)
    assert.equal((await world.evaluate(economy.token, 'return Supply')).output, '1000000')
  })
}

// killedWhileStarting kills the node ever later while it starts: what it
// repairs then must bear being interrupted.
async function killedWhileStarting (node) {
  for (const delayMS of [20, 60, 120, 200]) {
    node.launch()
    await new Promise(resolve => setTimeout(resolve, delayMS))
    await node.kill()
  }
}

// trafficUntilKilled sends from several clients at once and kills the node
// when some have been acknowledged. What was in flight then is uncertain.
async function trafficUntilKilled (world, economy) {
  const acknowledged = []
  const uncertain = []
  let killed = false
  const sender = async () => {
    while (!killed) {
      const item = await world.ao.signMessage({
        process: economy.token,
        signer: world.wallet.signer,
        data: ' ',
        tags: Object.entries(economy.transferTags(2)).map(([name, value]) => ({ name, value }))
      })
      try {
        await world.ao.sendSignedMessage(item)
        acknowledged.push(item.id)
      } catch (err) {
        if (!killed) throw err
        uncertain.push(item)
      }
    }
  }
  const senders = Array.from({ length: SENDERS }, sender)
  const all = Promise.all(senders)
  await Promise.race([all, until('enough messages are acknowledged', () => acknowledged.length >= ACKS_BEFORE_KILL)])
  killed = true
  await world.node.kill()
  await all
  return { acknowledged, uncertain }
}

// resend posts what was in flight once more, twice: each is ordered once.
async function resend (world, economy, uncertain) {
  for (const item of [...uncertain, ...uncertain]) await world.ao.sendSignedMessage(item)
  const log = await world.log(economy.token)
  for (const { id } of uncertain) {
    assert.equal(log.filter(({ message }) => message.id === id).length, 1, `resent message ${id}`)
  }
}

// memory is what the node has said so far: the logs, the last results, and the
// pages of results with their cursors.
async function memory (world, economy) {
  const logs = new Map()
  const results = new Map()
  const pages = new Map()
  for (const process of economy.processes) {
    const log = await world.log(process)
    logs.set(process, log)
    for (const { message } of log.slice(-10)) {
      results.set(message.id, [process, await world.ao.result({ process, message: message.id })])
    }
  }
  for (const process of economy.processes) {
    pages.set(process, (await world.ao.results({ process, sort: 'ASC', limit: 1000 })).edges)
  }
  return { logs, results, pages }
}

async function remembered (world, { logs, results, pages }) {
  for (const [process, before] of logs) {
    assert.deepEqual((await world.log(process)).slice(0, before.length), before)
  }
  for (const [message, [process, result]] of results) {
    assert.deepEqual(await world.ao.result({ process, message }), result)
  }
  for (const [process, before] of pages) {
    const { edges } = await world.ao.results({ process, sort: 'ASC', limit: 1000 })
    assert.deepEqual(edges.slice(0, before.length), before)
  }
}

// unbroken checks that nonces have no gap and that no message came twice.
async function unbroken (world, economy) {
  for (const process of economy.processes) {
    const log = await world.log(process)
    const ids = log.map(({ message }) => message.id)
    assert.equal(new Set(ids).size, ids.length, 'a message was ordered twice')
    assert.deepEqual(log.map(({ assignment }) => Number(tagOf(assignment, 'Nonce'))), log.map((_, i) => i))
  }
}
