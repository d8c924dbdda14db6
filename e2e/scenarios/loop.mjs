// Two processes that answer each other for ever are parked, seen, and go on when
// an operator says so; nobody else notices.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Node, freePortBase } from '../lib/node.mjs'
import { until } from '../lib/suite.mjs'
import { World } from '../lib/world.mjs'

const HOPS = 40

const ANSWER = `Balls = 0
Handlers.add("ball", { Action = "Ball" }, function (m)
  Balls = Balls + 1
  Send({ Target = m.From, Action = "Ball" })
end)`

export async function loop (suite, { node: { binary, modules }, wallet }) {
  const dataDir = mkdtempSync(join(tmpdir(), 'wallaby-loop-'))
  const node = new Node({ binary, dataDir, modules, portBase: await freePortBase(), args: ['--hops-max', String(HOPS)] })
  const wallaby = (...args) => {
    const { status, stdout, stderr } = spawnSync(binary, [...args, '--url', node.gateway, '-o', 'json'], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    return JSON.parse(stdout)
  }
  try {
    await node.start()
    const world = new World({ node, wallet })
    let serve, players
    const balls = async () => {
      const counts = await Promise.all(players.map(player => world.read(player, 'return Balls')))
      return counts.reduce((sum, count) => sum + Number(count), 0)
    }
    const parkedAt = hops => until(`it is parked after ${hops} hops`, async () =>
      await balls() === hops && wallaby('outbox', 'parked').find(cascade => cascade.root === serve))

    await suite.test('a loop of two processes is parked, and others go on', async () => {
      players = [await world.spawn(), await world.spawn()]
      for (const player of players) await world.evaluate(player, ANSWER)
      const sent = await world.evaluate(players[0], `Send({ Target = "${players[1]}", Action = "Ball" })`)
      serve = sent.message
      const { effects, reason } = await parkedAt(HOPS)
      assert.equal(effects, 1)
      assert.match(reason, /hops-max/)
      const other = await world.evaluate(players[0], `Send({ Target = "${players[1]}", Action = "Note" }); return 42`)
      assert.equal(other.output, '42')
      await until('what others send arrives', async () => (await world.log(players[1])).some(({ message }) =>
        message.tags.some(tag => tag.name === 'Pushed-For' && tag.value === other.message)))
      assert.equal(await balls(), HOPS)
    })

    await suite.test('a loop that is parked stays so over kill -9, and goes on when it is resumed', async () => {
      await node.kill()
      await node.start()
      await parkedAt(HOPS)
      assert.deepEqual(wallaby('outbox', 'resume', serve, '--data-dir', dataDir), { changed: 1 })
      await parkedAt(2 * HOPS)
      const list = wallaby('outbox', 'list', '--state', 'parked').effects
      assert.deepEqual(list.map(effect => effect.root), [serve])
    })
  } catch (err) {
    suite.fail('set up a node with a bound for loops', err)
  } finally {
    await node.kill()
    rmSync(dataDir, { recursive: true, force: true })
  }
}
