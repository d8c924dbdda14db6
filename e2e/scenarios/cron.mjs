// A process with a cron of one second, the real client's monitor and unmonitor, and
// kill -9: no tick is missing and none comes twice.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { tagOf } from '../lib/world.mjs'
import { until } from '../lib/suite.mjs'

const CRON = { name: 'Cron-Interval', value: '1-second' }

const HANDLER = receiver => `Ticks = Ticks or {}
Handlers.add("tick", { Action = "Tick" }, function (m)
  assert(m.Cron == true and m.From == ao.env.Process.Owner, "no tick of the owner's")
  table.insert(Ticks, m.Timestamp)
  Send({ Target = "${receiver}", Action = "Tock", At = tostring(m.Timestamp), N = tostring(#Ticks) })
end)`

export async function cron (suite, world) {
  let receiver, ticking

  await suite.test('a cron of one second runs when somebody asks, and is listed page by page', async () => {
    receiver = await world.spawn()
    ticking = await world.spawn({ tags: [CRON, { name: 'Cron-Tag-Action', value: 'Tick' }] })
    await world.evaluate(ticking, HANDLER(receiver))
    await until('five ticks are listed', async () => (await listed(world, ticking)).length >= 5)
    assert.equal((await world.log(receiver)).length, 1, 'nobody monitors it, so nothing is delivered')
  })

  await suite.test('cron: what is monitored is delivered, through kill -9, until unmonitor', async () => {
    await world.ao.monitor({ process: ticking, signer: world.wallet.signer })
    await assert.rejects(world.ao.monitor({ process: ticking, signer: world.wallet.signer }))
    for (let round = 1; round <= 2; round++) {
      const before = (await tocks(world, receiver)).length
      await until('ticks are delivered', async () => (await tocks(world, receiver)).length >= before + 3)
      await world.node.kill()
      await world.node.start()
    }
    const before = (await tocks(world, receiver)).length
    await until('ticks are delivered after a restart', async () => (await tocks(world, receiver)).length >= before + 2)
    await world.ao.unmonitor({ process: ticking, signer: world.wallet.signer })
    await assert.rejects(world.ao.unmonitor({ process: ticking, signer: world.wallet.signer }))
    const ticks = await listed(world, ticking)
    const delivered = await until('all is quiet', async () => {
      const now = await tocks(world, receiver)
      await new Promise(resolve => setTimeout(resolve, 1500))
      return (await tocks(world, receiver)).length === now.length && now
    })
    steady(delivered.map(tock => tock.at))
    steady(delivered.map(tock => tock.n * 1000))
    assert.equal(new Set(ticks.map(tick => tick.timestamp)).size, ticks.length)
    for (const { message } of delivered) {
      assert.equal(tagOf(message, 'From-Process'), ticking)
      assert.equal(tagOf(message, 'Pushed-For'), undefined)
    }
  })

  await suite.test('cron: messages come between ticks, and a cold replay comes to the same', async () => {
    for (let i = 0; i < 3; i++) {
      await world.evaluate(ticking, 'return #Ticks')
      await new Promise(resolve => setTimeout(resolve, 1300))
    }
    const before = JSON.parse((await world.evaluate(ticking, 'return require("json").encode(Ticks)')).output)
    const ticks = await listed(world, ticking)
    const counted = ticks.map(tick => tick.timestamp).filter(timestamp => timestamp >= before[0])
    assert.deepEqual(counted.slice(0, before.length), before)
    assert.ok(ticks.every((tick, i) => i === 0 || tick.timestamp > ticks[i - 1].timestamp), 'in order')
    const replay = wallaby(world, ['replay', ticking, '-o', 'json'])
    assert.equal(replay.status, 0, replay.stderr)
  })

  await suite.test('cron: an operator sees how it stands and leaves ticks out', async () => {
    await new Promise(resolve => setTimeout(resolve, 2500))
    const list = wallaby(world, ['cron', 'list', '-o', 'json'])
    assert.equal(list.status, 0, list.stderr)
    const info = JSON.parse(list.stdout).find(info => info.process === ticking)
    assert.deepEqual({ crons: info.crons, watched: info.watched }, { crons: ['1-second'], watched: false })
    assert.ok(info.behind > 0, list.stdout)
    const skip = wallaby(world, ['cron', 'skip', ticking, '--data-dir', world.node.dataDir, '-o', 'json'])
    assert.equal(skip.status, 0, skip.stderr)
    const { skipped, fromMs, untilMs } = JSON.parse(skip.stdout)
    assert.ok(skipped > 0)
    const ticks = await listed(world, ticking)
    assert.equal(ticks.filter(tick => tick.timestamp >= fromMs && tick.timestamp < untilMs).length, 0)
  })

  await suite.test('cron: a spawn with crons that make no sense is refused', async () => {
    await assert.rejects(world.spawn({ tags: [{ ...CRON, value: '0-seconds' }] }))
  })
}

// listed gives the places of all that a process's crons gave, page by page.
async function listed (world, process) {
  const places = []
  for (let from = ''; ;) {
    const response = await fetch(`${world.node.cu}/cron/${process}?limit=4&from=${encodeURIComponent(from)}`)
    const page = await response.json()
    assert.equal(response.status, 200, JSON.stringify(page))
    for (const { cursor, node } of page.edges) {
      const place = JSON.parse(Buffer.from(cursor, 'base64').toString())
      assert.equal(place.cron, '0-1-second')
      assert.ok(node.Messages.length <= 1)
      places.push(place)
      from = cursor
    }
    if (!page.pageInfo.hasNextPage) return places
  }
}

async function tocks (world, receiver) {
  const log = (await world.log(receiver)).filter(({ message }) => tagOf(message, 'Action') === 'Tock')
  return log.map(({ message }) => ({ message, at: Number(tagOf(message, 'At')), n: Number(tagOf(message, 'N')) }))
}

function steady (times) {
  assert.ok(times.length > 0)
  assert.deepEqual(times, times.map((_, i) => times[0] + 1000 * i))
}

function wallaby (world, args) {
  return spawnSync(world.node.binary, [...args, '--url', world.node.gateway], { encoding: 'utf8' })
}
